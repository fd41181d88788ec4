//! A histogram that forgets.
//!
//! Here: [`Histogram`], of latencies in logarithmic buckets. Not here: what is read from it (`promise.rs`). Floor 1.

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
        let gap = millis(now.nanos_since(self.forgot));
        if gap > FORGET_EVERY_MS {
            let kept = (-gap / MEMORY_MS).exp();
            self.counts.iter_mut().for_each(|count| *count *= kept);
            self.total *= kept;
            self.forgot = now;
        }
        self.counts[bucket(sample_ms)] += 1.0;
        self.total += 1.0;
    }

    /// The end of the bucket in which the `q` quantile lies.
    pub(super) fn quantile_ms(&self, q: f64) -> f64 {
        let (wanted, mut below) = (q * self.total, 0.0);
        let reached = self.counts.iter().position(|count| {
            below += count;
            below >= wanted && below > 0.0
        });
        end_ms(reached.unwrap_or(BUCKETS - 1))
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

fn end_ms(bucket: usize) -> f64 {
    LEAST_MS * STEP.powi(bucket as i32 + 1)
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
        for k in 0..BUCKETS - 1 {
            assert_eq!((bucket(end_ms(k) * 0.999), bucket(end_ms(k) * 1.001)), (k, k + 1));
        }
        assert_eq!((bucket(0.0), bucket(f64::INFINITY)), (0, BUCKETS - 1));
        assert!(end_ms(BUCKETS - 1) > 60_000.0);
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
    fn after_ten_seconds_a_sample_weighs_a_third() {
        let mut histogram = of([1.0; 100]);
        histogram.record(50.0, Instant::from_nanos(10_000_000_000));
        assert!((histogram.total() - 37.788).abs() < 0.001, "{}", histogram.total());
    }
}
