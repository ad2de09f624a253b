use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_event::IdempotencyKey;
use blackfriday_receipts::Pen;
use bytes::Bytes;
use tokio::time::sleep;
use uuid::Uuid;

use crate::connection::{Connection, Exchange};
use crate::event::Draft;
use crate::outcome::{Outcome, outcomes, said};
use crate::plan::Plan;
use crate::report::{Latencies, Tally};
use crate::request::Ticket;
use crate::schedule::Schedule;

/// Before a connection that cannot be made is tried again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Sends requests on one connection, one after the other, until the schedule has no more.
pub(crate) async fn run(
    number: usize,
    plan: Arc<Plan>,
    schedule: Arc<Schedule>,
    latencies: Arc<Latencies>,
    mut receipts: Option<Pen>,
) -> Result<Tally> {
    let mut connection = Connection::new(&plan, number)?;
    let mut tally = Tally::default();
    while let Some(ticket) = schedule.take() {
        let drafts = plan.drafts(&ticket);
        let body = Bytes::from(plan.body(&drafts));
        let Some(intended) = schedule.turn().await else { break };
        let sent = Instant::now();
        let Answered { outcomes, was_sent, unknown, last } =
            request(&plan, &mut connection, &ticket, body).await;
        let from_sending = was_sent.then(|| sent.elapsed());
        latencies.record(ticket.number, ticket.count, intended.elapsed(), from_sending);
        if !was_sent {
            sleep(RECONNECT_PAUSE).await;
        }
        tally.add(&outcomes, |outcome| match (outcome, &unknown) {
            (Outcome::Unknown { .. }, Some(unknown)) => unknown.clone(),
            _ => said(&last),
        });
        let accepted = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted(_))).count();
        plan.accepted.fetch_add(accepted as u64, Ordering::Relaxed);
        if let Some(receipts) = &mut receipts {
            note(receipts, &plan, &ticket, &outcomes, &drafts).await?;
        }
    }
    if let Some(receipts) = &mut receipts {
        receipts.hand_over().await?;
    }
    Ok(tally)
}

/// What became of a request with all its retries.
struct Answered {
    /// Of each event.
    outcomes: Vec<Outcome>,
    /// Whether it was sent at all.
    was_sent: bool,
    /// What the first try said that left something unknown: later ones do not change that.
    unknown: Option<String>,
    /// The last try.
    last: Exchange,
}

/// One request with its retries. A retry is made only under an idempotency key.
async fn request(plan: &Plan, connection: &mut Connection, ticket: &Ticket, body: Bytes) -> Answered {
    let key = plan.key(ticket);
    let mut known: Option<Vec<Outcome>> = None;
    let (mut was_sent, mut unknown) = (false, None);
    for tries in 1.. {
        let exchange = connection.post(body.clone(), key.as_ref().map(IdempotencyKey::as_str)).await;
        was_sent |= !matches!(exchange, Exchange::NotSent(_));
        let now = outcomes(plan.route, ticket.count, &exchange);
        if now.iter().any(|outcome| matches!(outcome, Outcome::Unknown { .. })) {
            unknown.get_or_insert_with(|| said(&exchange));
        }
        let all: Vec<_> = match known {
            None => now,
            Some(known) => known.into_iter().zip(now).map(|(known, now)| known.then(now)).collect(),
        };
        if tries > plan.retries || !all.iter().any(|outcome| outcome.may_change()) {
            return Answered { outcomes: all, was_sent, unknown, last: exchange };
        }
        known = Some(all);
        sleep(exchange.retry_after().unwrap_or_default().max(RETRY_PAUSE * tries)).await;
    }
    unreachable!("the tries are bounded by plan.retries")
}

/// Where no answer has named an event that has a key, the key does.
async fn note(
    receipts: &mut Pen,
    plan: &Plan,
    ticket: &Ticket,
    outcomes: &[Outcome],
    drafts: &[Draft],
) -> Result<()> {
    let ids = plan.ids(ticket, drafts);
    for (at, (outcome, draft)) in outcomes.iter().zip(drafts).enumerate() {
        let named = |id: Option<Uuid>| id.or_else(|| ids.get(at).copied());
        let content = Some(draft.content());
        match *outcome {
            Outcome::Accepted(id) => match draft {
                Draft::Sale(_) => receipts.accepted(id, content),
                Draft::Weather(_) => receipts.weather(id, content),
            },
            Outcome::Unknown { id, .. } => receipts.unknown(named(id), content),
            Outcome::Refused { status, id } => receipts.refused(named(id), status, content),
        }
    }
    receipts.hand_over_some().await
}
