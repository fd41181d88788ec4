//! The lower of two drawn at random, by peak-sensitive mean latency and load.
//!
//! Here: [`PeakEwma`], the mean that a slow answer raises at once and time lowers, and the draw. Sources: Finagle's
//! `com.twitter.finagle.loadbalancer` (P2C with Peak EWMA) and Linkerd, whose default estimate this takes; M. Mitzenmacher,
//! "The Power of Two Choices in Randomized Load Balancing" (2001). As there, an error counts as the time it took. `Balance`
//! alone uses it. Floor 1.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{Backend, millis};
use crate::time::Instant;

/// How fast the mean is forgotten: Linkerd's and Finagle's ten seconds.
const DECAY_MS: f64 = 10_000.0;

/// What a backend is thought to take before its first answer: Linkerd's second, so that it is tried, but not by all.
const DEFAULT_MS: f64 = 1_000.0;

/// The mean of one backend.
#[derive(Debug)]
pub(super) struct PeakEwma {
    mean_ms: f64,
    at: Instant,
}

impl Default for PeakEwma {
    fn default() -> PeakEwma {
        PeakEwma { mean_ms: DEFAULT_MS, at: Instant::ZERO }
    }
}

impl PeakEwma {
    /// The mean as it was at the last sample, or the last draw.
    pub(super) fn mean_ms(&self) -> f64 {
        self.mean_ms
    }

    /// A sample above the mean replaces it; one below lowers it by as much as time has passed.
    pub(super) fn record(&mut self, sample_ms: f64, now: Instant) {
        self.mean_ms = if sample_ms > self.mean_ms {
            sample_ms
        } else {
            let kept = (-millis(now.nanos_since(self.at)) / DECAY_MS).exp();
            self.mean_ms * kept + sample_ms * (1.0 - kept)
        };
        self.at = now;
    }

    /// What one more request with `in_flight` others there costs. Time without a sample lowers the mean, so that a
    /// backend that was slow is tried again.
    fn cost(&mut self, in_flight: u32, now: Instant) -> f64 {
        self.record(0.0, now);
        self.mean_ms * (f64::from(in_flight) + 1.0)
    }
}

/// The cheaper of two of the `usable` positions of `backends`, of equal ones the one drawn first; `None` if there are none.
pub(super) fn select(
    backends: &mut [Backend],
    usable: &[u16],
    rng: &mut Pcg64Mcg,
    now: Instant,
) -> Option<usize> {
    let first = match usable.len() {
        0 => return None,
        1 => return Some(usize::from(usable[0])),
        count => rng.random_range(0..count),
    };
    let second = rng.random_range(0..usable.len() - 1);
    let second = second + usize::from(second >= first);
    let [first, second] = [first, second].map(|drawn| usize::from(usable[drawn]));
    let mut cost = |index: usize| {
        let in_flight = backends[index].in_flight();
        backends[index].peak_ewma.cost(in_flight, now)
    };
    Some(if cost(first) <= cost(second) { first } else { second })
}
