//! How many batches are in flight, and how many may be.
//!
//! Here: [`InFlight`], which learns for `adaptive` how many batches the classifier works on at once: another one is
//! tried, and what it took beyond the time of such a batch is compared with the work that was ahead of it. Not here:
//! the time of a batch (`service_time.rs`). Called by `queue.rs`. Floor 1.

use std::time::Duration;

use super::dispatch::BatchId;
use crate::time::Instant;

/// The most that are ever learned to be of use.
const MOST: usize = 64;

/// The share of the work ahead that a batch waited for, above which the last one in flight was of no use, and below
/// which one more is tried.
const WAITED: f64 = 0.3;
const DID_NOT_WAIT: f64 = 0.1;

/// How long nothing is tried after one more was of no use; doubled each time, less after each success.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(30);
const PAUSE_AFTER_SUCCESS: f64 = 0.7;

/// Work ahead tells nothing if there was less of it, in milliseconds, or less than so many errors of prediction.
const LEAST_AHEAD_MS: f64 = 0.5;
const LEAST_AHEAD_ERRORS: f64 = 4.0;

/// Over which time occupancy is averaged.
const OCCUPANCY_MEMORY: Duration = Duration::from_secs(2);

/// A batch in flight.
struct Running {
    id: BatchId,
    sent: Instant,
    predicted_ms: Option<f64>,
    /// How many were in flight when it was sent.
    others: usize,
    /// The longest that any of those was still to take then.
    ahead_ms: f64,
}

/// What the end of a batch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It took its own time only.
    Undisturbed,
    /// It may have waited for others.
    Disturbed,
}

/// The batches in flight.
pub(super) struct InFlight {
    /// Some dozens at most, in no order.
    running: Vec<Running>,
    /// How many may be; `None` for what was learned.
    fixed: Option<usize>,
    learned: usize,
    not_before: Instant,
    pause: Duration,
    occupancy: f64,
    counted_to: Instant,
}

impl InFlight {
    /// None is in flight. `fixed` may be at once, or if it is `None`, as many as is learned, beginning with one.
    pub(super) fn new(fixed: Option<usize>) -> InFlight {
        InFlight {
            running: Vec::new(),
            fixed,
            learned: 1,
            not_before: Instant::ZERO,
            pause: LEAST_PAUSE,
            occupancy: 0.0,
            counted_to: Instant::ZERO,
        }
    }

    /// Changes what may be in flight at once. What was learned is kept.
    pub(super) fn set_fixed(&mut self, fixed: Option<usize>, now: Instant) {
        self.count_to(now);
        self.fixed = fixed;
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// How many may be in flight at once.
    pub(super) fn limit(&self) -> usize {
        self.fixed.unwrap_or(self.learned)
    }

    /// Which share of the places was taken lately, 0 to 1.
    pub(super) fn occupancy(&self) -> f64 {
        self.occupancy
    }

    /// A batch is sent that is predicted to take that long.
    pub(super) fn start(&mut self, id: BatchId, predicted_ms: Option<f64>, now: Instant) {
        self.count_to(now);
        let left_ms =
            |batch: &Running| batch.predicted_ms.unwrap_or(0.0) - (now - batch.sent).as_secs_f64() * 1e3;
        let ahead_ms = self.running.iter().map(left_ms).fold(0.0, f64::max);
        let others = self.running.len();
        self.running.push(Running { id, sent: now, predicted_ms, others, ahead_ms });
    }

    /// A batch ended without telling anything.
    pub(super) fn failed(&mut self, id: BatchId, now: Instant) {
        self.count_to(now);
        self.remove(id);
    }

    /// A batch was answered after `took`; predictions are wrong by `error_ms` on average.
    pub(super) fn answered(&mut self, id: BatchId, took: Duration, error_ms: f64, now: Instant) -> Verdict {
        self.count_to(now);
        let Some(batch) = self.remove(id) else { return Verdict::Disturbed };
        if batch.others == 0 {
            if batch.predicted_ms.is_some() && self.learned == 1 && now >= self.not_before {
                self.learned = 2;
            }
            return Verdict::Undisturbed;
        }
        let Some(predicted_ms) = batch.predicted_ms else { return Verdict::Disturbed };
        if batch.ahead_ms < LEAST_AHEAD_MS.max(LEAST_AHEAD_ERRORS * error_ms) {
            return Verdict::Disturbed;
        }
        let waited = ((took.as_secs_f64() * 1e3 - predicted_ms) / batch.ahead_ms).clamp(0.0, 1.0);
        self.learn(waited, batch.others, now);
        if waited < DID_NOT_WAIT { Verdict::Undisturbed } else { Verdict::Disturbed }
    }

    fn remove(&mut self, id: BatchId) -> Option<Running> {
        let index = self.running.iter().position(|batch| batch.id == id)?;
        Some(self.running.swap_remove(index))
    }

    /// A batch waited for that share of the work ahead, behind `others`.
    fn learn(&mut self, waited: f64, others: usize, now: Instant) {
        if waited > WAITED && others < self.learned {
            self.learned = others;
            self.not_before = now + self.pause;
            self.pause = (self.pause * 2).min(MOST_PAUSE);
        } else if waited < DID_NOT_WAIT && others + 1 >= self.learned && now >= self.not_before {
            self.learned = (self.learned + 1).min(MOST);
            self.pause = self.pause.mul_f64(PAUSE_AFTER_SUCCESS).max(LEAST_PAUSE);
        }
    }

    fn count_to(&mut self, now: Instant) {
        if now == self.counted_to {
            return;
        }
        let decay = (-(now - self.counted_to).as_secs_f64() / OCCUPANCY_MEMORY.as_secs_f64()).exp();
        let taken = (self.running.len() as f64 / self.limit() as f64).min(1.0);
        self.occupancy = self.occupancy * decay + taken * (1.0 - decay);
        self.counted_to = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn end(flights: &mut InFlight, id: u64, took_ms: u64, ms: u64) -> Verdict {
        flights.answered(BatchId(id), Duration::from_millis(took_ms), 0.0, at(ms))
    }

    #[test]
    fn learns_that_a_serial_classifier_is_of_use_to_one_and_tries_again_more_and_more_rarely() {
        let mut flights = InFlight::new(None);
        flights.start(BatchId(0), Some(100.0), at(0));
        assert_eq!(end(&mut flights, 0, 100, 100), Verdict::Undisturbed);
        assert_eq!(flights.limit(), 2, "one that went alone has ended, so two are tried");
        flights.start(BatchId(1), Some(100.0), at(100));
        flights.start(BatchId(2), Some(100.0), at(110));
        assert_eq!(end(&mut flights, 1, 100, 200), Verdict::Undisturbed);
        assert_eq!(end(&mut flights, 2, 190, 300), Verdict::Disturbed);
        assert_eq!(flights.limit(), 1);
        for (id, ms, limit) in [(3, 1200, 1), (4, 1300, 2)] {
            flights.start(BatchId(id), Some(1.0), at(ms - 1));
            end(&mut flights, id, 1, ms);
            assert_eq!(flights.limit(), limit, "a second after the failure, at {ms} ms");
        }
    }

    #[test]
    fn learns_that_a_concurrent_classifier_is_of_use_to_many() {
        let mut flights = InFlight::new(None);
        let (mut id, mut ms) = (0, 0);
        for _ in 0..100 {
            let now = flights.limit() as u64;
            (0..now).for_each(|i| flights.start(BatchId(id + i), Some(100.0), at(ms)));
            (0..now).for_each(|i| _ = end(&mut flights, id + i, 100, ms + 100));
            (id, ms) = (id + now, ms + 100);
        }
        assert_eq!(flights.limit(), MOST);
    }

    #[test]
    fn what_is_fixed_is_kept_and_nothing_is_tried_before_times_are_known() {
        let mut flights = InFlight::new(Some(3));
        flights.start(BatchId(0), Some(1.0), at(0));
        end(&mut flights, 0, 1, 1);
        assert_eq!(flights.limit(), 3);
        let mut flights = InFlight::new(None);
        flights.start(BatchId(0), None, at(0));
        end(&mut flights, 0, 1, 1);
        assert_eq!(flights.limit(), 1);
    }

    #[test]
    fn occupancy_is_the_share_of_places_taken_over_two_seconds() {
        let mut flights = InFlight::new(Some(2));
        flights.start(BatchId(0), None, at(0));
        flights.start(BatchId(1), None, at(60_000));
        assert!((flights.occupancy() - 0.5).abs() < 1e-3);
        flights.failed(BatchId(0), at(120_000));
        assert!((flights.occupancy() - 1.0).abs() < 1e-3);
    }
}
