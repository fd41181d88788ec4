//! The least cost of one more request, by what each backend takes under its load.
//!
//! Here: [`Adaptive`], the mode; [`Score`] is what it knows of one backend. Each idea has a file: `load_line.rs` what a
//! backend takes under its load, `cost.rs` what a request costs all, `ratios.rs` what is unusual, `age.rs` what those in
//! flight tell, `band.rs` who wins, `promise.rs` the tail, `freshness.rs` when to ask again, `candidates.rs` who is asked.
//! The constants were found by simulation over many scenarios and not tuned to one; beside each stands what it is worth.
//! Figures are of simulations without hedges unless said. `luck.rs` plans hedges, `hedging.rs` decides on them. Not here:
//! counting what is in flight. `Balance` alone uses it. Floor 1.

mod abandoned;
mod age;
mod band;
mod candidates;
mod cost;
mod freshness;
mod hedging;
#[cfg(test)]
mod hedging_tests;
mod histogram;
mod load_line;
mod luck;
mod promise;
mod ratios;
mod score;
#[cfg(test)]
mod tests;
mod tokens;

use std::time::Duration;

use rand_pcg::Pcg64Mcg;

use self::band::Bid;
use self::candidates::Candidates;
use self::hedging::Hedging;
use self::load_line::LoadLine;
use self::promise::{Promise, WORTH};
pub(super) use self::score::{End, Sample, Score};
use self::tokens::Tokens;
use super::copies::{Copies, MOST_COPIES};
use super::flights::{Departure, Flights};
use super::{Backend, BalanceOptions, Reason, RoutingGoal};
use crate::time::Instant;

/// How often what takes a look at all backends is done.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// An error counts as a latency of at least so many times the best backend's mean, so that failing fast does not pay...
const ERROR_FACTOR: f64 = 10.0;

/// ...that mean taken as at most this.
const ERROR_MEAN_MS: f64 = 100.0;

/// A request whose answer is late.
pub(super) struct Late<'a> {
    pub(super) copies: &'a Copies,
    /// Where the last copy went.
    pub(super) last: usize,
    /// Whether another may go there.
    pub(super) may_again: bool,
    /// Since then.
    pub(super) waited_ms: f64,
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
    hedging: Option<Hedging>,
    probes: Tokens,
    /// Found stale when the last choice was made for a request that may have copies.
    shadow: Option<u16>,
    refresh_at: Instant,
    candidates: Candidates,
    /// Room for one of each candidate.
    bids: Vec<Bid>,
}

impl Adaptive {
    pub(super) fn new(options: &BalanceOptions, backends: usize) -> Adaptive {
        Adaptive {
            promise: promise(options.goal, backends),
            hedging: hedging(options.hedge_budget),
            shadow: None,
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

    /// Sends so many further copies of a request from now on.
    pub(super) fn set_hedge_budget(&mut self, budget: f64) {
        self.hedging = hedging(budget);
    }

    pub(super) fn hedges(&self) -> bool {
        self.hedging.is_some()
    }

    /// A request has come; `repeatable`: it may have copies.
    pub(super) fn gain(&mut self, repeatable: bool) {
        self.probes.gain();
        if let Some(promise) = &mut self.promise {
            promise.gain();
        }
        if let Some(hedging) = self.hedging.as_mut().filter(|_| repeatable) {
            hedging.gain();
        }
    }

    /// Other backends may be chosen than at the last choice.
    pub(super) fn usable_changed(&mut self) {
        self.refresh_at = Instant::ZERO;
    }

    /// Chooses among the `usable` positions of `backends`; `None` if there are none. `repeatable`: the request may have copies.
    pub(super) fn select(
        &mut self,
        backends: &mut [Backend],
        (flights, usable): (&Flights, &[u16]),
        repeatable: bool,
        rng: &mut Pcg64Mcg,
        now: Instant,
    ) -> Option<(usize, Reason)> {
        if now >= self.refresh_at {
            self.refresh(backends, usable, now);
        }
        self.shadow = None;
        let survey = self.survey(backends, usable, rng, now);
        if let Some(index) = survey.unmeasured {
            return Some((usize::from(index), Reason::Unmeasured));
        }
        if self.bids.is_empty() {
            return survey.least.map(|(_, index)| (usize::from(index), Reason::Unmeasured));
        }
        let mut hedging = self.hedging.as_mut().filter(|_| repeatable);
        if hedging.as_ref().is_some_and(|hedging| hedging.can_pay()) {
            self.shadow = survey.stale;
        } else if let Some(index) = survey.stale.filter(|_| self.probes.take(1.0)) {
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
        let planned =
            hedging.as_mut().and_then(|h| h.planned(&mut self.bids, backends, stalled, best.cost_ms));
        match planned {
            Some(bid) => Some((usize::from(bid.backend), Reason::Planned)),
            None => Some((usize::from(best.backend), Reason::LeastCost)),
        }
    }

    /// When another copy is to be thought of after the last one, which went to `backend`.
    pub(super) fn hedge_after_ms(&self, copies: &Copies, backend: &Backend) -> Option<f64> {
        self.hedging.as_ref()?.delay_ms(copies, &backend.score)
    }

    /// Where another copy of a `late` request goes; `true` for where the last one went. Others are those that `is_new` says.
    pub(super) fn hedge(
        &mut self,
        backends: &[Backend],
        (flights, usable): (&Flights, &[u16]),
        late: &Late<'_>,
        is_new: impl Fn(usize) -> bool,
        rng: &mut Pcg64Mcg,
        now: Instant,
    ) -> Option<(usize, bool)> {
        if !self.hedging.as_ref()?.can_pay() {
            return None;
        }
        self.survey(backends, usable, rng, now);
        let (hedging, copies) = (self.hedging.as_mut()?, late.copies);
        let stalled = |bid: &Bid| age::stalled_ms(bid, &backends[usize::from(bid.backend)], flights, now);
        let allowed = |bid: &Bid| is_new(usize::from(bid.backend));
        let safe = |bid: &Bid| bid.keeps_promise && allowed(bid);
        // Whoever waits for the last copy has waited long enough.
        let is_last = copies.count() + 1 >= MOST_COPIES;
        let safest = if is_last { band::best(&mut self.bids, safe, stalled) } else { None };
        let other = safest.or_else(|| band::best(&mut self.bids, allowed, stalled))?;
        let score = &backends[late.last].score;
        let again = late.may_again && hedging.prefers_again(copies, score, other.cost_ms, rng);
        if !again && !hedging.is_worth(copies, score, late.waited_ms, other.cost_ms) {
            return None;
        }
        hedging.pay().then_some(if again { (late.last, true) } else { (usize::from(other.backend), false) })
    }

    /// A backend with an old sample for a copy beside the request that was just sent to `chosen`.
    pub(super) fn shadow(&mut self, chosen: usize) -> Option<usize> {
        let stale = self.shadow.take().map(usize::from).filter(|&stale| stale != chosen)?;
        let hedging = self.hedging.as_mut()?;
        (self.probes.has(1.0) && hedging.pay() && self.probes.take(1.0)).then_some(stale)
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
        if sample.end == End::Error {
            let lines = backends.iter().map(|backend| &backend.score.line).filter(|line| line.is_measured());
            let best = lines.map(LoadLine::mean_ms).fold(ERROR_MEAN_MS, f64::min);
            sample.latency_ms = sample.latency_ms.max(ERROR_FACTOR * best);
        }
        let score = &mut backends[index].score;
        if self.hedging.is_some() {
            score.record_luck(departure, &sample, now);
        }
        let elapsed_ms = sample.latency_ms;
        let overtaken = sample.end == End::Overtaken;
        if overtaken {
            sample.latency_ms = score.expected_after_ms(departure, elapsed_ms);
            score.abandoned.add(sample.latency_ms - elapsed_ms, now);
        }
        if departure.again {
            return;
        }
        score.record(departure, &sample, now);
        if self.promise.is_some() || self.hedging.is_some() {
            match overtaken {
                true => score.tail.record_above(elapsed_ms, now),
                false => score.tail.record(elapsed_ms, now),
            }
        }
    }

    fn refresh(&mut self, backends: &mut [Backend], usable: &[u16], now: Instant) {
        self.refresh_at = now + REFRESH_INTERVAL;
        self.candidates.refresh(usable, |index| {
            let backend = &backends[usize::from(index)];
            backend.score.cost_ms(backend.load(now))
        });
        for &index in usable {
            let backend = &mut backends[usize::from(index)];
            let in_flight = backend.in_flight();
            backend.score.ratios.refresh(in_flight);
        }
        if let Some(promise) = &mut self.promise {
            promise.refresh(backends, usable);
        }
        if let Some(hedging) = &mut self.hedging {
            hedging.refresh(backends, usable, now);
        }
    }

    /// Draws candidates and takes their bids.
    fn survey(&mut self, backends: &[Backend], usable: &[u16], rng: &mut Pcg64Mcg, now: Instant) -> Survey {
        let mut survey = Survey::default();
        self.bids.clear();
        for &index in self.candidates.draw(usable, rng) {
            let backend = &backends[usize::from(index)];
            let (score, in_flight) = (&backend.score, backend.load(now));
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

fn hedging(budget: f64) -> Option<Hedging> {
    (budget > 0.0).then(|| Hedging::new(budget))
}
