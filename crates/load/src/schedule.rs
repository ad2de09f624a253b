//! When each request is sent. An open loop gives turns by the clock, whatever the answers; a closed one by the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use crate::plan::Plan;
use crate::request::{Pace, Ticket};

/// Turns that are due within this time are given together.
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
/// So that a stop is noticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Hands out requests to the connections: which events, and when they are meant to be sent.
///
/// In an open loop a thread of its own gives the turns, because tokio's timer knows whole milliseconds only: as much as a
/// whole answer takes.
pub(crate) struct Schedule {
    started: Instant,
    pace: Pace,
    batch: u64,
    requests: u64,
    events: u64,
    /// No turn is given after this.
    end: Option<Instant>,
    next: AtomicU64,
    next_turn: AtomicU64,
    turns: Semaphore,
    /// Turns after which a request was sent.
    sent: AtomicU64,
    /// Microseconds from the start until the last of them.
    last_sent_us: AtomicU64,
    /// Microseconds from the start until there was no more to send.
    ended_us: AtomicU64,
    stopped: AtomicBool,
}

impl Schedule {
    /// Starts the clock.
    pub(crate) fn start(plan: &Plan) -> Result<Arc<Self>> {
        let started = Instant::now();
        let end = plan.duration.and_then(|duration| match plan.pace {
            Pace::Closed => started.checked_add(duration),
            // A connection that stalls is waited for as long as for any one answer, and no longer.
            Pace::Open { .. } => started.checked_add(duration)?.checked_add(plan.timeout),
        });
        let schedule = Arc::new(Self {
            started,
            pace: plan.pace.clone(),
            batch: plan.batch,
            requests: plan.requests(),
            events: plan.events,
            end,
            next: AtomicU64::new(0),
            next_turn: AtomicU64::new(0),
            turns: Semaphore::new(0),
            sent: AtomicU64::new(0),
            last_sent_us: AtomicU64::new(0),
            ended_us: AtomicU64::new(u64::MAX),
            stopped: AtomicBool::new(false),
        });
        if matches!(schedule.pace, Pace::Open { .. }) {
            let pacer = Arc::clone(&schedule);
            let named = thread::Builder::new().name("pacer".to_owned());
            named.spawn(move || pacer.give_turns()).context("start the pacer's thread")?;
        }
        Ok(schedule)
    }

    /// No more requests from here on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.end_now();
        self.turns.close();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time in which there was something to send, which a rate is by. An answer that comes late does not lengthen it.
    pub(crate) fn active(&self) -> Duration {
        let [last_sent, ended] = [&self.last_sent_us, &self.ended_us]
            .map(|time| Duration::from_micros(time.load(Ordering::Relaxed)));
        match self.pace {
            Pace::Open { length, .. } if !self.is_stopped() => length.max(last_sent),
            Pace::Open { .. } | Pace::Closed => ended.min(self.elapsed()).max(last_sent),
        }
    }

    /// Requests of an open loop that were due and never sent: how long each has waited, and its events.
    pub(crate) fn missed(&self) -> impl Iterator<Item = (Duration, u64)> {
        let requests = match self.pace {
            Pace::Closed => 0,
            Pace::Open { .. } => self.requests,
        };
        let now = Instant::now();
        (self.sent.load(Ordering::Relaxed)..requests).map_while(move |turn| {
            let waited = now.checked_duration_since(self.intended(turn))?;
            Some((waited, self.batch.min(self.events - turn * self.batch)))
        })
    }

    /// The next request; `None` when all were handed out.
    pub(crate) fn take(&self) -> Option<Ticket> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let first = number.checked_mul(self.batch).filter(|first| *first < self.events);
        let Some(first) = first else {
            self.end_now();
            return None;
        };
        Some(Ticket { number, first, count: self.batch.min(self.events - first) })
    }

    /// Waits until a request is due, and returns the time that was meant; `None` when the load is over.
    pub(crate) async fn turn(&self) -> Option<Instant> {
        let intended = match self.pace {
            Pace::Closed => Instant::now(),
            Pace::Open { .. } => {
                self.turns.acquire().await.ok()?.forget();
                self.intended(self.next_turn.fetch_add(1, Ordering::Relaxed))
            }
        };
        if self.is_stopped() || self.end.is_some_and(|end| Instant::now() >= end) {
            self.end_now();
            return None;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.last_sent_us.fetch_max(self.elapsed_us(), Ordering::Relaxed);
        Some(intended)
    }

    fn end_now(&self) {
        self.ended_us.fetch_min(self.elapsed_us(), Ordering::Relaxed);
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::cast_precision_loss, reason = "request numbers stay far below 2^53")]
    fn intended(&self, turn: u64) -> Instant {
        match &self.pace {
            Pace::Closed => self.started,
            Pace::Open { length, arrivals } => {
                self.started + length.mul_f64(arrivals.at((turn as f64 + 0.5) / self.requests as f64))
            }
        }
    }

    fn give_turns(&self) {
        let mut given = 0;
        while given < self.requests && !self.is_stopped() {
            let (now, before) = (Instant::now(), given);
            while given < self.requests && self.intended(given) <= now {
                given += 1;
            }
            self.turns.add_permits(usize::try_from(given - before).unwrap_or(Semaphore::MAX_PERMITS));
            let pause = self.intended(given).saturating_duration_since(now);
            thread::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
        }
    }
}
