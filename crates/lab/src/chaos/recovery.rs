//! How long it takes until everything works again: every service says that it is ready, a sale is accepted, that very sale is
//! counted, and a report is accepted by both logs.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::clients::Probe;
use super::field::Field;

/// Nothing takes longer, whatever is broken, but counting again.
const LIMIT: Duration = Duration::from_secs(60);
/// Events that are counted again in a second at the least, where the store has lost them. RabbitMQ 3.10 hands out one or two
/// thousand chunks a second, and a chunk of a quiet stream is one event.
const RECOUNTED_PER_S: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(25);
/// Where units by product are.
const RANKING: &str = "ranking:global";
/// How far each partition of sales is counted.
const POSITIONS: &str = "posicion:ventas";

/// The time from now until everything works, or nothing if it does not in time; then the reason is noted. In time is within a
/// minute, and a second more for each thousand of the `accepted` that has to be counted again.
pub(crate) async fn recover(field: &mut Field, probe: &mut Probe, accepted: u64) -> Option<Duration> {
    let (begin, until) = (Instant::now(), tokio::time::Instant::now() + LIMIT);
    let waits_for = Cell::new("");
    let mut limit = LIMIT;
    if let Ok(product) = timeout_at(until, accepts(field, probe, &waits_for)).await {
        let missing = counted(field).await.map_or(0, |counted| accepted.saturating_sub(counted));
        limit += Duration::from_secs(missing / RECOUNTED_PER_S);
        let until = until + (limit - LIMIT);
        if timeout_at(until, counts(field, probe, &product, &waits_for)).await.is_ok() {
            return Some(begin.elapsed());
        }
    }
    let mut missing = vec![waits_for.get().to_owned()];
    for service in field.processes.services() {
        if !field.processes.is_ready(*service).await {
            missing.push(format!("{service:?} is not ready: {}", last_words(&field.processes.log(*service))));
        }
    }
    field.complain(format!("does not work again within {limit:?}: {}", missing.join("; ")));
    None
}

/// Returns a sale's product when every service is ready and the sale is accepted; says what it waits for meanwhile.
async fn accepts(field: &Field, probe: &mut Probe, waits_for: &Cell<&str>) -> String {
    waits_for.set("the servers of the store do not settle");
    if let Ok(group) = field.main.counters.group() {
        // The limit is the caller's: it comes first, and names what is waited for.
        group.settles(2 * LIMIT).await.ok();
    }
    waits_for.set("a service is not ready");
    for service in field.processes.services() {
        while !field.processes.is_ready(*service).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
    waits_for.set("no sale is accepted");
    loop {
        if let Some(product) = probe.accepted().await {
            return product;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns when that sale is counted and a report is accepted by both logs; says what it waits for meanwhile.
async fn counts(field: &Field, probe: &mut Probe, product: &str, waits_for: &Cell<&str>) {
    waits_for.set("a sale that was accepted is not counted");
    while !is_counted(field, product).await {
        tokio::time::sleep(PAUSE).await;
    }
    waits_for.set("no report is accepted by both logs");
    while !probe.is_reported().await {
        tokio::time::sleep(PAUSE).await;
    }
}

/// How many records of sales are counted, or passed over; nothing if the store does not say.
async fn counted(field: &Field) -> Option<u64> {
    let server = field.main.counters.primary().await.ok()?;
    let positions = server.command(&["HVALS", POSITIONS]).await.ok()?;
    Some(positions.lines().filter_map(|position| position.parse::<u64>().ok()).sum())
}

async fn is_counted(field: &Field, product: &str) -> bool {
    let Ok(server) = field.main.counters.primary().await else { return false };
    server.command(&["ZSCORE", RANKING, product]).await.is_ok_and(|units| !units.is_empty())
}

fn last_words(log: &str) -> String {
    log.lines().next_back().unwrap_or("it has logged nothing").to_owned()
}
