//! The modes against their definitions, and the seed profile in a small closed loop.

use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

fn balance(mode: RoutingMode, backends: usize) -> Balance {
    Balance::new(mode, backends, 3, 0.2)
}

fn answer(balance: &mut Balance, backend: u16, ms: u64) {
    balance.started(BackendId(backend));
    balance.finished(BackendId(backend), Outcome::Answered { latency_ns: ms * MS }, at(0));
}

fn failure(balance: &mut Balance, backend: u16, ms: u64, now: Instant) {
    balance.started(BackendId(backend));
    balance.finished(BackendId(backend), Outcome::Failed { elapsed_ns: ms * MS }, now);
}

fn chosen(balance: &mut Balance, now: Instant) -> (u16, Reason) {
    let choice = balance.select(now).unwrap();
    (choice.backend.0, choice.reason)
}

#[test]
fn without_backends_there_is_no_choice() {
    for mode in RoutingMode::ALL {
        assert_eq!(balance(mode, 0).select(at(0)), None);
    }
}

#[test]
fn unmeasured_backends_come_first_in_configuration_order() {
    for mode in [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma] {
        let mut b = balance(mode, 3);
        assert_eq!(chosen(&mut b, at(0)), (0, Reason::Unmeasured));
        assert_eq!(chosen(&mut b, at(0)), (0, Reason::Unmeasured));
        answer(&mut b, 0, 10);
        assert_eq!(chosen(&mut b, at(0)), (1, Reason::Unmeasured));
        answer(&mut b, 2, 30);
        assert_eq!(chosen(&mut b, at(0)), (1, Reason::Unmeasured));
        answer(&mut b, 1, 20);
        assert_eq!(chosen(&mut b, at(0)), (0, Reason::LowestMean));
    }
}

#[test]
fn the_lowest_mean_wins_and_ties_go_to_the_earlier() {
    for mode in [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma] {
        let mut b = balance(mode, 3);
        for (backend, ms) in [(0, 20), (1, 10), (2, 10)] {
            answer(&mut b, backend, ms);
        }
        assert_eq!(chosen(&mut b, at(0)), (1, Reason::LowestMean));
        answer(&mut b, 1, 11);
        assert_eq!(chosen(&mut b, at(0)), (2, Reason::LowestMean));
    }
}

#[test]
fn a_mode_switch_starts_warm() {
    let mut b = balance(RoutingMode::RoundRobin, 2);
    answer(&mut b, 0, 20);
    answer(&mut b, 1, 10);
    assert_eq!(chosen(&mut b, at(0)), (0, Reason::Rotation));
    b.set_mode(RoutingMode::AdaptiveEwma);
    assert_eq!(chosen(&mut b, at(0)), (1, Reason::LowestMean));
}

#[test]
fn a_failure_counts_as_the_mean_of_all_averages_at_least() {
    let mut b = balance(RoutingMode::AdaptiveSma, 2);
    answer(&mut b, 0, 10);
    answer(&mut b, 1, 200);
    failure(&mut b, 0, 1, at(0));
    assert_eq!(b.backend(BackendId(0)).sma_ns(), Some((10 + 105) as f64 / 2.0 * MS as f64));
    assert_eq!(b.backend(BackendId(0)).ewma_ns(), Some((0.2 * 105.0 + 0.8 * 10.0) * MS as f64));
    failure(&mut b, 1, 10_000, at(0));
    assert_eq!(b.backend(BackendId(1)).sma_ns(), Some(5100.0 * MS as f64));
}

#[test]
fn a_backend_whose_probe_failed_rests_for_a_second_while_another_is_usable() {
    let mut b = balance(RoutingMode::AdaptiveSma, 2);
    failure(&mut b, 0, 1, at(0));
    assert_eq!(chosen(&mut b, at(1)), (1, Reason::Unmeasured));
    answer(&mut b, 1, 900);
    assert_eq!(chosen(&mut b, at(999)), (1, Reason::LowestMean));
    assert_eq!(chosen(&mut b, at(1000)), (0, Reason::Unmeasured));
    let mut all_down = balance(RoutingMode::AdaptiveEwma, 2);
    failure(&mut all_down, 0, 1, at(5));
    failure(&mut all_down, 1, 1, at(4));
    assert_eq!(chosen(&mut all_down, at(6)), (1, Reason::Unmeasured));
}

#[test]
fn only_positive_latencies_of_answers_enter() {
    let mut b = balance(RoutingMode::AdaptiveSma, 1);
    answer(&mut b, 0, 0);
    b.started(BackendId(0));
    b.finished(BackendId(0), Outcome::Cancelled, at(0));
    let backend = b.backend(BackendId(0));
    assert_eq!((backend.sma_ns(), backend.ewma_ns()), (None, None));
    assert_eq!((backend.in_flight(), backend.answered(), backend.failed()), (0, 1, 0));
}

proptest! {
    #[test]
    fn rotation_shares_differ_by_at_most_one(backends in 1..20usize, requests in 0..200usize) {
        let mut b = balance(RoutingMode::RoundRobin, backends);
        let mut shares = vec![0; backends];
        for n in 0..requests {
            let (backend, _) = chosen(&mut b, at(0));
            shares[backend as usize] += 1;
            b.started(BackendId(backend));
            if n % 3 == 0 {
                b.finished(BackendId(backend), Outcome::Failed { elapsed_ns: 1 }, at(0));
            }
        }
        let (min, max) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(max - min <= 1);
    }

    /// A backend that fails at once must never be preferred to one that answers.
    #[test]
    fn failing_fast_never_pays(
        mode in prop_oneof![Just(RoutingMode::AdaptiveSma), Just(RoutingMode::AdaptiveEwma)],
        first in 1..1000u64,
        good in prop::collection::vec(1..1000u64, 1..30),
    ) {
        let mut b = balance(mode, 2);
        answer(&mut b, 0, first);
        answer(&mut b, 1, good[0]);
        let mut healthy = 0;
        for n in 0..200 {
            match chosen(&mut b, at(0)) {
                (0, _) => failure(&mut b, 0, 0, at(0)),
                (_, _) => {
                    healthy += 1;
                    answer(&mut b, 1, good[n % good.len()].max(2));
                }
            }
            let backend = b.backend(BackendId(0));
            prop_assert!(backend.score_ns(mode).unwrap() >= first as f64 * MS as f64);
        }
        // The failing one is raised to the healthy one's average; from then on a tie at most.
        prop_assert!(healthy > 0 || good.iter().any(|&g| g > first));
    }

    #[test]
    fn in_flight_balances(steps in prop::collection::vec((0..3u16, 0..3u8), 0..100)) {
        let mut b = balance(RoutingMode::AdaptiveSma, 3);
        for &(backend, _) in &steps {
            b.started(BackendId(backend));
        }
        for &(backend, how) in &steps {
            let outcome = match how {
                0 => Outcome::Answered { latency_ns: 5 },
                1 => Outcome::Failed { elapsed_ns: 5 },
                _ => Outcome::Cancelled,
            };
            b.finished(BackendId(backend), outcome, at(0));
        }
        prop_assert!(b.backends().iter().all(|backend| backend.in_flight() == 0));
    }
}

/// The seed profile without any overhead: 100 clients, each sends when it is answered; 120 s. Returns requests per
/// second, mean latency in ms, and shares.
fn seed_profile(mode: RoutingMode) -> (f64, f64, [f64; 3]) {
    const PROFILES: [[u64; 9]; 3] = [[10, 15, 20, 400, 400, 400, 10, 15, 20], [200; 9], [250; 9]];
    const END_MS: u64 = 120_000;
    let mut b = balance(mode, 3);
    let mut arrivals = [0usize; 3];
    let mut heap = BinaryHeap::new();
    let mut send = |b: &mut Balance, heap: &mut BinaryHeap<_>, now_ms: u64, client: u32| {
        let backend = b.select(at(now_ms)).unwrap().backend;
        b.started(backend);
        let i = backend.0 as usize;
        let latency = PROFILES[i][arrivals[i] % 9];
        arrivals[i] += 1;
        heap.push(Reverse((now_ms + latency, client, backend, latency)));
    };
    (0..100).for_each(|client| send(&mut b, &mut heap, 0, client));
    let (mut count, mut sum, mut shares) = (0u64, 0u64, [0u64; 3]);
    while let Some(Reverse((now_ms, client, backend, latency))) = heap.pop() {
        if now_ms > END_MS {
            break;
        }
        b.finished(backend, Outcome::Answered { latency_ns: latency * MS }, at(now_ms));
        (count, sum) = (count + 1, sum + latency);
        shares[backend.0 as usize] += 1;
        send(&mut b, &mut heap, now_ms, client);
    }
    let n = count as f64;
    (n / (END_MS as f64 / 1e3), sum as f64 / n, shares.map(|s| s as f64 / n))
}

#[test]
fn the_seed_profile_gives_the_known_limits() {
    let near = |value: f64, expected: f64| (value - expected).abs() <= expected * 0.002;
    let (rate, mean, shares) = seed_profile(RoutingMode::RoundRobin);
    assert!(near(rate, 505.3) && near(mean, 197.67), "{rate} {mean}");
    assert!(shares.iter().all(|&s| near(s, 1.0 / 3.0)), "{shares:?}");
    for mode in [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma] {
        let (rate, mean, shares) = seed_profile(mode);
        assert!(near(rate, 499.4) && near(mean, 199.99), "{mode}: {rate} {mean}");
        assert!(near(shares[1], 0.997), "{mode}: {shares:?}");
    }
}
