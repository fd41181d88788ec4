//! What a backend takes under its load: a line through its samples.
//!
//! Here: [`LoadLine`], a regression of latency on requests in flight that forgets, and its prudent reading. Not here: what
//! a request costs beyond its own latency (`cost.rs`), which samples are cut (`ratios.rs`). Floor 1.

/// How fast samples are forgotten. With 1 s, M/M/4 at 80 % goes from 20.4 to 22.0 ms and the herd of ten proxies from 24.0
/// to 27.9; 4 s still follows a backend that changes.
const MEMORY_MS: f64 = 4_000.0;

/// At most about so many samples are remembered, lest the line of a busy backend lag behind what it does now.
const MOST_SAMPLES: f64 = 4_000.0;

/// A sample after so long a gap is isolated: the backend may have changed since.
pub(super) const ISOLATED_MS: f64 = 500.0;

/// All samples before an isolated one weigh as much as so many, so that it counts.
const WEIGHT_BEFORE_ISOLATED: f64 = 4.0;

/// Shrinks the slope towards 0 while the load has hardly varied: a share of the mean load squared, added to its variance.
const RIDGE: f64 = 0.01;

/// The slope is read as low as one standard error below the estimate: without load there is none, and what noise pretends
/// to be one must not turn requests away. With three, unequal capacities at 95 % go from 18.7 to 19.9 ms; with hedges, 23
/// to 54.
const PRUDENCE: f64 = 1.0;

/// Far to the left of its samples the line is not read lower than this share of their mean.
const LEAST_SHARE_OF_MEAN: f64 = 0.2;

/// A regression line of latency in milliseconds on requests in flight when sent.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadLine {
    weight: f64,
    sum_x: f64,
    sum_y: f64,
    sum_xx: f64,
    sum_xy: f64,
    sum_yy: f64,
    load: f64,
    mean: f64,
    slope: f64,
}

impl LoadLine {
    /// Whether there is a sample.
    pub(super) fn is_measured(&self) -> bool {
        self.weight > 0.0
    }

    /// Mean of the remembered latencies.
    pub(super) fn mean_ms(&self) -> f64 {
        self.mean
    }

    /// How much each further request in flight adds to the latency of a request.
    pub(super) fn slope_ms(&self) -> f64 {
        self.slope
    }

    /// What one more request costs the others at the usual load, in milliseconds.
    pub(super) fn usual_toll_ms(&self) -> f64 {
        self.slope * self.load
    }

    /// The latency to expect of a request that makes `in_flight` there.
    pub(super) fn at_ms(&self, in_flight: f64) -> f64 {
        (self.mean + self.slope * (in_flight - self.load)).max(LEAST_SHARE_OF_MEAN * self.mean)
    }

    /// Takes in a sample, `gap_ms` after the one before.
    pub(super) fn record(&mut self, gap_ms: f64, in_flight: f64, latency_ms: f64) {
        let kept = self.kept(gap_ms);
        let (x, y) = (in_flight, latency_ms);
        self.weight = self.weight * kept + 1.0;
        self.sum_x = self.sum_x * kept + x;
        self.sum_y = self.sum_y * kept + y;
        self.sum_xx = self.sum_xx * kept + x * x;
        self.sum_xy = self.sum_xy * kept + x * y;
        self.sum_yy = self.sum_yy * kept + y * y;
        self.draw();
    }

    fn kept(&self, gap_ms: f64) -> f64 {
        const MOST_KEPT: f64 = 1.0 - 1.0 / MOST_SAMPLES;
        let lapse = gap_ms / MEMORY_MS;
        // e^-u is at least 1 - u, so the cap holds.
        let kept = if lapse <= 1.0 - MOST_KEPT { MOST_KEPT } else { (-lapse).exp().min(MOST_KEPT) };
        if gap_ms > ISOLATED_MS && self.is_measured() {
            kept.min(WEIGHT_BEFORE_ISOLATED / self.weight)
        } else {
            kept
        }
    }

    fn draw(&mut self) {
        let per_sample = 1.0 / self.weight;
        self.load = self.sum_x * per_sample;
        self.mean = self.sum_y * per_sample;
        let variance_x = (self.sum_xx * per_sample - self.load * self.load).max(0.0);
        let variance_y = (self.sum_yy * per_sample - self.mean * self.mean).max(0.0);
        let covariance = self.sum_xy * per_sample - self.load * self.mean;
        let spread = variance_x + RIDGE * self.load * self.load + per_sample;
        let slope = covariance / spread;
        let residual = (variance_y - slope * covariance).max(0.0);
        let error = (residual * per_sample / spread).sqrt();
        self.slope = (slope - PRUDENCE * error).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(samples: &[(f64, f64)]) -> LoadLine {
        let mut line = LoadLine::default();
        samples.iter().for_each(|&(load, latency)| line.record(0.0, load, latency));
        line
    }

    #[test]
    fn exact_samples_of_a_line_give_it_back() {
        // The ridge takes 1 % of the squared mean load from the slope; the rest of the error is forgetting.
        let samples: Vec<_> = (0..4000).map(|i| f64::from(i % 40 + 1)).map(|x| (x, 10.0 + 3.0 * x)).collect();
        let line = line(&samples);
        assert!((line.at_ms(20.5) - 71.5).abs() < 0.5, "{line:?}");
        assert!((2.8..3.0).contains(&line.slope_ms()), "{line:?}");
    }

    #[test]
    fn noise_without_dependence_on_load_has_next_to_no_slope() {
        // A full cycle of both, so that they are uncorrelated.
        let samples: Vec<_> =
            (0..3500).map(|i| (f64::from(i % 7), if i % 5 == 0 { 500.0 } else { 10.0 })).collect();
        assert_eq!(line(&samples).slope_ms(), 0.0);
    }

    #[test]
    fn one_load_alone_tells_no_slope() {
        assert_eq!(line(&[(3.0, 10.0), (3.0, 30.0), (3.0, 20.0)]).slope_ms(), 0.0);
    }

    #[test]
    fn the_mean_forgets_in_four_seconds_and_an_isolated_sample_counts_for_a_fifth() {
        let mut busy = LoadLine::default();
        (0..60_000).for_each(|_| busy.record(1.0, 1.0, 100.0));
        // 1 ms apart, the cap and the memory agree: after 4000 more, 1/e of the old is left.
        (0..4_000).for_each(|_| busy.record(1.0, 1.0, 0.0));
        assert!((busy.mean_ms() - 36.8).abs() < 0.1, "{busy:?}");
        let mut calm = line(&[(1.0, 100.0); 50]);
        calm.record(501.0, 1.0, 50.0);
        assert!((calm.mean_ms() - 90.0).abs() < 1e-9, "{calm:?}");
    }

    #[test]
    fn the_line_ends_at_a_fifth_of_the_mean() {
        let line = line(&[(100.0, 1000.0), (110.0, 1300.0), (120.0, 1600.0), (130.0, 1900.0)].repeat(50));
        assert_eq!(line.at_ms(1.0), 0.2 * line.mean_ms());
    }
}
