use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Plan;
use crate::output;

/// 1 µs to 10 min, three digits.
const HIGHEST_US: u64 = 600_000_000;

/// What one connection saw.
pub(crate) struct Tally {
    latencies_us: Histogram<u64>,
    pub(crate) accepted: u64,
    pub(crate) unknown: u64,
    refused: BTreeMap<u16, u64>,
}

/// What all connections saw.
pub(crate) struct Report {
    tally: Tally,
    elapsed: Duration,
    about: Value,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let latencies_us =
            Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("1 < 2 × 1 ≤ highest, 3 digits");
        Self { latencies_us, accepted: 0, unknown: 0, refused: BTreeMap::new() }
    }

    pub(crate) fn latency(&mut self, latency: Duration) {
        self.latencies_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US).max(1));
    }

    /// Status 0 stands for a connection that could not be made.
    pub(crate) fn refused(&mut self, status: u16) {
        *self.refused.entry(status).or_default() += 1;
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { tally: Tally::new(), elapsed: Duration::ZERO, about: plan.about() }
    }

    pub(crate) fn add(&mut self, tally: anyhow::Result<Tally>) {
        match tally {
            Ok(tally) => {
                self.tally.latencies_us.add(&tally.latencies_us).expect("histograms of the same bounds");
                self.tally.accepted += tally.accepted;
                self.tally.unknown += tally.unknown;
                tally
                    .refused
                    .into_iter()
                    .for_each(|(status, n)| *self.tally.refused.entry(status).or_default() += n);
            }
            Err(error) => tracing::error!("a connection ended early: {error:#}"),
        }
    }

    pub(crate) fn end(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// Everything was accepted.
    pub(crate) fn is_good(&self) -> bool {
        self.tally.unknown == 0 && self.tally.refused.is_empty() && self.tally.accepted > 0
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.tally.accepted
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub(crate) fn per_second(&self) -> f64 {
        self.tally.accepted as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "accepted": self.tally.accepted,
            "refused": self.tally.refused,
            "unknown": self.tally.unknown,
            "seconds": self.elapsed.as_secs_f64(),
            "accepted_per_second": self.per_second(),
            "latency_ms": self.quantiles().map(|(name, ms)| (name.to_owned(), Value::from(ms)))
                .collect::<serde_json::Map<_, _>>(),
            "run": self.about,
        })
    }

    pub(crate) fn print(&self) {
        let refused = self.tally.refused.iter().map(|(status, n)| match status {
            0 => format!("{} not connected", output::grouped(*n)),
            status => format!("{} with {status}", output::grouped(*n)),
        });
        let refused: Vec<_> = refused.collect();
        let latencies: Vec<_> = self.quantiles().map(|(name, ms)| format!("{name} {ms:.2} ms")).collect();
        output::table(
            &["", "sales"],
            [
                vec!["accepted".into(), output::grouped(self.tally.accepted)],
                vec!["refused".into(), if refused.is_empty() { "0".into() } else { refused.join(", ") }],
                vec!["unknown".into(), output::grouped(self.tally.unknown)],
                vec![
                    "per second".into(),
                    format!("{:.0} in {:.1} s", self.per_second(), self.elapsed.as_secs_f64()),
                ],
                vec!["latency".into(), latencies.join(", ")],
            ],
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds for people to read")]
    fn quantiles(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)].into_iter().map(
            |(name, quantile)| (name, self.tally.latencies_us.value_at_quantile(quantile) as f64 / 1000.0),
        )
    }
}
