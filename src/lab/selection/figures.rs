//! What came out of a run.
//!
//! Here: [`Figures`] and how they are taken. Not here: what happens (`model.rs`, `world.rs`). Floor 4.

use std::time::Duration;

use super::scenario::Scenario;
use crate::testbed::Meter;

/// Figures of one contender in one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Mean latency in milliseconds, of answers and, in an open load, of what was not answered at the end, by its age.
    pub mean_ms: f64,
    /// Quantiles of the same.
    pub p50_ms: f64,
    /// 95 %.
    pub p95_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// Requests answered in a second, errors included.
    pub per_second: f64,
    /// How many times a request was sent, on the average.
    pub copies: f64,
    /// What backends worked for a request, in milliseconds.
    pub work_ms: f64,
    /// Share of the answers that were errors.
    pub errors: f64,
    /// Share of the requests by backend.
    pub shares: Vec<f64>,
}

/// What backends did.
pub(super) struct Work {
    /// See [`Figures::copies`].
    pub(super) copies: f64,
    /// See [`Figures::work_ms`].
    pub(super) work_ms: f64,
    /// See [`Figures::shares`].
    pub(super) shares: Vec<f64>,
}

impl Work {
    /// What their meters tell, for so many answers.
    pub(super) fn told_by(meters: &[Meter], answered: f64) -> Work {
        let sent = meters.iter().map(Meter::requests).sum::<u64>() as f64;
        let work: Duration = meters.iter().map(Meter::work).sum();
        let shares = meters.iter().map(|meter| meter.requests() as f64 / sent).collect();
        Work { copies: sent / answered, work_ms: work.as_secs_f64() * 1e3 / answered, shares }
    }
}

/// What is counted during a run.
#[derive(Debug)]
pub(super) struct Tally {
    /// Figures are of what happens after this.
    warm_up: Duration,
    end: Duration,
    is_open: bool,
    latencies_ms: Vec<f64>,
    answered: usize,
    errors: usize,
}

impl Tally {
    pub(super) fn new(scenario: &Scenario) -> Tally {
        let Scenario { warm_up, end, .. } = *scenario;
        let is_open = scenario.arrivals.is_open();
        Tally { warm_up, end, is_open, latencies_ms: Vec::new(), answered: 0, errors: 0 }
    }

    /// A request that was due at one time is over at another, both since the beginning, with a good answer or not.
    pub(super) fn ended(&mut self, due: Duration, at: Duration, good: bool) {
        if at > self.end {
            return self.left(due);
        }
        if at >= self.warm_up {
            self.answered += 1;
            match good {
                true => self.waited(at - due),
                false => self.errors += 1,
            }
        }
    }

    /// A request that was due at this time is not answered at the end. In an open load it counts by its age: else an overload
    /// would look good.
    pub(super) fn left(&mut self, due: Duration) {
        if self.is_open && due >= self.warm_up {
            self.waited(self.end - due);
        }
    }

    fn waited(&mut self, latency: Duration) {
        self.latencies_ms.push(latency.as_secs_f64() * 1e3);
    }

    /// Both together.
    pub(super) fn and(mut self, other: Tally) -> Tally {
        self.latencies_ms.extend(other.latencies_ms);
        Tally { answered: self.answered + other.answered, errors: self.errors + other.errors, ..self }
    }

    /// With what the backends have worked since the warm-up.
    pub(super) fn figures(mut self, meters: &[Meter]) -> Figures {
        self.latencies_ms.sort_by(f64::total_cmp);
        let waited = &self.latencies_ms;
        let quantile = |q: f64| {
            let rank = (q * waited.len() as f64).ceil() as usize;
            waited.get(rank.clamp(1, waited.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
        };
        let answered = self.answered as f64;
        let Work { copies, work_ms, shares } = Work::told_by(meters, answered);
        Figures {
            mean_ms: waited.iter().sum::<f64>() / waited.len() as f64,
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            per_second: answered / (self.end - self.warm_up).as_secs_f64(),
            copies,
            work_ms,
            errors: self.errors as f64 / answered,
            shares,
        }
    }
}
