//! What a client complains about that somebody has to mend: a name that does not resolve, a user who may not read, a topic
//! that is not there. The client itself goes on trying.
//!
//! Each complaint is logged when it is new, and again once a minute while it lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two times that the same is logged.
const REMINDER: Duration = Duration::from_secs(60);
/// How long a complaint that is not heard again counts: a client repeats itself every 30 s (`rd_kafka_broker_set_error`).
const RECENT: Duration = Duration::from_secs(35);
/// Different complaints that are remembered.
const MOST: usize = 64;

/// What one client complained about. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    last: Option<(Instant, String)>,
    logged: HashMap<String, Instant>,
}

impl Complaints {
    /// Takes a report of what does not pass by itself, and what to look at.
    pub(crate) fn tell(&self, reason: &str, check: &str) {
        // What changes from one time to the next: how long it took, and how many times it was suppressed.
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let mut heard = self.heard();
        heard.last = Some((Instant::now(), reason.to_owned()));
        if heard.logged.len() >= MOST {
            heard.logged.retain(|_, at| at.elapsed() < REMINDER);
        }
        let due = heard.logged.get(reason).is_none_or(|at| at.elapsed() >= REMINDER);
        if due && heard.logged.len() < MOST {
            heard.logged.insert(reason.to_owned(), Instant::now());
            tracing::error!(reason, check, "the broker cannot be used as it is");
        }
    }

    /// What it complained about in the last seconds.
    pub(crate) fn recent(&self) -> Option<String> {
        let heard = self.heard();
        heard.last.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, reason)| reason.clone())
    }

    /// What it complained about has passed.
    pub(crate) fn passed(&self) {
        self.heard().last = None;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
