//! Backends that fail, fail their checks, and come back.

use std::time::Duration;

use proptest::prelude::*;

use super::tests::{ADAPTIVE, MS, answer, at, chosen, fail, report};
use super::*;

const SECOND: u64 = 1_000 * MS;

const OPTIONS: HealthOptions = HealthOptions {
    eject_after: 3,
    eject_for: Duration::from_secs(1),
    eject_for_most: Duration::from_secs(5),
    eject_share: 0.7,
    all_out: AllOut::Fail,
    slow_start: Duration::ZERO,
};

fn balance(mode: RoutingMode, backends: usize, options: HealthOptions) -> Balance {
    Balance::new(mode, backends, &BalanceOptions { health: options, ..BalanceOptions::default() })
}

fn rotating(backends: usize) -> Balance {
    balance(RoutingMode::RoundRobin, backends, OPTIONS)
}

fn state(balance: &Balance, backend: u16) -> Availability {
    balance.backend(BackendId(backend)).availability()
}

fn answer_at(balance: &mut Balance, backend: u16, now: Instant) {
    report(balance, usize::from(backend), Outcome::Answered { latency_ns: MS, error: false }, now);
}

#[test]
fn failures_in_a_row_eject_and_an_answer_in_between_does_not() {
    let mut balance = rotating(3);
    for _ in 0..3 {
        fail(&mut balance, 1, MS, at(0));
        fail(&mut balance, 1, MS, at(0));
        answer(&mut balance, 1, MS);
    }
    assert_eq!(state(&balance, 1), Availability::Usable);
    (0..3).for_each(|_| fail(&mut balance, 1, MS, at(0)));
    assert_eq!((state(&balance, 1), balance.usable()), (Availability::Ejected, 2));
    assert_eq!([0; 4].map(|_| chosen(&mut balance, at(5)).0), [0, 2, 0, 2]);
}

#[test]
fn an_ejection_ends_in_time_and_the_next_failure_makes_it_twice_as_long() {
    let mut balance = rotating(3);
    (0..3).for_each(|_| fail(&mut balance, 1, MS, at(0)));
    let mut back = 0;
    for seconds in [1, 2, 4, 5, 5] {
        back += seconds * SECOND;
        assert!((0..9).all(|_| chosen(&mut balance, at(back - 1)).0 != 1), "{seconds}");
        assert!((0..3).any(|_| chosen(&mut balance, at(back)).0 == 1), "{seconds}");
        fail(&mut balance, 1, MS, at(back));
    }
    assert_eq!(balance.backend(BackendId(1)).ejected(), 6);
}

#[test]
fn who_does_well_for_as_long_as_it_was_out_has_recovered() {
    let mut balance = rotating(3);
    (0..3).for_each(|_| fail(&mut balance, 1, MS, at(0)));
    (0..3).for_each(|_| _ = chosen(&mut balance, at(SECOND)));
    answer_at(&mut balance, 1, at(2 * SECOND - 1));
    fail(&mut balance, 1, MS, at(2 * SECOND - 1));
    assert_eq!(state(&balance, 1), Availability::Ejected, "not yet");
    (0..3).for_each(|_| _ = chosen(&mut balance, at(4 * SECOND)));
    answer_at(&mut balance, 1, at(6 * SECOND));
    fail(&mut balance, 1, MS, at(6 * SECOND));
    fail(&mut balance, 1, MS, at(6 * SECOND));
    assert_eq!(state(&balance, 1), Availability::Usable, "as patient as at first");
    fail(&mut balance, 1, MS, at(6 * SECOND));
    assert_eq!(state(&balance, 1), Availability::Ejected);
    assert!((0..9).any(|_| chosen(&mut balance, at(7 * SECOND)).0 == 1), "and for as short");
}

#[test]
fn never_more_than_the_share_is_ejected() {
    for (backends, most) in [(1, 0), (2, 1), (3, 2), (4, 2), (10, 7)] {
        let mut balance = rotating(backends);
        (0..5).for_each(|_| (0..backends).for_each(|backend| fail(&mut balance, backend, MS, at(0))));
        assert_eq!(backends - balance.usable(), most, "of {backends}");
        assert!(balance.select(at(5)).is_some());
    }
}

#[test]
fn a_drained_backend_stays_so_whatever_befalls_it() {
    let mut balance = rotating(3);
    balance.drain(BackendId(0), true);
    (0..3).for_each(|_| fail(&mut balance, 0, MS, at(0)));
    balance.checked(BackendId(0), true, at(5));
    assert_eq!(state(&balance, 0), Availability::Draining);
    assert!((0..9).all(|_| chosen(&mut balance, at(9 * SECOND)).0 != 0));
}

#[test]
fn what_checks_say_wins() {
    let mut balance = rotating(3);
    balance.checked(BackendId(2), false, at(0));
    answer(&mut balance, 2, MS);
    assert_eq!(state(&balance, 2), Availability::Down, "an answer does not bring it back");
    assert!((0..9).all(|_| chosen(&mut balance, at(99 * SECOND)).0 != 2), "nor does time");
    balance.checked(BackendId(2), true, at(0));
    assert_eq!(state(&balance, 2), Availability::Usable);
    (0..3).for_each(|_| fail(&mut balance, 2, MS, at(0)));
    assert_eq!(state(&balance, 2), Availability::Ejected);
    balance.checked(BackendId(2), true, at(1));
    assert_eq!(state(&balance, 2), Availability::Usable, "a check that is passed ends an ejection");
}

#[test]
fn when_all_are_out_none_is_chosen_or_any_that_is_not_drained() {
    for mode in RoutingMode::ALL {
        for all_out in AllOut::ALL {
            let mut balance = balance(mode, 3, HealthOptions { all_out, ..OPTIONS });
            answer(&mut balance, 1, MS);
            balance.drain(BackendId(0), true);
            (1..3).for_each(|backend| balance.checked(BackendId(backend), false, at(0)));
            let mut next = || balance.select(at(5)).map(|choice| choice.backend.0);
            let expected = match all_out {
                AllOut::Fail => [None; 4],
                AllOut::Any => [Some(1), Some(2), Some(1), Some(2)],
            };
            assert_eq!([next(), next(), next(), next()], expected, "{mode} {all_out:?}");
            assert_eq!(balance.usable(), 0);
        }
    }
}

#[test]
fn who_is_back_gets_a_growing_share() {
    // The others look at what is in flight, and here it is nothing.
    for mode in RoutingMode::ALL.into_iter().take(4) {
        let options = HealthOptions { slow_start: Duration::from_secs(10), ..OPTIONS };
        let mut balance = balance(mode, 2, options);
        // The first is the faster one.
        answer(&mut balance, 0, MS);
        answer(&mut balance, 1, 9 * MS);
        balance.checked(BackendId(0), false, at(0));
        balance.checked(BackendId(0), true, at(0));
        let turns = if mode == RoutingMode::RoundRobin { 2_000 } else { 1_000 };
        let mut share_at =
            |seconds: u64| (0..turns).filter(|_| chosen(&mut balance, at(seconds * SECOND)).0 == 0).count();
        let shares = [share_at(0), share_at(2), share_at(5), share_at(9), share_at(10)];
        let full = 1_000;
        for (share, part) in shares.into_iter().zip([10, 20, 50, 90, 100]) {
            // In the rotation the turns that it passes go to the other one, so it has fewer.
            let expected = match mode {
                RoutingMode::RoundRobin => full * 2 * part / (100 + part),
                _ => full * part / 100,
            };
            let near = |share: usize, expected: usize| share.abs_diff(expected) <= 1 + full / 10;
            assert!(near(share, expected), "{mode}: {shares:?}, expected {expected} at {part} %");
        }
    }
}

#[test]
fn a_single_backend_that_is_back_takes_all() {
    let options = HealthOptions { slow_start: Duration::from_secs(10), ..OPTIONS };
    let mut balance = balance(RoutingMode::RoundRobin, 1, options);
    balance.checked(BackendId(0), false, at(0));
    balance.checked(BackendId(0), true, at(0));
    assert_eq!([0; 5].map(|_| chosen(&mut balance, at(1)).0), [0; 5]);
}

#[test]
fn another_attempt_is_on_another_backend() {
    for mode in RoutingMode::ALL {
        let mut balance = balance(mode, 3, OPTIONS);
        (0..3).for_each(|backend| answer(&mut balance, backend, MS));
        for failed in [0, 1, 2, 2, 1, 0] {
            let other = balance.select_other(at(5), BackendId(failed)).expect("another");
            assert_ne!(other.backend.0, failed, "{mode}");
        }
        balance.drain(BackendId(0), true);
        balance.drain(BackendId(1), true);
        assert_eq!(balance.select_other(at(5), BackendId(2)), None, "{mode}");
        assert_eq!(balance.select(at(5)).map(|choice| choice.backend.0), Some(2));
    }
    let mut alone = rotating(1);
    assert_eq!(alone.select_other(at(5), BackendId(0)), None);
}

#[test]
fn the_fastest_that_dies_is_not_chosen_for_long() {
    for mode in ADAPTIVE {
        let mut balance = balance(mode, 3, OPTIONS);
        for backend in 0..3 {
            (0..5).for_each(|_| answer(&mut balance, backend, MS * (1 + 50 * backend as u64)));
        }
        let mut failures = 0;
        while chosen(&mut balance, at(5)).0 == 0 {
            fail(&mut balance, 0, MS, at(5));
            failures += 1;
            assert!(failures <= OPTIONS.eject_after, "{mode}");
        }
    }
}

proptest! {
    /// Whatever happens, a usable backend is chosen while there is one, and only such a one.
    #[test]
    fn the_chosen_may_be_chosen(
        mode in 0..RoutingMode::ALL.len(),
        backends in 1..6u16,
        slow_start in 0..3u64,
        steps in prop::collection::vec((0..5u8, 0..6u16, 0..400u64), 1..200),
    ) {
        let slow_start = Duration::from_secs(slow_start);
        let mut balance =
            balance(RoutingMode::ALL[mode], usize::from(backends), HealthOptions { slow_start, ..OPTIONS });
        let mut now = at(0);
        for (step, backend, later) in steps {
            let id = BackendId(backend % backends);
            now = now + Duration::from_millis(later);
            match step {
                0 => balance.drain(id, later % 2 == 0),
                1 => balance.checked(id, later % 3 > 0, now),
                2 => answer_at(&mut balance, id.0, now),
                _ => fail(&mut balance, usize::from(id.0), MS, now),
            }
            match balance.select(now) {
                Some(choice) => prop_assert_eq!(state(&balance, choice.backend.0), Availability::Usable),
                None => prop_assert_eq!(balance.usable(), 0),
            }
            if let Some(choice) = balance.select_other(now, id) {
                prop_assert_ne!(choice.backend, id);
                prop_assert_eq!(state(&balance, choice.backend.0), Availability::Usable);
            }
            let usable = (0..backends).filter(|&b| state(&balance, b) == Availability::Usable).count();
            prop_assert_eq!(balance.usable(), usable);
        }
    }
}

#[test]
fn who_cannot_be_ejected_is_taken_for_out_as_long_as_it_would_be() {
    for eject_after in [3, 0] {
        let mut balance = balance(RoutingMode::RoundRobin, 1, HealthOptions { eject_after, ..OPTIONS });
        let enough = if eject_after == 0 { 5 } else { eject_after };
        let fail_at = |balance: &mut Balance, now| (0..enough).for_each(|_| fail(balance, 0, MS, now));
        (1..enough).for_each(|_| fail(&mut balance, 0, MS, at(0)));
        assert_eq!(balance.serving(at(0)), 1, "there may be a reason for so few");
        fail(&mut balance, 0, MS, at(0));
        assert_eq!(
            (balance.usable(), balance.serving(at(SECOND - 1)), balance.serving(at(SECOND))),
            (1, 0, 1)
        );
        // Once more as often: twice as long.
        fail_at(&mut balance, at(SECOND));
        assert_eq!((balance.serving(at(3 * SECOND - 1)), balance.serving(at(3 * SECOND))), (0, 1));
        (0..9).for_each(|_| fail_at(&mut balance, at(4 * SECOND)));
        assert_eq!((balance.serving(at(9 * SECOND - 1)), balance.serving(at(9 * SECOND))), (0, 1));
        fail_at(&mut balance, at(9 * SECOND));
        answer_at(&mut balance, 0, at(9 * SECOND));
        assert_eq!(balance.serving(at(9 * SECOND)), 1);
        // A check that it passes is better evidence.
        fail_at(&mut balance, at(10 * SECOND));
        assert_eq!(balance.serving(at(10 * SECOND)), 0);
        balance.checked(BackendId(0), true, at(10 * SECOND));
        assert_eq!(balance.serving(at(10 * SECOND)), 1);
    }
}

#[test]
fn who_was_ejected_serves_again_when_that_is_over_though_nobody_asks_it() {
    let mut balance = balance(RoutingMode::RoundRobin, 1, HealthOptions { eject_share: 1.0, ..OPTIONS });
    (0..3).for_each(|_| fail(&mut balance, 0, MS, at(0)));
    assert_eq!((balance.usable(), balance.serving(at(SECOND - 1)), balance.serving(at(SECOND))), (0, 0, 1));
    balance.drain(BackendId(0), true);
    assert_eq!(balance.serving(at(SECOND)), 0);
    balance.drain(BackendId(0), false);
    balance.checked(BackendId(0), false, at(SECOND));
    assert_eq!(balance.serving(at(SECOND)), 0);
}
