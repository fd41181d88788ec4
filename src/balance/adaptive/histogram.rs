//! A histogram that forgets.
//!
//! Here: [`Histogram`], of latencies in logarithmic buckets, or of ratios in percent. A sample may be known only to be above
//! something: the copy of a request that another one has overtaken is never answered. Not here: what is read from it
//! (`promise.rs`, `luck.rs`). Floor 1.

use super::super::millis;
use crate::time::Instant;

const BUCKETS: usize = 148;

/// The first bucket ends a step above this, the last at about a minute.
const LEAST_MS: f64 = 0.05;

/// Each bucket ends so much higher than the one before.
const STEP: f64 = 1.1;

/// 1 / ln [`STEP`].
const BUCKETS_PER_E: f64 = 10.492_058_687_257_063;

/// How fast it forgets. With 2 s nothing is gained, and the tail of a slow backend is of too few samples.
const MEMORY_MS: f64 = 10_000.0;

/// Forgetting is done in steps, so that most samples cost one bucket.
const FORGET_EVERY_MS: f64 = MEMORY_MS / 16.0;

/// Above so few samples there is nothing to go by.
const LEAST_ABOVE: f64 = 0.1;

/// Where each bucket ends.
const ENDS: [f64; BUCKETS] = {
    let (mut ends, mut k) = ([LEAST_MS * STEP; BUCKETS], 1);
    while k < BUCKETS {
        ends[k] = ends[k - 1] * STEP;
        k += 1;
    }
    ends
};

/// Counts by latency.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Box<[f64; BUCKETS]>,
    total: f64,
    forgot: Instant,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: Box::new([0.0; BUCKETS]), total: 0.0, forgot: Instant::ZERO }
    }
}

impl Histogram {
    /// How many samples it remembers, the older ones for less than one.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    pub(super) fn record(&mut self, sample_ms: f64, now: Instant) {
        self.forget(now);
        self.counts[bucket(sample_ms)] += 1.0;
        self.total += 1.0;
    }

    /// Takes in a sample that is known only to be above `limit_ms`: it is divided among those that are, in proportion
    /// (Efron, "The Two Sample Problem with Censored Data", 1967: redistribution to the right).
    pub(super) fn record_above(&mut self, limit_ms: f64, now: Instant) {
        self.forget(now);
        let above = &mut self.counts[(bucket(limit_ms) + 1).min(BUCKETS - 1)..];
        let samples: f64 = above.iter().sum();
        if samples < LEAST_ABOVE {
            above[0] += 1.0;
        } else {
            above.iter_mut().for_each(|count| *count *= 1.0 + 1.0 / samples);
        }
        self.total += 1.0;
    }

    fn forget(&mut self, now: Instant) {
        let gap = millis(now.nanos_since(self.forgot));
        if gap > FORGET_EVERY_MS {
            let kept = (-gap / MEMORY_MS).exp();
            self.counts.iter_mut().for_each(|count| *count *= kept);
            self.total *= kept;
            self.forgot = now;
        }
    }

    /// The buckets that are not empty: where each ends, and its share of the samples.
    pub(super) fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let filled = ENDS.iter().zip(self.counts.iter()).filter(|(_, count)| **count > 0.0);
        filled.map(|(end, count)| (*end, count / self.total))
    }

    /// Mean of the samples in buckets above that of `limit_ms`; `None` if there are none.
    pub(super) fn mean_above_ms(&self, limit_ms: f64) -> Option<f64> {
        let from = bucket(limit_ms) + 1;
        let above = ENDS.iter().zip(self.counts.iter()).skip(from);
        let (samples, sum) = above.fold((0.0, 0.0), |(n, sum), (end, count)| (n + count, sum + count * end));
        (samples > 0.0).then(|| sum / samples)
    }

    /// The end of the bucket in which the `q` quantile lies.
    pub(super) fn quantile_ms(&self, q: f64) -> f64 {
        let (wanted, mut below) = (q * self.total, 0.0);
        let reached = self.counts.iter().position(|count| {
            below += count;
            below >= wanted && below > 0.0
        });
        ENDS[reached.unwrap_or(BUCKETS - 1)]
    }

    /// Which share of the samples lies in buckets above that of `limit_ms`.
    pub(super) fn share_above(&self, limit_ms: f64) -> f64 {
        if self.total <= 0.0 {
            return 0.0;
        }
        self.counts[bucket(limit_ms) + 1..].iter().sum::<f64>() / self.total
    }
}

fn bucket(sample_ms: f64) -> usize {
    if sample_ms <= LEAST_MS {
        return 0;
    }
    // A float too large for the type becomes its largest value.
    (((sample_ms / LEAST_MS).ln() * BUCKETS_PER_E) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: impl IntoIterator<Item = f64>) -> Histogram {
        let mut histogram = Histogram::default();
        samples.into_iter().for_each(|ms| histogram.record(ms, Instant::ZERO));
        histogram
    }

    #[test]
    fn buckets_are_a_tenth_wide_and_cover_from_below_to_beyond_the_range() {
        assert!((BUCKETS_PER_E - 1.0 / STEP.ln()).abs() < 1e-12);
        for (k, end) in ENDS.iter().enumerate().take(BUCKETS - 1) {
            assert_eq!((bucket(end * 0.999), bucket(end * 1.001)), (k, k + 1));
        }
        assert_eq!((bucket(0.0), bucket(f64::INFINITY)), (0, BUCKETS - 1));
        const { assert!(ENDS[BUCKETS - 1] > 60_000.0) };
    }

    #[test]
    fn quantiles_and_shares_are_right_to_a_bucket() {
        let histogram = of((1..=1000).map(f64::from));
        for q in [0.01, 0.5, 0.95, 1.0] {
            let ratio = histogram.quantile_ms(q) / (q * 1000.0);
            assert!((1.0..=1.1).contains(&ratio), "{q}: {ratio}");
        }
        let above = histogram.share_above(900.0);
        assert!((0.0..=0.1).contains(&above), "{above}");
        assert_eq!((histogram.share_above(2000.0), Histogram::default().share_above(1.0)), (0.0, 0.0));
    }

    #[test]
    fn what_is_only_known_to_be_above_is_divided_among_those_that_are() {
        let mut histogram = of([10.0, 10.0, 200.0, 400.0]);
        histogram.record_above(50.0, Instant::ZERO);
        histogram.record_above(50.0, Instant::ZERO);
        assert!(
            (histogram.total() - 6.0).abs() < 1e-9 && (histogram.share_above(50.0) - 4.0 / 6.0).abs() < 1e-9
        );
        assert!((histogram.share_above(300.0) - 2.0 / 6.0).abs() < 1e-9, "200 and 400 keep their proportion");
        let mean = histogram.mean_above_ms(50.0).unwrap();
        assert!((300.0..=330.0).contains(&mean), "{mean}");
        assert_eq!(histogram.mean_above_ms(500.0), None);
        histogram.record_above(500.0, Instant::ZERO);
        let beyond = histogram.mean_above_ms(500.0).unwrap();
        assert!((500.0..=605.0).contains(&beyond), "with nothing to go by it is just above: {beyond}");
    }

    #[test]
    fn after_ten_seconds_a_sample_weighs_a_third() {
        let mut histogram = of([1.0; 100]);
        histogram.record(50.0, Instant::from_nanos(10_000_000_000));
        assert!((histogram.total() - 37.788).abs() < 0.001, "{}", histogram.total());
    }
}
