//! Who sends, and when.
//!
//! Here: [`Pace`], and what a generator keeps of each source of requests. Not here: connections (`connection.rs`). Floor 3.

use std::time::Duration;

use super::{Arrivals, RequestId};
use crate::slots::SlotId;
use crate::time::Instant;

/// When a source sends.
#[derive(Clone, Debug)]
pub enum Pace {
    /// A closed loop: so many users, each of which sends its next request when its last is answered and `pause` has
    /// passed. Each has a connection of its own.
    Closed {
        /// How many.
        users: usize,
        /// How long each rests after an answer.
        pause: Duration,
    },
    /// An open loop: requests fall due whether or not earlier ones are answered.
    Open {
        /// When.
        arrivals: Arrivals,
        /// The most connections; what falls due while all carry requests is sent late, and counts from when it was due.
        connections: usize,
    },
}

/// What is to be done for a source in an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send the request that was due at this time.
    Now(Instant),
    /// Set a timer; the next is due then.
    At(Instant),
    /// Nothing: a timer is set already, a connection must become free first, or there are no more.
    Nothing,
}

/// A source of requests under way.
pub(super) struct Source {
    pub(super) schedule: Schedule,
    /// How many requests have been begun.
    begun: u64,
    /// Connections that wait for a request, the one used last at the end.
    pub(super) idle: Vec<SlotId>,
    /// Connections, idle or not.
    pub(super) open: usize,
}

pub(super) enum Schedule {
    Closed {
        pause: Duration,
    },
    Open {
        arrivals: Arrivals,
        /// When the next is due, or was.
        next: Instant,
        connections: usize,
        /// A timer is set.
        armed: bool,
    },
}

impl Source {
    /// A source that begins at `start`.
    pub(super) fn new(pace: &Pace, start: Instant) -> Source {
        let (schedule, most) = match pace {
            Pace::Closed { users, pause } => (Schedule::Closed { pause: *pause }, *users),
            Pace::Open { arrivals, connections } => {
                let mut arrivals = arrivals.clone();
                let next = after(start, &mut arrivals);
                (Schedule::Open { arrivals, next, connections: *connections, armed: false }, *connections)
            }
        };
        Source { schedule, begun: 0, idle: Vec::with_capacity(most), open: 0 }
    }

    /// Names the next request of this source, which stands at position `source`.
    pub(super) fn next_request(&mut self, source: usize) -> RequestId {
        self.begun += 1;
        RequestId { source, index: self.begun - 1 }
    }

    /// What is to be done at `now` if the run began at `start` and what is due at `end` is not sent any more.
    pub(super) fn take_due(&mut self, now: Instant, start: Instant, end: Instant) -> Due {
        let has_idle = !self.idle.is_empty();
        match &mut self.schedule {
            Schedule::Open { arrivals, next, connections, armed } if *next < end => {
                if *next <= now && (has_idle || self.open < *connections) {
                    return Due::Now(std::mem::replace(next, after(start, arrivals)));
                }
                let wait = *next > now && !*armed;
                *armed |= wait;
                if wait { Due::At(*next) } else { Due::Nothing }
            }
            Schedule::Open { .. } | Schedule::Closed { .. } => Due::Nothing,
        }
    }

    /// Whether a timer is to be set for a look in the next turn.
    pub(super) fn arm(&mut self) -> bool {
        match &mut self.schedule {
            Schedule::Open { armed, .. } => !std::mem::replace(armed, true),
            Schedule::Closed { .. } => false,
        }
    }

    /// The timer has fired.
    pub(super) fn disarm(&mut self) {
        if let Schedule::Open { armed, .. } = &mut self.schedule {
            *armed = false;
        }
    }

    /// Whether something that was due before `end` is still to be sent.
    pub(super) fn is_late(&self, end: Instant) -> bool {
        matches!(&self.schedule, Schedule::Open { next, .. } if *next < end)
    }

    /// How many were due before `end` and have not been sent; they are passed over.
    pub(super) fn pass_over(&mut self, start: Instant, end: Instant) -> u64 {
        let Schedule::Open { arrivals, next, .. } = &mut self.schedule else { return 0 };
        let mut unsent = 0;
        while *next < end {
            *next = after(start, arrivals);
            unsent += 1;
        }
        unsent
    }
}

fn after(start: Instant, arrivals: &mut Arrivals) -> Instant {
    arrivals.next().map_or(Instant::NEVER, |offset| start + offset)
}
