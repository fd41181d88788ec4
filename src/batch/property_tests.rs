//! What must hold for every strategy and every history: each job ends once, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::tests::{answered, at, options};
use super::*;

/// A classifier and clients that do what they like.
struct Crowd {
    queue: Queue,
    random: Pcg64Mcg,
    now: u64,
    /// Jobs that have not ended, with which of their sequences were answered.
    live: BTreeMap<u64, (JobId, Vec<bool>)>,
    /// Those of which nothing was sent, by customer.
    untouched: BTreeMap<u32, BTreeSet<u64>>,
    /// Which job an id means now.
    meaning: BTreeMap<u32, u64>,
    in_flight: Vec<Batch>,
    pushed: u64,
    ended: u64,
    /// Jobs of which a part was sent alone.
    split: BTreeSet<u64>,
    /// Jobs that gave way to others, and that were refused.
    gave_way: u64,
    refused: u64,
}

const BATCH_SIZE: usize = 7;
const LIMIT: usize = 500;
const CUSTOMERS: u32 = 20;
const IN_FLIGHT: usize = 3;

impl Crowd {
    fn new(seed: u64) -> Crowd {
        let options = QueueOptions {
            batch_size: BATCH_SIZE,
            batches_in_flight: Some(IN_FLIGHT),
            limit: LIMIT,
            weights: vec![("c1".into(), 3)],
            sjf_max_wait: Some(std::time::Duration::from_millis(300)),
            ..options(StrategyName::Sjf)
        };
        Crowd {
            queue: Queue::new(options),
            random: Pcg64Mcg::seed_from_u64(seed),
            now: 0,
            live: BTreeMap::new(),
            meaning: BTreeMap::new(),
            in_flight: Vec::new(),
            pushed: 0,
            ended: 0,
            split: BTreeSet::new(),
            untouched: BTreeMap::new(),
            gave_way: 0,
            refused: 0,
        }
    }

    fn push(&mut self) {
        // The first customers come more often than the last.
        let customer = self.random.random_range(0..CUSTOMERS).min(self.random.random_range(0..CUSTOMERS));
        let key = KeyId(self.random.random_range(0..3));
        let lengths: Vec<u32> = (0..self.random.random_range(1..=BATCH_SIZE))
            .map(|_| if self.random.random_bool(0.3) { 558 } else { self.random.random_range(0..120) })
            .collect();
        let depth = self.queue.depth();
        match self.queue.admit(&format!("c{customer}"), key, &lengths, at(self.now)) {
            Ok(admitted) => {
                assert_eq!(admitted.gave_way.is_some(), depth == LIMIT, "only who must gives way");
                if let Some(gave_way) = admitted.gave_way {
                    self.give_way(gave_way.job, customer);
                }
                let id = admitted.job;
                self.live.insert(self.pushed, (id, vec![false; lengths.len()]));
                self.meaning.insert(id.slot().index(), self.pushed);
                self.untouched.entry(customer).or_default().insert(self.pushed);
                self.pushed += 1;
            }
            Err(refused) => {
                assert!(matches!(refused, Refused::Full { .. }) && depth == LIMIT);
                assert!(self.most().0 <= self.count(customer) + 1, "others had more");
                self.refused += 1;
            }
        }
    }

    /// A job has given way to one of that customer.
    fn give_way(&mut self, job: JobId, customer: u32) {
        let number = self.job(job).expect("it lived");
        let (most, whose) = self.most();
        assert!(most > self.count(customer) + 1, "{most} of {customer}");
        assert!(whose.iter().any(|jobs| jobs.last() == Some(&number)), "not the newest of who had the most");
        self.end(number);
        self.gave_way += 1;
    }

    fn count(&self, customer: u32) -> usize {
        self.untouched.get(&customer).map_or(0, BTreeSet::len)
    }

    /// The most jobs of a customer of which nothing was sent, and those of whom this is true.
    fn most(&self) -> (usize, Vec<&BTreeSet<u64>>) {
        let most = self.untouched.values().map(BTreeSet::len).max().unwrap_or(0);
        (most, self.untouched.values().filter(|jobs| jobs.len() == most).collect())
    }

    fn touch(&mut self, number: u64) {
        self.untouched.values_mut().for_each(|jobs| _ = jobs.remove(&number));
    }

    /// The job that the id means, unless that has ended.
    fn job(&self, id: JobId) -> Option<u64> {
        let number = *self.meaning.get(&id.slot().index())?;
        self.live.get(&number).filter(|(live, _)| *live == id).map(|_| number)
    }

    fn end(&mut self, number: u64) {
        self.live.remove(&number).expect("a job ends once");
        self.touch(number);
        self.ended += 1;
    }

    fn cancel(&mut self) {
        let at_or_after = self.random.random_range(0..=self.pushed);
        if let Some((&number, &(id, _))) = self.live.range(at_or_after..).next() {
            assert!(self.queue.cancel(id, at(self.now)));
            assert!(!self.queue.cancel(id, at(self.now)));
            self.end(number);
        }
    }

    fn dispatch(&mut self) {
        while let Next::Dispatch(batch) = self.queue.next(at(self.now)) {
            assert!(batch.sequences() <= BATCH_SIZE && !batch.parts.is_empty());
            self.note_splits(&batch);
            for part in &batch.parts {
                let number = self.job(part.job).expect("a job that is sent lives");
                self.touch(number);
            }
            self.in_flight.push(batch);
            assert!(self.in_flight.len() <= IN_FLIGHT);
        }
    }

    /// A batch ends somehow.
    fn finish(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.in_flight.len());
        let batch = self.in_flight.swap_remove(index);
        let fails = self.random.random_bool(0.2);
        if !fails {
            self.answer(&batch);
            // Mostly as the contract's classifier, so that splitting is found to be worth it.
            let usual = u64::from(batch.longest()).pow(2) / 1000;
            let took = if self.random.random_bool(0.9) { usual } else { self.random.random_range(0..400) };
            self.queue.finished(batch, answered(took), at(self.now));
            return;
        }
        let halved =
            if self.random.random_bool(0.7) { self.queue.halve(batch, at(self.now)) } else { Err(batch) };
        if let Err(batch) = halved {
            let jobs: BTreeSet<u64> = batch.parts.iter().filter_map(|part| self.job(part.job)).collect();
            self.queue.finished(batch, BatchOutcome::Failed, at(self.now));
            jobs.into_iter().for_each(|number| self.end(number));
        }
    }

    /// Only `adaptive` may split; what it has split already cannot be put together again.
    fn note_splits(&mut self, batch: &Batch) {
        for part in batch.parts.iter().filter(|part| part.sequences != Sequences::All) {
            let number = self.job(part.job).expect("a job that is sent lives");
            let is_new = self.split.insert(number);
            assert!(!is_new || self.queue.strategy() == StrategyName::Adaptive, "split by another");
        }
    }

    fn answer(&mut self, batch: &Batch) {
        for part in &batch.parts {
            let Some(number) = self.job(part.job) else { continue };
            let (_, results) = self.live.get_mut(&number).unwrap();
            let all: Vec<usize> = (0..results.len()).collect();
            let positions = match &part.sequences {
                Sequences::All => &all[..],
                Sequences::Only(positions) => positions,
            };
            for &position in positions {
                assert!(!std::mem::replace(&mut results[position], true), "answered twice");
            }
            if results.iter().all(|&answered| answered) {
                self.end(number);
            }
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..60 => self.push(),
            60..64 => self.cancel(),
            64..94 => self.finish(),
            94..99 => self.now += self.random.random_range(0..60),
            _ => {
                let strategy = StrategyName::ALL[self.random.random_range(0..StrategyName::ALL.len())];
                self.queue.set_strategy(strategy, at(self.now));
            }
        }
        self.dispatch();
    }
}

#[test]
fn each_of_100k_jobs_ends_exactly_once_whatever_happens() {
    let mut crowd = Crowd::new(7);
    while crowd.pushed < 100_000 {
        crowd.step();
    }
    crowd.queue.drain();
    while !crowd.queue.is_empty() {
        crowd.finish();
        crowd.dispatch();
    }
    assert!(crowd.live.is_empty(), "{} jobs are lost", crowd.live.len());
    assert_eq!((crowd.ended, crowd.queue.depth()), (crowd.pushed, 0));
    assert_eq!(crowd.queue.figures().queued, crowd.pushed);
    let (gave_way, refused) = (crowd.gave_way, crowd.refused);
    assert!(gave_way > 1000 && refused > 1000, "{gave_way} gave way, {refused} were refused");
    assert_eq!(crowd.queue.figures().refused, gave_way + refused);
    assert!(crowd.split.len() > 1000, "only {} jobs were split", crowd.split.len());
}
