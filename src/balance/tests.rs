//! Each rule of the choice by an example. What must hold for all histories is in `property_tests.rs`.

use super::*;

pub(super) const MS: u64 = 1_000_000;
pub(super) const ADAPTIVE: [RoutingMode; 2] = [RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma];

pub(super) fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

pub(super) fn report(balance: &mut Balance, backend: usize, outcome: Outcome, now: Instant) {
    let id = BackendId(backend as u16);
    let flight = balance.started(id, now);
    balance.finished(id, flight, outcome, now);
}

pub(super) fn answer(balance: &mut Balance, backend: usize, latency_ns: u64) {
    report(balance, backend, Outcome::Answered { latency_ns, error: false }, Instant::ZERO);
}

pub(super) fn fail(balance: &mut Balance, backend: usize, elapsed_ns: u64, now: Instant) {
    report(balance, backend, Outcome::Failed { elapsed_ns }, now);
}

/// Backends that have each answered once, in as many milliseconds.
fn measured(mode: RoutingMode, latencies_ms: &[u64]) -> Balance {
    let mut balance = Balance::new(mode, latencies_ms.len(), &BalanceOptions::default());
    for (i, ms) in latencies_ms.iter().enumerate() {
        answer(&mut balance, i, ms * MS);
    }
    balance
}

pub(super) fn chosen(balance: &mut Balance, now: Instant) -> (u16, Reason) {
    let choice = balance.select(now).unwrap();
    (choice.backend.0, choice.reason)
}

#[test]
fn without_backends_there_is_no_choice() {
    for mode in RoutingMode::ALL {
        assert_eq!(Balance::new(mode, 0, &BalanceOptions::default()).select(at(5)), None);
    }
}

#[test]
fn of_equal_means_the_earlier_backend_wins() {
    for mode in ADAPTIVE {
        assert_eq!(chosen(&mut measured(mode, &[9, 7, 7]), at(0)), (1, Reason::LowestMean));
    }
}

#[test]
fn backends_without_a_sample_come_first_in_order_of_configuration() {
    for mode in ADAPTIVE {
        let mut balance = Balance::new(mode, 3, &BalanceOptions::default());
        for expected in [0, 1, 2] {
            assert_eq!(chosen(&mut balance, at(0)), (expected, Reason::Unmeasured));
            // Still so for all requests that come before its first answer.
            assert_eq!(chosen(&mut balance, at(0)), (expected, Reason::Unmeasured));
            answer(&mut balance, usize::from(expected), 5 * MS);
        }
        assert_eq!(chosen(&mut balance, at(0)), (0, Reason::LowestMean));
    }
}

#[test]
fn neither_an_instant_answer_nor_a_cancelled_attempt_is_a_sample() {
    let mut balance = measured(RoutingMode::AdaptiveSma, &[5]);
    answer(&mut balance, 0, 0);
    report(&mut balance, 0, Outcome::Cancelled, at(0));
    let backend = balance.backend(BackendId(0));
    assert_eq!((backend.sma_ns(), backend.ewma_ns()), (Some(5e6), Some(5e6)));
    assert_eq!((backend.answered(), backend.failed(), backend.in_flight()), (2, 0, 0));
}

#[test]
fn a_failed_first_probe_pauses_the_backend_while_another_is_usable() {
    for mode in ADAPTIVE {
        let mut balance = Balance::new(mode, 2, &BalanceOptions::default());
        fail(&mut balance, 0, MS, at(7));
        let end = at(7) + PROBE_PAUSE;
        assert_eq!(chosen(&mut balance, at(7)), (1, Reason::Unmeasured));
        answer(&mut balance, 1, 900 * MS);
        assert_eq!(chosen(&mut balance, at(end.as_nanos() - 1)), (1, Reason::LowestMean));
        assert_eq!(chosen(&mut balance, end), (0, Reason::Unmeasured));
        fail(&mut balance, 0, MS, end);
        assert_eq!(chosen(&mut balance, end), (1, Reason::LowestMean));
        assert_eq!(balance.backend(BackendId(0)).score_ns(mode), None);
    }
}

#[test]
fn if_all_pause_the_one_whose_pause_ends_first_is_taken() {
    for mode in ADAPTIVE {
        let mut balance = Balance::new(mode, 3, &BalanceOptions::default());
        fail(&mut balance, 0, MS, at(30));
        fail(&mut balance, 1, MS, at(20));
        fail(&mut balance, 2, MS, at(20));
        assert_eq!(chosen(&mut balance, at(40)), (1, Reason::Unmeasured));
    }
}

#[test]
fn an_answer_to_a_late_probe_ends_the_pause() {
    let mut balance = Balance::new(RoutingMode::AdaptiveSma, 2, &BalanceOptions::default());
    fail(&mut balance, 0, MS, at(0));
    answer(&mut balance, 0, MS);
    answer(&mut balance, 1, 2 * MS);
    let later = at(0) + 2 * PROBE_PAUSE;
    assert_eq!(chosen(&mut balance, later), (0, Reason::LowestMean));
}

#[test]
fn a_failure_enters_as_the_largest_of_its_time_and_the_means() {
    // The mean of all is 40 ms; a failure enters just above it.
    let after = |elapsed_ms| {
        let mut balance = measured(RoutingMode::AdaptiveSma, &[20, 60]);
        fail(&mut balance, 0, elapsed_ms * MS, at(0));
        let backend = balance.backend(BackendId(0));
        (backend.sma_ns().unwrap().floor(), backend.ewma_ns().unwrap().floor())
    };
    assert_eq!(after(0), (30e6, 24e6));
    assert_eq!(after(100), (60e6, 36e6));
    // The sample that leaves is slower than both means: the failure stands in for it.
    let mut balance = measured(RoutingMode::AdaptiveSma, &[300, 10]);
    answer(&mut balance, 0, 10 * MS);
    answer(&mut balance, 0, 10 * MS);
    let before = balance.backend(BackendId(0)).sma_ns();
    fail(&mut balance, 0, 0, at(0));
    assert_eq!(balance.backend(BackendId(0)).sma_ns(), before);
}

/// How many failures at once a backend is chosen for before it is left for good, having been the fastest.
fn failures_until_left(mode: RoutingMode, latencies_ms: &[u64], failing: usize) -> u32 {
    let mut balance = measured(mode, latencies_ms);
    for failures in 0..1000 {
        if usize::from(chosen(&mut balance, at(0)).0) != failing {
            return failures;
        }
        fail(&mut balance, failing, 1000, at(0));
    }
    panic!("{mode} prefers the failing backend for ever");
}

#[test]
fn the_fastest_backend_is_left_once_it_fails_at_once() {
    let [sma, ewma] = ADAPTIVE;
    for (latencies, failing) in [(&[10, 200][..], 0), (&[200, 10], 1), (&[200, 10, 200, 200], 1)] {
        assert!(failures_until_left(sma, latencies, failing) <= 60);
        assert!(failures_until_left(ewma, latencies, failing) <= 180);
    }
    assert!(failures_until_left(sma, &[15, 200, 250], 0) <= 9);
    assert!(failures_until_left(ewma, &[15, 200, 250], 0) <= 18);
}

#[test]
fn a_switch_of_the_mode_starts_warm() {
    let mut balance = Balance::new(
        RoutingMode::RoundRobin,
        2,
        &BalanceOptions { sma_window: 1, ..BalanceOptions::default() },
    );
    answer(&mut balance, 0, 100 * MS);
    answer(&mut balance, 0, 10 * MS);
    answer(&mut balance, 1, 50 * MS);
    assert_eq!(chosen(&mut balance, at(0)), (0, Reason::Rotation));
    balance.set_mode(RoutingMode::AdaptiveSma);
    assert_eq!(chosen(&mut balance, at(0)), (0, Reason::LowestMean));
    balance.set_mode(RoutingMode::AdaptiveEwma);
    assert_eq!(chosen(&mut balance, at(0)), (1, Reason::LowestMean));
    balance.set_mode(RoutingMode::RoundRobin);
    assert_eq!(
        (balance.mode(), chosen(&mut balance, at(0))),
        (RoutingMode::RoundRobin, (1, Reason::Rotation))
    );
}

#[test]
fn a_tunnel_is_learned_when_it_opens_and_in_flight_until_it_ends() {
    let mut balance = Balance::new(RoutingMode::AdaptiveSma, 2, &BalanceOptions::default());
    answer(&mut balance, 1, 20 * MS);
    let id = BackendId(0);
    let flight = balance.started(id, at(0));
    balance.opened(id, flight, 10 * MS, at(10 * MS));
    assert_eq!((balance.backend(id).in_flight(), balance.backend(id).answered()), (1, 1));
    assert_eq!(chosen(&mut balance, at(0)), (0, Reason::LowestMean));
    balance.finished(id, Flight::default(), Outcome::Cancelled, at(3600 * 1_000 * MS));
    assert_eq!((balance.backend(id).in_flight(), balance.backend(id).sma_ns()), (0, Some(10.0 * MS as f64)));
}
