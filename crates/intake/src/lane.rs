//! Puts concurrent single sales into shared upstream calls.
//!
//! A fixed number of calls may be in flight. The first few take whatever waits at that moment, without delay: with little
//! traffic a call holds one sale. While these are under way a further one gathers sales until one of them lands, at most
//! for [`PATIENCE`]: so calls are large under load, and a writer that is stuck does not stop the others. The queue is
//! bounded; over it a sale is refused at once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand};
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{BATCH_BUCKETS, DURATION_BUCKETS, Registry};
use futures_util::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::IntakeConfig;
use crate::deadline::late;
use crate::upstream::Upstream;

/// Past a sale's deadline: upstream has the same one, and tells better than we can why there is no answer.
const GRACE: Duration = Duration::from_millis(50);

/// The longest that a call gathers sales while others are under way: some calls' time at a writer that is well.
const PATIENCE: Duration = Duration::from_millis(5);

/// The way of single sales to upstream.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    waiting: mpsc::Sender<Waiting>,
    queued: Gauge,
}

struct Waiting {
    command: SaleCommand,
    reply: Reply,
}

struct Reply {
    deadline: Instant,
    claim: Claim,
    to: oneshot::Sender<EventOutcome>,
}

/// Who decides over a waiting sale, a caller that sends it or its request that gives up: the first one.
#[derive(Clone, Default)]
struct Claim(Arc<AtomicBool>);

/// The calls under way.
struct Flights {
    eager: usize,
    patience: Duration,
    count: AtomicUsize,
    landed: Notify,
}

/// A call under way, until it is dropped.
struct Flight(Arc<Flights>);

struct Caller<U> {
    upstream: Arc<U>,
    waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    flights: Arc<Flights>,
    batch: usize,
    queued: Gauge,
    sizes: Histogram,
    durations: Histogram,
}

impl Lane {
    /// Starts the callers, which end when the lane is dropped.
    pub(crate) fn start<U: Upstream>(upstream: Arc<U>, config: &IntakeConfig, registry: &Registry) -> Self {
        Self::with_patience(upstream, config, registry, PATIENCE)
    }

    fn with_patience<U: Upstream>(
        upstream: Arc<U>,
        config: &IntakeConfig,
        registry: &Registry,
        patience: Duration,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(config.lane_queue_sales.max(1));
        let receiver = Arc::new(Mutex::new(receiver));
        let queued =
            registry.gauge("blackfriday_lane_queued_sales", "Single sales that wait for an upstream call");
        let waiting = queued.clone();
        registry.limit("lane-queue-sales", config.lane_queue_sales.max(1), move || {
            usize::try_from(waiting.get()).unwrap_or(0)
        });
        let sizes =
            registry.histogram("blackfriday_lane_batch_sales", "Sales in an upstream call", &BATCH_BUCKETS);
        let durations = registry.histogram(
            "blackfriday_upstream_call_duration_seconds",
            "Duration of upstream calls of single sales",
            &DURATION_BUCKETS,
        );
        let flights = Arc::new(Flights {
            eager: config.lane_eager_calls.max(1),
            patience,
            count: AtomicUsize::new(0),
            landed: Notify::new(),
        });
        for _ in 0..config.lane_calls.max(1) {
            let caller = Caller {
                upstream: Arc::clone(&upstream),
                waiting: Arc::clone(&receiver),
                flights: Arc::clone(&flights),
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
    pub(crate) async fn send(&self, command: SaleCommand, deadline: Instant) -> EventOutcome {
        let id = command.id;
        if Instant::now() >= deadline {
            return Err(late().of(id));
        }
        let claim = Claim::default();
        let (to, mut outcome) = oneshot::channel();
        let reply = Reply { deadline, claim: claim.clone(), to };
        match self.waiting.try_send(Waiting { command, reply }) {
            Ok(()) => self.queued.inc(),
            Err(TrySendError::Full(_)) => {
                return Err(Refusal::new(ErrorCode::Overloaded, "too many sales wait").of(id));
            }
            Err(TrySendError::Closed(_)) => {
                return Err(Refusal::new(ErrorCode::Unavailable, "stopping").of(id));
            }
        };
        let mut answered = timeout_at(deadline, &mut outcome).await;
        if answered.is_err() {
            if claim.take() {
                return Err(late().of(id));
            }
            answered = timeout(GRACE, &mut outcome).await;
        }
        match answered {
            Ok(Ok(outcome)) => outcome,
            // A caller drops a reply only when the upstream call panics.
            Ok(Err(_dropped)) => {
                Err(Refusal::new(ErrorCode::OutcomeUnknown, "the upstream call broke").of(id))
            }
            Err(_elapsed) => Err(Refusal::new(ErrorCode::OutcomeUnknown, "no answer in time").of(id)),
        }
    }
}

impl<U: Upstream> Caller<U> {
    async fn run(self) {
        let mut taken = Vec::with_capacity(self.batch);
        loop {
            let Some(_flight) = self.take(&mut taken).await else { return };
            let count = taken.len();
            self.queued.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
            let (commands, replies) = sendable(&mut taken);
            if !commands.is_empty() {
                // A defect upstream costs its own sales their answer, not the lane a caller.
                if AssertUnwindSafe(self.call(commands, replies)).catch_unwind().await.is_err() {
                    tracing::error!("an upstream call panicked");
                }
            }
        }
    }

    /// Waits until a sale is there and it is this caller's turn, and takes whatever waits; none when the lane has ended.
    async fn take(&self, taken: &mut Vec<Waiting>) -> Option<Flight> {
        // Held while this caller waits: the others' turn is after it.
        let mut waiting = self.waiting.lock().await;
        if waiting.recv_many(taken, self.batch).await == 0 {
            return None;
        }
        if taken.len() < self.batch {
            // Requests whose bytes have already arrived are read before we are polled again, and share this call.
            tokio::task::yield_now().await;
            self.flights.turn().await;
            while taken.len() < self.batch {
                let Ok(more) = waiting.try_recv() else { break };
                taken.push(more);
            }
        }
        Some(Flights::begin(&self.flights))
    }

    async fn call(&self, commands: Vec<SaleCommand>, replies: Vec<Reply>) {
        self.sizes.observe(f64::from(u32::try_from(commands.len()).unwrap_or(u32::MAX)));
        let began = Instant::now();
        let latest = replies.iter().map(|reply| reply.deadline).max().unwrap_or(began);
        let outcomes = self.upstream.sales(commands, latest).await;
        self.durations.observe(began.elapsed().as_secs_f64());
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The client may have gone.
            reply.to.send(outcome).ok();
        }
    }
}

impl Flights {
    /// Waits until fewer than the eager calls are under way, or patience is at its end.
    async fn turn(&self) {
        let patience = sleep(self.patience);
        tokio::pin!(patience);
        while self.count.load(Ordering::Relaxed) >= self.eager {
            tokio::select! {
                () = self.landed.notified() => {}
                () = &mut patience => return,
            }
        }
    }

    fn begin(this: &Arc<Self>) -> Flight {
        this.count.fetch_add(1, Ordering::Relaxed);
        Flight(Arc::clone(this))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        // One caller at most waits for its turn. The notification is kept for it if it comes a moment later.
        self.0.landed.notify_one();
    }
}

/// What is still worth sending, and to whom the outcomes go.
fn sendable(taken: &mut Vec<Waiting>) -> (Vec<SaleCommand>, Vec<Reply>) {
    let mut commands = Vec::with_capacity(taken.len());
    let mut replies = Vec::with_capacity(taken.len());
    for Waiting { command, reply } in taken.drain(..) {
        // Whose client has gone need not be sent.
        if !reply.to.is_closed() && reply.claim.take() {
            commands.push(command);
            replies.push(reply);
        }
    }
    (commands, replies)
}

impl Claim {
    /// Whether the sale was still free.
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
