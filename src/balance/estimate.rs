//! Estimates of a backend's latency.
//!
//! Here: the mean of the last N latencies and the exponentially weighted mean, in nanoseconds. Both are fed in every
//! mode, so that a switch starts warm. Not here: which one decides (`choose.rs`). Floor 1.

/// The simple moving average over the last N latencies. The sum is an integer, so it does not drift.
#[derive(Clone, Debug)]
pub struct Sma {
    window: Box<[u64]>,
    filled: usize,
    oldest: usize,
    sum: u128,
}

impl Sma {
    /// An average over `window` latencies, at least 1.
    pub fn new(window: usize) -> Sma {
        Sma { window: vec![0; window.max(1)].into_boxed_slice(), filled: 0, oldest: 0, sum: 0 }
    }

    /// Takes a latency; the oldest goes if the window is full.
    pub fn record(&mut self, latency_ns: u64) {
        self.sum += u128::from(latency_ns);
        self.sum -= u128::from(self.displaced());
        self.window[self.oldest] = latency_ns;
        self.filled = (self.filled + 1).min(self.window.len());
        self.oldest += 1;
        if self.oldest == self.window.len() {
            self.oldest = 0;
        }
    }

    /// The mean; none before the first latency.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.filled > 0).then(|| self.sum as f64 / self.filled as f64)
    }

    /// The latency that the next one will push out; 0 while the window is not full.
    fn displaced(&self) -> u64 {
        if self.filled == self.window.len() { self.window[self.oldest] } else { 0 }
    }

    /// The least latency that does not lower the mean if it is recorded now.
    fn neutral_ns(&self) -> u64 {
        let mean = self.sum.div_ceil(self.filled.max(1) as u128);
        u64::try_from(mean).unwrap_or(u64::MAX).max(self.displaced())
    }

    /// Takes a failed attempt, counted as `penalty_ns`, but as no less than keeps the mean from falling.
    pub fn record_failure(&mut self, penalty_ns: u64) {
        self.record(penalty_ns.max(self.neutral_ns()));
    }
}

/// The exponentially weighted moving average: `α·latency + (1−α)·average`; the first latency initialises it.
#[derive(Clone, Debug)]
pub struct Ewma {
    alpha: f64,
    mean_ns: Option<f64>,
}

impl Ewma {
    /// An average that gives the newest latency the weight `alpha`, above 0 and at most 1.
    pub fn new(alpha: f64) -> Ewma {
        Ewma { alpha, mean_ns: None }
    }

    /// Takes a latency.
    pub fn record(&mut self, latency_ns: u64) {
        let latency = latency_ns as f64;
        self.mean_ns = Some(match self.mean_ns {
            Some(mean) => self.alpha * latency + (1.0 - self.alpha) * mean,
            None => latency,
        });
    }

    /// The average; none before the first latency.
    pub fn mean_ns(&self) -> Option<f64> {
        self.mean_ns
    }

    /// Takes a failed attempt, counted as `penalty_ns`, but as no less than keeps the average from falling.
    pub fn record_failure(&mut self, penalty_ns: u64) {
        let before = self.mean_ns.unwrap_or(0.0);
        self.record(penalty_ns);
        // The rule may ask for less than the average, and rounding may lower it.
        self.mean_ns = self.mean_ns.map(|after| after.max(before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sma_is_the_mean_of_the_last_n(
            window in 1..8usize,
            latencies in prop::collection::vec(1..10_000_000_000u64, 1..50),
        ) {
            let mut sma = Sma::new(window);
            prop_assert_eq!(sma.mean_ns(), None);
            for end in 1..=latencies.len() {
                sma.record(latencies[end - 1]);
                let last = &latencies[end.saturating_sub(window)..end];
                let mean = last.iter().map(|&l| u128::from(l)).sum::<u128>() as f64 / last.len() as f64;
                prop_assert_eq!(sma.mean_ns(), Some(mean));
            }
        }

        #[test]
        fn ewma_is_the_weighted_sum_of_all(
            alpha in 0.01..=1.0f64,
            latencies in prop::collection::vec(1..10_000_000_000u64, 1..50),
        ) {
            let mut ewma = Ewma::new(alpha);
            prop_assert_eq!(ewma.mean_ns(), None);
            latencies.iter().for_each(|&l| ewma.record(l));
            let n = latencies.len() as i32;
            // The closed form: weight (1-α)^(n-1) for the first, α(1-α)^(n-1-i) for the i-th of the rest.
            let closed: f64 = latencies.iter().enumerate().map(|(i, &l)| {
                let weight = if i == 0 { 1.0 } else { alpha };
                weight * (1.0 - alpha).powi(n - 1 - i as i32) * l as f64
            }).sum();
            prop_assert!((ewma.mean_ns().unwrap() - closed).abs() <= closed * 1e-9);
        }

        #[test]
        fn a_failure_never_lowers_an_average(
            window in 1..8usize,
            alpha in 0.01..=1.0f64,
            latencies in prop::collection::vec(1..10_000_000_000u64, 1..20),
            penalties in prop::collection::vec(0..10_000_000_000u64, 1..20),
        ) {
            let (mut sma, mut ewma) = (Sma::new(window), Ewma::new(alpha));
            for &l in &latencies {
                sma.record(l);
                ewma.record(l);
            }
            for &penalty in &penalties {
                let before = (sma.mean_ns(), ewma.mean_ns());
                sma.record_failure(penalty);
                ewma.record_failure(penalty);
                prop_assert!(sma.mean_ns() >= before.0);
                prop_assert!(ewma.mean_ns() >= before.1);
            }
        }
    }
}
