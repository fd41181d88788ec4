//! Backends that are not to be chosen: drained and brought back.

use proptest::prelude::*;

use super::tests::{ADAPTIVE, MS, answer, at, chosen, fail};
use super::*;

fn drain(balance: &mut Balance, backend: u16) {
    balance.drain(BackendId(backend), true);
}

fn undrain(balance: &mut Balance, backend: u16) {
    balance.drain(BackendId(backend), false);
}

#[test]
fn the_rotation_passes_over_a_drained_backend_and_takes_it_in_again() {
    let mut balance = Balance::new(RoutingMode::RoundRobin, 3, &BalanceOptions::default());
    drain(&mut balance, 1);
    let mut next = || chosen(&mut balance, at(0)).0;
    assert_eq!([next(), next(), next(), next()], [0, 2, 0, 2]);
    undrain(&mut balance, 1);
    let mut next = || chosen(&mut balance, at(0)).0;
    assert_eq!([next(), next(), next()], [0, 1, 2]);
}

#[test]
fn the_adaptive_modes_pass_over_a_drained_backend_and_know_it_when_it_is_back() {
    for mode in ADAPTIVE {
        let mut balance = Balance::new(mode, 2, &BalanceOptions::default());
        answer(&mut balance, 0, 5 * MS);
        answer(&mut balance, 1, 9 * MS);
        drain(&mut balance, 0);
        assert_eq!(chosen(&mut balance, at(0)), (1, Reason::LowestMean));
        // What was in flight when it was drained still teaches, and does not bring it back.
        answer(&mut balance, 0, 3 * MS);
        assert_eq!(chosen(&mut balance, at(0)), (1, Reason::LowestMean));
        balance.set_mode(mode);
        assert_eq!(chosen(&mut balance, at(0)), (1, Reason::LowestMean));
        undrain(&mut balance, 0);
        assert_eq!(chosen(&mut balance, at(0)), (0, Reason::LowestMean));
    }
}

#[test]
fn a_drained_backend_is_not_probed_before_it_is_back() {
    for mode in ADAPTIVE {
        let mut balance = Balance::new(mode, 2, &BalanceOptions::default());
        drain(&mut balance, 0);
        assert_eq!(chosen(&mut balance, at(0)), (1, Reason::Unmeasured));
        fail(&mut balance, 0, MS, at(0));
        fail(&mut balance, 1, MS, at(0));
        // Both have failed: the one that may be chosen is tried all the same.
        assert_eq!(chosen(&mut balance, at(5)), (1, Reason::Unmeasured));
        assert_eq!(chosen(&mut balance, at(0) + PROBE_PAUSE), (1, Reason::Unmeasured));
        answer(&mut balance, 1, MS);
        undrain(&mut balance, 0);
        assert_eq!(chosen(&mut balance, at(5)), (0, Reason::Unmeasured));
    }
}

#[test]
fn when_all_are_drained_there_is_no_choice() {
    for mode in RoutingMode::ALL {
        let mut balance = Balance::new(mode, 3, &BalanceOptions::default());
        answer(&mut balance, 2, MS);
        (0..3).for_each(|backend| drain(&mut balance, backend));
        assert_eq!((balance.select(at(5)), balance.usable()), (None, 0));
        undrain(&mut balance, 2);
        assert_eq!((balance.select(at(5)).map(|choice| choice.backend.0), balance.usable()), (Some(2), 1));
    }
}

proptest! {
    #[test]
    fn shares_of_usable_backends_differ_by_at_most_one(
        drained in prop::collection::vec(any::<bool>(), 1..9),
        before in 0..9usize,
        choices in 1..60usize,
    ) {
        let mut balance = Balance::new(RoutingMode::RoundRobin, drained.len(), &BalanceOptions::default());
        (0..before).for_each(|_| { balance.select(at(0)); });
        let out = |i: &u16| drained[usize::from(*i)];
        (0..drained.len() as u16).filter(out).for_each(|i| drain(&mut balance, i));
        let mut counts = vec![0; drained.len()];
        for _ in 0..choices {
            let Some(choice) = balance.select(at(0)) else {
                prop_assert!(drained.iter().all(|&drained| drained));
                return Ok(());
            };
            counts[usize::from(choice.backend.0)] += 1;
        }
        let of_usable = || counts.iter().zip(&drained).filter(|(_, drained)| !**drained).map(|(count, _)| count);
        prop_assert_eq!(of_usable().sum::<i32>(), choices as i32);
        prop_assert!(of_usable().max().unwrap() - of_usable().min().unwrap() <= 1);
    }
}
