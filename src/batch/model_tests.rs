//! Every history of sjf, fair and fcfs against a naive model: a list that is sorted anew for each batch.

use std::time::Duration;

use proptest::prelude::*;

use super::tests::{answered, at, options};
use super::*;

const CUSTOMERS: [&str; 4] = ["a", "b", "c", "d"];
const WEIGHTS: [u32; 4] = [1, 2, 1, 3];

#[derive(Clone, Debug)]
enum Step {
    Push { customer: usize, key: u32, lengths: Vec<u32> },
    Cancel(usize),
    Finish(usize),
    Pass(u64),
}

fn steps(size: usize) -> impl Strategy<Value = Vec<Step>> {
    let push = (0..CUSTOMERS.len(), prop_oneof![4 => Just(0), 1 => Just(1)]);
    let lengths = prop::collection::vec(prop_oneof![0..4u32, 5..600u32], 1..=size);
    let step = prop_oneof![
        6 => (push, lengths).prop_map(|((customer, key), lengths)| Step::Push { customer, key, lengths }),
        1 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Finish),
        2 => prop_oneof![0..3u64, 10..70u64].prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..150)
}

#[derive(Clone)]
struct Waits {
    id: JobId,
    customer: usize,
    key: u32,
    size: usize,
    longest: u32,
    arrived: u64,
}

/// What waits, in order of arrival, and what little each strategy remembers.
struct Model {
    strategy: StrategyName,
    size: usize,
    max_wait: Option<u64>,
    waiting: Vec<Waits>,
    last: usize,
    left: u32,
    /// By key, until when its next batch is held.
    held: [Option<u64>; 2],
}

enum Expected {
    Batch(Vec<JobId>),
    Wait(u64),
    Nothing,
}

impl Model {
    /// The first of `order` that fit together, and whether all did.
    fn cut<'a>(&self, order: impl IntoIterator<Item = &'a Waits>, room: &mut usize) -> (Vec<JobId>, bool) {
        let mut taken = Vec::new();
        for job in order {
            if job.size > *room {
                return (taken, false);
            }
            *room -= job.size;
            taken.push(job.id);
        }
        (taken, true)
    }

    fn sjf(&self, now: u64) -> Expected {
        let overdue = |job: &Waits| self.max_wait.is_some_and(|wait| now >= job.arrived + wait);
        let mut order: Vec<&Waits> = self.waiting.iter().collect();
        // Stable, so ties stay in order of arrival; what is overdue stays in that order altogether.
        let rank = |job: &Waits| (u64::from(job.longest) << 16) / u64::from(WEIGHTS[job.customer]);
        order.sort_by_key(|job| if overdue(job) { (0, 0) } else { (1, rank(job)) });
        let Some(key) = order.first().map(|job| job.key) else { return Expected::Nothing };
        order.retain(|job| job.key == key);
        Expected::Batch(self.cut(order, &mut self.size.clone()).0)
    }

    fn fair(&mut self) -> Expected {
        let has = |customer: usize| self.waiting.iter().find(|job| job.customer == customer);
        let after_last = (1..=CUSTOMERS.len()).map(|i| (self.last + i) % CUSTOMERS.len());
        let mut turns = (self.left > 0).then_some(self.last).into_iter().chain(after_last.clone());
        let Some(leader) = turns.find(|&customer| has(customer).is_some()) else { return Expected::Nothing };
        let key = has(leader).unwrap().key;
        let again = self.left > 0 && leader == self.last;
        self.left = if again { self.left - 1 } else { WEIGHTS[leader] - 1 };
        self.last = leader;
        let mut room = self.size;
        let mut batch = Vec::new();
        for i in 0..CUSTOMERS.len() {
            let customer = (leader + i) % CUSTOMERS.len();
            let own = self.waiting.iter().filter(|job| job.customer == customer && job.key == key);
            batch.extend(self.cut(own, &mut room).0);
        }
        Expected::Batch(batch)
    }

    fn fcfs(&mut self, now: u64) -> Expected {
        let (mut due, mut over) = (Vec::new(), Vec::new());
        for key in 0..2 {
            let mut room = self.size;
            let (batch, _) = self.cut(self.waiting.iter().filter(|job| job.key == key), &mut room);
            let oldest = self.waiting.iter().position(|job| job.key == key);
            match self.held[key as usize] {
                _ if room == 0 => due.push((oldest, key, batch)),
                Some(until) if until <= now => over.push((until, (oldest, key, batch))),
                _ => {}
            }
        }
        // The first whose wait was over, unless an older job is in a full batch.
        due.extend(over.into_iter().min_by_key(|&(until, _)| until).map(|(_, batch)| batch));
        if let Some((_, key, batch)) = due.into_iter().min_by_key(|&(oldest, ..)| oldest) {
            self.held[key as usize] = None;
            return Expected::Batch(batch);
        }
        for key in 0..2 {
            if self.waiting.iter().any(|job| job.key == key) {
                self.held[key as usize].get_or_insert(now + 50);
            }
        }
        self.held.into_iter().flatten().min().map_or(Expected::Nothing, Expected::Wait)
    }

    fn next(&mut self, now: u64) -> Expected {
        let expected = match self.strategy {
            StrategyName::Sjf => self.sjf(now),
            StrategyName::Fair => self.fair(),
            StrategyName::Fcfs => self.fcfs(now),
            StrategyName::Adaptive => unreachable!("it has no naive model"),
        };
        if let Expected::Batch(batch) = &expected {
            self.waiting.retain(|job| !batch.contains(&job.id));
        }
        expected
    }
}

fn compare(queue: &mut Queue, model: &mut Model, most: usize, now: u64, in_flight: &mut Vec<Batch>) {
    loop {
        let next = queue.next(at(now));
        if in_flight.len() == most {
            assert!(matches!(next, Next::Idle), "{next:?}");
            return;
        }
        match (next, model.next(now)) {
            (Next::Dispatch(batch), Expected::Batch(expected)) => {
                let jobs: Vec<_> = batch.parts.iter().map(|part| part.job).collect();
                assert_eq!(jobs, expected);
                in_flight.push(batch);
            }
            (Next::WaitUntil(until), Expected::Wait(expected)) => return assert_eq!(until, at(expected)),
            (Next::Idle, Expected::Nothing) => return,
            (next, _) => panic!("the model expected something else than {next:?} at {now} ms"),
        }
    }
}

fn check(strategy: StrategyName, size: usize, most: usize, max_wait: Option<u64>, steps: Vec<Step>) {
    let weights = CUSTOMERS.iter().zip(WEIGHTS).map(|(name, weight)| (name.to_string(), weight)).collect();
    let mut queue = Queue::new(QueueOptions {
        batch_size: size,
        batches_in_flight: Some(most),
        sjf_max_wait: max_wait.map(Duration::from_millis),
        weights,
        ..options(strategy)
    });
    // So that customers stand in the ring in the order of their names.
    for customer in CUSTOMERS {
        let id = queue.push(customer, KeyId(0), &[1], at(0)).unwrap();
        queue.cancel(id, at(0));
    }
    let mut model =
        Model { strategy, size, max_wait, waiting: Vec::new(), last: 0, left: 0, held: [None; 2] };
    let (mut now, mut in_flight) = (0, Vec::new());
    for step in steps {
        match step {
            Step::Push { customer, key, lengths } => {
                let id = queue.push(CUSTOMERS[customer], KeyId(key), &lengths, at(now)).unwrap();
                let longest = *lengths.iter().max().unwrap();
                model.waiting.push(Waits { id, customer, key, size: lengths.len(), longest, arrived: now });
            }
            Step::Cancel(_) if model.waiting.is_empty() => {}
            Step::Cancel(index) => {
                let job = model.waiting.remove(index % model.waiting.len());
                assert!(queue.cancel(job.id, at(now)));
                if !model.waiting.iter().any(|other| other.key == job.key) {
                    model.held[job.key as usize] = None;
                }
            }
            Step::Finish(_) if in_flight.is_empty() => {}
            Step::Finish(index) => {
                let batch: Batch = in_flight.swap_remove(index % in_flight.len());
                queue.finished(batch, answered(1), at(now));
            }
            Step::Pass(ms) => now += ms,
        }
        compare(&mut queue, &mut model, most, now, &mut in_flight);
        let oldest = model.waiting.first().map(|job| Duration::from_millis(now - job.arrived));
        assert_eq!((queue.depth(), queue.oldest_age(at(now))), (model.waiting.len(), oldest));
    }
}

/// Sequences of a batch, batches in flight, and what happens.
fn cases() -> impl Strategy<Value = (usize, usize, Vec<Step>)> {
    (1..8usize, 1..3usize).prop_flat_map(|(size, most)| (Just(size), Just(most), steps(size)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sjf_is_a_sorted_list((size, most, steps) in cases(), max_wait in prop::option::of(0..100u64)) {
        check(StrategyName::Sjf, size, most, max_wait, steps);
    }

    #[test]
    fn fair_is_a_walk_round_the_customers((size, most, steps) in cases()) {
        check(StrategyName::Fair, size, most, None, steps);
    }

    #[test]
    fn fcfs_is_a_list((size, most, steps) in cases()) {
        check(StrategyName::Fcfs, size, most, None, steps);
    }
}
