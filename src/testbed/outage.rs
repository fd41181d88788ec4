//! When a simulated server is not there.
//!
//! Here: [`Outages`]. Not here: which faults there are (`fault/`), shutting the door (`server/presence.rs`). Floor 3.

use super::fault::{Fault, FaultKind};
use crate::server::Presence;
use crate::time::Instant;

/// Times without service.
pub(super) struct Outages(Vec<Fault>);

impl Outages {
    /// Those among the faults.
    pub(super) fn among(faults: &[Fault]) -> Outages {
        Outages(faults.iter().filter(|fault| fault.kind == FaultKind::Refuse).cloned().collect())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the server that began at `started` is there at `now`.
    pub(super) fn presence(&self, started: Instant, now: Instant) -> Presence {
        let passed = now - started;
        match self.0.iter().filter_map(|fault| fault.until(passed)).max() {
            Some(end) => Presence::Away { until: started + end },
            None => {
                let next = self.0.iter().filter_map(|fault| fault.next(passed)).min();
                Presence::Here { until: next.map(|next| started + next) }
            }
        }
    }
}
