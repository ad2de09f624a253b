//! Parts of a template that depend on what was measured. Each mark is alone on its line:
//!
//! ```text
//! {{si queues}}
//! … if there is a whole round of `queues` …
//! {{si no}}
//! … if there is none …
//! {{fin}}
//! ```
//!
//! What is left out is still held against the experiments that there are, so that a name that is wrong shows at once.

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;

use super::declared::Experiment;
use super::report::{CLOSE, OPEN};

/// Where in a template a line is.
#[derive(Debug, Default)]
pub(super) struct Condition(Option<Branch>);

#[derive(Debug, Clone, Copy)]
struct Branch {
    is_measured: bool,
    is_else: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Written,
    LeftOut,
    /// It is a mark itself.
    Mark,
}

impl Condition {
    /// Takes the next line of the template.
    ///
    /// # Errors
    /// A mark is where it has no meaning, or names no experiment.
    pub(super) fn line(&mut self, line: &str, is_measured: impl Fn(&str) -> bool) -> Result<Line> {
        let mark = line.trim().strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
        let words: Vec<_> = mark.unwrap_or_default().split_whitespace().collect();
        match (words.as_slice(), self.0) {
            (["si", "no"], Some(branch)) if !branch.is_else => {
                self.0 = Some(Branch { is_else: true, ..branch })
            }
            (["si", "no"], _) => bail!("{{{{si no}}}} without {{{{si …}}}}"),
            (["si", name], None) => {
                known(name)?;
                self.0 = Some(Branch { is_measured: is_measured(name), is_else: false });
            }
            (["si", ..], _) => bail!("{{{{si …}}}} takes one name, and none is inside of another"),
            (["fin"], Some(_)) => self.0 = None,
            (["fin"], None) => bail!("{{{{fin}}}} without {{{{si …}}}}"),
            _ => {
                let is_written = self.0.is_none_or(|branch| branch.is_measured != branch.is_else);
                return Ok(if is_written { Line::Written } else { Line::LeftOut });
            }
        }
        Ok(Line::Mark)
    }

    /// Whether the template ends where it may.
    pub(super) fn end(&self) -> Result<()> {
        ensure!(self.0.is_none(), "{{{{si …}}}} without {{{{fin}}}}");
        Ok(())
    }
}

/// Whether what a line names that is left out could be measured.
///
/// # Errors
/// It names an experiment or a variant that there is not.
pub(super) fn could_be_measured(line: &str) -> Result<()> {
    let mut rest = line;
    while let Some((_, behind)) = rest.split_once(OPEN) {
        let (inside, after) = behind.split_once(CLOSE).context("{{ without }}")?;
        rest = after;
        let words: Vec<_> = inside.split_whitespace().collect();
        match words.as_slice() {
            ["diferencias"] => {}
            ["tabla" | "figura" | "maquina" | "orden" | "versiones" | "fecha", name, ..] => {
                known(name).map(drop)?
            }
            ["veredicto", path] | [path] => {
                let (name, behind) = path.split_once('.').context("it is not experiment.variant.metric")?;
                let (experiment, variants) = (known(name)?, behind.split('.').next().unwrap_or_default());
                let names = experiment.names();
                let unknown = variants.split('/').find(|variant| !names.contains(variant));
                ensure!(unknown.is_none(), "{name} has no variant {}", unknown.unwrap_or_default());
            }
            _ => bail!("{{{{{inside}}}}} is no placeholder"),
        }
    }
    Ok(())
}

fn known(name: &str) -> Result<Experiment> {
    Experiment::from_str(name, false).ok().with_context(|| format!("there is no experiment {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str, measured: &str) -> Result<Vec<String>> {
        let mut condition = Condition::default();
        let mut written = Vec::new();
        for line in template.lines() {
            if condition.line(line, |name| name == measured)? == Line::Written {
                written.push(line.to_owned());
            }
        }
        condition.end().map(|()| written)
    }

    #[test]
    fn what_was_measured_decides_what_is_written() {
        let template = "a\n{{si queues}}\nb\n{{si no}}\nc\n{{fin}}\nd\n{{ si failover }}\ne\n{{fin}}";
        assert_eq!(of(template, "queues").expect("lines"), ["a", "b", "d"]);
        assert_eq!(of(template, "failover").expect("lines"), ["a", "c", "d", "e"]);
        assert_eq!(of(template, "").expect("lines"), ["a", "c", "d"]);
    }

    #[test]
    fn marks_that_mean_nothing_are_refused() {
        for (template, told) in [
            ("{{si pulsar}}", "no experiment pulsar"),
            ("{{fin}}", "{{fin}} without"),
            ("{{si no}}", "{{si no}} without"),
            ("{{si queues}}\n{{si no}}\n{{si no}}", "{{si no}} without"),
            ("{{si queues}}\n{{si failover}}", "inside of another"),
            ("{{si queues}}\na", "without {{fin}}"),
        ] {
            let refusal = of(template, "").expect_err(told).to_string();
            assert!(refusal.contains(told), "{refusal}");
        }
    }

    #[test]
    fn what_is_left_out_still_names_what_there_is() {
        could_be_measured("{{tabla queues sales_per_s}} {{veredicto queues.quorum/stream.sales_per_s}}")
            .expect("right");
        for (line, told) in [
            ("{{tabla pulsar sales_per_s}}", "no experiment pulsar"),
            ("{{queues.lazy/stream.sales_per_s}}", "queues has no variant lazy"),
            ("{{cuadro queues x}}", "is no placeholder"),
            ("{{queues", "{{ without }}"),
        ] {
            let refusal = could_be_measured(line).expect_err(told).to_string();
            assert!(refusal.contains(told), "{refusal}");
        }
    }
}
