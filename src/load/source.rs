//! Who sends, and when.
//!
//! Here: [`Pace`], and what a generator keeps of each source of requests. Not here: connections (`connection.rs`). Floor 3.

use std::time::Duration;

use super::RequestId;
use crate::slots::SlotId;

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
}

/// A source of requests under way.
pub(super) struct Source {
    pub(super) pace: Pace,
    /// How many requests have been begun.
    begun: u64,
    /// Connections that wait for a request, the one used last at the end.
    pub(super) idle: Vec<SlotId>,
}

impl Source {
    pub(super) fn new(pace: Pace) -> Source {
        let most = match pace {
            Pace::Closed { users, .. } => users,
        };
        Source { pace, begun: 0, idle: Vec::with_capacity(most) }
    }

    /// Names the next request of this source, which stands at position `source`.
    pub(super) fn next_request(&mut self, source: usize) -> RequestId {
        self.begun += 1;
        RequestId { source, index: self.begun - 1 }
    }
}
