//! How fast the queue empties.
//!
//! Here: [`DrainRate`], jobs sent per second of the time in which any waited, with a memory of [`MEMORY`], from which
//! comes `Retry-After`. Time in which nothing waited says nothing of how fast the classifier is. Floor 1.

use std::time::Duration;

use crate::time::Instant;

/// After this time of waiting jobs, what was seen counts 1/e.
const MEMORY: Duration = Duration::from_secs(10);

/// The most that a client is told to wait.
pub(super) const MOST_RETRY_AFTER_S: u64 = 60;

/// A decaying mean of jobs per second.
#[derive(Default)]
pub(super) struct DrainRate {
    sent: f64,
    seconds: f64,
    /// Up to when time is counted, while any job waits.
    counted_to: Option<Instant>,
}

impl DrainRate {
    /// Jobs wait from now on, if they did not yet.
    pub(super) fn waiting(&mut self, now: Instant) {
        self.counted_to.get_or_insert(now);
    }

    /// Nothing waits from now on.
    pub(super) fn empty(&mut self, now: Instant) {
        self.count_to(now);
        self.counted_to = None;
    }

    /// So many jobs were sent.
    pub(super) fn sent(&mut self, jobs: usize, now: Instant) {
        self.count_to(now);
        self.sent += jobs as f64;
    }

    /// Whole seconds in which `jobs` are likely to be sent: 1 to [`MOST_RETRY_AFTER_S`]; 1 if nothing is known.
    pub(super) fn seconds_for(&mut self, jobs: usize, now: Instant) -> u64 {
        self.count_to(now);
        if self.seconds == 0.0 {
            return 1;
        }
        let seconds = jobs as f64 * self.seconds / self.sent;
        (seconds.ceil() as u64).clamp(1, MOST_RETRY_AFTER_S)
    }

    fn count_to(&mut self, now: Instant) {
        let Some(counted_to) = self.counted_to.filter(|&to| to < now) else { return };
        let passed = (now - counted_to).as_secs_f64();
        let decay = (-passed / MEMORY.as_secs_f64()).exp();
        self.sent *= decay;
        self.seconds = self.seconds * decay + passed;
        self.counted_to = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn retry_after_is_the_backlog_over_the_rate_while_jobs_wait() {
        let mut rate = DrainRate::default();
        assert_eq!(rate.seconds_for(100, at(0)), 1, "nothing is known");
        rate.waiting(at(0));
        for i in 1..=200 {
            rate.sent(2, at(i * 100));
        }
        assert_eq!(rate.seconds_for(100, at(20_000)), 5, "20 a second");
        rate.empty(at(20_000));
        rate.waiting(at(3_600_000));
        assert_eq!(rate.seconds_for(100, at(3_600_000)), 5, "the quiet hour does not count");
        assert_eq!(rate.seconds_for(1, at(3_600_000)), 1, "never below 1");
        assert_eq!(rate.seconds_for(10_000, at(3_600_000)), MOST_RETRY_AFTER_S);
    }

    #[test]
    fn a_classifier_that_hangs_raises_it() {
        let mut rate = DrainRate::default();
        rate.waiting(at(0));
        (1..=100).for_each(|i| rate.sent(10, at(i * 100)));
        let before = rate.seconds_for(400, at(10_000));
        let after = rate.seconds_for(400, at(20_000));
        assert!(before == 4 && after >= 8, "{before} {after}");
        let mut never = DrainRate::default();
        never.waiting(at(0));
        assert_eq!(never.seconds_for(1, at(1000)), MOST_RETRY_AFTER_S, "nothing was ever sent");
    }
}
