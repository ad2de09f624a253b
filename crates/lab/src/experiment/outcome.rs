//! What an experiment has shown, as it is kept in a file.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use blackfriday_terminal::failure::Usage;
use serde::{Deserialize, Serialize};

use super::Length;
use super::declared::Experiment;
use super::interval::Ratio;
use super::origin::{Machine, Origin};
use crate::bench::{Measure, Subject};
use crate::median::median;

/// Of an experiment.
const LONGEST_NAME: usize = 64;

/// What an experiment has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) experiment: String,
    pub(super) question: String,
    /// What measures it again.
    pub(super) command: String,
    /// When the last round ended (RFC 3339).
    pub(super) finished: String,
    pub(super) version: String,
    /// SHA-256 of the programs, one after the other.
    pub(super) programs: String,
    /// SHA-256 of the first thousand sales of each number of products that is sent.
    pub(super) workload: String,
    pub(super) machine: Machine,
    pub(super) servers: Vec<String>,
    pub(super) turn_s: f64,
    pub(super) rounds: u32,
    pub(super) variants: Vec<VariantOutcome>,
    pub(super) differences: Vec<Difference>,
}

/// What one of the variants has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VariantOutcome {
    pub(super) name: String,
    pub(super) median: BTreeMap<String, f64>,
    /// Each metric of each round.
    pub(super) rounds: Vec<BTreeMap<String, f64>>,
}

/// How a variant compares with the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    pub(super) variant: String,
    pub(super) against: String,
    pub(super) metric: String,
    #[serde(flatten)]
    pub(super) ratio: Ratio,
    /// Whether the interval excludes 1.
    pub(super) differs: bool,
}

impl Outcome {
    /// Goes on with what has begun, or begins.
    ///
    /// # Errors
    /// What has begun was measured otherwise: other programs, another machine, or turns of another length.
    pub(super) fn begin(
        experiment: Experiment,
        length: Length,
        origin: Origin,
        begun: Option<Self>,
    ) -> Result<Self> {
        let Origin { programs, workload, machine } = origin;
        let name = experiment.name();
        let (rounds, turn_s) = (length.rounds, length.duration.as_secs_f64());
        // One word: `1m 30s` would be two.
        let turn = humantime::format_duration(length.duration).to_string().replace(' ', "");
        let cluster = if experiment.in_cluster().is_some() { " --kubeconfig \"$KUBECONFIG\"" } else { "" };
        let fresh = Self {
            command: format!("blackfriday lab {name} --rounds {rounds} --duration {turn}{cluster}"),
            experiment: name,
            question: experiment.question(),
            finished: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            programs,
            workload,
            machine,
            servers: Vec::new(),
            turn_s,
            rounds: 0,
            variants: experiment.names().into_iter().map(VariantOutcome::empty).collect(),
            differences: Vec::new(),
        };
        let Some(begun) = begun else { return Ok(fresh) };
        let fits = |begun: &Self| {
            begun.programs == fresh.programs
                && begun.machine == fresh.machine
                && begun.turn_s.to_bits() == fresh.turn_s.to_bits()
                && begun.names().eq(fresh.names())
        };
        let is_whole = begun.rounds >= rounds;
        ensure!(
            is_whole || fits(&begun),
            Usage(format!(
                "the result of {} has {} of {rounds} rounds, of other programs, another machine or other turns: --again measures anew",
                fresh.experiment, begun.rounds
            ))
        );
        Ok(Self { command: fresh.command, ..begun })
    }

    /// As it is kept.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a result has texts, numbers and lists") + "\n"
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.variants.iter().map(|variant| variant.name.as_str())
    }

    /// Adds a round: what was measured of each variant, in their order.
    pub(super) fn add(&mut self, round: impl Iterator<Item = BTreeMap<String, f64>>) -> Result<()> {
        for (variant, metrics) in self.variants.iter_mut().zip(round) {
            variant.rounds.push(rounded_all(metrics));
        }
        self.rounds += 1;
        self.finished = now();
        ensure!(
            self.variants.iter().all(|variant| variant.rounds.len() == self.rounds as usize),
            "a round has a measure of each variant"
        );
        Ok(())
    }

    /// Adds what was measured of one variant, where the others have their turns at another time. A round counts once all have it.
    pub(super) fn add_to(&mut self, name: &str, metrics: BTreeMap<String, f64>) -> Result<()> {
        let variant = self.variants.iter_mut().find(|variant| variant.name == name);
        variant.with_context(|| format!("no variant {name}"))?.rounds.push(rounded_all(metrics));
        let least = self.variants.iter().map(|variant| variant.rounds.len()).min();
        self.rounds = u32::try_from(least.unwrap_or(0))?;
        self.finished = now();
        Ok(())
    }

    /// Rounds that a variant has.
    pub(super) fn rounds_of(&self, name: &str) -> u32 {
        let rounds = self.variant(name).map_or(0, |variant| variant.rounds.len());
        u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// Takes down what was sold: the same in each turn.
    pub(super) fn sold(&mut self, workload: Option<String>) -> Result<()> {
        let Some(workload) = workload else { return Ok(()) };
        ensure!(
            self.workload.is_empty() || self.workload == workload,
            Usage(format!(
                "an earlier turn sold the workload {}, this one {workload}: --again measures anew",
                self.workload
            ))
        );
        self.workload = workload;
        Ok(())
    }

    /// Draws the conclusions from all rounds.
    pub(super) fn conclude(&mut self) -> Result<()> {
        for variant in &mut self.variants {
            variant.median =
                variant.metrics().map(|metric| (metric.clone(), variant.median_of(&metric))).collect();
        }
        let (first, others) = self.variants.split_first().context("an experiment has variants")?;
        let differences = others.iter().flat_map(|variant| variant.differences(first));
        self.differences = differences.collect();
        Ok(())
    }

    pub(super) fn variant(&self, name: &str) -> Option<&VariantOutcome> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

impl FromStr for Outcome {
    type Err = anyhow::Error;

    /// What others wrote is not trusted with a name that is one of a file.
    fn from_str(text: &str) -> Result<Self> {
        let outcome: Self = serde_json::from_str(text)?;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = &outcome.experiment;
        ensure!(
            (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain),
            "experiment: {name:?} is not a name of lower-case letters, digits and hyphens"
        );
        Ok(outcome)
    }
}

impl VariantOutcome {
    fn empty(name: &str) -> Self {
        Self { name: name.to_owned(), median: BTreeMap::new(), rounds: Vec::new() }
    }

    /// Those that every round has.
    fn metrics(&self) -> impl Iterator<Item = String> + use<> {
        let first = self.rounds.first().cloned().unwrap_or_default();
        let all = self.rounds.clone();
        first.into_keys().filter(move |metric| all.iter().all(|round| round.contains_key(metric)))
    }

    /// The metric in each round.
    pub(super) fn values<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = f64> + 'a {
        self.rounds.iter().filter_map(move |round| round.get(metric).copied())
    }

    fn median_of(&self, metric: &str) -> f64 {
        rounded(median(self.values(metric)))
    }

    fn differences(&self, against: &Self) -> Vec<Difference> {
        let of = |metric: String| {
            let pairs: Vec<_> = self.values(&metric).zip(against.values(&metric)).collect();
            let whole = pairs.len() == self.rounds.len();
            let ratio = Ratio::of(&pairs).filter(|_| whole)?;
            let (variant, against) = (self.name.clone(), against.name.clone());
            Some(Difference { variant, against, metric, ratio, differs: ratio.is_a_difference() })
        };
        self.metrics().filter_map(of).collect()
    }
}

/// Each by its name; what a process does not use at all is 0, and has no ratio.
pub(super) fn metrics(measure: &Measure) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::from([("sales_per_s".to_owned(), measure.sales_per_s())]);
    let times = [
        ("p50_ms", "p99_ms", measure.latency_ms),
        ("fresh_p50_ms", "fresh_p99_ms", measure.freshness_ms),
        ("apply_p50_ms", "apply_p99_ms", measure.apply_ms),
    ];
    for (half, most, ms) in times {
        for (name, ms) in [half, most].into_iter().zip(ms.into_iter().flatten()) {
            metrics.insert(name.to_owned(), ms);
        }
    }
    metrics.extend(measure.failover_ms.map(|ms| ("failover_ms".to_owned(), ms)));
    metrics.extend(measure.boot_s.map(|seconds| ("boot_s".to_owned(), seconds)));
    let mut services = 0.0;
    for (process, us) in &measure.cpu_us {
        // The three gateways are one in each way that is measured.
        let process = if process.starts_with("gateway") { "gateway" } else { process };
        *metrics.entry(format!("cpu_us.{process}")).or_default() += us;
        if Subject::SERVICES.contains(&process) {
            services += us;
        }
    }
    if !measure.cpu_us.is_empty() {
        metrics.insert("cpu_us".to_owned(), services);
    }
    for (process, mib) in &measure.resident_mib {
        #[expect(clippy::cast_precision_loss, reason = "fewer MiB than 2^53")]
        metrics.insert(format!("mib.{}", process.replace(' ', "-")), *mib as f64);
    }
    metrics
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn rounded_all(metrics: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    metrics.into_iter().map(|(name, value)| (name, rounded(value))).collect()
}

/// To thousandths: what is more exact is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A result as a test or a reader makes it.
#[cfg(test)]
pub(super) fn example(name: &str, variants: &[(&str, &[f64])]) -> Outcome {
    let round =
        |value: &f64| BTreeMap::from([("sales_per_s".to_owned(), *value), ("p99_ms".to_owned(), 7.25)]);
    let mut outcome = Outcome {
        experiment: name.to_owned(),
        question: "which is more".to_owned(),
        command: format!("blackfriday lab {name}"),
        finished: "2026-11-27T00:00:00Z".to_owned(),
        version: "0.2.0".to_owned(),
        programs: "00".to_owned(),
        workload: "00".to_owned(),
        machine: Machine { processor: "Z80".to_owned(), cores: 2, memory_mib: 64, kernel: "6.1".to_owned() },
        servers: vec!["Kafka 4.3.1".to_owned()],
        turn_s: 5.0,
        rounds: 0,
        variants: variants
            .iter()
            .map(|(name, values)| VariantOutcome {
                name: (*name).to_owned(),
                median: BTreeMap::new(),
                rounds: values.iter().map(round).collect(),
            })
            .collect(),
        differences: Vec::new(),
    };
    outcome.rounds = u32::try_from(variants[0].1.len()).expect("few rounds");
    outcome.conclude().expect("variants");
    outcome
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LENGTH: Length =
        Length { rounds: 6, duration: Duration::from_secs(5), warm_up: Duration::from_secs(1) };

    #[test]
    fn a_difference_is_one_only_if_the_rounds_agree() {
        let outcome = example(
            "logs",
            &[
                ("kafka", &[100.0, 102.0, 98.0]),
                ("rabbitmq", &[50.0, 52.0, 49.0]),
                ("same", &[101.0, 99.0, 99.0]),
            ],
        );
        let of = |variant: &str| {
            let found = outcome.differences.iter();
            found.clone().find(|one| one.variant == variant && one.metric == "sales_per_s").expect("one")
        };
        assert!(of("rabbitmq").differs && of("rabbitmq").ratio.median < 0.6);
        assert!(!of("same").differs, "{:?}", of("same"));
        assert_eq!(outcome.variant("kafka").expect("it").median["sales_per_s"], 100.0);
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_refused() {
        let right = example("logs", &[("kafka", &[1.0]), ("rabbitmq", &[1.0])]).to_text();
        right.parse::<Outcome>().expect("a result");
        for name in ["../logs", "", "a/b", "Logs", &"a".repeat(65)] {
            let wrong = right.replace("\"experiment\": \"logs\"", &format!("\"experiment\": \"{name}\""));
            let refusal = wrong.parse::<Outcome>().expect_err(name).to_string();
            assert!(refusal.starts_with("experiment: "), "{refusal}");
        }
    }

    #[test]
    fn what_was_measured_otherwise_is_not_gone_on_with() {
        let begun = example("logs", &[("kafka", &[1.0, 2.0]), ("rabbitmq", &[1.0, 3.0])]);
        let origin = |machine| Origin { programs: "00".to_owned(), workload: "00".to_owned(), machine };
        let begin = |begun| {
            let here = origin(Machine::this().expect("a machine"));
            Outcome::begin(Experiment::Logs, LENGTH, here, begun)
        };
        let refusal = begin(Some(begun)).expect_err("another machine");
        assert!(refusal.to_string().contains("2 of 6 rounds"), "{refusal}");
        let fresh = begin(None).expect("a result");
        let same = Outcome { rounds: 2, ..fresh.clone() };
        assert_eq!(begin(Some(same)).expect("goes on").rounds, 2);
        let other = Outcome { rounds: 2, programs: "01".to_owned(), ..fresh.clone() };
        begin(Some(other)).expect_err("other programs");
        let whole = Outcome { rounds: 6, programs: "01".to_owned(), ..fresh };
        assert_eq!(begin(Some(whole)).expect("it is there").rounds, 6);
    }

    #[test]
    fn what_has_its_turns_at_another_time_counts_once_all_have_it() {
        let mut outcome = example("machine", &[("pod", &[]), ("virtual-machine", &[])]);
        let turn = |boot_s: f64| BTreeMap::from([("boot_s".to_owned(), boot_s)]);
        for boot_s in [2.0, 3.0] {
            outcome.add_to("pod", turn(boot_s)).expect("added");
        }
        outcome.conclude().expect("variants");
        assert_eq!((outcome.rounds, outcome.differences.len()), (0, 0), "the other is missing");
        outcome.add_to("virtual-machine", turn(40.0)).expect("added");
        assert_eq!(outcome.rounds, 1);
        outcome.add_to("container", turn(1.0)).expect_err("no such variant");
    }

    #[test]
    fn a_result_is_of_one_workload() {
        let mut outcome = Outcome { workload: String::new(), ..example("autoscaler", &[("one", &[1.0])]) };
        outcome.sold(Some("a".to_owned())).expect("the first");
        outcome.sold(None).expect("nothing was sold");
        outcome.sold(Some("a".to_owned())).expect("the same");
        let refusal = outcome.sold(Some("b".to_owned())).expect_err("another").to_string();
        assert!(refusal.contains("--again"), "{refusal}");
    }
}
