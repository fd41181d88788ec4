//! The modes on the testbed's default profile, in a closed loop without any proxy cost.
//!
//! The figures expected here come from an independent simulation of the same profile: they say what the modes do,
//! so a proxy's own cost is the distance from them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const CLIENTS: usize = 100;
const SECONDS: u64 = 120;
/// Each backend takes these in turn, one for each request.
const PROFILE_MS: [[u64; 9]; 3] = [[10, 15, 20, 400, 400, 400, 10, 15, 20], [200; 9], [250; 9]];

struct Figures {
    per_second: f64,
    mean_ms: f64,
    p95_ms: u64,
    /// In percent, by backend.
    shares: [f64; 3],
}

struct ClosedLoop {
    balance: Balance,
    /// (end, order of sending, backend, latency), the earliest first.
    in_flight: BinaryHeap<Reverse<(u64, usize, u16, u64)>>,
    /// In order of sending.
    flights: Vec<Flight>,
    sent: [usize; 3],
}

impl ClosedLoop {
    fn send(&mut self, now: u64) {
        let id = self.balance.select(Instant::from_nanos(now)).unwrap().backend;
        self.flights.push(self.balance.started(id, Instant::from_nanos(now)));
        let sent = &mut self.sent[usize::from(id.0)];
        let latency = PROFILE_MS[usize::from(id.0)][*sent % 9] * MS;
        *sent += 1;
        self.in_flight.push(Reverse((now + latency, self.sent.iter().sum::<usize>() - 1, id.0, latency)));
    }
}

fn run(mode: RoutingMode) -> Figures {
    let balance = Balance::new(mode, 3, &BalanceOptions::default());
    let mut model = ClosedLoop { balance, in_flight: BinaryHeap::new(), flights: Vec::new(), sent: [0; 3] };
    for _ in 0..CLIENTS {
        model.send(0);
    }
    let (mut latencies, mut answered) = (Vec::new(), [0u32; 3]);
    while let Some(Reverse((now, order, id, latency_ns))) = model.in_flight.pop() {
        if now > SECONDS * SECOND {
            break;
        }
        let outcome = Outcome::Answered { latency_ns, error: false };
        let flight = std::mem::take(&mut model.flights[order]);
        model.balance.finished(BackendId(id), flight, outcome, Instant::from_nanos(now));
        latencies.push(latency_ns / MS);
        answered[usize::from(id)] += 1;
        model.send(now);
    }
    latencies.sort_unstable();
    let total = latencies.len() as f64;
    Figures {
        per_second: total / SECONDS as f64,
        mean_ms: latencies.iter().sum::<u64>() as f64 / total,
        p95_ms: latencies[latencies.len() * 95 / 100],
        shares: answered.map(|n| 100.0 * f64::from(n) / total),
    }
}

#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got / expected - 1.0).abs() < 0.002, "{got} is not within 0.2 % of {expected}");
}

#[test]
fn round_robin_serves_each_a_third() {
    let figures = run(RoutingMode::RoundRobin);
    near(figures.per_second, 505.3);
    near(figures.mean_ms, 197.67);
    assert_eq!(figures.p95_ms, 400);
    assert!(figures.shares.iter().all(|share| (share - 33.33).abs() < 0.2), "{:?}", figures.shares);
}

#[test]
fn the_adaptive_modes_settle_on_the_backend_that_never_was_slow() {
    for mode in [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma] {
        let figures = run(mode);
        near(figures.per_second, 499.4);
        near(figures.mean_ms, 199.99);
        near(figures.shares[1], 99.7);
        assert_eq!(figures.p95_ms, 200);
    }
}
