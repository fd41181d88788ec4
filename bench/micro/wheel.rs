//! Time of one insert, one removal and one expiry in a wheel that holds 100,000 timers.
//!
//! Operations are timed in runs of about a thousand; what restores the wheel in between is not timed. An expiry
//! includes its part of the cascades.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::time::Instant;
use tidegate::wheel::{TimerId, Wheel};

const LIVE: usize = 100_000;
const RUN: usize = 1000;
/// The proxy's tick, about a millisecond.
const TICK_SHIFT: u32 = 20;
const HORIZON_NS: u64 = 10_000_000_000;

/// A wheel of [`LIVE`] timers, due at times spread over [`HORIZON_NS`].
struct Bench {
    wheel: Wheel<u64>,
    ids: Vec<TimerId>,
    now: u64,
    drawn: u64,
}

impl Bench {
    fn new() -> Bench {
        let wheel = Wheel::new(TICK_SHIFT, Instant::ZERO);
        let mut bench = Bench { wheel, ids: Vec::with_capacity(LIVE), now: 0, drawn: 0 };
        let deadlines = bench.deadlines(LIVE);
        bench.insert(&deadlines);
        bench
    }

    /// SplitMix64, so that no generator is needed.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.drawn ^ (self.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn deadlines(&mut self, count: usize) -> Vec<Instant> {
        (0..count).map(|_| Instant::from_nanos(self.now + self.draw() % HORIZON_NS)).collect()
    }

    fn insert(&mut self, deadlines: &[Instant]) {
        for &deadline in deadlines {
            self.ids.push(self.wheel.insert(black_box(deadline), 0));
        }
    }

    /// Replaces timers drawn from all, so that neither operation finds its entries in a warm cache. Tells the time
    /// of the removals and of the insertions.
    fn replace(&mut self) -> (Duration, Duration) {
        let mut drawn = Vec::with_capacity(RUN);
        for _ in 0..RUN {
            let index = self.draw() as usize % self.ids.len();
            drawn.push(self.ids.swap_remove(index));
        }
        let deadlines = self.deadlines(RUN);
        let removals = timed(|| {
            for id in drawn {
                black_box(self.wheel.remove(id));
            }
        });
        // The removed entries are warm now, and in the program as well: what was freed last is used first.
        (removals, timed(|| self.insert(&deadlines)))
    }

    /// Passes the time in which about [`RUN`] timers fall due.
    fn expire(&mut self) -> (Duration, usize) {
        self.now += HORIZON_NS / LIVE as u64 * RUN as u64 / 2;
        let now = Instant::from_nanos(self.now);
        let time = timed(|| while black_box(self.wheel.expire(now)).is_some() {});
        let expired = LIVE - self.wheel.len();
        let deadlines = self.deadlines(expired);
        self.ids.clear();
        self.insert(&deadlines);
        (time, expired)
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = WallTime.start();
    work();
    WallTime.end(start)
}

/// Repeats `run`, which says how long it took for how many operations, until there were `iters` operations or more,
/// and scales to `iters`.
fn of_single(iters: u64, mut run: impl FnMut() -> (Duration, usize)) -> Duration {
    let (mut time, mut done) = (Duration::ZERO, 0);
    while done < iters {
        let (took, operations) = run();
        time += took;
        done += operations as u64;
    }
    time.mul_f64(iters as f64 / done as f64)
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel_100k");
    let mut bench = Bench::new();
    group.bench_function("insert", |b| {
        b.iter_custom(|iters| of_single(iters, || (bench.replace().1, RUN)));
    });
    group.bench_function("remove", |b| {
        b.iter_custom(|iters| of_single(iters, || (bench.replace().0, RUN)));
    });
    group.bench_function("expire", |b| b.iter_custom(|iters| of_single(iters, || bench.expire())));
}

criterion_group!(benches, wheel);
criterion_main!(benches);
