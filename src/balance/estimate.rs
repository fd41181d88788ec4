//! Averages of latencies.
//!
//! Here: [`Sma`], the mean of the last N, and [`Ewma`], the exponentially weighted mean. Not here: which outcomes
//! enter them (`backends.rs`, the only caller). Floor 1.

/// Mean of the last N samples. The sum is kept in whole numbers, so it is exact however many have passed.
#[derive(Debug)]
pub(super) struct Sma {
    samples_ns: Box<[u64]>,
    /// Where the next sample goes; once the window is full, the oldest is there.
    next: usize,
    len: usize,
    sum_ns: u128,
    mean_ns: f64,
}

impl Sma {
    pub(super) fn new(window: usize) -> Sma {
        assert!(window > 0, "a window of no samples has no mean");
        Sma { samples_ns: vec![0; window].into(), next: 0, len: 0, sum_ns: 0, mean_ns: 0.0 }
    }

    pub(super) fn mean_ns(&self) -> Option<f64> {
        (self.len > 0).then_some(self.mean_ns)
    }

    /// Of the samples the newest stay, as far as there is room.
    pub(super) fn set_window(&mut self, window: usize) {
        let old = self.samples_ns.len();
        if window == old {
            return;
        }
        let stay = self.len.min(window);
        let newest = (0..stay).map(|back| self.samples_ns[(self.next + old - stay + back) % old]);
        let newest: Vec<_> = newest.collect();
        *self = Sma::new(window);
        newest.into_iter().for_each(|sample| self.record(sample));
    }

    pub(super) fn record(&mut self, sample_ns: u64) {
        // A slot that was never filled holds 0 and takes nothing from the sum.
        let displaced = std::mem::replace(&mut self.samples_ns[self.next], sample_ns);
        self.sum_ns = self.sum_ns - u128::from(displaced) + u128::from(sample_ns);
        self.next = if self.next + 1 == self.samples_ns.len() { 0 } else { self.next + 1 };
        self.len = self.samples_ns.len().min(self.len + 1);
        let sum = u64::try_from(self.sum_ns).map_or_else(|_| large(self.sum_ns), |sum| sum as f64);
        self.mean_ns = sum / self.len as f64;
    }

    /// The least sample, and not below the mean, that would not lower the mean; `None` without a sample. In a full
    /// window a slow sample may be about to leave, and only one as slow makes up for it.
    pub(super) fn least_not_lowering_ns(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let mean = u64::try_from(self.sum_ns.div_ceil(self.len as u128)).unwrap_or(u64::MAX);
        Some(mean.max(self.samples_ns[self.next]))
    }
}

/// What does not fit 64 bits takes a call. Apart, since the compiler would make that call for all: they are rounded alike.
#[cold]
#[inline(never)]
fn large(sum_ns: u128) -> f64 {
    sum_ns as f64
}

/// Exponentially weighted mean: `alpha * sample + (1 - alpha) * mean`; the first sample initialises it.
#[derive(Debug)]
pub(super) struct Ewma {
    alpha: f64,
    mean_ns: Option<f64>,
}

impl Ewma {
    pub(super) fn new(alpha: f64) -> Ewma {
        let mut ewma = Ewma { alpha, mean_ns: None };
        ewma.set_alpha(alpha);
        ewma
    }

    pub(super) fn set_alpha(&mut self, alpha: f64) {
        assert!(alpha > 0.0 && alpha <= 1.0, "the weight {alpha} is not above 0 and at most 1");
        self.alpha = alpha;
    }

    pub(super) fn mean_ns(&self) -> Option<f64> {
        self.mean_ns
    }

    pub(super) fn record(&mut self, sample_ns: f64) {
        // In this form, rounding cannot lower the mean when the sample is not below it.
        let mean = self.mean_ns.map_or(sample_ns, |mean| mean + self.alpha * (sample_ns - mean));
        self.mean_ns = Some(mean);
    }
}
