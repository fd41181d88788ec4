//! How long the turns of a loop take, and when it came too late.
//!
//! Here: [`TurnTimes`], what is counted of turns; what is a stall. Not here: what a stall means for deadlines (`wheel.rs`,
//! `deadline.rs`) and the loop (`reactor.rs`). Floor 2.

use std::time::Duration;

use crate::time::Instant;

/// From how long on a turn, or its being late, is a stall: the process was stopped, the machine was busy with others, or a turn
/// had too much to do. What comes meanwhile waits, and that is nobody's fault but ours.
pub const STALL: Duration = Duration::from_millis(100);

/// So late, in nanoseconds, a deadline is looked at before what has come meanwhile was read: the next events are asked for first.
pub(super) const LATE_NS: u64 = 10_000_000;

/// A turn that takes longer is logged.
const LOGGED: Duration = Duration::from_secs(1);

/// Turns are counted by whether they took at most so many microseconds; the last ones took longer.
pub const BOUNDS_US: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// What is counted of turns, each from its first look at the clock to its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTimes {
    /// How many took at most each of [`BOUNDS_US`] and more than the one before; the last ones took longer.
    pub counts: [u64; BOUNDS_US.len() + 1],
    /// All of them together, nanoseconds.
    pub total_ns: u64,
    /// The longest, nanoseconds.
    pub longest_ns: u64,
    /// How often the loop was stalled: it came late by [`STALL`] or more, or a turn took that long.
    pub stalls: u64,
    /// For how long in all, nanoseconds.
    pub stalled_ns: u64,
}

impl TurnTimes {
    /// Counts a turn that took so many nanoseconds. Most are short: they cost two additions.
    #[inline]
    pub(super) fn count(&mut self, took_ns: u64) {
        self.total_ns += took_ns;
        if took_ns <= BOUNDS_US[0] * 1_000 {
            self.counts[0] += 1;
        } else {
            self.count_long(took_ns);
        }
    }

    /// Counts a stall.
    #[cold]
    pub(super) fn stalled(&mut self, lost: Duration) {
        self.stalls += 1;
        self.stalled_ns += lost.as_nanos() as u64;
    }

    #[cold]
    #[inline(never)]
    fn count_long(&mut self, took_ns: u64) {
        let longer = BOUNDS_US.iter().take_while(|&&bound| took_ns > bound * 1_000).count();
        self.counts[longer] += 1;
        self.longest_ns = self.longest_ns.max(took_ns);
        let took = Duration::from_nanos(took_ns);
        if took > LOGGED {
            log::warn!("a turn of the event loop took {took:.1?}: whoever came meanwhile had to wait");
        }
    }
}

/// For how long the loop was not there: what it came too late, and its own turn, each only if that is a stall. `expected`: when the
/// turn was to begin at the latest, [`Instant::NEVER`] if there was nothing to wait for; `began` and `ended`: its first and last look at the clock.
pub(super) fn stalled(expected: Instant, began: Instant, ended: Instant) -> Duration {
    [began - expected, ended - began].into_iter().filter(|&lost| lost >= STALL).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_by_how_long_they_took() {
        let mut times = TurnTimes::default();
        for us in [0, 999, 1_000, 1_001, 2_500, 30_000, 20_000_000] {
            times.count(us * 1_000);
        }
        assert_eq!(times.counts, [3, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((times.longest_ns, times.total_ns, times.stalls), (20_000_000_000, 20_035_500_000, 0));
        times.count(3_000);
        times.stalled(Duration::from_secs(12));
        assert_eq!((times.counts[0], times.stalls, times.stalled_ns), (4, 1, 12_000_000_000));
    }

    #[test]
    fn a_stall_is_what_was_late_or_took_long_and_nothing_short() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let ms = Duration::from_millis;
        assert_eq!(stalled(at(10), at(109), at(208)), ms(0));
        assert_eq!(stalled(at(10), at(110), at(209)), ms(100));
        assert_eq!(stalled(at(10), at(110), at(310)), ms(300));
        assert_eq!(stalled(at(500), at(110), at(310)), ms(200), "woken before it was expected");
        assert_eq!(stalled(Instant::NEVER, at(900), at(901)), ms(0), "nobody was expected");
    }
}
