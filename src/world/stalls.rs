//! Times in which a proxy stands still.
//!
//! Here: [`Stalls`], when they are; [`Standstills`], whether it does so now; [`Alarm`], by which the clock does not pass their
//! beginning and end. Not here: what the proxy makes of them (`reactor.rs`). Floor 4.

use std::time::Duration;

use super::actor::Acts;
use crate::net::{Fabric, VirtualNet};
use crate::time::Instant;

/// When the proxy's process stands still, as by SIGSTOP or on a machine that has no processor left for it.
#[derive(Clone, Copy, Debug)]
pub struct Stalls {
    /// From one to the next, on the average.
    pub every: Duration,
    /// How long each is.
    pub long: Duration,
}

/// The stalls of one proxy.
pub(super) struct Standstills {
    of: Option<Stalls>,
    /// It stands still or is at work until then.
    until: Instant,
    next: Instant,
    /// How many there were.
    pub(super) count: u64,
}

impl Standstills {
    pub(super) fn new(of: Option<Stalls>, fabric: &Fabric) -> Standstills {
        let mut stalls = Standstills { of, until: Instant::ZERO, next: Instant::NEVER, count: 0 };
        stalls.plan(fabric);
        stalls
    }

    /// Draws when the next one is.
    fn plan(&mut self, fabric: &Fabric) {
        if let Some(stalls) = self.of {
            let us = stalls.every.as_micros() as u64;
            self.next = fabric.now().max(self.until) + Duration::from_micros(1 + fabric.draw(2 * us));
        }
    }

    /// Whether the proxy on `net` stands still; begins that when it is time, every other time with a poll that has returned already.
    pub(super) fn is_stalled(&mut self, fabric: &Fabric, net: &VirtualNet) -> bool {
        let now = fabric.now();
        if let Some(stalls) = self.of.filter(|_| now >= self.next) {
            self.until = self.until.max(now) + stalls.long;
            self.count += 1;
            if fabric.draw(2) == 0 {
                net.poll_early();
            }
            self.plan(fabric);
        }
        now < self.until
    }

    /// The proxy is at work until then.
    pub(super) fn works_until(&mut self, at: Instant) {
        self.until = at;
    }

    /// There are no further ones.
    pub(super) fn end(&mut self) {
        (self.of, self.next) = (None, Instant::NEVER);
    }

    /// When the one there is ends, or the next one begins.
    pub(super) fn alarm(&self, stalled: bool) -> Alarm {
        Alarm(if stalled { self.until } else { self.next })
    }
}

/// Something that happens at a time, and of which nobody is told.
pub(super) struct Alarm(pub(super) Instant);

impl Acts for Alarm {
    fn act(&mut self, _now: Instant) -> Result<bool, String> {
        Ok(false)
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.0).filter(|&at| at != Instant::NEVER)
    }

    fn has_stopped(&self) -> bool {
        true
    }

    fn stop(&mut self) {}
}
