//! A line of the log for some of the events: one for each would be most of the work.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which events have a line of the log.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Telemetry")]
pub struct EventLines {
    /// A line of the log for every Nth event, as the assignment's reports have it: `Mensaje enviado a Kafka [partition=0,
    /// offset=17]` by who writes into the log, `Procesado: Mouse-Gamer (Cant: 2, $50.00) - Electronica` by who counts; 0 for
    /// none.
    #[arg(long, value_name = "N", env = "BLACKFRIDAY_LOG_EVERY", default_value_t = 0)]
    pub log_every: u64,
}

/// Every Nth of something, the first one included. Clones share the count.
#[derive(Debug, Clone)]
pub struct EveryNth(Arc<Count>);

#[derive(Debug)]
struct Count {
    n: NonZeroU64,
    seen: AtomicU64,
}

impl EventLines {
    /// Which events are taken; `None` if none is, so that nothing need be counted.
    pub fn taken(&self) -> Option<EveryNth> {
        let n = NonZeroU64::new(self.log_every)?;
        Some(EveryNth(Arc::new(Count { n, seen: AtomicU64::new(0) })))
    }
}

impl EveryNth {
    /// Counts the next one; whether it is taken.
    pub fn takes_next(&self) -> bool {
        self.0.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.0.n.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_is_taken_and_none_without_a_number() {
        assert!(EventLines::default().taken().is_none());
        let every = EventLines { log_every: 3 }.taken().expect("a number");
        let (one, other) = (every.clone(), every);
        let taken: Vec<_> = (0..7).map(|at| if at % 2 == 0 { &one } else { &other }.takes_next()).collect();
        assert_eq!(taken, [true, false, false, true, false, false, true]);
    }
}
