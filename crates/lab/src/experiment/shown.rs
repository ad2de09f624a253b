//! Which differences are worth a line: the report and `lab show` have the same ones.

use super::outcome::{Difference, Outcome};

/// CPU microseconds a sale. A process that uses less in both variants has no part in the sales: what is measured are the ticks
/// of its timers.
const RESTS_BELOW_US: f64 = 0.15;

/// Differences that were found, of the system and not of what measures it, and of processes that work in a variant.
pub(super) fn shown(outcome: &Outcome) -> impl Iterator<Item = &Difference> {
    outcome.differences.iter().filter(|one| {
        one.differs
            && is_about_the_system(&one.metric)
            && !(rests(outcome, one, &one.variant) && rests(outcome, one, &one.against))
    })
}

/// What the measuring itself used says nothing about the system.
fn is_about_the_system(metric: &str) -> bool {
    !metric.ends_with(".client") && !metric.ends_with(".handler")
}

fn rests(outcome: &Outcome, one: &Difference, variant: &str) -> bool {
    let of = outcome.variants.iter().find(|of| of.name == variant);
    let used = of.and_then(|of| of.median.get(&one.metric));
    one.metric.starts_with("cpu_us") && used.is_some_and(|us| *us < RESTS_BELOW_US)
}

#[cfg(test)]
mod tests {
    use super::super::outcome::example;
    use super::*;

    /// The metrics of which differences are shown, where each of two variants uses so much of `metric` in each round.
    fn shown_of(metric: &str, used: [f64; 2]) -> Vec<String> {
        let mut outcome = example("queues", &[("stream", &[1.0; 3]), ("classic", &[1.0; 3])]);
        for (variant, us) in outcome.variants.iter_mut().zip(used) {
            for round in &mut variant.rounds {
                round.insert(metric.to_owned(), us);
            }
        }
        outcome.conclude().expect("variants");
        shown(&outcome).map(|one| one.metric.clone()).collect()
    }

    #[test]
    fn what_rests_in_both_variants_and_what_measures_are_not_shown() {
        assert_eq!(shown_of("cpu_us.log", [11.0, 26.0]), ["cpu_us.log"]);
        assert_eq!(shown_of("cpu_us.relay", [0.02, 5.0]), ["cpu_us.relay"]);
        assert_eq!(shown_of("p99_ms", [0.02, 0.08]), ["p99_ms"]);
        assert!(shown_of("cpu_us.consumer", [0.02, 0.08]).is_empty());
        assert!(shown_of("cpu_us.client", [5.0, 10.0]).is_empty());
    }
}
