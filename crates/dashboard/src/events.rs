use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use blackfriday_service::Problem;
use futures_util::stream::unfold;

use crate::live::{Live, Reading, Seat};

/// A browser that lost the stream asks again after this.
const RETRY: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Server-sent events: `resumen` with the counters whenever they changed, `estado` when Valkey is away.
pub(crate) async fn stream(State(live): State<Arc<Live>>) -> Response {
    let Some(mut seat) = live.join() else {
        return Problem::unavailable("too many event streams are open").into_response();
    };
    // What was read last is told at once.
    seat.readings.mark_changed();
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("");
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(unfold(seat, next)).keep_alive(keep_alive))
        .into_response()
}

/// The next change; the end of the stream at the shutdown.
async fn next(mut seat: Seat) -> Option<(Result<Event, Infallible>, Seat)> {
    loop {
        tokio::select! {
            () = seat.shutdown.begun() => return None,
            changed = seat.readings.changed() => changed.ok()?,
        }
        let reading = seat.readings.borrow_and_update().clone();
        let event = match reading {
            Reading::None => continue,
            Reading::Away => Event::default().event("estado").data(r#"{"valkey":false}"#),
            Reading::Counters(counters) => {
                let json = serde_json::to_string(&*counters).expect("strings and numbers always serialize");
                Event::default().event("resumen").data(json)
            }
        };
        return Some((Ok(event.retry(RETRY)), seat));
    }
}
