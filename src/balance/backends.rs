//! What is known of one backend.
//!
//! Here: [`Backend`], the entry of the table that every mode reads, and what a failure enters into its averages.
//! Not here: which backend is chosen (`choose.rs`). `Balance` owns and feeds the entries. Floor 1.

use super::adaptive::Score;
use super::estimate::{Ewma, Sma};
use super::flights::Queue;
use super::health::{Availability, Health};
use super::peak_ewma::PeakEwma;
use super::prequal::Recent;
use super::{BalanceOptions, Outcome, RoutingMode};
use crate::time::Instant;

/// What is known of one backend.
#[derive(Debug)]
pub struct Backend {
    pub(super) health: Health,
    in_flight: u32,
    answered: u64,
    failed: u64,
    sma: Sma,
    ewma: Ewma,
    /// When the averages last took in a sample.
    sampled: Instant,
    /// Attempts in flight, in modes that follow them.
    pub(super) queue: Queue,
    pub(super) peak_ewma: PeakEwma,
    pub(super) recent: Recent,
    pub(super) score: Score,
}

impl Backend {
    pub(super) fn new(options: &BalanceOptions) -> Backend {
        Backend {
            health: Health::default(),
            in_flight: 0,
            answered: 0,
            failed: 0,
            sma: Sma::new(options.sma_window),
            ewma: Ewma::new(options.ewma_alpha),
            sampled: Instant::ZERO,
            queue: Queue::default(),
            peak_ewma: PeakEwma::default(),
            recent: Recent::default(),
            score: Score::default(),
        }
    }

    /// Whether it may be chosen.
    pub fn availability(&self) -> Availability {
        self.health.availability()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.availability() == Availability::Usable
    }

    /// Attempts that have started and not finished.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What it may be working on: the same, and overtaken copies.
    pub(super) fn load(&self, now: Instant) -> u32 {
        self.in_flight + self.score.abandoned(now)
    }

    /// Attempts that were answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Attempts that failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// How often it was ejected.
    pub fn ejected(&self) -> u64 {
        self.health.ejected()
    }

    /// Mean of the last latencies in nanoseconds; `None` without a sample.
    pub fn sma_ns(&self) -> Option<f64> {
        self.sma.mean_ns()
    }

    /// Exponentially weighted mean latency in nanoseconds; `None` without a sample.
    pub fn ewma_ns(&self) -> Option<f64> {
        self.ewma.mean_ns()
    }

    /// What `mode` compares, in nanoseconds; `None` without a sample and in a mode that compares nothing. Of `adaptive` it
    /// is the cost of one more request now, of `p2c_peak_ewma` the mean as last drawn, of `prequal` what a probe would say.
    pub fn score_ns(&self, mode: RoutingMode) -> Option<f64> {
        const NANOS_PER_MILLI: f64 = 1e6;
        let ms = match mode {
            RoutingMode::RoundRobin | RoutingMode::LeastRequests => None,
            RoutingMode::AdaptiveSma => return self.sma_ns(),
            RoutingMode::AdaptiveEwma => return self.ewma_ns(),
            RoutingMode::Adaptive => self.score.cost_ms(self.in_flight),
            RoutingMode::P2cPeakEwma => Some(self.peak_ewma.mean_ms()),
            RoutingMode::Prequal => self.recent.latency_ms(self.in_flight),
        };
        ms.map(|ms| ms * NANOS_PER_MILLI)
    }

    /// When the averages last took in a sample.
    pub(super) fn sampled(&self) -> Instant {
        self.sampled
    }

    pub(super) fn is_measured(&self) -> bool {
        self.ewma_ns().is_some()
    }

    pub(super) fn start(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn end(&mut self) {
        debug_assert!(self.in_flight > 0, "an attempt ended that never started");
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The same of one that is not compared with others any more.
    pub(super) fn end_outside(&mut self, outcome: Outcome, now: Instant) {
        self.end();
        match outcome {
            Outcome::Answered { latency_ns, .. } | Outcome::Faulty { latency_ns } => {
                self.answer(latency_ns, now);
            }
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Overtaken { .. } | Outcome::Cancelled => {}
        }
    }

    pub(super) fn set_averaging(&mut self, sma_window: usize, ewma_alpha: f64) {
        self.sma.set_window(sma_window);
        self.ewma.set_alpha(ewma_alpha);
    }

    pub(super) fn answer(&mut self, latency_ns: u64, now: Instant) {
        self.answered += 1;
        if latency_ns > 0 {
            self.sampled = now;
            self.sma.record(latency_ns);
            self.ewma.record(latency_ns as f64);
        }
    }

    /// `sma` and `ewma` are the means of all measured backends' averages, in nanoseconds.
    pub(super) fn fail(&mut self, elapsed_ns: u64, sma: Option<f64>, ewma: Option<f64>, now: Instant) {
        self.failed += 1;
        self.sampled = now;
        if let (Some(least), Some(all)) = (self.sma.least_not_lowering_ns(), sma) {
            self.sma.record(elapsed_ns.max(least).max(just_above(all) as u64));
        }
        if let (Some(own), Some(all)) = (self.ewma_ns(), ewma) {
            self.ewma.record((elapsed_ns as f64).max(own).max(just_above(all)));
        }
    }
}

/// One nanosecond more. The mean itself would not do: of two backends, the faster of which now fails at once, the
/// failing one would only approach the other and be preferred for ever.
fn just_above(mean_ns: f64) -> f64 {
    mean_ns + 1.0
}

/// `None` for an empty sequence.
pub(super) fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
