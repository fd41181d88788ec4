//! Statistics of samples, and confidence intervals over repeats.
//!
//! Here: mean, deviation, quantiles; [`Bootstrap`]. Not here: what a difference means (`verdict.rs`). Floor 4.
//!
//! The intervals are studentised bootstraps ("bootstrap-t": Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
//! §12.5), the symmetric kind (Hall, The Bootstrap and Edgeworth Expansion, 1992, §3.5). The plain percentile bootstrap
//! takes ten repeats for the whole population and claims differences that are not there in nearly twice as many pairs as it
//! should; `verdict_tests.rs` measures both.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

/// The arithmetic mean; none of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (divided by n − 1); none of fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The `q`-quantile of values in ascending order, with linear interpolation between the two neighbours of position
/// `q (n − 1)`, as numpy and pandas do by default (Hyndman and Fan's type 7); none of nothing.
///
/// # Panics
/// If `q` is not from 0 to 1.
pub fn quantile(ascending: &[f64], q: f64) -> Option<f64> {
    assert!((0.0..=1.0).contains(&q), "{q} is not from 0 to 1");
    let last = ascending.len().checked_sub(1)?;
    let position = q * last as f64;
    let below = position.floor() as usize;
    let (low, high) = (ascending[below], ascending[(below + 1).min(last)]);
    Some(low + (high - low) * (position - below as f64))
}

/// A range that holds the true value with a given confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// As much on either side of `center`.
    pub fn around(center: f64, reach: f64) -> Interval {
        Interval { low: center - reach, high: center + reach }
    }

    /// Whether `value` lies in it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Whether both ends are finite.
    pub fn is_finite(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
}

/// How intervals are made. Equal settings and values give equal intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// How often the true value is to lie in the interval: 0.99, for instance.
    pub confidence: f64,
    /// How many resamples are drawn; 10 or more should fall outside the interval.
    pub resamples: usize,
    /// The seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// The interval of the mean of the population that `values` come from. None of fewer than two values.
    pub fn mean(&self, values: &[f64]) -> Option<Interval> {
        let sample = Population::of(values)?;
        let mut rng = self.rng();
        let reach = self.reach(sample.moments.standard_error(), || {
            let drawn = sample.draw(&mut rng);
            (drawn.mean - sample.moments.mean, drawn.standard_error())
        });
        Some(Interval::around(sample.moments.mean, reach))
    }

    /// The interval of the difference of the means of two populations, `after` − `before`; their spreads and the
    /// numbers of values may differ. None if either has fewer than two.
    pub fn difference(&self, before: &[f64], after: &[f64]) -> Option<Interval> {
        let (old, new) = (Population::of(before)?, Population::of(after)?);
        let mut rng = self.rng();
        let together = |a: &Moments, b: &Moments| a.standard_error().hypot(b.standard_error());
        let difference = new.moments.mean - old.moments.mean;
        let reach = self.reach(together(&old.moments, &new.moments), || {
            let (old, new) = (old.draw(&mut rng), new.draw(&mut rng));
            (new.mean - old.mean - difference, together(&old, &new))
        });
        Some(Interval::around(difference, reach))
    }

    fn rng(&self) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(self.seed)
    }

    /// How far the interval reaches: the standard error times the quantile of |error| / standard error over resamples.
    fn reach(&self, standard_error: f64, mut draw: impl FnMut() -> (f64, f64)) -> f64 {
        if standard_error == 0.0 {
            return 0.0;
        }
        let studentised = |(error, standard_error): (f64, f64)| match error.abs() {
            0.0 => 0.0,
            error => error / standard_error, // Infinite if the resample happens to be all one value.
        };
        let mut ratios: Vec<f64> = (0..self.resamples).map(|_| studentised(draw())).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let rank = (self.confidence * ratios.len() as f64).ceil() as usize;
        standard_error * ratios.get(rank.saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
    }
}

/// What the mean of a sample and its error are made of.
struct Moments {
    count: f64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// None of fewer than two values.
    fn of(values: &[f64]) -> Option<Moments> {
        let mean = mean(values).filter(|_| values.len() > 1)?;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Moments { count: values.len() as f64, mean, squares })
    }

    /// The standard error of the mean.
    fn standard_error(&self) -> f64 {
        (self.squares / (self.count * (self.count - 1.0))).sqrt()
    }
}

/// A sample as a population to draw from: its values smoothed by a normal kernel of Silverman's width, then shrunk to the
/// variance they had (Silverman and Young, Biometrika 74, 1987). Without, figures that are equal in most repeats, such as a
/// p95 in whole milliseconds, would be drawn all equal too often, as if they had no error.
struct Population<'a> {
    values: &'a [f64],
    moments: Moments,
    kernel: f64,
    shrink: f64,
}

impl<'a> Population<'a> {
    /// None of fewer than two values.
    fn of(values: &'a [f64]) -> Option<Population<'a>> {
        let moments = Moments::of(values)?;
        let width = 1.06 * moments.count.powf(-0.2);
        let kernel = width * (moments.squares / (moments.count - 1.0)).sqrt();
        Some(Population { values, moments, kernel, shrink: (1.0 + width * width).sqrt().recip() })
    }

    /// As many values as the sample has.
    fn draw(&self, rng: &mut Pcg64Mcg) -> Moments {
        // Welford's algorithm: the draws pass once and are not kept.
        let (mut mean, mut squares) = (0.0, 0.0);
        for n in 1..=self.values.len() {
            let noise: f64 = StandardNormal.sample(rng);
            let value = self.values[rng.random_range(..self.values.len())];
            let value = self.moments.mean + self.shrink * (value - self.moments.mean + self.kernel * noise);
            let distance = value - mean;
            mean += distance / n as f64;
            squares += distance * (value - mean);
        }
        Moments { count: self.moments.count, mean, squares }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { confidence: 0.95, resamples: 10_000, seed: 7 };

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let values = [10.0, 20.0, 40.0, 80.0];
        for (q, expected) in [(0.0, 10.0), (0.5, 30.0), (0.95, 74.0), (1.0, 80.0)] {
            assert!((quantile(&values, q).unwrap() - expected).abs() < 1e-9, "{q}");
        }
        assert_eq!(quantile(&[5.0], 0.95), Some(5.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn means_and_deviations_are_those_of_a_sample() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), Some(5.0));
        assert!((deviation(&values).unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!((mean(&[]), deviation(&[1.0])), (None, None));
    }

    #[test]
    fn an_interval_is_that_of_students_t_when_the_noise_is_normal() {
        // Normal scores of 20: the interval of Student's t is ± 2.093 s / √20.
        let values: Vec<f64> = [-1.87, -1.40, -1.13, -0.92, -0.74, -0.59, -0.45, -0.31, -0.19, -0.06]
            .into_iter()
            .flat_map(|score| [100.0 + score, 100.0 - score])
            .collect();
        let students = 2.093 * deviation(&values).unwrap() / 20.0_f64.sqrt();
        let interval = BOOTSTRAP.mean(&values).unwrap();
        assert!((interval.high - 100.0 - students).abs() < 0.08 * students, "{interval:?} {students}");
        assert!((interval.high + interval.low - 200.0).abs() < 1e-9);
    }

    #[test]
    fn the_difference_has_its_sign_and_is_the_same_for_the_same_seed() {
        let (before, after) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [11.0, 12.5, 13.0, 14.0, 15.5, 16.0]);
        let interval = BOOTSTRAP.difference(&before, &after).unwrap();
        assert!(interval.low > 5.0 && interval.high < 15.5 && interval.contains(10.1), "{interval:?}");
        assert_eq!(BOOTSTRAP.difference(&before, &after), Some(interval));
        let other = Bootstrap { seed: 8, ..BOOTSTRAP }.difference(&before, &after);
        assert_ne!(other, Some(interval));
    }

    #[test]
    fn too_few_values_have_no_interval_and_equal_ones_no_width() {
        assert_eq!(BOOTSTRAP.mean(&[1.0]), None);
        assert_eq!(BOOTSTRAP.difference(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(BOOTSTRAP.mean(&[4.0, 4.0]), Some(Interval { low: 4.0, high: 4.0 }));
        // Two values hardly tell: Student's t has 12.7 standard errors, of 0.5.
        let Interval { low, high } = BOOTSTRAP.mean(&[1.0, 2.0]).unwrap();
        assert!(high - low > 10.0, "{low} {high}");
    }
}
