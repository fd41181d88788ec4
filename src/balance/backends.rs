//! What is known of one backend.
//!
//! Here: [`Backend`], the entry of the table that every mode reads, and what a failure enters into its averages.
//! Not here: which backend is chosen (`choose.rs`). `Balance` owns and feeds the entries. Floor 1.

use super::estimate::{Ewma, Sma};
use super::health::{Availability, Health};
use super::{Outcome, RoutingMode};

/// What is known of one backend.
#[derive(Debug)]
pub struct Backend {
    pub(super) health: Health,
    in_flight: u32,
    answered: u64,
    failed: u64,
    sma: Sma,
    ewma: Ewma,
}

impl Backend {
    pub(super) fn new(sma_window: usize, ewma_alpha: f64) -> Backend {
        Backend {
            health: Health::default(),
            in_flight: 0,
            answered: 0,
            failed: 0,
            sma: Sma::new(sma_window),
            ewma: Ewma::new(ewma_alpha),
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

    /// What `mode` compares, in nanoseconds; `None` without a sample and in a mode that compares nothing.
    pub fn score_ns(&self, mode: RoutingMode) -> Option<f64> {
        match mode {
            RoutingMode::RoundRobin => None,
            RoutingMode::AdaptiveSma => self.sma_ns(),
            RoutingMode::AdaptiveEwma => self.ewma_ns(),
        }
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
    pub(super) fn end_outside(&mut self, outcome: Outcome) {
        self.end();
        match outcome {
            Outcome::Answered { latency_ns } => self.answer(latency_ns),
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Cancelled => {}
        }
    }

    pub(super) fn set_averaging(&mut self, sma_window: usize, ewma_alpha: f64) {
        self.sma.set_window(sma_window);
        self.ewma.set_alpha(ewma_alpha);
    }

    pub(super) fn answer(&mut self, latency_ns: u64) {
        self.answered += 1;
        if latency_ns > 0 {
            self.sma.record(latency_ns);
            self.ewma.record(latency_ns as f64);
        }
    }

    /// `sma` and `ewma` are the means of all measured backends' averages, in nanoseconds.
    pub(super) fn fail(&mut self, elapsed_ns: u64, sma: Option<f64>, ewma: Option<f64>) {
        self.failed += 1;
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
