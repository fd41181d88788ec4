//! A deadline that moves.
//!
//! Here: [`Deadline`], which re-arms lazily. Not here: the timers themselves (`wheel.rs`). Connections have one each.
//! Floor 0.

use std::time::Duration;

use crate::time::Instant;
use crate::wheel::{TimerId, Wheel};

/// One deadline that moves often, as a connection's does with every exchange.
///
/// A later deadline is only noted; the timer that is set already fires first and is set again then (the habit of
/// nginx and HAProxy). So an exchange costs two stores instead of two list operations. A stall of the reactor itself is not
/// counted: the deadline is later by as much.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    timer: TimerId,
    /// When the timer fires; [`Instant::NEVER`] if none is set.
    fires: Instant,
    /// How long the reactor had been stalled in all when the deadline was set ([`crate::wheel::Stalls`]).
    stalled_ms: u32,
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline { at: Instant::NEVER, timer: TimerId::NONE, fires: Instant::NEVER, stalled_ms: 0 }
    }
}

impl Deadline {
    /// Moves the deadline; `payload` is what the timer delivers.
    #[inline]
    pub fn set<P>(&mut self, wheel: &mut Wheel<P>, at: Instant, payload: P) {
        self.at = at;
        self.stalled_ms = wheel.stalls().ms;
        if at < self.fires {
            self.rearm(wheel, payload);
        }
    }

    /// No deadline for now. A timer that is still set will find nothing to do.
    pub fn clear(&mut self) {
        self.at = Instant::NEVER;
    }

    /// When it expires; [`Instant::NEVER`] if cleared.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Whether a timer is set, for who counts them.
    pub fn is_armed(&self) -> bool {
        self.fires != Instant::NEVER
    }

    /// To be called when the timer has fired: whether the deadline has truly passed. If it had moved, the timer is
    /// set again.
    pub fn has_passed<P>(&mut self, wheel: &mut Wheel<P>, now: Instant, payload: P) -> bool {
        self.fires = Instant::NEVER;
        if self.at == Instant::NEVER {
            return false;
        }
        let stalled_ms = wheel.stalls().ms;
        let missed = stalled_ms.wrapping_sub(self.stalled_ms);
        self.at = self.at + Duration::from_millis(u64::from(missed));
        self.stalled_ms = stalled_ms;
        let passed = self.at <= now;
        if passed {
            self.clear();
        } else {
            self.rearm(wheel, payload);
        }
        passed
    }

    /// Takes the timer out of the wheel, because its owner goes.
    pub fn disarm<P>(&mut self, wheel: &mut Wheel<P>) {
        self.unset(wheel);
        self.clear();
    }

    fn unset<P>(&mut self, wheel: &mut Wheel<P>) {
        if self.is_armed() {
            wheel.remove(self.timer);
            self.fires = Instant::NEVER;
        }
    }

    #[inline(never)]
    fn rearm<P>(&mut self, wheel: &mut Wheel<P>, payload: P) {
        self.unset(wheel);
        if self.at != Instant::NEVER {
            self.timer = wheel.insert(self.at, payload);
            self.fires = self.at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_deadline_moved_later_costs_no_timer_and_fires_once() {
        let mut wheel = Wheel::new(0, at(0));
        let mut deadline = Deadline::default();
        deadline.set(&mut wheel, at(10), ());
        deadline.set(&mut wheel, at(30), ());
        assert_eq!(wheel.len(), 1);
        assert_eq!(wheel.expire(at(10)), Some(()));
        assert!(!deadline.has_passed(&mut wheel, at(10), ()));
        assert_eq!(wheel.expire(at(29)), None);
        assert_eq!(wheel.expire(at(30)), Some(()));
        assert!(deadline.has_passed(&mut wheel, at(30), ()));
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_deadline_moved_earlier_fires_at_the_earlier_time() {
        let mut wheel = Wheel::new(0, at(0));
        let mut deadline = Deadline::default();
        deadline.set(&mut wheel, at(30), ());
        deadline.set(&mut wheel, at(10), ());
        assert_eq!(wheel.len(), 1);
        assert_eq!(wheel.expire(at(10)), Some(()));
        assert!(deadline.has_passed(&mut wheel, at(10), ()));
        deadline.set(&mut wheel, at(40), ());
        deadline.clear();
        assert_eq!(wheel.expire(at(40)), Some(()));
        assert!(!deadline.has_passed(&mut wheel, at(40), ()));
    }

    #[test]
    fn a_stall_of_the_reactor_is_not_counted() {
        let ms = |ms: u64| at(ms * 1_000_000);
        let mut wheel = Wheel::new(0, at(0));
        let mut deadline = Deadline::default();
        deadline.set(&mut wheel, ms(10), ());
        wheel.stalled(Duration::from_millis(7), ms(12));
        assert_eq!(wheel.expire(ms(12)), Some(()));
        assert!(!deadline.has_passed(&mut wheel, ms(12), ()), "seven of the twelve were not its");
        assert_eq!(wheel.expire(ms(17)), Some(()));
        assert!(deadline.has_passed(&mut wheel, ms(17), ()), "they are not counted twice");
        deadline.set(&mut wheel, ms(30), ());
        assert_eq!(wheel.expire(ms(30)), Some(()));
        assert!(deadline.has_passed(&mut wheel, ms(30), ()), "nor is a stall before it was set");
    }
}
