//! How long it takes until everything works again: every service says that it is ready, a sale is accepted, that very sale is
//! counted, and a report is accepted by both logs.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::clients::Probe;
use super::field::Field;

/// Nothing takes longer, whatever is broken.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);
/// Where units by product are.
const RANKING: &str = "ranking:global";

/// The time from now until everything works, or nothing within a minute; then the reason is noted.
pub(crate) async fn recover(field: &mut Field, probe: &mut Probe) -> Option<Duration> {
    let (begin, until) = (Instant::now(), tokio::time::Instant::now() + LIMIT);
    let waits_for = Cell::new("");
    if timeout_at(until, works(field, probe, &waits_for)).await.is_ok() {
        return Some(begin.elapsed());
    }
    let mut missing = vec![waits_for.get().to_owned()];
    for service in field.processes.services() {
        if !field.processes.is_ready(*service).await {
            missing.push(format!("{service:?} is not ready: {}", last_words(&field.processes.log(*service))));
        }
    }
    field.complain(format!("does not work again within {LIMIT:?}: {}", missing.join("; ")));
    None
}

/// Returns when everything works; says what it waits for meanwhile.
async fn works(field: &Field, probe: &mut Probe, waits_for: &Cell<&str>) {
    waits_for.set("the servers of the store do not settle");
    if let Ok(group) = field.main.counters.group() {
        group.settles(LIMIT).await.ok();
    }
    waits_for.set("a service is not ready");
    for service in field.processes.services() {
        while !field.processes.is_ready(*service).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
    waits_for.set("no sale is accepted");
    let product = loop {
        if let Some(product) = probe.accepted().await {
            break product;
        }
        tokio::time::sleep(PAUSE).await;
    };
    waits_for.set("a sale that was accepted is not counted");
    while !is_counted(field, &product).await {
        tokio::time::sleep(PAUSE).await;
    }
    waits_for.set("no report is accepted by both logs");
    while !probe.is_reported().await {
        tokio::time::sleep(PAUSE).await;
    }
}

async fn is_counted(field: &Field, product: &str) -> bool {
    let Ok(server) = field.main.counters.primary().await else { return false };
    server.command(&["ZSCORE", RANKING, product]).await.is_ok_and(|units| !units.is_empty())
}

fn last_words(log: &str) -> String {
    log.lines().next_back().unwrap_or("it has logged nothing").to_owned()
}
