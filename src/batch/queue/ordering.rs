//! What waits, cut into parts and put in order, and anew when what is known of the classifier changes.
//!
//! Here: how jobs come to the strategy. Not here: how they leave it (`queue.rs`, the only caller). Floor 1.

use std::time::Duration;

use super::Queue;
use crate::batch::adaptive::split::longest_of_short;
use crate::batch::dispatch::Batch;
use crate::batch::in_flight::Verdict;
use crate::batch::job::{Job, JobId, Slice};
use crate::batch::strategy::{StrategyName, empty};
use crate::time::Instant;

/// So many jobs are ordered anew for each batch that is answered, at most.
const MOST_ORDERED_PER_BATCH: usize = 16;

impl Queue {
    /// Decides in which parts a job of which none was sent waits.
    pub(super) fn slice(&mut self, id: JobId) {
        let job = self.jobs.get_mut(id.0).expect("a job that waits lives");
        let splits =
            self.name == StrategyName::Adaptive && self.options.split && self.service_times.is_known();
        let predict_ms = |shape| self.service_times.of(job.key).predict_ms(shape);
        let bound =
            splits.then(|| longest_of_short(&job.lengths, self.options.batch_size as u32, predict_ms));
        job.waiting.clear();
        match bound.flatten() {
            Some(bound) => {
                job.longest_of_short = bound;
                job.waiting.insert(Slice::Short);
                job.waiting.insert(Slice::Long);
            }
            None => job.waiting.insert(Slice::Whole),
        }
    }

    /// Tells the strategy of the parts of a job that wait.
    pub(super) fn insert(&mut self, id: JobId) {
        let job = self.jobs.get_mut(id.0).expect("a job that waits lives");
        let weight = self.customers.weight(job.customer);
        for slice in job.waiting.iter() {
            if self.name == StrategyName::Adaptive {
                let own_ms = self.service_times.of(job.key).predict_ms(job.shape(slice));
                job.own_ns[usize::from(slice == Slice::Long)] = (1e6 * own_ms) as u64;
            }
            self.strategy.insert(&job.describe(id, slice, weight));
        }
    }

    /// Gives all that waits to a new strategy of the current name.
    pub(super) fn order_anew(&mut self) {
        (self.answered_since_order, self.order_is_old) = (0, false);
        self.strategy = empty(self.name, &self.options, &self.service_times);
        let waiting: Vec<JobId> = self.arrivals.iter(&self.jobs).collect();
        for id in waiting {
            if self.jobs.get(id.0).is_some_and(Job::is_untouched) {
                self.slice(id);
            }
            self.insert(id);
        }
    }

    /// Learns from a batch that was answered.
    ///
    /// What waits is ordered anew when predictions are made in another way, but no more often than pays: each of many
    /// keys may change its way, and to order takes as long as much waits. That predictions are made at all is worth it.
    pub(super) fn learn(&mut self, batch: &Batch, took: Duration, now: Instant) {
        let error_ms = self.service_times.of(batch.key).error_ms();
        let was_known = self.service_times.is_known();
        self.answered_since_order = self.answered_since_order.saturating_add(1);
        if self.in_flight.answered(batch.id, took, error_ms, now) == Verdict::Undisturbed
            && self.service_times.observe(batch.key, batch.shape, took)
        {
            self.order_is_old = true;
        }
        let is_due = was_known != self.service_times.is_known()
            || self.answered_since_order >= self.depth() / MOST_ORDERED_PER_BATCH;
        if self.order_is_old && is_due && self.name == StrategyName::Adaptive {
            self.order_anew();
        }
    }
}
