/// How the buyers arrive over the length of a sale: a relative rate, by straight lines between points.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrivals {
    points: Vec<(f64, f64)>,
    /// Buyers who came up to each point, as a share of all.
    shares: Vec<f64>,
    /// Relative rate over the whole length.
    mean: f64,
}

impl Arrivals {
    pub(crate) fn new(mut points: Vec<(f64, f64)>) -> Result<Self, &'static str> {
        let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else {
            return Err("at least one point is needed");
        };
        if points.iter().any(|(at, rate)| !(0.0..=1.0).contains(at) || !(0.0..=1e6).contains(rate)) {
            return Err("at must be from 0 to 1, rate from 0 to 1000000");
        }
        if points.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err("at must grow from point to point");
        }
        if first.0 > 0.0 {
            points.insert(0, (0.0, first.1));
        }
        if last.0 < 1.0 {
            points.push((1.0, last.1));
        }
        let mut shares = vec![0.0];
        for pair in points.windows(2) {
            let area = (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0;
            shares.push(shares.last().copied().unwrap_or(0.0) + area);
        }
        let all = shares.last().copied().unwrap_or(0.0);
        if all <= 0.0 {
            return Err("some rate must be above 0");
        }
        shares.iter_mut().for_each(|share| *share /= all);
        Ok(Self { points, shares, mean: all })
    }

    /// A constant rate.
    pub fn constant() -> Self {
        Self { points: vec![(0.0, 1.0), (1.0, 1.0)], shares: vec![0.0, 1.0], mean: 1.0 }
    }

    /// How many arrive at a time, from 0 to 1, relative to the mean over the whole length: 2 is twice the mean rate.
    pub fn intensity(&self, at: f64) -> f64 {
        let at = at.clamp(0.0, 1.0);
        let after = self.points.partition_point(|(point, _)| *point < at).clamp(1, self.points.len() - 1);
        let ((from, low), (to, high)) = (self.points[after - 1], self.points[after]);
        (low + (high - low) * (at - from) / (to - from)) / self.mean
    }

    /// The highest intensity.
    pub fn peak(&self) -> f64 {
        self.points.iter().map(|(_, rate)| rate / self.mean).fold(0.0, f64::max)
    }

    /// When, from 0 to 1, the given share of all buyers, from 0 to 1, has arrived.
    pub fn at(&self, share: f64) -> f64 {
        let share = share.clamp(0.0, 1.0);
        let after = self.shares.partition_point(|known| *known < share).clamp(1, self.shares.len() - 1);
        let ((from, low), (to, high)) = (self.points[after - 1], self.points[after]);
        let (before, width) = (self.shares[after - 1], self.shares[after] - self.shares[after - 1]);
        if width <= 0.0 {
            return from;
        }
        // Within a piece the share grows with the area under a straight line: a quadratic equation.
        let part = (share - before) / width;
        let within = if (high - low).abs() < 1e-12 {
            part
        } else {
            let area = (low + high) / 2.0;
            ((low * low + 2.0 * (high - low) * area * part).max(0.0).sqrt() - low) / (high - low)
        };
        from + (to - from) * within.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_arrives_evenly() {
        for arrivals in [Arrivals::constant(), Arrivals::new(vec![(0.3, 2.0)]).expect("a curve")] {
            for share in [0.0, 0.25, 0.5, 1.0] {
                assert!((arrivals.at(share) - share).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn more_arrive_where_the_rate_is_higher_and_never_back_in_time() {
        let arrivals = Arrivals::new(vec![(0.0, 0.0), (0.5, 2.0), (1.0, 0.0)]).expect("a curve");
        assert!((arrivals.at(0.5) - 0.5).abs() < 1e-9);
        assert!(
            (arrivals.at(0.125) - 0.25).abs() < 1e-9,
            "an eighth of a triangle's area is left of a quarter"
        );
        let times: Vec<_> = (0..=1000).map(|n| arrivals.at(f64::from(n) / 1000.0)).collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((times[1000] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_intensity_is_the_rate_over_its_mean_and_what_the_times_follow() {
        let arrivals = Arrivals::new(vec![(0.0, 1.0), (0.5, 3.0), (1.0, 1.0)]).expect("a curve");
        assert!((arrivals.intensity(0.5) - 1.5).abs() < 1e-9 && (arrivals.peak() - 1.5).abs() < 1e-9);
        assert!((arrivals.intensity(0.0) - 0.5).abs() < 1e-9 && (arrivals.intensity(1.0) - 0.5).abs() < 1e-9);
        for share in [0.1, 0.3, 0.5, 0.7, 0.9] {
            let gap = (arrivals.at(share + 1e-6) - arrivals.at(share)) / 1e-6;
            assert!((gap * arrivals.intensity(arrivals.at(share)) - 1.0).abs() < 1e-3, "at share {share}");
        }
    }
}
