use std::collections::BTreeMap;

use blackfriday_terminal::output::grouped;
use serde_json::{Value, json};

use super::measure::Measure;
use super::subject::Subject;
use crate::median::median;

/// Less is noise of the clock's ticks.
const LEAST_US: f64 = 0.05;
/// Next to the services: whose time counts as what is measured.
const OWN: [&str; 5] = ["gateway to writers", "gateway to log", "handler", "peer", "part"];

/// What the rounds of one thing come to: medians, and the least and the most.
pub(super) struct Figures<'a>(pub(super) &'a [Measure]);

impl Figures<'_> {
    /// Sales a second.
    pub(super) fn rate(&self) -> f64 {
        median(self.rates())
    }

    /// Sales a second, from the least to the most, and milliseconds of half and of 99 of 100 requests.
    pub(super) fn speed(&self) -> [String; 4] {
        let range = [self.rates().fold(f64::MAX, f64::min), self.rates().fold(0.0, f64::max)].map(rounded);
        let [p50, p99] = self.milliseconds(|round| round.latency_ms);
        [rounded(self.rate()), range.join(" to "), p50, p99]
    }

    /// CPU microseconds a sale: of what is measured, of log and store, of each process.
    pub(super) fn cost(&self) -> [String; 3] {
        let cpu = self.cpu();
        let sum = |names: &[&str]| names.iter().filter_map(|name| cpu.get(name)).sum::<f64>();
        let own = sum(&Subject::SERVICES) + sum(&OWN);
        let each = cpu.iter().filter(|(name, us)| **us >= LEAST_US && !["log", "store"].contains(*name));
        let each: Vec<_> = each.map(|(name, us)| format!("{name} {us:.1}")).collect();
        [format!("{own:.1}"), format!("{:.1}, {:.1}", sum(&["log"]), sum(&["store"])), each.join(", ")]
    }

    /// Two quantiles, empty where they were not measured.
    pub(super) fn milliseconds(&self, of: impl Fn(&Measure) -> Option<[f64; 2]>) -> [String; 2] {
        let all: Vec<_> = self.0.iter().filter_map(of).collect();
        [0, 1].map(|at| {
            let middle = median(all.iter().map(|ms| ms[at]));
            if all.is_empty() { String::new() } else { format!("{middle:.1}") }
        })
    }

    /// Requests that were refused, in all rounds.
    pub(super) fn refused(&self) -> String {
        grouped(self.0.iter().map(|round| round.refused).sum())
    }

    /// The median of each process.
    pub(super) fn cpu(&self) -> BTreeMap<&'static str, f64> {
        let names = self.0.iter().flat_map(|round| round.cpu_us.keys().copied());
        let of = |name: &'static str| {
            median(self.0.iter().map(|round| round.cpu_us.get(name).copied().unwrap_or_default()))
        };
        names.map(|name| (name, of(name))).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let all: Vec<_> = self.0.iter().map(Measure::to_json).collect();
        json!({"median": {"sales_per_s": self.rate(), "cpu_us_per_sale": self.cpu()}, "rounds": all})
    }

    fn rates(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(Measure::sales_per_s)
    }
}

/// To whole hundreds.
pub(super) fn rounded(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and small"
    )]
    let hundreds = (rate / 100.0).round() as u64;
    grouped(hundreds * 100)
}
