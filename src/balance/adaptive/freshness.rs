//! When a backend is to be asked again.
//!
//! Here: [`Freshness`], when the last sample came and how long it is good for. Not here: that a backend without any sample
//! gets one request at a time (`mod.rs`). Floor 1.

use std::time::Duration;

use super::load_line::ISOLATED_MS;
use super::tokens::Tokens;
use crate::time::Instant;

/// A backend that is at rest is probed when its last sample is so old, times its back-off. With 5 s the herd gains 1 %, and a
/// backend that has recovered waits five times as long.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// The longest back-off.
const MOST_BACKOFF: u32 = 8;

/// A probe that is not below this share of the backend's mean says that it is still bad: it is asked half as often.
const STILL_BAD: f64 = 0.8;

/// A sample below this share of the mean, of a backend at rest, is followed by another at once: it may have recovered.
const BETTER: f64 = 0.6;

/// Which share of the requests may be probes, and how many in a row.
const PROBE_SHARE: f64 = 0.02;
const MOST_PROBES: f64 = 3.0;

/// The tokens that probes cost, one each; one is there at once.
pub(super) const fn probe_tokens() -> Tokens {
    Tokens::new(1.0, PROBE_SHARE, MOST_PROBES)
}

/// How old the knowledge of one backend is.
#[derive(Clone, Debug)]
pub(super) struct Freshness {
    sampled: Instant,
    backoff: u32,
    stale_from: Instant,
}

impl Default for Freshness {
    fn default() -> Freshness {
        Freshness { sampled: Instant::ZERO, backoff: 1, stale_from: Instant::NEVER }
    }
}

impl Freshness {
    /// When the last sample came.
    pub(super) fn sampled(&self) -> Instant {
        self.sampled
    }

    /// Whether a sample would tell news, if none is on its way.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now > self.stale_from
    }

    /// A sample came, `gap_ms` after the one before; `mean_ms` is that of those before, if there are any.
    pub(super) fn record(
        &mut self,
        now: Instant,
        gap_ms: f64,
        in_flight: u32,
        latency_ms: f64,
        mean_ms: Option<f64>,
    ) {
        let below = |share: f64| mean_ms.is_some_and(|mean| latency_ms <= share * mean);
        if gap_ms > ISOLATED_MS {
            let bad = mean_ms.is_some() && !below(STILL_BAD);
            self.backoff = if bad { (self.backoff * 2).min(MOST_BACKOFF) } else { 1 };
        } else if in_flight > 1 {
            self.backoff = 1;
        }
        let repeat = gap_ms > 0.0 && in_flight <= 1 && below(BETTER);
        self.sampled = now;
        self.stale_from = if repeat { Instant::ZERO } else { now + PROBE_AFTER * self.backoff };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_backend_that_stays_bad_is_asked_after_1_2_4_8_and_8_seconds() {
        let mut fresh = Freshness::default();
        fresh.record(at(0), 0.0, 1, 100.0, None);
        let mut now = 0;
        for wait in [1000, 2000, 4000, 8000, 8000] {
            assert!(!fresh.is_stale(at(now + wait)) && fresh.is_stale(at(now + wait + 1)), "{wait}");
            now += wait + 1;
            fresh.record(at(now), wait as f64, 1, 81.0, Some(100.0));
        }
        fresh.record(at(now), 9000.0, 1, 79.0, Some(100.0));
        assert!(fresh.is_stale(at(now + 1001)));
    }

    #[test]
    fn one_that_is_clearly_better_is_asked_again_at_once() {
        let mut fresh = Freshness::default();
        fresh.record(at(5000), 5000.0, 1, 59.0, Some(100.0));
        assert!(fresh.is_stale(at(5001)));
        // Not when others were on their way, nor when it is only a little better.
        fresh.record(at(5002), 2.0, 2, 59.0, Some(100.0));
        assert!(!fresh.is_stale(at(5003)));
        fresh.record(at(5004), 2.0, 1, 61.0, Some(100.0));
        assert!(!fresh.is_stale(at(5005)));
    }
}
