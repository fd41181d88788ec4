//! Tickets by job.
//!
//! Here: [`ByJob`], which finds a job's ticket by the job's place in the queue's table. Not here: jobs (`batch/`),
//! tickets (`mod.rs`). Floor 3.

use crate::batch::JobId;
use crate::proxy::TicketId;

/// The tickets of the jobs that live, by the index of the job.
///
/// A job's index is another's as soon as the queue has ended it, which may be before its ticket is gone: what is known
/// of an index is therefore of its last job.
#[derive(Default)]
pub(super) struct ByJob {
    tickets: Vec<Option<(JobId, TicketId)>>,
    jobs: usize,
}

impl ByJob {
    /// `job` is `ticket`'s.
    pub(super) fn insert(&mut self, job: JobId, ticket: TicketId) {
        let index = job.slot().index() as usize;
        if index >= self.tickets.len() {
            self.tickets.resize(index + 1, None);
        }
        let before = self.tickets[index].replace((job, ticket));
        self.jobs += usize::from(before.is_none());
    }

    /// Whose `job` is, if it lives.
    pub(super) fn get(&self, job: JobId) -> Option<TicketId> {
        let (known, ticket) = self.tickets.get(job.slot().index() as usize).copied().flatten()?;
        (known == job).then_some(ticket)
    }

    /// `job` is gone.
    pub(super) fn remove(&mut self, job: JobId) {
        if self.get(job).is_some() {
            self.tickets[job.slot().index() as usize] = None;
            self.jobs -= 1;
        }
    }

    /// How many jobs live.
    pub(super) fn len(&self) -> usize {
        self.jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{KeyId, Queue, QueueOptions};
    use crate::slots::{SlotId, Slots};
    use crate::time::Instant;

    #[test]
    fn the_next_job_at_an_index_is_not_the_last_ones() {
        let mut queue = Queue::new(QueueOptions::default());
        let push = |queue: &mut Queue| queue.push("c", KeyId(0), &[1], Instant::ZERO).unwrap();
        let mut slots = Slots::default();
        let [one, other]: [SlotId; 2] = std::array::from_fn(|_| slots.insert(()));
        let mut by_job = ByJob::default();
        let first = push(&mut queue);
        by_job.insert(first, one);
        assert!(queue.cancel(first, Instant::ZERO));
        let second = push(&mut queue);
        assert_eq!(first.slot().index(), second.slot().index());
        assert_eq!(by_job.get(second), None);
        by_job.insert(second, other);
        assert_eq!((by_job.get(first), by_job.get(second), by_job.len()), (None, Some(other), 1));
        by_job.remove(first);
        assert_eq!((by_job.get(second), by_job.len()), (Some(other), 1));
        by_job.remove(second);
        assert_eq!((by_job.get(second), by_job.len()), (None, 0));
    }
}
