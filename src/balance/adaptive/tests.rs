//! Each rule of the mode by an example, through `Balance`.

use super::super::tests::{MS, at, chosen};
use super::super::*;

const SECOND: u64 = 1000 * MS;

fn balance(goal: RoutingGoal, backends: usize) -> Balance {
    Balance::new(RoutingMode::Adaptive, backends, &BalanceOptions { goal, ..BalanceOptions::default() })
}

fn start(balance: &mut Balance, backend: u16, now: u64) -> Flight {
    balance.started(BackendId(backend), at(now))
}

fn end(balance: &mut Balance, backend: u16, flight: Flight, (from, now): (u64, u64), error: bool) {
    let outcome = Outcome::Answered { latency_ns: now - from, error };
    balance.finished(BackendId(backend), flight, outcome, at(now));
}

/// One request at a time to each backend in turn, 10 of each a second, for so many seconds from `now` on.
fn teach(balance: &mut Balance, now: &mut u64, seconds: u64, latency_ms: impl Fn(u16, u64) -> u64) {
    for n in 0..seconds * 10 {
        for backend in 0..balance.backends().len() as u16 {
            let flight = start(balance, backend, *now);
            let answered = *now + latency_ms(backend, n) * MS;
            end(balance, backend, flight, (*now, answered), false);
        }
        *now += 100 * MS;
    }
}

fn cost_ms(balance: &Balance, backend: u16) -> f64 {
    balance.backend(BackendId(backend)).score_ns(RoutingMode::Adaptive).unwrap() / 1e6
}

#[test]
fn without_samples_each_gets_one_request_and_then_the_least_busy_gets_more() {
    let mut balance = balance(RoutingGoal::P95, 3);
    let mut first: Vec<_> = (0..3)
        .map(|_| {
            let (backend, reason) = chosen(&mut balance, at(0));
            let _flight = start(&mut balance, backend, 0);
            (backend, reason)
        })
        .collect();
    first.sort_unstable_by_key(|choice| choice.0);
    assert_eq!(first, [0, 1, 2].map(|backend| (backend, Reason::Unmeasured)));
    let (again, reason) = chosen(&mut balance, at(0));
    assert_eq!((balance.backend(BackendId(again)).in_flight(), reason), (1, Reason::Unmeasured));
}

#[test]
fn while_one_is_measured_the_others_get_one_request_at_a_time() {
    let mut balance = balance(RoutingGoal::P95, 2);
    let flight = start(&mut balance, 0, 0);
    end(&mut balance, 0, flight, (0, 500 * MS), false);
    assert_eq!(chosen(&mut balance, at(500 * MS)), (1, Reason::Unmeasured));
    let _flight = start(&mut balance, 1, 500 * MS);
    assert_eq!(chosen(&mut balance, at(500 * MS)), (0, Reason::LeastCost));
}

#[test]
fn a_backend_whose_latency_grows_with_its_load_is_filled_up_to_the_cost_of_the_other() {
    // One answers in 10 ms for each request that it has, the other in 100 ms whatever it has.
    let (mut balance, mut now) = (balance(RoutingGoal::Mean, 2), 0);
    let mut in_flight: Vec<(u64, u64, u16, Flight)> = Vec::new();
    let mut most = 0;
    for n in 0..20_000u64 {
        now += MS;
        in_flight.sort_by_key(|request| request.0);
        while in_flight.first().is_some_and(|request| request.0 <= now) {
            let (due, from, backend, flight) = in_flight.remove(0);
            end(&mut balance, backend, flight, (from, due), false);
        }
        let (backend, _) = chosen(&mut balance, at(now));
        let flight = start(&mut balance, backend, now);
        let load = u64::from(balance.backend(BackendId(0)).in_flight());
        let latency = if backend == 0 { 10 * load } else { 100 };
        in_flight.push((now + latency * MS, now, backend, flight));
        if n > 10_000 {
            most = most.max(load);
        }
    }
    // Alone it would be 10; each pays for the delay of the others as well, so it is half of that, and a fifth for the band.
    assert!((4..=8).contains(&most), "{most}");
}

#[test]
fn a_backend_may_at_most_double_what_it_has_borne_before_it_costs_more() {
    let (mut balance, mut now) = (balance(RoutingGoal::Mean, 1), 0);
    teach(&mut balance, &mut now, 5, |_, _| 20);
    let mut flights = Vec::new();
    let mut costs = Vec::new();
    for _ in 0..12 {
        flights.push(start(&mut balance, 0, now));
        costs.push(cost_ms(&balance, 0).round());
    }
    // It has borne 1: up to 2 · 1 + 4 cost 20 ms, the 12th twice that.
    assert_eq!(costs[..5], [20.0; 5]);
    assert_eq!((costs[8], costs[10]), (33.0, 40.0));
}

#[test]
fn an_error_counts_for_ten_times_the_best_mean_but_never_less_than_it_took() {
    let after = |best_ms: u64, error_ms: u64| {
        let (mut balance, mut now) = (balance(RoutingGoal::P95, 2), 0);
        teach(&mut balance, &mut now, 5, |_, _| best_ms);
        now += SECOND;
        let flight = start(&mut balance, 0, now);
        end(&mut balance, 0, flight, (now, now + error_ms * MS), true);
        // An isolated sample: all before it count for 4.
        (cost_ms(&balance, 0) * 5.0 - 4.0 * best_ms as f64).round()
    };
    assert_eq!((after(20, 1), after(200, 1), after(20, 900)), (200.0, 1000.0, 900.0));
}

#[test]
fn a_refusal_counts_as_an_error_and_leaving_clients_as_nothing() {
    let (mut balance, mut now) = (balance(RoutingGoal::P95, 2), 0);
    teach(&mut balance, &mut now, 5, |_, _| 20);
    let flight = start(&mut balance, 0, now);
    balance.finished(BackendId(0), flight, Outcome::Cancelled, at(now + 900 * MS));
    assert_eq!(cost_ms(&balance, 0), 20.0);
    let flight = start(&mut balance, 0, now);
    balance.finished(BackendId(0), flight, Outcome::Failed { elapsed_ns: MS }, at(now + MS));
    assert!(cost_ms(&balance, 0) > 22.0, "{}", cost_ms(&balance, 0));
}

#[test]
fn requests_that_hang_are_noticed_before_they_are_answered() {
    let (mut balance, mut now) = (balance(RoutingGoal::Mean, 2), 0);
    teach(&mut balance, &mut now, 5, |backend, _| [10, 50][usize::from(backend)]);
    assert_eq!(chosen(&mut balance, at(now)).0, 0);
    // One straggler proves nothing, two do, beyond three times what is usual and more than the other costs.
    let _one = start(&mut balance, 0, now);
    assert_eq!(chosen(&mut balance, at(now + 100 * MS)).0, 0);
    let two = start(&mut balance, 0, now);
    assert_eq!(chosen(&mut balance, at(now + 29 * MS)).0, 0);
    assert_eq!(chosen(&mut balance, at(now + 100 * MS)).0, 1);
    end(&mut balance, 0, two, (now, now + 101 * MS), false);
    assert_eq!(chosen(&mut balance, at(now + 101 * MS)).0, 0);
}

#[test]
fn a_tunnel_is_load_but_does_not_hang() {
    let (mut balance, mut now) = (balance(RoutingGoal::Mean, 2), 0);
    teach(&mut balance, &mut now, 5, |backend, _| [10, 50][usize::from(backend)]);
    for _ in 0..3 {
        let flight = start(&mut balance, 0, now);
        balance.opened(BackendId(0), flight, 10 * MS, at(now + 10 * MS));
    }
    assert_eq!(balance.backend(BackendId(0)).in_flight(), 3);
    assert_eq!(chosen(&mut balance, at(now + 500 * MS)).0, 0);
}

/// How many of 2000 requests, one after another, go to a backend that is fast, but slow every fourth time.
fn to_the_fast_and_fitful(goal: RoutingGoal) -> u32 {
    let (mut balance, mut now) = (balance(goal, 3), 0);
    let latency = |backend: u16, n: u64| match backend {
        0 if n.is_multiple_of(4) => 400,
        0 => 10,
        _ => 200,
    };
    teach(&mut balance, &mut now, 20, latency);
    let (mut count, mut nth) = (0, 0);
    for n in 0..2500u64 {
        let (backend, _) = chosen(&mut balance, at(now));
        let flight = start(&mut balance, backend, now);
        nth += u64::from(backend == 0);
        let answered = now + latency(backend, nth) * MS;
        end(&mut balance, backend, flight, (now, answered), false);
        now = answered;
        count += u32::from(n >= 500 && backend == 0);
    }
    count
}

#[test]
fn with_the_tail_in_mind_few_requests_go_to_who_is_slow_too_often() {
    let mean = to_the_fast_and_fitful(RoutingGoal::Mean);
    assert!(mean > 1900, "{mean}");
    // 4.5 % of the requests may be slow, of one in four is: 18 % of all.
    let p95 = to_the_fast_and_fitful(RoutingGoal::P95);
    assert!((300..420).contains(&p95), "{p95}");
}

#[test]
fn no_promise_is_worth_five_times_the_cost() {
    let (mut balance, mut now) = (balance(RoutingGoal::P95, 3), 0);
    teach(&mut balance, &mut now, 20, |backend, n| match backend {
        0 if n.is_multiple_of(8) => 1200,
        0 => 10,
        _ => 900,
    });
    let mut to_first = 0;
    for _ in 0..200 {
        to_first += u32::from(chosen(&mut balance, at(now)).0 == 0);
    }
    // One in eight is slow beyond 1.25 · 900 ms; still it costs 160 ms.
    assert_eq!(to_first, 200);
}

#[test]
fn one_that_was_left_is_probed_with_a_fiftieth_of_the_requests_at_most_and_taken_back() {
    let (mut balance, mut now) = (balance(RoutingGoal::P95, 2), 0);
    teach(&mut balance, &mut now, 5, |backend, _| [10, 500][usize::from(backend)]);
    let (mut probes, mut later) = (0, 0);
    for n in 0..4000u64 {
        let (backend, reason) = chosen(&mut balance, at(now));
        let slow = n < 2000 && backend == 1;
        let flight = start(&mut balance, backend, now);
        let latency = if slow { 500 } else { [10, 5][usize::from(backend)] };
        end(&mut balance, backend, flight, (now, now + latency * MS), false);
        now += 10 * MS;
        if n < 2000 && backend == 1 {
            assert_eq!(reason, Reason::Stale);
            probes += 1;
        }
        later += u32::from(n >= 3000 && backend == 1);
    }
    // 20 s: after 1, 2, 4, 8 s.
    assert!((4..=6).contains(&probes), "{probes}");
    assert!(later > 900, "{later}");
}

#[test]
fn one_that_comes_back_from_draining_gets_one_request_until_it_has_answered() {
    let (mut balance, mut now) = (balance(RoutingGoal::P95, 2), 0);
    teach(&mut balance, &mut now, 5, |backend, _| [10, 50][usize::from(backend)]);
    balance.drain(BackendId(0), true);
    assert_eq!(chosen(&mut balance, at(now)).0, 1);
    balance.drain(BackendId(0), false);
    assert_eq!(chosen(&mut balance, at(now)), (0, Reason::Unmeasured));
    let probe = start(&mut balance, 0, now);
    for _ in 0..20 {
        assert_eq!(chosen(&mut balance, at(now)), (1, Reason::LeastCost));
    }
    end(&mut balance, 0, probe, (now, now + 10 * MS), false);
    assert_eq!(chosen(&mut balance, at(now + 10 * MS)).0, 0);
}
