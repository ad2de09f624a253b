use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use blackfriday_intake::{BatchAnswer, ItemAnswer};
use serde::Deserialize;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Exchange};
use super::report::Tally;
use super::schedule::{Schedule, Ticket};
use super::{Plan, Route};

/// Before a connection that cannot be made is tried again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What became of one sale.
enum Outcome<'a> {
    Accepted(&'a str),
    Refused(u16),
    Unknown(Option<&'a str>),
}

#[derive(Deserialize)]
struct Identity {
    id: Option<String>,
}

/// Sends requests on one connection, one after the other, until the schedule has no more.
pub(crate) async fn run(
    plan: Arc<Plan>,
    schedule: Arc<Schedule>,
    receipts: Option<Sender<String>>,
) -> Result<Tally> {
    let mut connection = Connection::new(&plan)?;
    let mut tally = Tally::new();
    while let Some(ticket) = schedule.take() {
        if let Some(intended) = ticket.intended {
            sleep_until(intended).await;
        }
        let body = plan.body(ticket.first, ticket.count).into();
        let since = ticket.intended.unwrap_or_else(Instant::now);
        let exchange = exchange(&plan, &mut connection, &ticket, body).await;
        tally.latency(since.elapsed());
        let mut lines = String::new();
        each_outcome(&plan, &ticket, &exchange, |outcome| match outcome {
            Outcome::Accepted(id) => {
                tally.accepted += 1;
                push_line(&mut lines, "+ ", id);
            }
            Outcome::Refused(status) => tally.refused(status),
            Outcome::Unknown(id) => {
                tally.unknown += 1;
                push_line(&mut lines, "? ", id.unwrap_or("-"));
            }
        });
        let accepted = lines.bytes().filter(|byte| *byte == b'+').count() as u64;
        plan.accepted.fetch_add(accepted, Ordering::Relaxed);
        if let Some(receipts) = &receipts
            && !lines.is_empty()
        {
            receipts.send(lines).await?;
        }
    }
    Ok(tally)
}

/// One request with its retries. A retry is made only under an idempotency key.
async fn exchange(plan: &Plan, connection: &mut Connection, ticket: &Ticket, body: bytes::Bytes) -> Exchange {
    let key = plan.key_prefix.as_ref().map(|prefix| format!("{prefix}-{}", ticket.number));
    let mut tries = 0;
    loop {
        let exchange = connection.post(body.clone(), key.as_deref()).await;
        let may_help = match exchange {
            Exchange::Answered { status, .. } => matches!(status, 207 | 429 | 500..=599),
            Exchange::NotSent | Exchange::NoAnswer => true,
        };
        if matches!(exchange, Exchange::NotSent) {
            sleep(RECONNECT_PAUSE).await;
        }
        if !may_help || tries == plan.retries {
            return exchange;
        }
        tries += 1;
        sleep(RETRY_PAUSE * tries).await;
    }
}

fn each_outcome(plan: &Plan, ticket: &Ticket, exchange: &Exchange, mut tell: impl FnMut(Outcome<'_>)) {
    match exchange {
        Exchange::NotSent => (0..ticket.count).for_each(|_| tell(Outcome::Refused(0))),
        Exchange::NoAnswer => (0..ticket.count).for_each(|_| tell(Outcome::Unknown(None))),
        Exchange::Answered { status, body } if plan.route == Route::Venta => tell(single(*status, body)),
        Exchange::Answered { status, body } => match serde_json::from_slice::<BatchAnswer>(body) {
            Ok(answer) if answer.resultados.len() as u64 == ticket.count => {
                answer.resultados.iter().for_each(|result| tell(item(result)));
            }
            _ => (0..ticket.count).for_each(|_| tell(of_status(*status, None))),
        },
    }
}

/// The accepted answer's form is fixed, so that its identity need not be searched for.
fn single(status: u16, body: &[u8]) -> Outcome<'_> {
    const BEFORE: &str = "{\"estado\":\"OK\",\"id\":\"";
    if status == 202 {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let id = text.strip_prefix(BEFORE).and_then(|rest| rest.get(..36));
        return id.map_or(Outcome::Unknown(None), Outcome::Accepted);
    }
    match serde_json::from_slice::<Identity>(body).ok().and_then(|identity| identity.id) {
        Some(id) if status >= 500 && status != 503 => {
            let at = std::str::from_utf8(body).unwrap_or_default().find(&id).unwrap_or(0);
            of_status(status, std::str::from_utf8(body).unwrap_or_default().get(at..at + id.len()))
        }
        _ => of_status(status, None),
    }
}

fn item(result: &ItemAnswer) -> Outcome<'_> {
    match result {
        ItemAnswer::Accepted { id } => Outcome::Accepted(id),
        ItemAnswer::Refused { status, id, .. } => of_status(*status, id.as_deref()),
    }
}

/// 503 says that nothing was written; any other 5xx does not.
fn of_status(status: u16, id: Option<&str>) -> Outcome<'_> {
    if status >= 500 && status != 503 { Outcome::Unknown(id) } else { Outcome::Refused(status) }
}

fn push_line(lines: &mut String, kind: &str, id: &str) {
    lines.push_str(kind);
    lines.push_str(id);
    lines.push('\n');
}
