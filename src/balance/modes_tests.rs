//! The modes beside rotation and averages, each by examples. How they do under load is in `tests/selection.rs`.

use super::tests::{MS, at, chosen, report};
use super::*;

const SECOND: u64 = 1000 * MS;

/// Every mode that learns while it is in force, and the one that does not learn.
const LATER: [RoutingMode; 4] =
    [RoutingMode::Adaptive, RoutingMode::LeastRequests, RoutingMode::P2cPeakEwma, RoutingMode::Prequal];

fn balance(mode: RoutingMode, backends: usize) -> Balance {
    Balance::new(mode, backends, &BalanceOptions::default())
}

/// An attempt from one moment to another.
fn attempt(balance: &mut Balance, backend: u16, from: u64, to: u64, error: bool) {
    let flight = balance.started(BackendId(backend), at(from));
    let outcome = Outcome::Answered { latency_ns: to - from, error };
    balance.finished(BackendId(backend), flight, outcome, at(to));
}

/// Whom `count` requests go to that come one after another, 1 ms apart and each answered after `latency`.
fn shares<const N: usize>(
    balance: &mut Balance,
    now: &mut u64,
    count: u32,
    latency: impl Fn(u16) -> u64,
) -> [u32; N] {
    let mut shares = [0; N];
    for _ in 0..count {
        let (backend, _) = chosen(balance, at(*now));
        shares[usize::from(backend)] += 1;
        attempt(balance, backend, *now, *now + latency(backend), false);
        *now += latency(backend).max(MS);
    }
    shares
}

#[test]
fn one_backend_gets_all_and_none_none_whatever_happens() {
    for mode in RoutingMode::ALL {
        assert_eq!(balance(mode, 0).select(at(5)), None);
        let mut one = balance(mode, 1);
        let mut now = 0;
        assert_eq!(shares::<1>(&mut one, &mut now, 50, |_| MS), [50]);
        report(&mut one, 0, Outcome::Failed { elapsed_ns: 5 }, at(now));
        assert_eq!(chosen(&mut one, at(now)).0, 0, "{mode}");
        one.drain(BackendId(0), true);
        assert_eq!(one.select(at(now)), None, "{mode}");
    }
}

#[test]
fn no_mode_takes_what_is_drained() {
    for mode in LATER {
        for count in [5usize, 200] {
            let mut balance = balance(mode, count);
            let mut now = 0;
            for _ in 0..4 * count {
                let (backend, _) = chosen(&mut balance, at(now));
                attempt(&mut balance, backend, now, now + MS, false);
                now += MS;
            }
            (0..count as u16).filter(|i| i % 5 != 2).for_each(|i| {
                balance.drain(BackendId(i), true);
            });
            for _ in 0..500 {
                let (backend, _) = chosen(&mut balance, at(now));
                assert_eq!(backend % 5, 2, "{mode}");
                attempt(&mut balance, backend, now, now + MS, false);
                now += 5 * MS;
            }
        }
    }
}

#[test]
fn the_fewest_requests_in_flight_win_and_equals_take_turns() {
    let mut balance = balance(RoutingMode::LeastRequests, 4);
    let mut flights = Vec::new();
    for expected in [0, 1, 2, 3, 0, 1] {
        assert_eq!(chosen(&mut balance, at(0)), (expected, Reason::FewestInFlight));
        flights.push((BackendId(expected), balance.started(BackendId(expected), at(0))));
    }
    // 2 and 3 have one in flight, 0 and 1 two.
    assert_eq!([chosen(&mut balance, at(0)).0, chosen(&mut balance, at(0)).0], [2, 3]);
    assert_eq!(chosen(&mut balance, at(0)).0, 2);
    balance.drain(BackendId(2), true);
    assert_eq!(chosen(&mut balance, at(0)).0, 3);
    let (id, flight) = flights.remove(0);
    balance.finished(id, flight, Outcome::Cancelled, at(1));
    assert_eq!([chosen(&mut balance, at(0)).0, chosen(&mut balance, at(0)).0], [0, 3]);
}

#[test]
fn a_peak_counts_at_once_and_fades_with_time() {
    let mut balance = balance(RoutingMode::P2cPeakEwma, 2);
    let mean = |balance: &Balance| balance.backend(BackendId(0)).score_ns(RoutingMode::P2cPeakEwma).unwrap();
    assert_eq!(mean(&balance), 1e9);
    attempt(&mut balance, 0, 0, 3 * SECOND, false);
    assert_eq!(mean(&balance), 3e9);
    // Ten seconds later a sample of 0.1 s: 1/e of the old, the rest of the new.
    attempt(&mut balance, 0, 13 * SECOND - SECOND / 10, 13 * SECOND, false);
    let expected = 3e9 / std::f64::consts::E + 1e8 * (1.0 - 1.0 / std::f64::consts::E);
    assert!((mean(&balance) / expected - 1.0).abs() < 1e-9, "{}", mean(&balance));
}

#[test]
fn the_cheaper_of_two_wins_and_the_dearest_is_never_drawn_against_another() {
    let mut balance = balance(RoutingMode::P2cPeakEwma, 3);
    for (backend, ms) in [(0, 2000), (1, 3000), (2, 4000)] {
        attempt(&mut balance, backend, 0, ms * MS, false);
    }
    let mut counts = [0u32; 3];
    (0..3000).for_each(|_| counts[usize::from(chosen(&mut balance, at(4 * SECOND)).0)] += 1);
    // Of three pairs 0 wins two, 1 one, 2 none.
    assert!((counts[0] as f64 - 2000.0).abs() < 150.0 && counts[2] == 0, "{counts:?}");
    // With three in flight 0 costs 8, against 3 and 4.
    let _flights = [0; 3].map(|_| balance.started(BackendId(0), at(4 * SECOND)));
    let mut counts = [0u32; 3];
    (0..3000).for_each(|_| counts[usize::from(chosen(&mut balance, at(4 * SECOND)).0)] += 1);
    assert!(counts[0] == 0 && (counts[1] as f64 - 2000.0).abs() < 150.0, "{counts:?}");
}

#[test]
fn prequal_takes_the_lowest_latency_among_the_cold() {
    let mut balance = balance(RoutingMode::Prequal, 3);
    let mut now = 0;
    let latency = |backend| [30, 10, 20][usize::from(backend)] * MS;
    shares::<3>(&mut balance, &mut now, 100, latency);
    let settled: [u32; 3] = shares(&mut balance, &mut now, 1000, latency);
    assert!(settled[1] > 2 * settled[2] && settled[2] > 5 * settled[0], "{settled:?}");
    // Loaded beyond the others it is hot: whatever its latency, it is left.
    let _flights: Vec<_> = (0..20).map(|_| balance.started(BackendId(1), at(now))).collect();
    now += 2 * SECOND;
    let loaded: [u32; 3] = shares(&mut balance, &mut now, 1000, latency);
    assert!(loaded[1] < 100 && loaded[2] > 5 * loaded[0], "{loaded:?}");
}

#[test]
fn averages_probe_what_is_stale_once_at_a_time_if_they_are_told_to() {
    let options = BalanceOptions { reprobe_after: Some(Duration::from_secs(1)), ..BalanceOptions::default() };
    for mode in [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma] {
        let mut balance = Balance::new(mode, 3, &options);
        attempt(&mut balance, 0, 0, 50 * MS, false);
        attempt(&mut balance, 1, 0, 10 * MS, false);
        attempt(&mut balance, 2, 0, 90 * MS, false);
        attempt(&mut balance, 1, 900 * MS, 910 * MS, false);
        assert_eq!(chosen(&mut balance, at(SECOND)), (1, Reason::LowestMean));
        let later = SECOND + 91 * MS;
        assert_eq!(chosen(&mut balance, at(later)), (0, Reason::Stale));
        let probe = balance.started(BackendId(0), at(later));
        assert_eq!(chosen(&mut balance, at(later)), (2, Reason::Stale));
        let other = balance.started(BackendId(2), at(later));
        assert_eq!(chosen(&mut balance, at(later)), (1, Reason::LowestMean));
        // A failure is news too; who cancelled tells none.
        balance.finished(BackendId(0), probe, Outcome::Failed { elapsed_ns: MS }, at(later));
        balance.finished(BackendId(2), other, Outcome::Cancelled, at(later));
        assert_eq!(chosen(&mut balance, at(later)), (2, Reason::Stale));
    }
}

#[test]
fn what_a_mode_has_learned_it_knows_when_it_comes_back() {
    let mut balance = balance(RoutingMode::Adaptive, 2);
    let mut now = 0;
    shares::<2>(&mut balance, &mut now, 100, |backend| [10, 20][usize::from(backend)] * MS);
    let before = balance.backend(BackendId(1)).score_ns(RoutingMode::Adaptive);
    balance.set_mode(RoutingMode::RoundRobin);
    attempt(&mut balance, 1, now, now + SECOND, false);
    assert_eq!(balance.backend(BackendId(1)).score_ns(RoutingMode::Adaptive), before);
    // What was sent in another mode ends in this one.
    let flight = balance.started(BackendId(1), at(now));
    balance.set_mode(RoutingMode::Adaptive);
    balance.finished(BackendId(1), flight, Outcome::Answered { latency_ns: MS, error: false }, at(now + MS));
    assert_eq!(balance.backend(BackendId(1)).score_ns(RoutingMode::Adaptive), before);
    assert_eq!(chosen(&mut balance, at(now)), (0, Reason::LeastCost));
}
