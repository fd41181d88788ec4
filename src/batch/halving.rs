//! Sending a failed batch again in halves.
//!
//! Here: [`Halving`]: the halves that are to go before all else, and a budget, so that a classifier that fails always
//! is not asked again and again. Called by `queue.rs`. Floor 1.

use std::collections::VecDeque;

use super::dispatch::{Batch, FlushReason, Part};
use super::job::KeyId;

/// How many halvings may be ahead of the batches that were answered. One bad job among good ones earns back what it
/// costs: with each halving one half is answered.
pub(super) const MOST_AHEAD: u32 = 1000;

/// Half of a failed batch, to be sent.
pub(super) struct Half {
    pub(super) key: KeyId,
    pub(super) parts: Vec<Part>,
    pub(super) flush: FlushReason,
}

/// Halves to be sent, and how many more there may be.
pub(super) struct Halving {
    halves: VecDeque<Half>,
    budget: u32,
    most: u32,
}

impl Halving {
    /// `on`: whether batches are ever halved.
    pub(super) fn new(on: bool) -> Halving {
        let most = if on { MOST_AHEAD } else { 0 };
        Halving { halves: VecDeque::new(), budget: most, most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.halves.is_empty()
    }

    /// A batch was answered.
    pub(super) fn answered(&mut self) {
        self.budget = (self.budget + 1).min(self.most);
    }

    /// Queues the halves of a batch that failed; gives it back if it is of one job or there is no budget.
    pub(super) fn halve(&mut self, batch: Batch) -> Result<(), Batch> {
        if self.budget == 0 || !batch.has_several_jobs() {
            return Err(batch);
        }
        self.budget -= 1;
        let Batch { key, parts: mut first, flush, .. } = batch;
        let second = first.split_off(first.len().div_ceil(2));
        self.halves.extend([first, second].map(|parts| Half { key, parts, flush }));
        Ok(())
    }

    /// Queues what a batch has no room for, behind the halves that wait.
    pub(super) fn defer(&mut self, key: KeyId, parts: Vec<Part>, flush: FlushReason) {
        self.halves.push_back(Half { key, parts, flush });
    }

    /// The half that is to go next.
    pub(super) fn pop(&mut self) -> Option<Half> {
        self.halves.pop_front()
    }
}
