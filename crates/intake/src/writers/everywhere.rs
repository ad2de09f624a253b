//! A weather report to every log at the same time.
//!
//! A report is written into all logs or, as far as can be known, into none. So it is not sent to any while one is known to
//! be away, or has just not taken one; and once one log has it, or may have it, the others are tried again until the
//! deadline, which its key makes safe. One round tries all logs that are not known to have it, and only between two rounds
//! is it decided whether there is another: what one log has refused while the other's answer is on its way may still end
//! as a refusal by both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use blackfriday_event::EventId;
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, WeatherCommand};
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::counter::Counter;
use blackfriday_telemetry::planted::{Planted, is_planted};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::endpoint::Endpoint;
use super::pool::Pool;
use super::served::Served;
use crate::deadline::late;
use crate::logs::{Log, Reported, Tally};

/// Pauses between rounds.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long a log that has just not taken a report is sent no new ones. Under more load than it takes, each report would
/// else be written into the other log first, and wait there for its turn.
const CLOSED: Duration = Duration::from_millis(50);
/// With less time left there is no further round: it would leave unknown what is known. And no first one: what one log has
/// by then the other one could not be given any more.
const SHORTEST_ROUND: Duration = Duration::from_millis(200);
/// What a log does not take in less time says nothing about the log: a client that sends its report slowly leaves little.
const TELLING: Duration = Duration::from_millis(500);

/// The writers of every log. Clones share the connections.
#[derive(Clone)]
pub(super) struct Everywhere {
    ways: Arc<[Way]>,
    repeated: Counter,
    in_part: Counter,
}

/// The way into one log. Without a name if there is only one way.
pub(super) struct Way {
    log: Option<Log>,
    pool: Pool,
    /// Until then it is sent only what another log has, or may have.
    closed_until: Mutex<Option<Instant>>,
}

/// The writers of each log that one report was sent to.
type Tried = Vec<Vec<Arc<Endpoint>>>;

impl Everywhere {
    pub(super) fn new(ways: Vec<Way>, registry: &Registry) -> Self {
        Self {
            ways: ways.into(),
            repeated: registry.counter(
                "blackfriday_weather_repetitions",
                "Further rounds for a weather report that one log has, or may have, and the other is not known to have",
            ),
            in_part: registry.counter(
                "blackfriday_weather_unknown",
                "Weather reports that were answered although not every log is known to have them, or not to have them",
            ),
        }
    }

    /// Whether every log has a writer that takes reports.
    pub(super) fn is_usable(&self) -> bool {
        self.ways.iter().all(|way| way.pool.is_usable())
    }

    /// Publishes a report to every log, by `deadline` at the latest.
    pub(super) async fn publish(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        let mut tally = Tally::new(self.ways.iter().map(|way| way.log), command.idempotency_key.is_some());
        if !self.refuse(&mut tally, command.id, deadline) {
            self.try_all(&mut tally, &command, deadline).await;
        }
        let reported = tally.into_reported(command.id);
        let is_unknown = |error: &Refusal| error.code == ErrorCode::OutcomeUnknown;
        if reported.outcome.as_ref().is_err_and(is_unknown) {
            self.in_part.inc();
        }
        reported
    }

    /// Whether none of several logs is asked, because one is known to take no reports, or the time is too short for both.
    fn refuse(&self, tally: &mut Tally, id: EventId, deadline: Instant) -> bool {
        if self.ways.len() == 1 {
            return false;
        }
        let is_late = Instant::now() + SHORTEST_ROUND >= deadline;
        let mut refused = false;
        for (at, way) in self.ways.iter().enumerate() {
            if let Err(error) = if is_late { Err(late()) } else { way.check() } {
                tally.take(at, Err(error.of(id)));
                refused = true;
            }
        }
        refused
    }

    async fn try_all(&self, tally: &mut Tally, command: &WeatherCommand, deadline: Instant) {
        let mut tried: Tried = self.ways.iter().map(|_| Vec::new()).collect();
        let mut pauses = PAUSES.build();
        // A writer that hangs leaves time for another one.
        let mut until = if self.ways.len() == 1 { deadline } else { middle(deadline) };
        loop {
            self.round(tally, &mut tried, command, until).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if self.ways.len() == 1 || tally.is_over() || left <= SHORTEST_ROUND {
                return;
            }
            self.repeated.inc();
            sleep(pauses.next().unwrap_or(LONGEST_PAUSE).min(left - SHORTEST_ROUND)).await;
            until = deadline;
        }
    }

    /// Tries every log that is not known to have the report.
    async fn round(&self, tally: &mut Tally, tried: &mut Tried, command: &WeatherCommand, until: Instant) {
        let tries = self.ways.iter().zip(tried).enumerate().filter(|(at, _)| tally.is_open(*at));
        let tries =
            tries.map(|(at, (way, tried))| async move { (at, way.report(command, tried, until).await) });
        for (at, outcome) in join_all(tries.collect::<Vec<_>>()).await {
            tally.take(at, outcome);
        }
    }
}

impl Way {
    pub(super) fn new(log: Option<Log>, pool: Pool) -> Self {
        Self { log, pool, closed_until: Mutex::default() }
    }

    /// Whether it takes a new report.
    ///
    /// # Errors
    /// As far as is known, it does not.
    fn check(&self) -> Result<(), Refusal> {
        self.pool.check(Served::Weather)?;
        let closed_until = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if closed_until.is_some_and(|until| Instant::now() < until) {
            return Err(Refusal::new(ErrorCode::Overloaded, "takes no more reports at the moment"));
        }
        Ok(())
    }

    async fn report(
        &self,
        command: &WeatherCommand,
        tried: &mut Vec<Arc<Endpoint>>,
        until: Instant,
    ) -> EventOutcome {
        if is_planted(Planted::OneLogForBoth) && self.log == Some(Log::RabbitMq) {
            return Ok(command.id);
        }
        let is_telling = until.saturating_duration_since(Instant::now()) >= TELLING;
        let outcome = self.pool.report(self.log, command, tried, until).await;
        let may_be_later =
            |error: &Refusal| error.code.retry_is_safe() || error.code == ErrorCode::OutcomeUnknown;
        if is_telling && outcome.as_ref().is_err_and(may_be_later) {
            let mut closed_until = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            *closed_until = Some(Instant::now() + CLOSED);
        }
        outcome
    }
}

/// When half of the time that is left is over; the deadline itself if that is too near for two rounds.
fn middle(deadline: Instant) -> Instant {
    let now = Instant::now();
    let half = deadline.saturating_duration_since(now) / 2;
    if half > SHORTEST_ROUND { now + half } else { deadline }
}
