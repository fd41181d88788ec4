//! What `adaptive` knows of one backend.
//!
//! Here: [`Score`], the parts together, and [`Sample`], what they learn from. Not here: the choice (`mod.rs`). Floor 1.

use super::super::flights::Departure;
use super::super::millis;
use super::abandoned::Abandoned;
use super::cost::{Peak, cost_ms};
use super::freshness::Freshness;
use super::load_line::LoadLine;
use super::luck::{Luck, Plan};
use super::promise::Tail;
use super::ratios::Ratios;
use crate::time::Instant;

/// What the mode knows of one backend.
#[derive(Debug, Default)]
pub(in super::super) struct Score {
    pub(super) line: LoadLine,
    peak: Peak,
    pub(super) ratios: Ratios,
    pub(super) tail: Tail,
    pub(super) freshness: Freshness,
    pub(super) abandoned: Abandoned,
    /// Once there are hedges.
    pub(super) luck: Option<Box<Luck>>,
}

impl Score {
    /// What one more request costs in milliseconds when `in_flight` are there; `None` without a sample.
    pub(in super::super) fn cost_ms(&self, in_flight: u32) -> Option<f64> {
        self.line.is_measured().then(|| cost_ms(&self.line, self.peak, in_flight))
    }

    /// What a request takes that makes `in_flight` there; 0 without a sample.
    pub(in super::super) fn expected_ms(&self, in_flight: u32) -> f64 {
        if self.line.is_measured() { self.line.at_ms(f64::from(in_flight)) } else { 0.0 }
    }

    /// What it takes under load, and how much it bears, is not known any more: the next request is a probe, and its load
    /// may but double from one to the next.
    pub(in super::super) fn forget(&mut self) {
        (self.line, self.peak) = (LoadLine::default(), Peak::default());
    }

    /// Overtaken copies that it may work on still.
    pub(in super::super) fn abandoned(&self, now: Instant) -> u32 {
        self.abandoned.count(now)
    }

    pub(super) fn plan(&self) -> Option<&Plan> {
        self.luck.as_ref().map(|luck| luck.plan())
    }

    pub(super) fn record(&mut self, departure: Departure, sample: &Sample, now: Instant) {
        let expected_ms = f64::from(departure.expected_ms);
        let in_flight = f64::from(departure.in_flight);
        let known = self.line.is_measured() && expected_ms > 0.0;
        let gap_ms = millis(now.nanos_since(self.freshness.sampled()));
        let mean_ms = self.line.is_measured().then(|| self.line.mean_ms());
        self.freshness.record(now, gap_ms, departure.in_flight, sample.latency_ms, mean_ms);
        let cut = known && sample.end != End::Error;
        let entered =
            if cut { self.ratios.cut_ms(sample.latency_ms, expected_ms) } else { sample.latency_ms };
        self.line.record(gap_ms, in_flight, entered);
        if sample.end != End::Overtaken {
            self.peak.record(gap_ms, in_flight);
        }
        self.ratios.record(ratio(sample.latency_ms, expected_ms));
    }

    /// What an attempt takes of which `elapsed_ms` have passed: what those take that took longer, moved by what its load
    /// makes of it.
    pub(super) fn expected_after_ms(&self, departure: Departure, elapsed_ms: f64) -> f64 {
        let by_load = if self.line.is_measured() {
            self.line.at_ms(f64::from(departure.in_flight)) - self.line.mean_ms()
        } else {
            0.0
        };
        (self.tail.expected_after_ms(elapsed_ms - by_load) + by_load).max(elapsed_ms)
    }

    /// Before [`Score::record`].
    pub(super) fn record_luck(&mut self, departure: Departure, sample: &Sample, now: Instant) {
        let ratio = ratio(sample.latency_ms, f64::from(departure.expected_ms));
        let overtaken = sample.end == End::Overtaken;
        self.luck.get_or_insert_default().record(ratio, overtaken, departure.again, now);
    }
}

/// As a multiple of what was expected, if anything was.
fn ratio(latency_ms: f64, expected_ms: f64) -> f64 {
    if expected_ms > 0.0 { latency_ms / expected_ms } else { 1.0 }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum End {
    Answer,
    Error,
    /// Another copy of its request was answered: it would have taken longer.
    Overtaken,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sample {
    pub(in super::super) latency_ms: f64,
    pub(in super::super) end: End,
}
