//! A report out of a template and results: `{{…}}` in the template is replaced by what the results say.
//!
//! | placeholder | is replaced by |
//! |---|---|
//! | `{{logs.rabbitmq.sales_per_s}}` | the median of the rounds |
//! | `{{logs.rabbitmq/kafka.sales_per_s}}` | the ratio of the two, and its interval |
//! | `{{veredicto logs.rabbitmq/kafka.sales_per_s}}` | whether it is more, less, or nothing that was shown |
//! | `{{tabla logs sales_per_s p99_ms}}` | a table of medians, by variant |
//! | `{{figura logs sales_per_s}}` | the plot of a metric |
//! | `{{maquina logs}}`, `{{orden logs}}`, `{{versiones logs}}`, `{{fecha logs}}` | where, how, with which servers and when it was measured |
//! | `{{diferencias}}` | a table of every difference that was shown |
//!
//! What depends on what was measured is between marks (`condition`).
//!
//! Numbers with a unit are only in results: a template that has one by itself is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use blackfriday_registry::{AccessArguments, Reference, reference, tagged};
use blackfriday_terminal::{file, output};

use super::artifact;
use super::condition::{Condition, Line, could_be_measured};
use super::interval::Ratio;
use super::outcome::{Outcome, VariantOutcome};
use super::plot::{Theme, svg};
use super::results::{self, Results};
use super::shown::shown;
use super::unmeasured;
use super::value::{interval, plain, title, with_unit};

pub(super) const OPEN: &str = "{{";
pub(super) const CLOSE: &str = "}}";
/// As `--help` says it; the module's documentation says what each becomes.
const PLACEHOLDERS: &str = "Placeholders of a template:\n  \
    {{logs.rabbitmq.sales_per_s}}                   the median of the rounds\n  \
    {{logs.rabbitmq/kafka.sales_per_s}}             the ratio of two variants, with its interval\n  \
    {{veredicto logs.rabbitmq/kafka.sales_per_s}}   more, less, or nothing that was shown\n  \
    {{tabla logs sales_per_s p99_ms}}               a table of medians, by variant\n  \
    {{figura logs sales_per_s}}                     the plot of a metric\n  \
    {{maquina logs}} {{orden logs}} {{versiones logs}} {{fecha logs}}   where, how, with what, when\n  \
    {{diferencias}}                                 every difference that was shown\n  \
    {{si logs}} … {{si no}} … {{fin}}               what is written if it was measured, and if not";

/// Writes a report out of a template and results.
#[derive(clap::Args, Debug)]
#[command(after_help = PLACEHOLDERS)]
pub(super) struct Arguments {
    /// The folder of results; pictures are written into it, too.
    #[arg(long, value_name = "DIR", default_value = "docs/lab")]
    results: PathBuf,
    /// The template.
    #[arg(long, value_name = "FILE", default_value = "docs/lab/informe.plantilla.md")]
    template: PathBuf,
    /// The report.
    #[arg(long, value_name = "FILE", default_value = "docs/informe.md")]
    out: PathBuf,
    /// Write nothing, and fail if anything would change.
    #[arg(long)]
    check: bool,
    /// Push the results into a registry, too, and print the reference that will always stand for them.
    #[arg(long, value_name = "REF", conflicts_with = "check")]
    push: Option<String>,
    /// The workload in a registry that the results are pushed next to: they name it, and in the same repository it is their
    /// subject.
    #[arg(long, value_name = "REF", requires = "push")]
    workload: Option<String>,
    #[command(flatten)]
    access: AccessArguments,
}

/// What a report consists of, by file.
type Files = BTreeMap<PathBuf, String>;

/// Writes the report and its pictures, or compares them with what is there; then pushes the results where that is asked for.
pub(super) async fn write(arguments: &Arguments) -> Result<()> {
    let to = arguments.push.as_deref().map(tagged).transpose()?;
    let template = fs::read_to_string(&arguments.template)
        .with_context(|| format!("read {}", arguments.template.display()))?;
    let results = results::read(&arguments.results)?;
    let files = render(&template, &results, arguments)
        .with_context(|| format!("in {}", arguments.template.display()))?;
    for (path, text) in &files {
        if !arguments.check {
            file::replace(path, text).with_context(|| format!("write {}", path.display()))?;
            continue;
        }
        let there = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        ensure!(
            there == *text,
            "{} is not what the results say: `blackfriday lab report` writes it",
            path.display()
        );
    }
    output::note(format_args!("{} files of {} results", files.len(), results.len()));
    match to {
        Some(to) => push(&to, &results, arguments).await,
        None => Ok(()),
    }
}

async fn push(to: &Reference, results: &Results, arguments: &Arguments) -> Result<()> {
    let workload = arguments.workload.as_deref().map(reference).transpose()?;
    let pushed = artifact::push(&arguments.access.client()?, to, results, workload.as_ref()).await?;
    output::note(if pushed.was_sent { "sent" } else { "the results were there already" });
    output::line(pushed.pinned);
    Ok(())
}

fn render(template: &str, results: &Results, arguments: &Arguments) -> Result<Files> {
    let mut writer = Writer { results, arguments, pictures: BTreeSet::new() };
    let mut report = String::new();
    let mut is_code = false;
    let mut condition = Condition::default();
    let is_measured = |name: &str| results.get(name).is_some_and(|outcome| outcome.rounds > 0);
    for (at, line) in template.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let number = || format!("line {}", at + 1);
        if !is_code {
            unmeasured::refuse(line).with_context(number)?;
        }
        match condition.line(line, is_measured).with_context(number)? {
            Line::Written => {
                report.push_str(&writer.line(line).with_context(number)?);
                report.push('\n');
            }
            Line::LeftOut => could_be_measured(line).with_context(number)?,
            Line::Mark => {}
        }
    }
    condition.end()?;
    let mut files = Files::from([(arguments.out.clone(), report)]);
    for (experiment, metric) in &writer.pictures {
        for theme in Theme::ALL {
            let picture = svg(&results[experiment], metric, theme)?;
            files.insert(arguments.results.join(picture_name(experiment, metric, theme)), picture);
        }
    }
    Ok(files)
}

struct Writer<'a> {
    results: &'a Results,
    arguments: &'a Arguments,
    /// Experiment and metric of each plot.
    pictures: BTreeSet<(String, String)>,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) -> Result<String> {
        let mut text = String::new();
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            let (inside, after) = behind.split_once(CLOSE).context("{{ without }}")?;
            text.push_str(before);
            text.push_str(&self.placeholder(inside.trim()).with_context(|| format!("{{{{{inside}}}}}"))?);
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    fn placeholder(&mut self, text: &str) -> Result<String> {
        let words: Vec<_> = text.split_whitespace().collect();
        match words.as_slice() {
            ["diferencias"] => Ok(self.differences()),
            ["tabla", experiment, metrics @ ..] if !metrics.is_empty() => {
                table(self.result(experiment)?, metrics)
            }
            ["figura", experiment, metric] => self.figure(experiment, metric),
            ["maquina", experiment] => {
                let machine = &self.result(experiment)?.machine;
                let (cores, mib) = (machine.cores, machine.memory_mib);
                let (processor, kernel) = (&machine.processor, &machine.kernel);
                Ok(format!("{processor}, {cores} núcleos, {mib} MiB de memoria, Linux {kernel}"))
            }
            ["orden", experiment] => Ok(format!("`{}`", self.result(experiment)?.command)),
            ["versiones", experiment] => Ok(self.result(experiment)?.servers.join(", ")),
            ["fecha", experiment] => {
                let finished = &self.result(experiment)?.finished;
                Ok(finished.split('T').next().unwrap_or_default().to_owned())
            }
            ["veredicto", path] => Ok(verdict(&self.ratio(path)?.0).to_owned()),
            [path] => self.value(path),
            _ => bail!("it is none of the placeholders that `blackfriday lab report --help` names"),
        }
    }

    fn result(&self, experiment: &str) -> Result<&Outcome> {
        self.results.get(experiment).with_context(|| format!("there is no result of {experiment}"))
    }

    /// A median, or a ratio with its interval.
    fn value(&self, path: &str) -> Result<String> {
        if path.contains('/') {
            let (ratio, _) = self.ratio(path)?;
            return Ok(interval(&ratio, "a"));
        }
        let (outcome, variant, metric) = self.path(path)?;
        Ok(with_unit(metric, median(find(outcome, variant)?, metric)?))
    }

    /// Of two variants; `true` if it is in the result as it stands.
    fn ratio(&self, path: &str) -> Result<(Ratio, bool)> {
        let (outcome, variants, metric) = self.path(path)?;
        let (variant, against) = variants.split_once('/').context("two variants, as in a/b")?;
        let kept = outcome.differences.iter().find(|difference| {
            difference.variant == variant && difference.against == against && difference.metric == metric
        });
        if let Some(kept) = kept {
            return Ok((kept.ratio, true));
        }
        let values =
            |name: &str| Ok::<_, anyhow::Error>(find(outcome, name)?.values(metric).collect::<Vec<_>>());
        let pairs: Vec<_> = values(variant)?.into_iter().zip(values(against)?).collect();
        let ratio = Ratio::of(&pairs).with_context(|| format!("{metric} of {variants} has no ratio"))?;
        Ok((ratio, false))
    }

    /// Experiment, variant or two, and metric.
    fn path<'p>(&self, path: &'p str) -> Result<(&Outcome, &'p str, &'p str)> {
        let mut parts = path.splitn(3, '.');
        let (Some(experiment), Some(variant), Some(metric)) = (parts.next(), parts.next(), parts.next())
        else {
            bail!("it is not experiment.variant.metric");
        };
        Ok((self.result(experiment)?, variant, metric))
    }

    fn figure(&mut self, experiment: &str, metric: &str) -> Result<String> {
        self.result(experiment)?;
        self.pictures.insert((experiment.to_owned(), metric.to_owned()));
        let out = self.arguments.out.parent().unwrap_or(Path::new(""));
        let folder = self.arguments.results.strip_prefix(out).unwrap_or(&self.arguments.results);
        let at = |theme| folder.join(picture_name(experiment, metric, theme)).display().to_string();
        Ok(format!(
            "<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\"><img src=\"{}\" alt=\"{}: {}\"></picture>",
            at(Theme::Dark),
            at(Theme::Light),
            experiment,
            title(metric)
        ))
    }

    fn differences(&self) -> String {
        let mut text = String::from(
            "| experimento | variante | contra | métrica | razón (intervalo del 95 %) |\n|---|---|---|---|---|\n",
        );
        let of = |outcome| shown(outcome).map(move |one| (&outcome.experiment, one));
        for (experiment, one) in self.results.values().flat_map(of) {
            // Writing into a string cannot fail.
            writeln!(
                text,
                "| `{experiment}` | `{}` | `{}` | {} | {} |",
                one.variant,
                one.against,
                title(&one.metric),
                interval(&one.ratio, "a")
            )
            .ok();
        }
        text.pop();
        text
    }
}

/// What a variant has no process for is a dash; what none of them has is an error.
fn table(outcome: &Outcome, metrics: &[&str]) -> Result<String> {
    for metric in metrics {
        let has = |variant: &VariantOutcome| variant.median.contains_key(*metric);
        ensure!(outcome.variants.iter().any(has), "{} has no {metric}", outcome.experiment);
    }
    let mut text = String::from("| variante |");
    for (at, metric) in metrics.iter().enumerate() {
        let range = if at == 0 { " (de mín. a máx.)" } else { "" };
        write!(text, " {}{range} |", title(metric)).ok();
    }
    write!(text, "\n|---|{}", "---:|".repeat(metrics.len())).ok();
    for variant in &outcome.variants {
        write!(text, "\n| `{}` |", variant.name).ok();
        for (at, metric) in metrics.iter().enumerate() {
            let Some(middle) = variant.median.get(*metric) else {
                text.push_str(" – |");
                continue;
            };
            let middle = plain(*middle);
            if at == 0 {
                let low = variant.values(metric).fold(f64::MAX, f64::min);
                let high = variant.values(metric).fold(0.0, f64::max);
                write!(text, " {middle} ({} a {}) |", plain(low), plain(high)).ok();
            } else {
                write!(text, " {middle} |").ok();
            }
        }
    }
    Ok(text)
}

fn find<'a>(outcome: &'a Outcome, variant: &str) -> Result<&'a VariantOutcome> {
    outcome.variant(variant).with_context(|| format!("{} has no variant {variant}", outcome.experiment))
}

fn median(variant: &VariantOutcome, metric: &str) -> Result<f64> {
    variant.median.get(metric).copied().ok_or_else(|| anyhow!("{} has no {metric}", variant.name))
}

fn verdict(ratio: &Ratio) -> &'static str {
    match ratio {
        _ if !ratio.is_a_difference() => "sin diferencia demostrable",
        _ if ratio.median > 1.0 => "más",
        _ => "menos",
    }
}

fn picture_name(experiment: &str, metric: &str, theme: Theme) -> String {
    format!("{experiment}-{metric}-{}.svg", theme.name())
}

#[cfg(test)]
mod tests {
    use super::super::outcome::example;
    use super::*;

    fn rendered(template: &str) -> Result<String> {
        let arguments = Arguments {
            results: "docs/lab".into(),
            template: "t".into(),
            out: "docs/informe.md".into(),
            check: false,
            push: None,
            workload: None,
            access: AccessArguments::default(),
        };
        let logs = example(
            "logs",
            &[("kafka", &[28_000.0, 29_000.0, 28_500.0]), ("rabbitmq", &[14_000.0, 14_500.0, 14_250.0])],
        );
        let same = example("stores", &[("valkey", &[100.0, 99.0, 101.0]), ("redis", &[99.0, 101.0, 100.0])]);
        let mut uneven = example("uneven", &[("alone", &[1.0]), ("two", &[1.0])]);
        uneven.variants[1].rounds[0].insert("cpu_us.replica".to_owned(), 3.0);
        uneven.conclude().expect("variants");
        let results = [logs, same, uneven].map(|outcome| (outcome.experiment.clone(), outcome)).into();
        render(template, &results, &arguments).map(|files| files[&arguments.out].clone())
    }

    fn refused(template: &str) -> String {
        format!("{:#}", rendered(template).expect_err("a refusal"))
    }

    #[test]
    fn placeholders_become_what_the_results_say() {
        let of = |template: &str| rendered(template).expect("a report").trim_end().to_owned();
        assert_eq!(of("hay {{logs.kafka.sales_per_s}}."), "hay 28\u{a0}500 ventas/s.");
        assert_eq!(of("{{logs.rabbitmq/kafka.sales_per_s}}"), "0.50 (0.50 a 0.50)");
        assert_eq!(of("{{ veredicto logs.rabbitmq/kafka.sales_per_s }}"), "menos");
        assert_eq!(of("{{veredicto logs.kafka/rabbitmq.sales_per_s}}"), "más");
        assert_eq!(of("{{veredicto stores.redis/valkey.sales_per_s}}"), "sin diferencia demostrable");
        assert_eq!(
            of("{{orden logs}}: {{versiones logs}}, {{fecha logs}}"),
            "`blackfriday lab logs`: Kafka 4.3.1, 2026-11-27"
        );
        let table = of("{{tabla logs sales_per_s p99_ms}}");
        assert!(table.contains("| `rabbitmq` | 14\u{a0}250 (14\u{a0}000 a 14\u{a0}500) | 7.25 |"), "{table}");
        let differences = of("{{diferencias}}");
        assert!(differences.contains("| `logs` | `rabbitmq` | `kafka` | ventas/s |"), "{differences}");
        assert!(!differences.contains("stores"), "{differences}");
        let alone = of("{{tabla uneven sales_per_s cpu_us.replica}}");
        assert!(alone.contains("| `alone` | 1.00 (1.00 a 1.00) | – |"), "{alone}");
        assert!(alone.contains("| `two` | 1.00 (1.00 a 1.00) | 3.00 |"), "{alone}");
        let either = "{{si logs}}\n{{logs.kafka.p99_ms}}\n{{si no}}\n{{queues.quorum.sales_per_s}}\n{{fin}}";
        assert_eq!(of(either), "7.25 ms");
        assert_eq!(of("{{si queues}}\n{{queues.quorum.p99_ms}}\n{{si no}}\nsin medir\n{{fin}}"), "sin medir");
        let figure = of("{{figura logs sales_per_s}}");
        assert!(figure.contains("src=\"lab/logs-sales_per_s-light.svg\""), "{figure}");
    }

    #[test]
    fn what_no_result_has_is_refused_by_its_line() {
        assert!(refused("x\n{{logs.pulsar.sales_per_s}}").contains("line 2"));
        assert!(refused("{{logs.pulsar.sales_per_s}}").contains("logs has no variant pulsar"));
        assert!(refused("{{hops.relay.p99_ms}}").contains("there is no result of hops"));
        assert!(refused("{{logs.kafka.p77_ms}}").contains("kafka has no p77_ms"));
        assert!(refused("{{logs.kafka").contains("{{ without }}"));
        assert!(refused("{{tabla logs cpu_us.replica}}").contains("logs has no cpu_us.replica"));
        assert!(refused("{{cuadro logs}}").contains("placeholders"));
        assert!(refused("{{si queues}}\n{{queues.lazy.p99_ms}}\n{{fin}}").contains("line 2"));
    }

    #[test]
    fn a_number_with_a_unit_must_come_from_a_result() {
        for number in
            ["tarda 12 ms.", "un 30 % más", "el 30% más", "7.5 µs", "2.4 veces más", "20\u{a0}000 ventas/s"]
        {
            assert!(refused(number).contains("is in no result"), "{number}");
        }
        for fine in ["el puerto 50051", "`200 ms` es el valor", "3 brokers", "{{logs.kafka.p99_ms}}, 2 s2"] {
            rendered(fine).unwrap_or_else(|error| panic!("{fine}: {error:#}"));
        }
        rendered("```\nsleep 5 s\n```").expect("code");
    }
}
