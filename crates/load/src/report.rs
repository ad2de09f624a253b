//! What came of a load: how many events were accepted, refused and unknown, and how long the answers took.
//!
//! Latencies are kept twice, from the intended time and from the sending, and by event, not by request. What was never sent has
//! waited until the end, and is in the first.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use blackfriday_terminal::output::{self, grouped, rounded, short_digest};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::request::Pace;
use crate::schedule::Schedule;

/// 1 µs to 10 min, three digits.
const HIGHEST_US: u64 = 600_000_000;
/// Histograms are large: connections share a few.
const SHARDS: u64 = 8;
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// How long answers took, event by event, over all connections. Retries and their pauses are part of it, and from the
/// intended time so is all waiting, also of what was never sent: a gateway is not faster for what it kept out.
pub(crate) struct Latencies(Vec<Mutex<Pair>>);

struct Pair {
    /// From the intended time.
    intended: Histogram<u64>,
    /// From the time of sending.
    sent: Histogram<u64>,
}

/// What one connection saw, in events.
#[derive(Default)]
pub(crate) struct Tally {
    accepted: u64,
    /// By status; 0 for no answer.
    unknown: BTreeMap<u16, u64>,
    /// By status; 0 for no connection.
    refused: BTreeMap<u16, u64>,
    /// What the first answer said that left something unknown.
    first_unknown: Option<Said>,
    /// What the first answer said that refused something.
    first_refused: Option<Said>,
}

/// What an answer said, and when it came.
struct Said {
    at: Instant,
    text: String,
}

/// What all connections saw.
pub struct Report {
    tally: Tally,
    latencies: Pair,
    elapsed: Duration,
    active: Duration,
    /// What an open loop was to send.
    intended_events: Option<u64>,
    /// What was sent, for people.
    events: &'static str,
    was_stopped: bool,
    about: Value,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(Pair::new())).collect())
    }

    /// A request with this many events, and how long it took; from the sending only if it was sent.
    pub(crate) fn record(&self, number: u64, events: u64, intended: Duration, sent: Option<Duration>) {
        let shard = usize::try_from(number % SHARDS).unwrap_or(0);
        let mut pair = self.0[shard].lock().unwrap_or_else(PoisonError::into_inner);
        record(&mut pair.intended, intended, events);
        if let Some(sent) = sent {
            record(&mut pair.sent, sent, events);
        }
    }

    fn all(&self) -> Pair {
        let mut all = Pair::new();
        for pair in &self.0 {
            let pair = pair.lock().unwrap_or_else(PoisonError::into_inner);
            all.intended.add(&pair.intended).expect("histograms of the same bounds");
            all.sent.add(&pair.sent).expect("histograms of the same bounds");
        }
        all
    }
}

impl Pair {
    fn new() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("1 < 2 × 1 ≤ highest, 3 digits");
        Self { intended: histogram(), sent: histogram() }
    }
}

impl Tally {
    /// What became of a request's events; what was `said` of one is asked for only if it is the first of its kind.
    pub(crate) fn add(&mut self, outcomes: &[Outcome], said: impl Fn(&Outcome) -> String) {
        let said = |outcome| Said { at: Instant::now(), text: said(outcome) };
        for outcome in outcomes {
            match outcome {
                Outcome::Accepted(_) => self.accepted += 1,
                Outcome::Unknown { status, .. } => {
                    *self.unknown.entry(*status).or_default() += 1;
                    self.first_unknown.get_or_insert_with(|| said(outcome));
                }
                Outcome::Refused { status, .. } => {
                    *self.refused.entry(*status).or_default() += 1;
                    self.first_refused.get_or_insert_with(|| said(outcome));
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        add_all(&mut self.unknown, other.unknown);
        add_all(&mut self.refused, other.refused);
        self.first_unknown = first(self.first_unknown.take(), other.first_unknown);
        self.first_refused = first(self.first_refused.take(), other.first_refused);
    }

    fn sent(&self) -> u64 {
        self.accepted + self.unknown() + self.refused()
    }

    fn unknown(&self) -> u64 {
        self.unknown.values().sum()
    }

    fn refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan, tallies: Vec<Tally>, latencies: &Latencies, schedule: &Schedule) -> Self {
        let mut tally = Tally::default();
        tallies.into_iter().for_each(|one| tally.merge(one));
        for (waited, events) in schedule.missed() {
            latencies.record(0, events, waited, None);
        }
        let intended_events = matches!(plan.pace, Pace::Open { .. }).then_some(plan.events);
        Self {
            tally,
            latencies: latencies.all(),
            elapsed: schedule.elapsed(),
            active: schedule.active(),
            intended_events,
            events: plan.route.events(),
            was_stopped: schedule.is_stopped(),
            about: plan.about(),
        }
    }

    /// Everything was sent and accepted.
    pub fn is_good(&self) -> bool {
        self.tally.accepted > 0 && self.tally.accepted == self.tally.sent() && self.not_sent() == 0
    }

    /// Events that were acknowledged.
    pub fn accepted(&self) -> u64 {
        self.tally.accepted
    }

    /// Events that an open loop was to send: it was stopped early, or no connection was free in time.
    fn not_sent(&self) -> u64 {
        self.intended_events.map_or(0, |intended| intended.saturating_sub(self.tally.sent()))
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn per_second(&self) -> f64 {
        self.tally.accepted as f64 / self.active.as_secs_f64().max(1e-9)
    }

    /// As `--json` prints it.
    pub fn to_json(&self) -> Value {
        json!({
            "sent": self.tally.sent(),
            "accepted": self.tally.accepted,
            "refused": self.tally.refused,
            "unknown": self.tally.unknown(),
            "unknown_by_status": self.tally.unknown,
            "first_refused": self.tally.first_refused.as_ref().map(|said| &said.text),
            "first_unknown": self.tally.first_unknown.as_ref().map(|said| &said.text),
            "not_sent": self.not_sent(),
            "seconds": self.elapsed.as_secs_f64(),
            "active_seconds": self.active.as_secs_f64(),
            "accepted_per_second": self.per_second(),
            "latency_ms": in_json(&self.latencies.intended),
            "latency_from_sending_ms": in_json(&self.latencies.sent),
            "run": self.about,
        })
    }

    /// Prints it for people.
    pub fn print(&self) {
        let Tally { accepted, unknown, refused, .. } = &self.tally;
        let mut rows = vec![
            ("sent", grouped(self.tally.sent())),
            ("accepted", grouped(*accepted)),
            ("refused", by_status(refused, "not connected")),
            ("unknown", by_status(unknown, "without an answer")),
        ];
        if self.not_sent() > 0 {
            let why = if self.was_stopped { "stopped early" } else { "every connection was busy" };
            rows.push(("not sent", format!("{}: {why}", grouped(self.not_sent()))));
        }
        rows.push((
            "rate",
            format!(
                "{} accepted per second, in {:.1} s",
                rounded(self.per_second()),
                self.active.as_secs_f64()
            ),
        ));
        rows.push(("latency", in_words(&self.latencies.intended)));
        if self.intended_events.is_some() {
            rows.push(("  from sending", in_words(&self.latencies.sent)));
        }
        rows.extend(
            [("workload", "workload"), ("  from", "workload_from")]
                .into_iter()
                .filter_map(|(name, key)| Some((name, short_digest(self.about[key].as_str()?).to_owned()))),
        );
        output::table(&[self.events, ""], rows.into_iter().map(|(name, text)| vec![name.to_owned(), text]));
        let firsts = [("refused", &self.tally.first_refused), ("unknown", &self.tally.first_unknown)];
        for (name, said) in firsts.into_iter().filter_map(|(name, said)| Some((name, said.as_ref()?))) {
            output::line(format_args!("the first {name}: {}", said.text));
        }
    }

    /// Prints, in one line for people, whether everything was accepted, and what was not.
    pub fn print_verdict(&self) {
        let Self { tally, events, .. } = self;
        if self.is_good() {
            let (good, accepted) = (output::good("all accepted"), grouped(tally.accepted));
            output::line(format_args!("{good}: {accepted} {events}"));
            return;
        }
        let (sent, not_sent) = (tally.sent(), self.not_sent());
        let all = grouped(sent + not_sent);
        let parts = [(tally.refused(), "refused"), (tally.unknown(), "unknown"), (not_sent, "not sent")];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        let mut parts: Vec<_> =
            parts.map(|(number, what)| format!("{} of {all} {what}", grouped(number))).collect();
        parts.extend((sent + not_sent == 0).then(|| "nothing was sent".to_owned()));
        output::line(format_args!("{}: {}", output::bad("NOT ALL ACCEPTED"), parts.join(", ")));
    }
}

fn add_all(to: &mut BTreeMap<u16, u64>, more: BTreeMap<u16, u64>) {
    for (status, events) in more {
        *to.entry(status).or_default() += events;
    }
}

fn first(one: Option<Said>, other: Option<Said>) -> Option<Said> {
    one.into_iter().chain(other).min_by_key(|said| said.at)
}

/// Where there was no status, `without` says so.
fn by_status(events: &BTreeMap<u16, u64>, without: &str) -> String {
    let told = events.iter().map(|(status, events)| match status {
        0 => format!("{} {without}", grouped(*events)),
        status => format!("{} with {status}", grouped(*events)),
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "0".to_owned() } else { told.join(", ") }
}

fn record(histogram: &mut Histogram<u64>, latency: Duration, events: u64) {
    histogram.saturating_record_n(micros(latency), events);
}

fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US).max(1)
}

fn in_words(histogram: &Histogram<u64>) -> String {
    let all: Vec<_> = quantiles(histogram).map(|(name, ms)| format!("{name} {}", three_digits(ms))).collect();
    format!("{} ms", all.join(", "))
}

/// As many as a latency has: the others are noise.
fn three_digits(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.2}"),
        10.0..100.0 => format!("{ms:.1}"),
        _ => rounded(ms),
    }
}

fn in_json(histogram: &Histogram<u64>) -> Map<String, Value> {
    quantiles(histogram).map(|(name, ms)| (name.to_owned(), Value::from(ms))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "microseconds for people to read")]
fn quantiles(histogram: &Histogram<u64>) -> impl Iterator<Item = (&'static str, f64)> {
    QUANTILES.iter().map(|(name, quantile)| (*name, histogram.value_at_quantile(*quantile) as f64 / 1000.0))
}
