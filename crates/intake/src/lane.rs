//! Puts concurrent single sales into shared upstream calls.
//!
//! A fixed number of calls may be in flight. A free one takes whatever waits at that moment, without delay: with little
//! traffic a call holds one sale, under load hundreds. The queue is bounded; over it a sale is refused at once.

use std::sync::Arc;

use blackfriday_event::EventId;
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError};
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{BATCH_BUCKETS, DURATION_BUCKETS, Registry};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use crate::{IntakeConfig, Upstream};

type Outcome = Result<EventId, SaleError>;

/// The way of single sales to upstream.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    waiting: mpsc::Sender<Waiting>,
    queued: Gauge,
}

struct Waiting {
    command: SaleCommand,
    deadline: Instant,
    reply: oneshot::Sender<Outcome>,
}

struct Caller<U> {
    upstream: Arc<U>,
    waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    batch: usize,
    queued: Gauge,
    sizes: Histogram,
    durations: Histogram,
}

impl Lane {
    /// Starts the callers, which end when the lane is dropped.
    pub(crate) fn start<U: Upstream>(upstream: Arc<U>, config: &IntakeConfig, registry: &Registry) -> Self {
        let (sender, receiver) = mpsc::channel(config.lane_queue_sales);
        let receiver = Arc::new(Mutex::new(receiver));
        let queued =
            registry.gauge("blackfriday_lane_queued_sales", "Single sales that wait for an upstream call");
        let sizes =
            registry.histogram("blackfriday_lane_batch_sales", "Sales in an upstream call", &BATCH_BUCKETS);
        let durations = registry.histogram(
            "blackfriday_upstream_call_duration_seconds",
            "Duration of upstream calls of single sales",
            &DURATION_BUCKETS,
        );
        for _ in 0..config.lane_calls.max(1) {
            let caller = Caller {
                upstream: Arc::clone(&upstream),
                waiting: Arc::clone(&receiver),
                batch: config.lane_batch_sales.max(1),
                queued: queued.clone(),
                sizes: sizes.clone(),
                durations: durations.clone(),
            };
            tokio::spawn(caller.run());
        }
        Self { waiting: sender, queued }
    }

    /// Sends one sale along and waits for its outcome.
    pub(crate) async fn send(&self, command: SaleCommand, deadline: Instant) -> Outcome {
        let id = command.id;
        let (reply, outcome) = oneshot::channel();
        match self.waiting.try_send(Waiting { command, deadline, reply }) {
            Ok(()) => self.queued.inc(),
            Err(TrySendError::Full(_)) => {
                return Err(SaleError::new(ErrorCode::Overloaded, "too many sales wait").of(id));
            }
            Err(TrySendError::Closed(_)) => {
                return Err(SaleError::new(ErrorCode::Unavailable, "stopping").of(id));
            }
        };
        // A caller that panicked is the only one that drops a reply.
        let lost = |_| Err(SaleError::new(ErrorCode::OutcomeUnknown, "the upstream call broke").of(id));
        outcome.await.unwrap_or_else(lost)
    }
}

impl<U: Upstream> Caller<U> {
    async fn run(self) {
        let mut taken = Vec::with_capacity(self.batch);
        loop {
            let count = self.waiting.lock().await.recv_many(&mut taken, self.batch).await;
            if count == 0 {
                return;
            }
            self.queued.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
            self.call(&mut taken).await;
        }
    }

    async fn call(&self, taken: &mut Vec<Waiting>) {
        let now = Instant::now();
        let mut commands = Vec::with_capacity(taken.len());
        let mut replies = Vec::with_capacity(taken.len());
        let mut latest = now;
        for waiting in taken.drain(..) {
            // Whose client has gone or gives up now was not sent, and need not be.
            if waiting.reply.is_closed() {
                continue;
            }
            if waiting.deadline <= now {
                let late = SaleError::new(ErrorCode::Unavailable, "the time was over before it was sent");
                // The client may have gone in this instant.
                waiting.reply.send(Err(late.of(waiting.command.id))).ok();
                continue;
            }
            latest = latest.max(waiting.deadline);
            commands.push(waiting.command);
            replies.push(waiting.reply);
        }
        if commands.is_empty() {
            return;
        }
        self.sizes.observe(f64::from(u32::try_from(commands.len()).unwrap_or(u32::MAX)));
        let outcomes = self.upstream.sales(commands, latest).await;
        self.durations.observe(now.elapsed().as_secs_f64());
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The client may have gone.
            reply.send(outcome).ok();
        }
    }
}
