//! Who is let in.
//!
//! Here: how a job comes into the queue, and which one gives way to it when as many wait as may. Not here: how it leaves
//! (`queue.rs`, whose methods these are). Floor 1.

use super::Queue;
use crate::batch::admission::WaitingByCustomer;
use crate::batch::dispatch::{Admitted, GaveWay, Refused};
use crate::batch::job::{Job, JobId, KeyId};
use crate::time::Instant;

impl Queue {
    /// Queues a job of a customer that arrived at `now`. `lengths` are the characters of each of its sequences.
    /// Jobs of unlike `key` never share a batch.
    ///
    /// If as many jobs wait as may, the customer with the most gives way, this job counted: its newest job of which
    /// nothing was sent ends, and this one takes the place. Of equal ones this job's customer gives way.
    ///
    /// # Errors
    ///
    /// If this job is the one to give way, or if no batch could hold it.
    pub fn admit(
        &mut self,
        customer: &str,
        key: KeyId,
        lengths: &[u32],
        now: Instant,
    ) -> Result<Admitted, Refused> {
        self.judge_size(lengths)?;
        let gave_way =
            if self.depth() < self.options.limit { None } else { Some(self.make_way(customer, now)?) };
        Ok(Admitted { job: self.enqueue(customer, key, lengths, now), gave_way })
    }

    /// As [`admit`](Queue::admit), but nobody gives way.
    ///
    /// # Errors
    ///
    /// If as many jobs wait as may, or if no batch could hold it.
    pub fn push(
        &mut self,
        customer: &str,
        key: KeyId,
        lengths: &[u32],
        now: Instant,
    ) -> Result<JobId, Refused> {
        self.judge_size(lengths)?;
        match self.depth() < self.options.limit {
            true => Ok(self.enqueue(customer, key, lengths, now)),
            false => Err(self.full(now)),
        }
    }

    fn judge_size(&self, lengths: &[u32]) -> Result<(), Refused> {
        let most = self.options.batch_size;
        if (1..=most).contains(&lengths.len()) { Ok(()) } else { Err(Refused::Size { most }) }
    }

    /// One job more than may wait.
    fn full(&mut self, now: Instant) -> Refused {
        self.figures.refused += 1;
        Refused::Full { retry_after_s: self.drain_rate.seconds_for(self.depth(), now) }
    }

    fn enqueue(&mut self, customer: &str, key: KeyId, lengths: &[u32], now: Instant) -> JobId {
        let customer = self.customers.enter(customer);
        let number = self.next_number;
        self.next_number += 1;
        let id = JobId(self.jobs.insert(Job::new(customer, key, number, now, lengths)));
        self.arrivals.append(&mut self.jobs, id);
        self.drain_rate.waiting(now);
        self.figures.queued += 1;
        self.slice(id);
        self.insert(id);
        if self.waiting_by_customer.is_some() {
            self.note_waiting(customer.index(), number, id);
        }
        id
    }

    /// Ends the job that gives way to one more of a customer.
    #[cold]
    fn make_way(&mut self, customer: &str, now: Instant) -> Result<GaveWay, Refused> {
        let own = self.customers.find(customer);
        let by_customer = self.waiting_by_customer.get_or_insert_with(|| {
            let mut by_customer = WaitingByCustomer::default();
            let waiting = self.arrivals.iter(&self.jobs).filter_map(|id| Some((id, self.jobs.get(id.0)?)));
            for (id, job) in waiting.filter(|(_, job)| job.is_untouched()) {
                by_customer.insert(job.customer.index(), job.number, id);
            }
            by_customer
        });
        // An index may have been another's before, but not while a job of it waits.
        let own = own.map_or(0, |own| by_customer.count(own.index()));
        let most = by_customer.most().filter(|most| most.count > own + 1);
        let refused = self.full(now);
        let job = most.ok_or(refused)?.newest;
        self.end(job, now);
        Ok(GaveWay { job, refused })
    }

    /// One more job waits while it is kept who has how many.
    #[cold]
    fn note_waiting(&mut self, customer: u32, number: u64, id: JobId) {
        if self.depth() < self.options.limit / 2 {
            self.waiting_by_customer = None;
        } else if let Some(by_customer) = &mut self.waiting_by_customer {
            by_customer.insert(customer, number, id);
        }
    }
}
