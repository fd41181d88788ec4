//! Time to choose a backend and to record how the attempt went.
//!
//! One operation is select, started and finished together, as each exchange pays it. `failed` is the same with an
//! outcome that must look at all backends.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::balance::{Balance, BalanceOptions, Outcome, RoutingMode};
use tidegate::time::Instant;

const SIZES: [usize; 3] = [3, 100, 1000];

/// A power of two of latencies, from 1 to 101 ms, so that the choice keeps moving.
fn latencies() -> Vec<u64> {
    let hash = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
    (0..4096).map(|i| 1_000_000 + hash(i) % 100_000_000).collect()
}

fn warm(mode: RoutingMode, backends: usize, latencies: &[u64]) -> Balance {
    let mut balance = Balance::new(mode, backends, &BalanceOptions::default());
    for &latency_ns in latencies.iter().cycle().take(4 * backends.max(latencies.len())) {
        exchange(&mut balance, Outcome::Answered { latency_ns, error: false }, latency_ns);
    }
    balance
}

fn exchange(balance: &mut Balance, outcome: Outcome, nanos: u64) {
    let now = Instant::from_nanos(nanos);
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
            let mut turn = 0;
            group.bench_function(BenchmarkId::new("answered", size), |b| {
                b.iter(|| {
                    turn = (turn + 1) % latencies.len();
                    let latency_ns = latencies[turn];
                    exchange(&mut balance, Outcome::Answered { latency_ns, error: false }, latency_ns);
                });
            });
            group.bench_function(BenchmarkId::new("failed", size), |b| {
                b.iter(|| exchange(&mut balance, Outcome::Failed { elapsed_ns: 1000 }, 1));
            });
        }
    }
}

criterion_group!(benches, selector);
criterion_main!(benches);
