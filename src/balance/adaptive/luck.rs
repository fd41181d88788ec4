//! Luck, and when a further copy of a request is worth it.
//!
//! Here: [`Luck`], the ratios of latency to load line at one backend, and [`Plan`], when to send another copy of a request that
//! has not been lucky there, what that takes, and what it costs. Measuring luck as a ratio, and not in milliseconds, is what
//! makes hedges safe under load: everything is late then, and nobody unlucky (359 instead of 650 ms in 10 s of overload). Not
//! here: who pays, and whether it is done (`hedging.rs`). Floor 1.

use super::hedging::PRICE;
use super::histogram::Histogram;
use crate::time::Instant;

/// Fewer samples do not tell what luck is.
const FEW: f64 = 5.0;

/// So many copies sent to the same backend tell how they fare.
const FEW_AGAIN: f64 = 10.0;

/// A plan must be better by this than to wait, in mean latency.
const WORTH: f64 = 0.95;

/// What is beyond this quantile is worth a rescue.
const RARE: f64 = 0.99;

/// Histograms are of ratios in percent.
const PERCENT: f64 = 100.0;

/// The lowest limit above which a ratio of just the limit's bucket lies.
const JUST_BELOW: f64 = 0.999;

/// When to send another copy of a request, in multiples of what its latest one was expected to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// When to think of another copy; infinite if waiting is as good.
    pub(super) delay: f64,
    /// The same after a copy that went to the same backend as the one before it.
    pub(super) delay_again: f64,
    /// What a request takes with these copies, as a multiple of the mean.
    pub(super) takes: f64,
    /// How many further copies that needs on the average.
    pub(super) copies: f64,
    /// The further copy is best sent to the same backend.
    pub(super) again: bool,
    /// What is left to wait after [`Plan::delay`].
    pub(super) rest: f64,
    /// A wait that is rare.
    pub(super) rare: f64,
    /// What is left to wait after that.
    pub(super) rest_of_rare: f64,
    pub(super) median: f64,
}

impl Default for Plan {
    fn default() -> Plan {
        let infinite = f64::INFINITY;
        Plan {
            delay: infinite,
            delay_again: infinite,
            takes: infinite,
            copies: 0.0,
            again: false,
            rest: 0.0,
            rare: infinite,
            rest_of_rare: infinite,
            median: infinite,
        }
    }
}

/// The ratios of latency to load line at one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Luck {
    first: Histogram,
    /// Of copies of a request that another copy there had kept waiting.
    again: Histogram,
    plan: Plan,
}

/// The value of copies that go on and on to the same backend (Luby et al., "Optimal Speedup of Las Vegas Algorithms", 1993).
struct Restarts {
    takes: f64,
    copies: f64,
    delay: f64,
}

impl Luck {
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// `overtaken`: the ratio is what had passed when another copy was answered.
    pub(super) fn record(&mut self, ratio: f64, overtaken: bool, again: bool, now: Instant) {
        let histogram = if again { &mut self.again } else { &mut self.first };
        match overtaken {
            // Longer than that: alone it tells nothing.
            true if histogram.total() == 0.0 => {}
            true => histogram.record_above(PERCENT * ratio, now),
            false => histogram.record(PERCENT * ratio, now),
        }
    }

    /// Whether enough copies were sent to the same backend to tell how they fare.
    pub(super) fn knows_again(&self) -> bool {
        self.again.total() >= FEW_AGAIN
    }

    /// Plans anew. `other` is what a copy takes at the best other backend, `toll` what one more request here costs the others;
    /// both are multiples of the mean here. Returns what a request takes with its copies, as the plan says.
    pub(super) fn refresh(&mut self, other: f64, toll: f64) -> Option<f64> {
        if self.first.total() < FEW {
            self.plan = Plan::default();
            return None;
        }
        let restarts = self.restarts(toll);
        let again = restarts.takes < other;
        let (next, copies_after) = if again { (restarts.takes, restarts.copies) } else { (other, 0.0) };
        let waiting: f64 = self.first.shares().map(|(end, share)| share * end / PERCENT).sum();
        let mut plan = Plan { takes: waiting, again, delay_again: restarts.delay, ..Plan::default() };
        let (mut below, mut spent) = (0.0, 0.0);
        for (end, share) in self.first.shares() {
            let delay = end / PERCENT;
            below += share;
            spent += delay * share;
            let late = (1.0 - below).max(0.0);
            let takes = spent + late * (delay + next * (1.0 + PRICE));
            if takes < WORTH * plan.takes {
                (plan.takes, plan.delay, plan.copies) = (takes, delay, late * (1.0 + copies_after));
            }
        }
        plan.rare = self.first.quantile_ms(RARE) / PERCENT;
        plan.rest_of_rare = self.rest_after(plan.rare);
        plan.rest = if plan.delay.is_finite() { self.rest_after(plan.delay) } else { 0.0 };
        plan.median = self.first.quantile_ms(0.5) / PERCENT;
        self.plan = plan;
        Some(plan.takes)
    }

    fn restarts(&self, toll: f64) -> Restarts {
        let mut best = Restarts { takes: f64::INFINITY, copies: 0.0, delay: f64::INFINITY };
        if !self.knows_again() {
            return best;
        }
        let price = PRICE * self.again.quantile_ms(0.5) / PERCENT + toll;
        let (mut below, mut spent) = (0.0, 0.0);
        for (end, share) in self.again.shares() {
            let delay = end / PERCENT;
            below += share;
            spent += delay * share;
            let late = (1.0 - below).max(0.0);
            let takes = (spent + late * (delay + price)) / below;
            if takes < best.takes {
                best = Restarts { takes, copies: late / below, delay };
            }
        }
        best
    }

    /// What is left to wait on the average of those who have waited so long.
    fn rest_after(&self, ratio: f64) -> f64 {
        let above = self.first.mean_above_ms(PERCENT * ratio * JUST_BELOW);
        above.map_or(ratio, |mean| mean / PERCENT - ratio)
    }
}
