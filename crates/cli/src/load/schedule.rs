use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blackfriday_workload::Arrivals;
use tokio::time::Instant;

use super::Plan;

/// When requests are sent.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// When the last one on the connection is answered.
    Closed,
    /// At a fixed rate.
    Rate {
        /// Requests per second.
        per_second: f64,
    },
    /// As the buyers arrive.
    Curve {
        /// Of the whole sale.
        length: Duration,
        /// In the whole sale.
        requests: u64,
        /// How they arrive.
        curve: Arrivals,
    },
}

/// Hands out requests to the connections: which sales, and when they are meant to be sent.
pub(crate) struct Schedule {
    started: Instant,
    next: AtomicU64,
    batch: u64,
    pace: Pace,
    max_sales: u64,
    end: Option<Instant>,
    stopped: AtomicBool,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Its number.
    pub(crate) number: u64,
    /// Number of its first sale.
    pub(crate) first: u64,
    /// Sales in it.
    pub(crate) count: u64,
    /// When it is meant to be sent; `None` for at once.
    pub(crate) intended: Option<Instant>,
}

impl Schedule {
    pub(crate) fn start(plan: &Plan) -> Self {
        let started = Instant::now();
        Self {
            started,
            next: AtomicU64::new(0),
            batch: plan.batch,
            pace: plan.pace.clone(),
            max_sales: plan.max_sales.unwrap_or(u64::MAX),
            end: plan.duration.map(|duration| started + duration),
            stopped: AtomicBool::new(false),
        }
    }

    /// No more requests from here on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The next request; `None` when all were handed out or the time is over.
    #[expect(clippy::cast_precision_loss, reason = "request numbers stay far below 2^53")]
    pub(crate) fn take(&self) -> Option<Ticket> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let first = number.checked_mul(self.batch).filter(|first| *first < self.max_sales)?;
        let after = match &self.pace {
            Pace::Closed => None,
            Pace::Rate { per_second } => Some(Duration::from_secs_f64(number as f64 / per_second)),
            Pace::Curve { length, requests, curve } => (number < *requests)
                .then(|| Some(length.mul_f64(curve.at((number as f64 + 0.5) / *requests as f64))))?,
        };
        let intended = after.map(|after| self.started + after);
        if self.end.is_some_and(|end| intended.unwrap_or_else(Instant::now) >= end) {
            return None;
        }
        Some(Ticket { number, first, count: self.batch.min(self.max_sales - first), intended })
    }
}
