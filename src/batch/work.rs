//! What the queue's work is measured by in unit tests: not time, but comparisons of keys and steps of rankings.
//!
//! Here: the count, and the tests that it grows no faster than the logarithm of what waits. Floor 1.

use std::cell::Cell;
use std::cmp::Ordering;
use std::time::Duration;

use super::job::KeyId;
use super::tests::{at, options};
use super::{Batch, BatchOutcome, JobId, Next, Queue, QueueOptions, StrategyName};

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// One step more.
pub(super) fn step() {
    STEPS.set(STEPS.get() + 1);
}

impl PartialEq for KeyId {
    fn eq(&self, other: &KeyId) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for KeyId {
    fn partial_cmp(&self, other: &KeyId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyId {
    fn cmp(&self, other: &KeyId) -> Ordering {
        step();
        self.0.cmp(&other.0)
    }
}

/// Who sends how many requests with bodies that are unlike.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    customers: usize,
    /// Of each customer; the same ones.
    keys: u32,
}

/// A queue that knows the classifier's times, in which a job of each customer and key waits, and these jobs.
fn filled(strategy: StrategyName, crowd: Crowd, halve: bool) -> (Queue, Vec<JobId>) {
    let options = QueueOptions { batches_in_flight: Some(1), limit: usize::MAX, halve, ..options(strategy) };
    let mut queue = Queue::new(options);
    for length in 0..40 {
        queue.push("teacher", KeyId(0), &[length], at(0)).unwrap();
        let Next::Dispatch(batch) = queue.next(at(1_000)) else {
            let Next::Dispatch(batch) = queue.next(at(2_000)) else { panic!("nothing is in flight") };
            answer(&mut queue, batch, 2_000);
            continue;
        };
        answer(&mut queue, batch, 2_000);
    }
    let mut jobs = Vec::new();
    for customer in 0..crowd.customers {
        for key in 0..crowd.keys {
            let (name, length) = (format!("c{customer}"), 10 + (customer as u32 * 7 + key * 13) % 50);
            jobs.push(queue.push(&name, KeyId(key), &[length], at(2_000)).unwrap());
        }
    }
    (queue, jobs)
}

fn answer(queue: &mut Queue, batch: Batch, ms: u64) {
    let took = Duration::from_micros(u64::from(batch.longest()).pow(2));
    queue.finished(batch, BatchOutcome::Answered { took }, at(ms));
}

/// Steps for each job, if all are sent in time, or late so that all are overdue.
fn sending(strategy: StrategyName, crowd: Crowd, late: bool) -> f64 {
    let (mut queue, jobs) = filled(strategy, crowd, true);
    let before = STEPS.get();
    let mut ms = if late { 100_000 } else { 2_001 };
    while !queue.is_empty() {
        match queue.next(at(ms)) {
            Next::Dispatch(batch) => answer(&mut queue, batch, ms),
            Next::WaitUntil(_) => ms += 100,
            Next::Idle => panic!("something waits"),
        }
    }
    (STEPS.get() - before) as f64 / jobs.len() as f64
}

/// Steps for each job that is cancelled, in this order.
fn cancelling(strategy: StrategyName, crowd: Crowd, newest_first: bool) -> f64 {
    let (mut queue, mut jobs) = filled(strategy, crowd, true);
    if newest_first {
        jobs.reverse();
    }
    let before = STEPS.get();
    for &job in &jobs {
        assert!(queue.cancel(job, at(2_001)));
        assert!(!matches!(queue.next(at(2_001)), Next::Dispatch(_)) || queue.in_flight() == 1);
    }
    (STEPS.get() - before) as f64 / jobs.len() as f64
}

/// Eight times as many keys take hardly more steps each.
#[test]
fn a_job_costs_the_logarithm_of_what_waits() {
    let crowds = [(1, 500, 4_000), (30, 16, 128), (120, 4, 32)];
    for strategy in StrategyName::ALL {
        for (customers, few, many) in crowds {
            let costs = |keys| {
                let crowd = Crowd { customers, keys };
                [
                    sending(strategy, crowd, false),
                    sending(strategy, crowd, true),
                    cancelling(strategy, crowd, false),
                    cancelling(strategy, crowd, true),
                ]
            };
            for (i, (few, many)) in costs(few).into_iter().zip(costs(many)).enumerate() {
                assert!(
                    many < 2.0 * few + 50.0,
                    "{strategy}, {customers} customers, {i}: {few:.0} and {many:.0} steps a job"
                );
            }
        }
    }
}
