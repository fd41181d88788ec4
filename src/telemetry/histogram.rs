//! Distribution of latencies.
//!
//! Here: [`Histogram`], three significant digits from 1 µs to 1 hour, with exact sum and maximum. Not here: who
//! fills it (`figures.rs`) and how it is shown. Mergeable, so that several reactors can be shown as one. Floor 2.

use hdrhistogram::Histogram as Hdr;

/// Lowest and highest latency told apart, in nanoseconds; beyond them values count as these.
const LOWEST_NS: u64 = 1_000;
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Where the counters end before anything larger is seen: an hour at once would cost each backend 190 KB.
const INITIAL_HIGHEST_NS: u64 = 1_000_000_000;

/// How many requests took how long.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Hdr<u64>,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let mut counts =
            Hdr::new_with_bounds(LOWEST_NS, INITIAL_HIGHEST_NS, 3).expect("constant bounds are valid");
        counts.auto(true);
        Histogram { counts, sum_ns: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Adds a latency of `ns` nanoseconds; below 1 µs or above 1 hour it counts as that in the quantiles.
    pub fn record(&mut self, ns: u64) {
        // Within the bounds the counters grow as needed, which cannot fail on 64 bits.
        let _ = self.counts.record(ns.clamp(LOWEST_NS, HIGHEST_NS));
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Histogram) {
        // As in `record`: same precision, growing bounds.
        let _ = self.counts.add(&other.counts);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Number of latencies recorded.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Exact sum of all latencies in nanoseconds.
    pub const fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Exact largest latency in nanoseconds; 0 if there is none.
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// Mean in nanoseconds, rounded down; 0 if there is none.
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns.checked_div(self.count()).unwrap_or(0)
    }

    /// The latency in nanoseconds that a share of `quantile` (0 to 1) does not exceed, to three digits and never
    /// above the maximum; 0 if there is none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.counts.value_at_quantile(quantile).min(self.max_ns)
    }

    /// How many latencies were at most `ns` nanoseconds, to three digits; for cumulative buckets.
    pub fn count_at_most(&self, ns: u64) -> u64 {
        if self.count() == 0 { 0 } else { self.counts.count_between(0, ns.clamp(LOWEST_NS, HIGHEST_NS)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_is_all_zero() {
        let h = Histogram::default();
        assert_eq!(
            (h.count(), h.mean_ns(), h.max_ns(), h.quantile_ns(0.99), h.count_at_most(u64::MAX)),
            (0, 0, 0, 0, 0)
        );
    }

    #[test]
    fn values_beyond_the_bounds_saturate() {
        let mut h = Histogram::default();
        h.record(1);
        h.record(u64::MAX);
        assert_eq!(h.count(), 2);
        assert_eq!(h.count_at_most(2_000), 1);
        assert!(h.quantile_ns(0.5) < 2_000);
        let top = h.quantile_ns(1.0) as f64;
        assert!((top / HIGHEST_NS as f64 - 1.0).abs() < 0.001, "{top}");
        assert_eq!(h.sum_ns(), u64::MAX);
    }

    #[test]
    fn merging_equals_recording_everything_in_one() {
        let (mut even, mut odd, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for i in 1..=10_000u64 {
            let ns = i * i * 1_000;
            if i % 2 == 0 {
                even.record(ns)
            } else {
                odd.record(ns)
            }
            both.record(ns);
        }
        even.merge(&odd);
        assert_eq!(even.counts, both.counts);
        assert_eq!((even.sum_ns(), even.max_ns()), (both.sum_ns(), both.max_ns()));
    }
}
