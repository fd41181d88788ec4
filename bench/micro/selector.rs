//! Time to choose a backend and to record how the attempt went.
//!
//! One operation is select, started and finished together, as each exchange pays it. `failed` is the same with an
//! outcome that must look at all backends.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::balance::{Balance, BalanceOptions, Outcome, RoutingMode};
use tidegate::time::Instant;

const SIZES: [usize; 3] = [3, 100, 1000];

/// From one exchange to the next: 50,000 a second, so that what is done ten times a second is paid by 5,000.
const GAP_NS: u64 = 20_000;

/// A power of two of latencies, from 1 to 101 ms, so that the choice keeps moving.
fn latencies() -> Vec<u64> {
    let hash = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
    (0..4096).map(|i| 1_000_000 + hash(i) % 100_000_000).collect()
}

fn warm(mode: RoutingMode, backends: usize, latencies: &[u64]) -> Balance {
    let mut balance = Balance::new(mode, backends, &BalanceOptions::default());
    for (n, &latency_ns) in (0..).zip(latencies.iter().cycle().take(4 * backends.max(latencies.len()))) {
        exchange(&mut balance, Outcome::Answered { latency_ns, error: false }, n);
    }
    balance
}

fn exchange(balance: &mut Balance, outcome: Outcome, n: u64) {
    let now = Instant::from_nanos(n * GAP_NS);
    let choice = balance.select(black_box(now)).expect("there are backends");
    let flight = balance.started(choice.backend, now);
    balance.finished(choice.backend, flight, black_box(outcome), now);
    black_box(choice);
}

fn selector(c: &mut Criterion) {
    let latencies = latencies();
    for mode in RoutingMode::ALL {
        let mut group = c.benchmark_group(mode.name());
        for size in SIZES {
            let mut balance = warm(mode, size, &latencies);
            let mut turn = 4 * size.max(latencies.len());
            group.bench_function(BenchmarkId::new("answered", size), |b| {
                b.iter(|| {
                    turn += 1;
                    let latency_ns = latencies[turn % latencies.len()];
                    exchange(&mut balance, Outcome::Answered { latency_ns, error: false }, turn as u64);
                });
            });
            group.bench_function(BenchmarkId::new("failed", size), |b| {
                b.iter(|| {
                    turn += 1;
                    exchange(&mut balance, Outcome::Failed { elapsed_ns: 1000 }, turn as u64);
                });
            });
        }
    }
}

criterion_group!(benches, selector);
criterion_main!(benches);
