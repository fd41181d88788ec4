//! The least cost of one more request, by what each backend takes under its load.
//!
//! Here: [`Adaptive`], the mode, and [`Score`], what it knows of one backend. Each idea has a file: `load_line.rs` what a
//! backend takes under its load, `cost.rs` what a request costs all, `ratios.rs` what is unusual, `age.rs` what those in
//! flight tell, `band.rs` who wins, `promise.rs` the tail, `freshness.rs` when to ask again, `candidates.rs` who is asked.
//! The constants were found by simulation over many scenarios and not tuned to one; beside each stands what it is worth.
//! Figures are of simulations without hedges unless said. Hedges would be planned in `refresh`, and paid by [`tokens`]. Not
//! here: counting what is in flight. `Balance` alone uses it. Floor 1.

mod age;
mod band;
mod candidates;
mod cost;
mod freshness;
mod histogram;
mod load_line;
mod promise;
mod ratios;
#[cfg(test)]
mod tests;
mod tokens;

use std::time::Duration;

use rand_pcg::Pcg64Mcg;

use self::band::Bid;
use self::candidates::Candidates;
use self::cost::{Peak, cost_ms};
use self::freshness::Freshness;
use self::load_line::LoadLine;
use self::promise::{Promise, Tail, WORTH};
use self::ratios::Ratios;
use self::tokens::Tokens;
use super::flights::{Departure, Flights};
use super::{Backend, Reason, RoutingGoal, millis};
use crate::time::Instant;

/// How often what takes a look at all backends is done.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// An error counts as a latency of at least so many times the best backend's mean, so that failing fast does not pay...
const ERROR_FACTOR: f64 = 10.0;

/// ...that mean taken as at most this.
const ERROR_MEAN_MS: f64 = 100.0;

/// What the mode knows of one backend.
#[derive(Debug, Default)]
pub(super) struct Score {
    line: LoadLine,
    peak: Peak,
    ratios: Ratios,
    tail: Tail,
    freshness: Freshness,
}

impl Score {
    /// What one more request costs in milliseconds when `in_flight` are there; `None` without a sample.
    pub(super) fn cost_ms(&self, in_flight: u32) -> Option<f64> {
        self.line.is_measured().then(|| cost_ms(&self.line, self.peak, in_flight))
    }

    /// What a request takes that makes `in_flight` there; 0 without a sample.
    pub(super) fn expected_ms(&self, in_flight: u32) -> f64 {
        if self.line.is_measured() { self.line.at_ms(f64::from(in_flight)) } else { 0.0 }
    }

    /// What it takes under load, and how much it bears, is not known any more: the next request is a probe, and its load
    /// may but double from one to the next.
    pub(super) fn forget(&mut self) {
        (self.line, self.peak) = (LoadLine::default(), Peak::default());
    }

    fn record(&mut self, departure: Departure, sample: &Sample, now: Instant) {
        let expected_ms = f64::from(departure.expected_ms);
        let in_flight = f64::from(departure.in_flight);
        let known = self.line.is_measured() && expected_ms > 0.0;
        let gap_ms = millis(now.nanos_since(self.freshness.sampled()));
        let mean_ms = self.line.is_measured().then(|| self.line.mean_ms());
        self.freshness.record(now, gap_ms, departure.in_flight, sample.latency_ms, mean_ms);
        let cut = known && !sample.error;
        let entered =
            if cut { self.ratios.cut_ms(sample.latency_ms, expected_ms) } else { sample.latency_ms };
        self.line.record(gap_ms, in_flight, entered);
        self.peak.record(gap_ms, in_flight);
        self.ratios.record(if expected_ms > 0.0 { sample.latency_ms / expected_ms } else { 1.0 });
    }
}

/// How an attempt went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) latency_ms: f64,
    pub(super) error: bool,
}

/// What the candidates of a request are, beside their bids.
#[derive(Default)]
struct Survey {
    /// Has no sample, and none is on its way.
    unmeasured: Option<u16>,
    /// Has an old sample, and none is on its way.
    stale: Option<u16>,
    /// In flight, and where: the fewest.
    least: Option<(u32, u16)>,
}

/// The mode.
#[derive(Debug)]
pub(super) struct Adaptive {
    promise: Option<Promise>,
    probes: Tokens,
    refresh_at: Instant,
    candidates: Candidates,
    /// Room for one of each candidate.
    bids: Vec<Bid>,
}

impl Adaptive {
    pub(super) fn new(goal: RoutingGoal, backends: usize) -> Adaptive {
        Adaptive {
            promise: promise(goal, backends),
            probes: freshness::probe_tokens(),
            refresh_at: Instant::ZERO,
            candidates: Candidates::default(),
            bids: Vec::with_capacity(candidates::MOST),
        }
    }

    /// Strives for this from now on.
    pub(super) fn set_goal(&mut self, goal: RoutingGoal, backends: usize) {
        self.promise = promise(goal, backends);
    }

    /// Other backends may be chosen than at the last choice.
    pub(super) fn usable_changed(&mut self) {
        self.refresh_at = Instant::ZERO;
    }

    /// Chooses among the `usable` positions of `backends`; `None` if there are none.
    pub(super) fn select(
        &mut self,
        backends: &mut [Backend],
        flights: &Flights,
        usable: &[u16],
        rng: &mut Pcg64Mcg,
        now: Instant,
    ) -> Option<(usize, Reason)> {
        if now >= self.refresh_at {
            self.refresh(backends, usable, now);
        }
        self.probes.gain();
        if let Some(promise) = &mut self.promise {
            promise.gain();
        }
        let survey = self.survey(backends, usable, rng, now);
        if let Some(index) = survey.unmeasured {
            return Some((usize::from(index), Reason::Unmeasured));
        }
        if self.bids.is_empty() {
            return survey.least.map(|(_, index)| (usize::from(index), Reason::Unmeasured));
        }
        if let Some(index) = survey.stale.filter(|_| self.probes.take(1.0)) {
            return Some((usize::from(index), Reason::Stale));
        }
        let stalled = |bid: &Bid| age::stalled_ms(bid, &backends[usize::from(bid.backend)], flights, now);
        let mut best = band::best(&mut self.bids, |_| true, stalled)?;
        if let Some(promise) = self.promise.as_mut().filter(|_| !best.keeps_promise)
            && !promise.spend(&backends[usize::from(best.backend)].score.tail)
            && let Some(other) = band::best(&mut self.bids, |bid| bid.keeps_promise, stalled)
            && other.cost_ms < WORTH * best.cost_ms
        {
            best = other;
        }
        Some((usize::from(best.backend), Reason::LeastCost))
    }

    /// Takes in how an attempt on the backend at `index` went.
    pub(super) fn record(
        &mut self,
        backends: &mut [Backend],
        index: usize,
        departure: Departure,
        mut sample: Sample,
        now: Instant,
    ) {
        if sample.error {
            let lines = backends.iter().map(|backend| &backend.score.line).filter(|line| line.is_measured());
            let best = lines.map(LoadLine::mean_ms).fold(ERROR_MEAN_MS, f64::min);
            sample.latency_ms = sample.latency_ms.max(ERROR_FACTOR * best);
        }
        let score = &mut backends[index].score;
        score.record(departure, &sample, now);
        if self.promise.is_some() {
            score.tail.record(sample.latency_ms, now);
        }
    }

    fn refresh(&mut self, backends: &mut [Backend], usable: &[u16], now: Instant) {
        self.refresh_at = now + REFRESH_INTERVAL;
        self.candidates.refresh(usable, |index| {
            let backend = &backends[usize::from(index)];
            backend.score.cost_ms(backend.in_flight())
        });
        for &index in usable {
            backends[usize::from(index)].score.ratios.refresh();
        }
        if let Some(promise) = &mut self.promise {
            promise.refresh(backends, usable);
        }
    }

    /// Draws candidates and takes their bids.
    fn survey(&mut self, backends: &[Backend], usable: &[u16], rng: &mut Pcg64Mcg, now: Instant) -> Survey {
        let mut survey = Survey::default();
        self.bids.clear();
        for &index in self.candidates.draw(usable, rng) {
            let backend = &backends[usize::from(index)];
            let (score, in_flight) = (&backend.score, backend.in_flight());
            if survey.least.is_none_or(|(least, _)| in_flight < least) {
                survey.least = Some((in_flight, index));
            }
            let Some(cost_ms) = score.cost_ms(in_flight) else {
                survey.unmeasured = survey.unmeasured.or((in_flight == 0).then_some(index));
                continue;
            };
            let stale = in_flight == 0 && score.freshness.is_stale(now);
            survey.stale = survey.stale.or(stale.then_some(index));
            let keeps_promise = score.tail.keeps_promise();
            self.bids.push(Bid { backend: index, in_flight, quoted_ms: cost_ms, cost_ms, keeps_promise });
        }
        survey
    }
}

fn promise(goal: RoutingGoal, backends: usize) -> Option<Promise> {
    (goal == RoutingGoal::P95).then(|| Promise::new(backends))
}
