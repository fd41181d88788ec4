//! Copies that nobody waits for any more.
//!
//! Here: [`Abandoned`], how many of them a backend may work on still: one whose connection is closed need not notice, and what
//! seems to be at rest would be sent more than it can do. Without, hedges take unequal capacities at 95 % from 23 to 42 ms.
//! Floor 1.

use super::super::millis;
use crate::time::Instant;

/// Fewer are none.
const NONE: f64 = 0.01;

/// Overtaken copies, each until it would have been answered, on the average.
#[derive(Clone, Debug, Default)]
pub(super) struct Abandoned {
    copies: f64,
    rest_ms: f64,
    at: Instant,
}

impl Abandoned {
    /// One more, which would have been answered in `rest_ms`.
    pub(super) fn add(&mut self, rest_ms: f64, now: Instant) {
        let left = self.left(now);
        self.rest_ms = (self.rest_ms * left + rest_ms) / (left + 1.0);
        (self.copies, self.at) = (left + 1.0, now);
    }

    /// How many there are, as a whole number.
    pub(super) fn count(&self, now: Instant) -> u32 {
        if self.copies < NONE { 0 } else { self.left(now).round() as u32 }
    }

    fn left(&self, now: Instant) -> f64 {
        if self.rest_ms <= 0.0 {
            return 0.0;
        }
        self.copies * (-millis(now.nanos_since(self.at)) / self.rest_ms).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_in_the_time_that_they_would_have_taken() {
        let mut abandoned = Abandoned::default();
        assert_eq!(abandoned.count(Instant::ZERO), 0);
        (0..100).for_each(|_| abandoned.add(200.0, Instant::ZERO));
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        assert_eq!([0, 200, 2000].map(|ms| abandoned.count(at(ms))), [100, 37, 0]);
        abandoned.add(0.0, at(2000));
        assert_eq!(abandoned.count(at(2001)), 0, "one that was about to be answered");
    }
}
