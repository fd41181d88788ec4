//! Who gives way when as many jobs wait as may.
//!
//! Here: [`WaitingByCustomer`], customers by how many of their jobs wait, and the newest of each. It is kept only while
//! the queue is about full, so that it costs nothing otherwise. Not here: the limit (`queue/admitting.rs`), nor which jobs
//! go next (the strategies). Called by `queue.rs`. Floor 1.

use std::collections::BTreeMap;

use super::job::JobId;
use super::ranking::Ranking;

/// The jobs of which nothing was sent yet, by customer.
#[derive(Default)]
pub(super) struct WaitingByCustomer {
    /// By the customer's index, its jobs by number.
    jobs: BTreeMap<u32, BTreeMap<u64, JobId>>,
    /// Customers by how many those are, and by the number of the newest.
    counts: Ranking<(usize, u64), u32>,
}

/// The customer with the most jobs that wait.
pub(super) struct Most {
    /// How many they are.
    pub(super) count: usize,
    /// The last one to come.
    pub(super) newest: JobId,
}

impl WaitingByCustomer {
    /// One more job waits.
    pub(super) fn insert(&mut self, customer: u32, number: u64, job: JobId) {
        self.jobs.entry(customer).or_default().insert(number, job);
        self.rank(customer);
    }

    /// A job waits no longer, if it did.
    pub(super) fn remove(&mut self, customer: u32, number: u64) {
        if let Some(jobs) = self.jobs.get_mut(&customer) {
            jobs.remove(&number);
            self.rank(customer);
        }
    }

    /// How many jobs of a customer wait.
    pub(super) fn count(&self, customer: u32) -> usize {
        self.jobs.get(&customer).map_or(0, BTreeMap::len)
    }

    /// The customer with the most; of equal ones that with the newest job.
    pub(super) fn most(&self) -> Option<Most> {
        let ((count, _), customer) = self.counts.last()?;
        let (_, &newest) = self.jobs.get(&customer)?.last_key_value()?;
        Some(Most { count, newest })
    }

    fn rank(&mut self, customer: u32) {
        let Some(jobs) = self.jobs.get(&customer) else { return };
        let newest = jobs.last_key_value().map(|(&number, _)| (jobs.len(), number));
        self.counts.set(customer, newest);
        if newest.is_none() {
            self.jobs.remove(&customer);
        }
    }
}
