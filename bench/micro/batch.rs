//! Time of one job in the batching queue: its push, and its share of a dispatch and of the end of a batch.
//!
//! The queue holds as many jobs as the name says, of a hundred customers, with 1 to 5 sequences each. Batches of 5
//! sequences hold less than two jobs on average, so dispatches weigh heavily.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::batch::{BatchOutcome, KeyId, Next, Queue, QueueOptions, StrategyName};
use tidegate::time::Instant;

const SIZES: [usize; 4] = [10, 1000, 10_000, 100_000];
const CUSTOMERS: usize = 100;
/// Jobs that are pushed before batches are dispatched until the queue is as deep as before.
const BURST: usize = 8;

struct Bench {
    queue: Queue,
    names: Vec<String>,
    lengths: Vec<Vec<u32>>,
    depth: usize,
    turn: usize,
    now: Instant,
}

impl Bench {
    fn new(strategy: StrategyName, depth: usize) -> Bench {
        let options = QueueOptions { strategy, limit: usize::MAX, ..QueueOptions::default() };
        let hash = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let length = |i: u64| if hash(i) % 3 == 0 { 300 + hash(i) % 300 } else { 1 + hash(i) % 120 };
        let lengths = |i: u64| (0..1 + hash(i) % 5).map(|j| length(8 * i + j) as u32).collect();
        let mut bench = Bench {
            queue: Queue::new(options),
            names: (0..CUSTOMERS).map(|i| format!("customer-{i}")).collect(),
            lengths: (0..4096).map(lengths).collect(),
            depth,
            turn: 0,
            now: Instant::ZERO,
        };
        // The classifier is known well by the time it is measured.
        for _ in 0..1000 {
            bench.push();
            bench.dispatch_to(0);
        }
        (0..depth).for_each(|_| bench.push());
        (0..2 * depth.max(4096)).for_each(|_| bench.job());
        bench
    }

    fn push(&mut self) {
        self.turn += 1;
        self.now = self.now + Duration::from_micros(10);
        let name = &self.names[self.turn.wrapping_mul(0x9e37_79b9) % CUSTOMERS];
        let lengths = &self.lengths[self.turn % self.lengths.len()];
        self.queue.push(black_box(name), KeyId(0), black_box(lengths), self.now).expect("no limit");
    }

    fn dispatch_to(&mut self, depth: usize) {
        while self.queue.depth() > depth {
            match self.queue.next(self.now) {
                Next::Dispatch(batch) => {
                    let took = Duration::from_micros(u64::from(batch.longest()).pow(2));
                    self.queue.finished(black_box(batch), BatchOutcome::Answered { took }, self.now);
                }
                Next::WaitUntil(until) => self.now = until,
                Next::Idle => unreachable!("jobs wait and nothing is in flight"),
            }
        }
    }

    fn job(&mut self) {
        self.push();
        if self.turn.is_multiple_of(BURST) {
            self.dispatch_to(self.depth);
        }
    }
}

fn batch(c: &mut Criterion) {
    for strategy in StrategyName::ALL {
        let mut group = c.benchmark_group(format!("batch_{strategy}"));
        for size in SIZES {
            let mut bench = None;
            group.bench_function(BenchmarkId::new("job", size), |b| {
                let bench = bench.get_or_insert_with(|| Bench::new(strategy, size));
                b.iter(|| bench.job());
            });
        }
    }
}

criterion_group!(benches, batch);
criterion_main!(benches);
