//! The choice itself.
//!
//! Here: strict rotation, the lowest mean, and whom to probe first. Not here: the averages (`estimate.rs`). Floor 1.

use super::backends::Backend;
use super::{BackendId, RoutingMode};
use crate::time::Instant;

/// Strict rotation: A, B, C, A and so on. Constant time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rotation {
    next: usize,
}

impl Rotation {
    /// The next of `backends`, which must not be 0.
    pub(super) fn next(&mut self, backends: usize) -> BackendId {
        let chosen = self.next;
        self.next = if chosen + 1 < backends { chosen + 1 } else { 0 };
        BackendId(chosen as u16)
    }
}

/// The first backend without a latency, in configuration order, that is not left alone after a failure.
pub(super) fn unmeasured(backends: &[Backend], now: Instant) -> Option<BackendId> {
    let first = backends.iter().position(|b| b.sma_ns().is_none() && b.rests_until <= now);
    first.map(|i| BackendId(i as u16))
}

/// The measured backend with the lowest mean, ties to the earlier. Linear in the number of backends.
pub(super) fn lowest_mean(backends: &[Backend], mode: RoutingMode) -> Option<BackendId> {
    let mut best = None;
    for (i, backend) in backends.iter().enumerate() {
        if let Some(score) = backend.score_ns(mode)
            && best.is_none_or(|(_, lowest)| score < lowest)
        {
            best = Some((i, score));
        }
    }
    best.map(|(i, _)| BackendId(i as u16))
}

/// The backend whose rest after a failure ends first, ties to the earlier: when all are unmeasured and resting.
pub(super) fn first_rested(backends: &[Backend]) -> Option<BackendId> {
    let first = backends.iter().enumerate().min_by_key(|(_, b)| b.rests_until);
    first.map(|(i, _)| BackendId(i as u16))
}
