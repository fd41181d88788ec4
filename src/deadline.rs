//! A deadline that moves.
//!
//! Here: [`Deadline`], which re-arms lazily. Not here: the timers themselves (`wheel.rs`). Connections have one each.
//! Floor 0.

use crate::time::Instant;
use crate::wheel::{TimerId, Wheel};

/// One deadline that moves often, as a connection's does with every exchange.
///
/// A later deadline is only noted; the timer that is set already fires first and is set anew then (the habit of
/// nginx and HAProxy). So an exchange costs two stores instead of two list operations.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    armed: Option<(TimerId, Instant)>,
}

impl Default for Deadline {
    fn default() -> Self {
        Deadline { at: Instant::NEVER, armed: None }
    }
}

impl Deadline {
    /// Moves the deadline; `payload` is what the timer delivers.
    #[inline]
    pub fn set<P>(&mut self, wheel: &mut Wheel<P>, at: Instant, payload: P) {
        self.at = at;
        if self.armed.is_none_or(|(_, armed)| at < armed) {
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
        self.armed.is_some()
    }

    /// To be called when the timer has fired: whether the deadline has truly passed. If it had moved, the timer is
    /// set again.
    pub fn has_passed<P>(&mut self, wheel: &mut Wheel<P>, now: Instant, payload: P) -> bool {
        self.armed = None;
        if self.at == Instant::NEVER {
            return false;
        }
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
        if let Some((id, _)) = self.armed.take() {
            wheel.remove(id);
        }
        self.clear();
    }

    #[inline(never)]
    fn rearm<P>(&mut self, wheel: &mut Wheel<P>, payload: P) {
        if let Some((id, _)) = self.armed.take() {
            wheel.remove(id);
        }
        if self.at != Instant::NEVER {
            self.armed = Some((wheel.insert(self.at, payload), self.at));
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
}
