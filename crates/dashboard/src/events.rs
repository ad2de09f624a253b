//! Server-sent events. `resumen`: all counters, at first and whenever they changed. `estado`: they cannot be read now, until
//! the next `resumen`. `latido`: the clock, also while nothing changes, so that a listener can distinguish silence from a dead
//! connection.
//!
//! A stream keeps nothing for its reader: the next event is made when the last one is on its way, from what is known then.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderName, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use blackfriday_event::{Category, Timestamp};
use blackfriday_service::{Kind, Problem};
use futures_util::StreamExt;
use futures_util::stream::{once, unfold};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::live::{Live, News, Viewer};
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::schemas::{AnyCategory, StreamEvent};
use crate::seats::Full;

/// A browser that lost the stream asks again after this.
const RETRY: Duration = Duration::from_secs(1);
/// Far below the time after which anything in between takes a connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(2);
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Listener {
    seat: Viewer,
    category: Option<Category>,
    heartbeat: Interval,
}

/// Follows the counters. Data of `resumen` is as of /api/resumen without its times of reading; of the newest three
/// minutes of the series, of the first twenty countries, with the prices by second of one category or none, and without the
/// prices of single sales.
#[utoipa::path(get, path = "/events", tag = "events",
    params(AnyCategory),
    responses((status = 200, body = StreamEvent, description = "Events resumen, estado and latido", content_type = "text/event-stream"),
        Refusal))]
pub(crate) async fn stream(
    State(live): State<Arc<Live>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(asked): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let category = Parameters::read(&asked, &["categoria"])?.category;
    let mut seat = live.join(peer.ip()).map_err(|full| match full {
        Full::All => Problem::new(Kind::Unavailable, "too many event streams are open"),
        Full::OfAddress => {
            Problem::new(Kind::Overloaded, "too many event streams are open from this address")
        }
    })?;
    // What was read last is sent at once.
    seat.news.mark_changed();
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = once(async { pulse() }).chain(unfold(Listener { seat, category, heartbeat }, next));
    let stream = Sse::new(events.map(Ok::<_, Infallible>));
    // nginx would else keep the events back until its buffer is full.
    let headers = [(header::CACHE_CONTROL, "no-store"), (ACCEL_BUFFERING, "no")];
    Ok((headers, stream).into_response())
}

/// The next event; the end of the stream at the shutdown.
async fn next(mut listener: Listener) -> Option<(Event, Listener)> {
    let Listener { seat, category, heartbeat } = &mut listener;
    let event = loop {
        tokio::select! {
            biased;
            () = seat.shutdown.begun() => return None,
            _ = heartbeat.tick() => break pulse(),
            changed = seat.news.changed() => changed.ok()?,
        }
        if let Some(event) = told(&seat.news.borrow_and_update(), *category) {
            break event;
        }
    };
    Some((event, listener))
}

fn pulse() -> Event {
    let now = Timestamp::from(SystemTime::now());
    Event::default().event("latido").retry(RETRY).data(format!(r#"{{"ahora_ms":{now}}}"#))
}

fn told(news: &News, category: Option<Category>) -> Option<Event> {
    match news {
        News::None => None,
        News::Counts(counts) => Some(Event::default().event("resumen").data(counts.json(category))),
        News::Trouble(trouble) => {
            let data = format!(r#"{{"valkey":false,"motivo":"{}"}}"#, trouble.word());
            Some(Event::default().event("estado").data(data))
        }
    }
}
