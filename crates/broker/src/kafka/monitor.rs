//! Whether the broker can be reached: an error of the client says at once that it cannot, and a periodic request for a
//! topic's metadata says that it can again.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Availability;

/// Between two looks while the broker is there, and while it is away.
const INTERVAL_UP: Duration = Duration::from_secs(2);
const INTERVAL_DOWN: Duration = Duration::from_millis(300);
/// How long the broker may take to answer.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Looks until `hints` is closed or nobody is left to ask, on a thread of its own, because the client's request blocks. A
/// hint that comes before the interval is over brings the next look forward.
pub(super) fn watch_broker(
    availability: &Availability,
    hints: &Receiver<()>,
    probe: impl Fn() -> Option<bool>,
) {
    loop {
        let looked = Instant::now();
        let Some(is_there) = probe() else { return };
        availability.set(is_there);
        let interval = if availability.is_available() { INTERVAL_UP } else { INTERVAL_DOWN };
        match hints.recv_timeout(interval) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // A client that may not write fails again as soon as it is made again: its errors must not keep us busy.
        thread::sleep(INTERVAL_DOWN.saturating_sub(looked.elapsed()));
    }
}
