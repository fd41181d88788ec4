//! The promise of the tail.
//!
//! Here: [`Tail`], how often a backend is slow, and [`Promise`], what slow is and how often it may be. Not here: whom to
//! take instead (`mod.rs`). Floor 1.

use super::super::Backend;
use super::histogram::Histogram;
use super::tokens::Tokens;
use crate::time::Instant;

/// The quantile that is promised.
const QUANTILE: f64 = 0.95;

/// An answer is slow when it takes so much longer than the promised quantile of a middling backend.
const SLOW: f64 = 1.25;

/// A backend keeps the promise while no more than so many times the tolerated share of its answers are slow...
const TOLERANCE: f64 = 2.0;

/// ...or while it was hardly ever seen to be slow.
const FEW_SLOW: f64 = 2.0;

/// Of the share of requests that may be slow, what choices may spend; the rest is for the backends that keep the promise, whose
/// own answers may be late too. With 0.9 the promised quantile of all is 99.5 % of theirs: over sockets, with wake-ups a
/// millisecond late, it was no better than that of one backend alone (519 instead of 516 requests/s on the profile of A, B and C).
const SPENT: f64 = 0.75;

/// How many slow requests may be saved up.
const MOST_TOKENS: f64 = 2.0;

/// Fewer samples do not tell a quantile.
const FEW_SAMPLES: f64 = 10.0;

/// A backend that keeps the promise is not taken when it costs so many times the one that does not: no promise is worth any
/// price.
pub(super) const WORTH: f64 = 5.0;

/// What is known of the latencies of one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    latencies: Histogram,
    /// Changed since the last refresh.
    changed: bool,
    quantile_ms: Option<f64>,
    slow_share: f64,
    breaks_promise: bool,
}

impl Tail {
    pub(super) fn record(&mut self, latency_ms: f64, now: Instant) {
        self.latencies.record(latency_ms, now);
        self.changed = true;
    }

    /// An answer did not come before another copy's: it would have taken more.
    pub(super) fn record_above(&mut self, elapsed_ms: f64, now: Instant) {
        self.latencies.record_above(elapsed_ms, now);
        self.changed = true;
    }

    /// What answers take that are not there after `elapsed_ms`; as long again if there was none so late.
    pub(super) fn expected_after_ms(&self, elapsed_ms: f64) -> f64 {
        self.latencies.mean_above_ms(elapsed_ms).unwrap_or(2.0 * elapsed_ms)
    }

    pub(super) fn keeps_promise(&self) -> bool {
        !self.breaks_promise
    }

    /// The promised quantile, if there are samples enough.
    fn quantile_ms(&mut self) -> Option<f64> {
        if self.changed {
            let known = self.latencies.total() >= FEW_SAMPLES;
            self.quantile_ms = known.then(|| self.latencies.quantile_ms(QUANTILE));
        }
        self.quantile_ms
    }

    fn judge(&mut self, promise: &Promise) {
        if std::mem::take(&mut self.changed) || promise.moved {
            self.slow_share = self.latencies.share_above(promise.slow_ms);
            let slow = self.latencies.total() * self.slow_share;
            self.breaks_promise = slow > FEW_SLOW && self.slow_share > TOLERANCE * (1.0 - QUANTILE);
        }
    }
}

/// What is promised to all requests together.
#[derive(Debug)]
pub(super) struct Promise {
    tokens: Tokens,
    slow_ms: f64,
    /// The last refresh changed it.
    moved: bool,
    /// Room for the quantiles of all backends.
    quantiles: Vec<f64>,
}

impl Promise {
    pub(super) fn new(backends: usize) -> Promise {
        Promise {
            tokens: Tokens::new(0.0, SPENT * (1.0 - QUANTILE), MOST_TOKENS),
            slow_ms: f64::INFINITY,
            moved: false,
            quantiles: Vec::with_capacity(backends),
        }
    }

    /// A request has come.
    pub(super) fn gain(&mut self) {
        self.tokens.gain();
    }

    /// Whether there is room for a request to a backend with this tail; takes it then.
    pub(super) fn spend(&mut self, tail: &Tail) -> bool {
        self.tokens.take(tail.slow_share)
    }

    /// Finds out anew what slow is, by the better half of the backends that may be chosen, and who is so too often.
    pub(super) fn refresh(&mut self, backends: &mut [Backend], usable: &[u16]) {
        self.quantiles.clear();
        for &index in usable {
            self.quantiles.extend(backends[usize::from(index)].score.tail.quantile_ms());
        }
        let slow_ms = match self.quantiles.len().checked_sub(1) {
            Some(last) => *self.quantiles.select_nth_unstable_by(last / 2, f64::total_cmp).1 * SLOW,
            None => f64::INFINITY,
        };
        self.moved = slow_ms != self.slow_ms;
        self.slow_ms = slow_ms;
        for &index in usable {
            backends[usize::from(index)].score.tail.judge(self);
        }
    }
}
