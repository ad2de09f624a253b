//! How long a consumer's round trips to its store took, out of the histogram in its metrics.

/// As Prometheus' text has it.
const DURATIONS: &str = "db_client_operation_duration_seconds_bucket{";

/// Upper bounds and counts of the histogram, as Prometheus' text has them.
pub(crate) fn buckets(text: &str) -> Vec<(f64, f64)> {
    let of = |line: &str| {
        let bound = line.strip_prefix(DURATIONS)?.split_once("le=\"")?.1.split_once('"')?.0;
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
        Some((bound, line.rsplit_once(' ')?.1.parse().ok()?))
    };
    text.lines().filter_map(of).collect()
}

/// Seconds within which this share of what came in between was done, even within a bucket, as Prometheus' `histogram_quantile`
/// has it; of the last bucket, which has no upper bound, its lower one.
pub(crate) fn within(before: &[(f64, f64)], after: &[(f64, f64)], quantile: f64) -> Option<f64> {
    let come = |at: usize| after[at].1 - before.get(at).map_or(0.0, |(_, count)| *count);
    let all = come(after.len().checked_sub(1)?);
    let wanted = (all > 0.0).then_some(all * quantile)?;
    let at = (0..after.len()).find(|at| come(*at) >= wanted)?;
    let (low, under) = at.checked_sub(1).map_or((0.0, 0.0), |below| (after[below].0, come(below)));
    let high = after[at].0;
    if high.is_infinite() {
        return Some(low);
    }
    Some(low + (high - low) * (wanted - under) / (come(at) - under))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_came_in_between() {
        let text = |counts: [u64; 3]| {
            let [low, high, all] = counts;
            format!(
                "# TYPE db_client_operation_duration_seconds histogram\n\
                 db_client_operation_duration_seconds_bucket{{le=\"0.001\"}} {low}\n\
                 db_client_operation_duration_seconds_bucket{{le=\"0.01\"}} {high}\n\
                 db_client_operation_duration_seconds_bucket{{le=\"+Inf\"}} {all}\n"
            )
        };
        let (before, after) = (buckets(&text([1_000, 1_000, 1_000])), buckets(&text([1_050, 1_100, 1_100])));
        assert_eq!(after.len(), 3);
        let ms = |quantile| within(&before, &after, quantile).expect("some") * 1000.0;
        assert!((ms(0.5) - 1.0).abs() < 1e-9, "{}", ms(0.5));
        assert!((ms(0.75) - 5.5).abs() < 1e-9, "{}", ms(0.75));
        assert_eq!(within(&after, &after, 0.5), None, "nothing came");
        let slow = buckets(&text([1_000, 1_000, 1_010]));
        assert_eq!(within(&before, &slow, 0.99), Some(0.01));
    }
}
