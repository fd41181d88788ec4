//! Hedges: further copies of requests that wait.
//!
//! Here: [`Hedging`], the budget, and whether a copy is worth it when its time has come (Dean and Barroso, "The Tail at Scale",
//! CACM 2013; the budget as in gRPC's A6). What is left to wait is compared with what a copy costs *now*, toll included, so
//! hedges end by themselves where load makes all wait. Not here: when that time comes (`luck.rs`), sending (`proxy/`). Floor 1.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::super::Backend;
use super::super::copies::{Copies, MOST_COPIES};
use super::Score;
use super::band::{self, Bid};
use super::tokens::Tokens;
use crate::time::Instant;

/// What a copy costs is weighed so much more than what is left to wait. With 0.05, p95 in overload goes from 1746 to 2462 ms.
pub(super) const PRICE: f64 = 0.25;

/// A copy that is not planned must promise to save so many times what it costs.
const RESCUE: f64 = 2.0;

/// A rescue is thought of when so many times the rare wait has passed...
const RESCUE_DELAY: f64 = 1.2;

/// ...and what is asked before that was planned.
const PLANNED_BEFORE: f64 = 1.19;

/// Copies may be saved up, for rescues; there are some at once.
const TOKENS: f64 = 10.0;
const MOST_TOKENS: f64 = 20.0;

/// While more than so many are left, the plan is followed for requests that were not planned with it.
const MANY_TOKENS: f64 = 10.0;

/// The share of the budget that plans may spend; the rest is for rescues.
const FOR_PLANS: f64 = 0.95;
const MOST_FOR_PLANS: f64 = 3.0;

/// A plan is taken when it is cheaper by this than the best choice without.
const WORTH: f64 = 0.95;

/// One in so many copies goes to the same backend until it is known how they fare there...
const TRY_AGAIN_ONE_IN: u32 = 4;

/// ...and one in so many when they fared badly: that may change, and nothing else would tell.
const TRY_ANEW_ONE_IN: u32 = 16;

/// The same backend is worth trying when half of its answers come so much sooner than the best other's.
const WORTH_TRYING: f64 = 0.7;

/// No copies while the tolls of those that are busy are more than this share of what requests take there: load makes them
/// wait, and not luck.
const CROWDED: f64 = 0.5;

/// The two backends at which a request takes the least with its copies, and what it costs there in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Best([(u16, f64); 2]);

impl Best {
    const NONE: Best = Best([(u16::MAX, f64::INFINITY); 2]);

    fn offer(&mut self, backend: u16, cost_ms: f64) {
        if cost_ms < self.0[0].1 {
            self.0 = [(backend, cost_ms), self.0[0]];
        } else if cost_ms < self.0[1].1 {
            self.0[1] = (backend, cost_ms);
        }
    }

    fn other_than(&self, backend: u16) -> f64 {
        if self.0[0].0 == backend { self.0[1].1 } else { self.0[0].1 }
    }
}

/// Pays for further copies.
#[derive(Debug)]
pub(super) struct Hedging {
    tokens: Tokens,
    plans: Tokens,
    best: Best,
    crowded: bool,
}

impl Hedging {
    /// Sends at most `budget` further copies for each request that may have some, on the average.
    pub(super) fn new(budget: f64) -> Hedging {
        Hedging {
            tokens: Tokens::new(TOKENS, budget, MOST_TOKENS),
            plans: Tokens::new(0.0, FOR_PLANS * budget, MOST_FOR_PLANS),
            best: Best::NONE,
            crowded: false,
        }
    }

    /// A request has come that may have copies. What nobody has used is for plans: they need fewer copies than is reckoned, by
    /// ratios that are known to a tenth (over sockets 1.25 copies a request of 1.30, without this).
    pub(super) fn gain(&mut self) {
        let unused = self.tokens.gain();
        self.plans.gain();
        self.plans.put(unused);
    }

    /// Whether a copy can be paid for, and may be sent.
    pub(super) fn can_pay(&self) -> bool {
        !self.crowded && self.tokens.has(1.0)
    }

    /// Pays for one.
    pub(super) fn pay(&mut self) -> bool {
        !self.crowded && self.tokens.take(1.0)
    }

    /// Makes the plans anew. What a copy takes elsewhere is taken from the plans before: that settles in a few rounds.
    pub(super) fn refresh(&mut self, backends: &mut [Backend], usable: &[u16], now: Instant) {
        let mut best = Best::NONE;
        let (mut tolls_ms, mut waits_ms) = (0.0, 0.0);
        for &index in usable {
            let backend = &mut backends[usize::from(index)];
            let in_flight = f64::from(backend.load(now));
            let Score { line, luck, .. } = &mut backend.score;
            if !line.is_measured() {
                continue;
            }
            if in_flight > 0.0 {
                tolls_ms += line.slope_ms() * in_flight;
                waits_ms += line.at_ms(in_flight);
            }
            let toll = line.usual_toll_ms() / line.mean_ms();
            let other = self.best.other_than(index) / line.mean_ms();
            if let Some(takes) = luck.as_mut().and_then(|luck| luck.refresh(other, toll)) {
                best.offer(index, (takes + toll) * line.mean_ms());
            }
        }
        self.best = best;
        self.crowded = tolls_ms > CROWDED * waits_ms;
    }

    /// The bid that is best with the copies that are planned for it, if they can be paid for and that is clearly cheaper than
    /// `without_ms`.
    pub(super) fn planned(
        &mut self,
        bids: &mut [Bid],
        backends: &[Backend],
        stalled_ms: impl Fn(&Bid) -> Option<f64>,
        without_ms: f64,
    ) -> Option<Bid> {
        if self.crowded {
            return None;
        }
        for bid in bids.iter_mut() {
            let score = &backends[usize::from(bid.backend)].score;
            let plan = score.plan().filter(|plan| plan.delay.is_finite() && self.plans.has(plan.copies));
            bid.quoted_ms += plan.map_or(f64::INFINITY, |plan| (plan.takes - 1.0) * score.line.mean_ms());
        }
        let best = band::best(bids, |bid| bid.quoted_ms.is_finite(), stalled_ms)?;
        let plan = backends[usize::from(best.backend)].score.plan()?;
        (best.cost_ms < WORTH * without_ms && self.plans.take(plan.copies)).then_some(best)
    }

    /// How many milliseconds after the last copy another one is to be thought of; `score` is that of its backend.
    pub(super) fn delay_ms(&self, copies: &Copies, score: &Score) -> Option<f64> {
        let plan = score.plan().filter(|_| copies.count() < MOST_COPIES)?;
        let delay = if copies.last_was_again() {
            plan.delay_again
        } else if copies.is_planned() || copies.count() > 1 || self.tokens.has(MANY_TOKENS) {
            plan.delay
        } else {
            f64::INFINITY
        };
        let delay_ms = delay.min(RESCUE_DELAY * plan.rare) * copies.expected_ms();
        (delay_ms.is_finite() && delay_ms > 0.0).then_some(delay_ms)
    }

    /// Whether another copy should go to the backend of the last one, whose `score` this is. `other_ms` is the cost at the best
    /// other one.
    pub(super) fn prefers_again(
        &self,
        copies: &Copies,
        score: &Score,
        other_ms: f64,
        rng: &mut Pcg64Mcg,
    ) -> bool {
        let Some(luck) = score.luck.as_ref().filter(|_| copies.count() + 1 < MOST_COPIES) else {
            return false;
        };
        let plan = luck.plan();
        let promising = plan.median * copies.expected_ms() < WORTH_TRYING * other_ms;
        let one_in = if luck.knows_again() { TRY_ANEW_ONE_IN } else { TRY_AGAIN_ONE_IN };
        plan.again || (promising && rng.random_ratio(1, one_in))
    }

    /// Whether what is left to wait for the last copy is worth `cost_ms`, when `waited_ms` have passed since it was sent.
    pub(super) fn is_worth(&self, copies: &Copies, score: &Score, waited_ms: f64, cost_ms: f64) -> bool {
        let Some(plan) = score.plan() else { return false };
        let expected_ms = copies.expected_ms();
        let is_planned = plan.delay.is_finite() && waited_ms < PLANNED_BEFORE * plan.rare * expected_ms;
        let saved_ms = match is_planned {
            true => plan.rest * expected_ms / (1.0 + PRICE),
            false => plan.rest_of_rare * expected_ms / RESCUE,
        };
        saved_ms >= cost_ms
    }
}
