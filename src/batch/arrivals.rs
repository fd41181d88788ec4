//! The jobs that wait, in order of arrival, whatever the strategy.
//!
//! Here: [`Arrivals`], a list through the jobs themselves, so that a job leaves it from anywhere at once. It answers
//! how many wait and which is the oldest. Called by `queue.rs`. Floor 1.

use super::job::{Job, JobId};
use crate::slots::Slots;

/// A doubly linked list; its links are in the jobs.
#[derive(Default)]
pub(super) struct Arrivals {
    oldest: Option<JobId>,
    newest: Option<JobId>,
    count: usize,
}

impl Arrivals {
    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The one that has waited longest.
    pub(super) fn oldest(&self) -> Option<JobId> {
        self.oldest
    }

    /// Puts a job that is in no list behind all others.
    pub(super) fn append(&mut self, jobs: &mut Slots<Job>, id: JobId) {
        let before = self.newest.replace(id);
        match before {
            Some(before) => entry(jobs, before).newer = Some(id),
            None => self.oldest = Some(id),
        }
        entry(jobs, id).older = before;
        self.count += 1;
    }

    /// Takes a job of the list out.
    pub(super) fn remove(&mut self, jobs: &mut Slots<Job>, id: JobId) {
        let job = entry(jobs, id);
        let (older, newer) = (job.older.take(), job.newer.take());
        match older {
            Some(older) => entry(jobs, older).newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => entry(jobs, newer).older = older,
            None => self.newest = older,
        }
        self.count -= 1;
    }

    /// The jobs from the oldest to the newest.
    pub(super) fn iter<'a>(&'a self, jobs: &'a Slots<Job>) -> impl Iterator<Item = JobId> + 'a {
        std::iter::successors(self.oldest, |id| jobs.get(id.0).and_then(|job| job.newer))
    }
}

fn entry(jobs: &mut Slots<Job>, id: JobId) -> &mut Job {
    jobs.get_mut(id.0).expect("a job in the list lives")
}
