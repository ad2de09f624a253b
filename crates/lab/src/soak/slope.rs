use serde_json::{Value, json};

/// A line through points, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// By which a value grows in an hour.
    pub(super) per_hour: f64,
    /// Its standard error.
    pub(super) error: f64,
    /// By which the line grows from the first point to the last.
    pub(super) grown: f64,
}

impl Slope {
    /// Through points of hours and values; nothing if there are too few of them, or all are of one time.
    pub(super) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = f64::from(u32::try_from(points.len()).ok()?);
        if points.len() < 3 {
            return None;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let width: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if width <= 0.0 {
            return None;
        }
        let both: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let per_hour = both / width;
        let off = |(x, y): &(f64, f64)| (y - mean_y - per_hour * (x - mean_x)).powi(2);
        let error = (points.iter().map(off).sum::<f64>() / (count - 2.0) / width).sqrt();
        let hours = points.last()?.0 - points.first()?.0;
        Some(Self { per_hour, error, grown: per_hour * hours })
    }

    /// Whether it may as well be level, or what has grown is below `limit`: two standard errors either way are taken for
    /// chance.
    pub(super) fn is_flat(&self, limit: f64) -> bool {
        self.per_hour - 2.0 * self.error <= 0.0 || self.grown <= limit
    }

    pub(super) fn to_json(self) -> Value {
        json!({"per_hour": rounded(self.per_hour), "standard_error": rounded(self.error), "grown": rounded(self.grown)})
    }
}

impl std::fmt::Display for Slope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+.1} ± {:.1}", self.per_hour, self.error)
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_with_its_error() {
        let line: Vec<_> = (0..10).map(f64::from).map(|x| (x, 3.0 * x + 1.0)).collect();
        let slope = Slope::through(&line).expect("a line");
        assert!(
            (slope.per_hour - 3.0).abs() < 1e-9 && slope.error < 1e-9 && (slope.grown - 27.0).abs() < 1e-9
        );
        // Around their mean the x are 42 apart in squares, and the y 2: what the slope explains is not off.
        let wave: Vec<_> = (0..8).map(|x| (f64::from(x), f64::from(x % 2) - 0.5)).collect();
        let slope = Slope::through(&wave).expect("a line");
        let expected_error = ((2.0 - slope.per_hour.powi(2) * 42.0) / 6.0 / 42.0).sqrt();
        assert!((slope.error - expected_error).abs() < 1e-9, "{slope:?}");
    }

    #[test]
    fn too_little_has_no_slope() {
        assert_eq!(Slope::through(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Slope::through(&[(1.0, 1.0); 5]), None);
    }

    #[test]
    fn growth_is_told_from_chance() {
        let grows = |each: f64, wave: f64| -> Vec<(f64, f64)> {
            (0..60)
                .map(|at| (f64::from(at) / 60.0, each * f64::from(at) + wave * f64::from(at % 2)))
                .collect()
        };
        let is_flat = |points: &[(f64, f64)]| Slope::through(points).expect("points").is_flat(100.0);
        assert!(!is_flat(&grows(10.0, 50.0)), "590 and no doubt");
        assert!(is_flat(&grows(1.0, 50.0)), "59, which is allowed");
        assert!(is_flat(&grows(0.0, 5_000.0)), "much that comes and goes");
        assert!(is_flat(&grows(-10.0, 0.0)), "less and less");
    }
}
