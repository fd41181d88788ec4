//! The table of backends: what every mode reads.
//!
//! Here: what is known of one backend. Not here: the choice (`choose.rs`) and how an outcome enters (`mod.rs`).
//! Floor 1.

use super::RoutingMode;
use super::estimate::{Ewma, Sma};
use crate::time::Instant;

/// What is known of one backend.
#[derive(Clone, Debug)]
pub struct Backend {
    pub(super) in_flight: u32,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) sma: Sma,
    pub(super) ewma: Ewma,
    /// An unmeasured backend that failed is left alone until then.
    pub(super) rests_until: Instant,
}

impl Backend {
    pub(super) fn new(sma_window: usize, ewma_alpha: f64) -> Backend {
        Backend {
            in_flight: 0,
            answered: 0,
            failed: 0,
            sma: Sma::new(sma_window),
            ewma: Ewma::new(ewma_alpha),
            rests_until: Instant::ZERO,
        }
    }

    /// Attempts that have been started and not finished.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Attempts that got a response.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Attempts that failed on the backend's side.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The mean of its last N latencies in nanoseconds; none before the first.
    pub fn sma_ns(&self) -> Option<f64> {
        self.sma.mean_ns()
    }

    /// Its exponentially weighted mean latency in nanoseconds; none before the first.
    pub fn ewma_ns(&self) -> Option<f64> {
        self.ewma.mean_ns()
    }

    /// What a mode compares, in nanoseconds. Round-robin compares nothing; the SMA is shown for it.
    pub fn score_ns(&self, mode: RoutingMode) -> Option<f64> {
        match mode {
            RoutingMode::RoundRobin | RoutingMode::AdaptiveSma => self.sma_ns(),
            RoutingMode::AdaptiveEwma => self.ewma_ns(),
        }
    }
}
