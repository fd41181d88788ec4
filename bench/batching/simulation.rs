//! One run of a workload in virtual time: clients, queue and classifier driven by a heap of events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tidegate::batch::{Batch, BatchOutcome, JobId, KeyId, Next, Queue, QueueOptions, Sequences};
use tidegate::time::Instant;

use super::scenes::{Pace, Scene};

/// A request, and when it was answered.
pub(crate) struct Request {
    pub(crate) customer: usize,
    pub(crate) arrived: Instant,
    pub(crate) answered: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival(usize),
    /// The classifier is done with the batch of that index.
    Done(usize),
    Wake,
}

/// The classifier: so many batches at once, the others in order.
struct Classifier {
    servers: usize,
    busy: usize,
    waiting: VecDeque<(usize, Duration)>,
}

struct Simulation<'a> {
    scene: &'a Scene,
    queue: Queue,
    classifier: Classifier,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    event_number: u64,
    random: Vec<Pcg64Mcg>,
    requests: Vec<Request>,
    /// By index of the job: which request it is, and how many of its sequences are not answered.
    jobs: BTreeMap<u32, (usize, usize)>,
    batches: Vec<Option<(Batch, Instant)>>,
    now: Instant,
}

/// Plays the scene once. All customers and lengths follow from the seed.
pub(crate) fn play(scene: &Scene, options: QueueOptions, seed: u64) -> (Vec<Request>, Queue) {
    let options = QueueOptions { batch_size: scene.batch_size, limit: usize::MAX, ..options };
    let seeds = (0..scene.customers.len()).map(|customer| seed * 1000 + customer as u64);
    let mut simulation = Simulation {
        scene,
        queue: Queue::new(options),
        classifier: Classifier { servers: scene.servers, busy: 0, waiting: VecDeque::new() },
        events: BinaryHeap::new(),
        event_number: 0,
        random: seeds.map(Pcg64Mcg::seed_from_u64).collect(),
        requests: Vec::new(),
        jobs: BTreeMap::new(),
        batches: Vec::new(),
        now: Instant::ZERO,
    };
    simulation.run();
    (simulation.requests, simulation.queue)
}

impl Simulation<'_> {
    fn run(&mut self) {
        for customer in 0..self.scene.customers.len() {
            self.arrange_arrival(customer, true);
        }
        let end = Instant::ZERO + self.scene.length;
        while let Some(Reverse((at, _, event))) = self.events.pop().filter(|Reverse((at, ..))| *at <= end) {
            self.now = at;
            match event {
                Event::Arrival(customer) => self.arrive(customer),
                Event::Done(index) => self.done(index),
                Event::Wake => {}
            }
            self.dispatch();
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.event_number += 1;
        self.events.push(Reverse((self.now + delay, self.event_number, event)));
    }

    fn arrange_arrival(&mut self, customer: usize, first: bool) {
        let delay = match self.scene.customers[customer].pace {
            Pace::Closed(_) if first => Duration::ZERO,
            Pace::Closed(think) => think,
            Pace::Open(per_second) => {
                let uniform: f64 = self.random[customer].random();
                Duration::from_secs_f64(-(1.0 - uniform).ln() / per_second)
            }
        };
        self.after(delay, Event::Arrival(customer));
    }

    fn lengths(&mut self, customer: usize) -> Vec<u32> {
        let random = &mut self.random[customer];
        if self.scene.customers[customer].long {
            let block = |random: &mut Pcg64Mcg| if random.random_bool(0.3) { 558 } else { 116 };
            return (0..random.random_range(2..=5)).map(|_| block(random)).collect();
        }
        // The beginnings of one of two snippets, of 11 and of 15 characters.
        let snippet = |random: &mut Pcg64Mcg| {
            let whole = if random.random_bool(0.5) { 15 } else { 11 };
            random.random_range(5..=15).min(whole)
        };
        (0..random.random_range(1..=3)).map(|_| snippet(random)).collect()
    }

    fn arrive(&mut self, customer: usize) {
        let lengths = self.lengths(customer);
        let job = self.queue.push(&format!("c{customer}"), KeyId(0), &lengths, self.now).expect("no limit");
        self.jobs.insert(job.slot().index(), (self.requests.len(), lengths.len()));
        self.requests.push(Request { customer, arrived: self.now, answered: None });
        if matches!(self.scene.customers[customer].pace, Pace::Open(_)) {
            self.arrange_arrival(customer, false);
        }
    }

    fn dispatch(&mut self) {
        loop {
            match self.queue.next(self.now) {
                Next::Dispatch(batch) => {
                    let time = self.scene.model.time(&batch);
                    self.batches.push(Some((batch, self.now)));
                    self.classifier.waiting.push_back((self.batches.len() - 1, time));
                    self.serve();
                }
                Next::WaitUntil(until) => return self.after(until - self.now, Event::Wake),
                Next::Idle => return,
            }
        }
    }

    fn serve(&mut self) {
        while self.classifier.busy < self.classifier.servers
            && let Some((index, time)) = self.classifier.waiting.pop_front()
        {
            self.classifier.busy += 1;
            self.after(time, Event::Done(index));
        }
    }

    fn done(&mut self, index: usize) {
        self.classifier.busy -= 1;
        self.serve();
        let (batch, sent) = self.batches[index].take().expect("a batch ends once");
        for part in &batch.parts {
            self.answer(part.job, &part.sequences);
        }
        self.queue.finished(batch, BatchOutcome::Answered { took: self.now - sent }, self.now);
    }

    fn answer(&mut self, job: JobId, sequences: &Sequences) {
        let (request, left) = self.jobs.get_mut(&job.slot().index()).expect("a job that was pushed");
        *left -= match sequences {
            Sequences::All => *left,
            Sequences::Only(positions) => positions.len(),
        };
        let (request, left) = (*request, *left);
        if left == 0 {
            self.requests[request].answered = Some(self.now);
            let customer = self.requests[request].customer;
            if matches!(self.scene.customers[customer].pace, Pace::Closed(_)) {
                self.arrange_arrival(customer, false);
            }
        }
    }
}
