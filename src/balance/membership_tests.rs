//! Tests of a set that changes.

use proptest::prelude::*;

use super::*;

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn ids(numbers: &[u16]) -> Vec<BackendId> {
    numbers.iter().copied().map(BackendId).collect()
}

fn choices(balance: &mut Balance, count: usize) -> Vec<u16> {
    (0..count).map(|_| balance.select(NOW).expect("a choice").backend.0).collect()
}

fn answer(balance: &mut Balance, id: u16, ms: u64) {
    let flight = balance.started(BackendId(id), NOW);
    let outcome = Outcome::Answered { latency_ns: ms * 1_000_000, error: false };
    balance.finished(BackendId(id), flight, outcome, NOW);
}

#[test]
fn the_rotation_goes_on_with_who_would_have_been_next() {
    let mut balance = Balance::new(RoutingMode::RoundRobin, 4, &BalanceOptions::default());
    assert_eq!(choices(&mut balance, 2), [0, 1]);
    // It would be 2's turn, which leaves: so it is 3's. 9 is new.
    balance.set_members(&ids(&[9, 3, 0, 1]));
    assert_eq!(choices(&mut balance, 6), [3, 0, 1, 9, 3, 0]);
    balance.set_members(&ids(&[9]));
    assert_eq!(choices(&mut balance, 2), [9, 9]);
    balance.set_members(&[]);
    assert_eq!(balance.select(NOW), None);
    balance.set_members(&ids(&[7, 8]));
    assert_eq!(choices(&mut balance, 3), [7, 8, 7]);
}

#[test]
fn who_stays_keeps_averages_drain_and_flights_wherever_it_stands_and_a_newcomer_is_probed_first() {
    let mut balance = Balance::new(RoutingMode::AdaptiveSma, 3, &BalanceOptions::default());
    for (id, ms) in [(0, 30), (1, 10), (2, 20)] {
        answer(&mut balance, id, ms);
    }
    let _flight = balance.started(BackendId(2), NOW);
    balance.drain(BackendId(1), true);
    balance.set_members(&ids(&[2, 5, 1]));
    assert_eq!(balance.members(), ids(&[2, 5, 1]));
    let sma = |balance: &Balance, id| balance.backend(BackendId(id)).sma_ns();
    assert_eq!([2, 5, 1].map(|id| sma(&balance, id)), [Some(20e6), None, Some(10e6)]);
    assert_eq!(balance.backend(BackendId(1)).availability(), Availability::Draining);
    assert_eq!((balance.backend(BackendId(2)).in_flight(), balance.usable()), (1, 2));
    let choice = balance.select(NOW).unwrap();
    assert_eq!(choice, Choice { backend: BackendId(5), reason: Reason::Unmeasured });
    answer(&mut balance, 5, 50);
    assert_eq!(choices(&mut balance, 3), [2, 2, 2]);
}

#[test]
fn who_has_left_ends_what_it_has_and_says_nothing_of_others() {
    let mut balance = Balance::new(RoutingMode::AdaptiveEwma, 2, &BalanceOptions::default());
    (0..2).for_each(|id| answer(&mut balance, id, 10));
    let flights = [balance.started(BackendId(0), NOW), balance.started(BackendId(0), NOW)];
    balance.set_members(&ids(&[1]));
    assert_eq!((balance.knows(BackendId(0)), balance.leaving().count()), (true, 1));
    let outcomes = [Outcome::Failed { elapsed_ns: 1 }, Outcome::Answered { latency_ns: 1, error: false }];
    for (flight, outcome) in flights.into_iter().zip(outcomes) {
        balance.finished(BackendId(0), flight, outcome, NOW);
    }
    let gone = balance.backend(BackendId(0));
    assert_eq!((gone.in_flight(), gone.failed(), gone.answered()), (0, 1, 2));
    assert_eq!(gone.availability(), Availability::Draining);
    balance.forget(BackendId(0));
    assert!(!balance.knows(BackendId(0)));
    // Another has its id.
    balance.set_members(&ids(&[1, 0]));
    assert_eq!(balance.backend(BackendId(0)).ewma_ns(), None);
}

#[test]
fn averages_go_on_over_other_numbers_of_samples() {
    let mut balance = Balance::new(RoutingMode::AdaptiveSma, 1, &BalanceOptions::default());
    for ms in [100, 1, 2, 3] {
        answer(&mut balance, 0, ms);
    }
    let averaging = |sma_window| BalanceOptions { sma_window, ewma_alpha: 0.5, ..BalanceOptions::default() };
    balance.set_options(&averaging(2));
    let known = |balance: &Balance| balance.backend(BackendId(0)).sma_ns().unwrap() / 1e6;
    assert_eq!(known(&balance), 2.5);
    balance.set_options(&averaging(4));
    answer(&mut balance, 0, 7);
    assert_eq!(known(&balance), 4.0, "2, 3 and 7");
    let before = balance.backend(BackendId(0)).ewma_ns().unwrap();
    answer(&mut balance, 0, 1);
    assert_eq!(balance.backend(BackendId(0)).ewma_ns(), Some(f64::midpoint(before, 1e6)));
}

/// With many in flight at all of them while sets and modes change, each backend's own is taken from it.
#[test]
fn every_mode_goes_on_over_a_set_that_changes() {
    for mode in RoutingMode::ALL {
        let mut balance = Balance::new(mode, 4, &BalanceOptions::default());
        let mut flights = Vec::new();
        let sets: [&[u16]; 5] = [&[0, 1, 2, 3], &[3, 1], &[1, 7, 3, 9], &[9], &[9, 2, 7]];
        for (round, set) in sets.iter().enumerate() {
            balance.set_members(&ids(set));
            let left: Vec<_> = balance.leaving().collect();
            for n in 0..100u64 {
                let now = NOW + Duration::from_millis(1000 * round as u64 + n);
                let id = balance.select(now).expect("a choice").backend;
                assert!(set.contains(&id.0), "{mode}: {id:?}");
                flights.push((id, now, balance.started(id, now)));
                if flights.len() > 20 {
                    let (id, sent, flight) = flights.remove((n % 20) as usize);
                    let latency_ns = now.nanos_since(sent);
                    balance.finished(id, flight, Outcome::Answered { latency_ns, error: false }, now);
                }
            }
            let open = |id| flights.iter().filter(|flight| flight.0 == id).count();
            let known = balance.members().iter().chain(&left);
            known.for_each(|&id| assert_eq!(balance.backend(id).in_flight() as usize, open(id), "{mode}"));
            for id in left.into_iter().filter(|&id| open(id) == 0) {
                balance.forget(id);
            }
        }
    }
}

#[test]
fn the_goal_may_change_while_requests_come() {
    let mut balance = Balance::new(RoutingMode::Adaptive, 2, &BalanceOptions::default());
    (0..2).for_each(|id| answer(&mut balance, id, 10));
    for goal in [RoutingGoal::Mean, RoutingGoal::P95] {
        balance.set_options(&BalanceOptions { goal, ..BalanceOptions::default() });
        assert_eq!(balance.select(NOW).map(|choice| choice.reason), Some(Reason::LeastCost));
    }
}

proptest! {
    /// Whatever sets follow each other: among one set the shares of the rotation differ by at most one, and only its members
    /// are chosen.
    #[test]
    fn the_rotation_is_strict_over_each_set(
        sets in prop::collection::vec((prop::collection::btree_set(0u16..12, 0..6), 0usize..20), 1..12),
    ) {
        let mut balance = Balance::new(RoutingMode::RoundRobin, 3, &BalanceOptions::default());
        for (set, count) in sets {
            let members: Vec<_> = set.into_iter().map(BackendId).collect();
            balance.set_members(&members);
            let left: Vec<_> = balance.leaving().collect();
            left.into_iter().for_each(|id| balance.forget(id));
            let mut shares = [0; 12];
            for _ in 0..count {
                let Some(choice) = balance.select(NOW) else { break };
                shares[usize::from(choice.backend.0)] += 1;
            }
            let of_members: Vec<i32> = members.iter().map(|id| shares[usize::from(id.0)]).collect();
            prop_assert_eq!(of_members.iter().sum::<i32>(), if members.is_empty() { 0 } else { count as i32 });
            if let (Some(most), Some(least)) = (of_members.iter().max(), of_members.iter().min()) {
                prop_assert!(most - least <= 1, "{:?}", of_members);
            }
        }
    }
}
