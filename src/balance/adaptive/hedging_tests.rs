//! Hedges, through `Balance`: when there are some, how many, and what is learned from copies that nobody waits for.

use super::super::tests::{MS, at};
use super::super::*;

const SECOND: u64 = 1000 * MS;

fn balance(hedge_budget: f64, backends: usize) -> Balance {
    Balance::new(
        RoutingMode::Adaptive,
        backends,
        &BalanceOptions { hedge_budget, ..BalanceOptions::default() },
    )
}

/// Requests one after another, of which every tenth at a backend takes `late` ms and the others 10, with copies when they are due.
/// Returns how many further copies there were, and how many of the requests were chosen with them in mind.
fn play(balance: &mut Balance, now: &mut u64, requests: u64, late: u64) -> (u64, u64) {
    let (mut further, mut planned) = (0, 0);
    for n in 0..requests {
        let choice = balance.select_repeatable(at(*now)).unwrap();
        let mut copies = Copies::of(choice);
        planned += u64::from(choice.reason == Reason::Planned);
        let takes = if n % 10 == 0 { late * MS } else { 10 * MS };
        let flight = balance.started(choice.backend, at(*now));
        let begun = *now;
        let delay = balance.sent(&mut copies, choice.backend, &flight, at(begun));
        if let Some(shadow) = balance.shadow(choice) {
            further += 1;
            let flight = balance.started(shadow, at(begun));
            let outcome = Outcome::Answered { latency_ns: 10 * MS, error: false };
            balance.finished(shadow, flight, outcome, at(begun + 10 * MS));
        }
        let due = delay.map(|delay| begun + delay.as_nanos() as u64).filter(|&due| due < begun + takes);
        let hedge = due.and_then(|due| Some((due, balance.hedge(&copies, at(due))?)));
        let Some((due, (id, again))) = hedge else {
            *now = begun + takes;
            let outcome = Outcome::Answered { latency_ns: takes, error: false };
            balance.finished(choice.backend, flight, outcome, at(*now));
            continue;
        };
        further += 1;
        let copy = if again { balance.started_again(id, at(due)) } else { balance.started(id, at(due)) };
        *now = due + 10 * MS;
        balance.finished(id, copy, Outcome::Answered { latency_ns: 10 * MS, error: false }, at(*now));
        let outcome = Outcome::Overtaken { elapsed_ns: *now - begun };
        balance.finished(choice.backend, flight, outcome, at(*now));
    }
    (further, planned)
}

#[test]
fn rare_late_answers_are_hedged_and_stay_known_although_none_is_waited_for() {
    let (mut balance, mut now) = (balance(0.3, 2), 0);
    play(&mut balance, &mut now, 300, 400);
    let began = now;
    let (further, _) = play(&mut balance, &mut now, 1000, 400);
    let mean = (now - began) as f64 / 1000.0 / MS as f64;
    // Unhedged it is 49 ms; each of the hundred late ones can be cut to some 25.
    assert!((80..=200).contains(&further) && mean < 15.0, "{further} copies, mean {mean}");
}

#[test]
fn the_budget_is_never_exceeded() {
    for budget in [0.01, 0.05, 0.3] {
        let (mut balance, mut now) = (balance(budget, 3), 0);
        let mut further = 0;
        for requests in 1..=40 {
            further += play(&mut balance, &mut now, 50, 400).0;
            let most = 10.0 + budget * f64::from(requests * 50);
            assert!(further as f64 <= most, "{budget}: {further} copies, {most} allowed");
        }
        assert!(further as f64 > 10.0, "{budget}: no test of it with {further} copies");
    }
}

#[test]
fn where_all_answers_take_as_long_none_is_sent_twice() {
    let (mut balance, mut now) = (balance(0.3, 2), 0);
    let (_, planned) = play(&mut balance, &mut now, 500, 10);
    let flight = balance.started(BackendId(0), at(now));
    let mut copies = Copies::of(Choice { backend: BackendId(0), reason: Reason::LeastCost });
    let delay = balance.sent(&mut copies, BackendId(0), &flight, at(now));
    let due = delay.expect("a rescue may be thought of");
    assert_eq!((planned, balance.hedge(&copies, at(now) + due)), (0, None));
}

#[test]
fn without_a_budget_or_in_another_mode_there_are_none() {
    let (mut none, mut now) = (balance(0.0, 2), 0);
    assert_eq!((none.hedges(), play(&mut none, &mut now, 300, 400)), (false, (0, 0)));
    let (mut other, mut now) = (balance(0.3, 2), 0);
    other.set_mode(RoutingMode::LeastRequests);
    assert_eq!((other.hedges(), play(&mut other, &mut now, 300, 400)), (false, (0, 0)));
}

#[test]
fn a_request_that_must_not_be_repeated_is_chosen_without_copies_in_mind() {
    let (mut balance, mut now) = (balance(2.0, 2), 0);
    let (_, planned) = play(&mut balance, &mut now, 500, 400);
    assert!(planned > 0, "no test of it");
    for _ in 0..100 {
        assert_ne!(balance.select(at(now)).unwrap().reason, Reason::Planned);
    }
}

#[test]
fn a_stale_backend_gets_a_copy_beside_a_request_and_the_request_goes_where_it_is_best() {
    let (mut balance, mut now) = (balance(0.3, 2), 0);
    for n in 0..100 {
        for backend in [0, 1] {
            let flight = balance.started(BackendId(backend), at(now));
            let latency_ns = if backend == 0 { 10 * MS } else { 200 * MS };
            let outcome = Outcome::Answered { latency_ns, error: false };
            balance.finished(BackendId(backend), flight, outcome, at(now + latency_ns));
        }
        now += if n == 99 { 3 * SECOND } else { SECOND / 10 };
    }
    // The first is asked at once, so that the second alone has an old sample.
    let flight = balance.started(BackendId(0), at(now));
    balance.finished(BackendId(0), flight, Outcome::Answered { latency_ns: 10 * MS, error: false }, at(now));
    let choice = balance.select_repeatable(at(now)).unwrap();
    assert_eq!((choice.backend, balance.shadow(choice)), (BackendId(0), Some(BackendId(1))));
    assert_eq!(balance.shadow(choice), None, "one is enough");
}

/// Whether a copy is sent of a request that waits 300 ms at the second of three backends, while 30 are in flight at the first, each
/// of which makes the others wait for `toll` ms more.
fn hedges_beside(toll: u64) -> bool {
    let (mut balance, mut now) = (balance(0.3, 3), 0);
    play(&mut balance, &mut now, 600, 400);
    for n in 0..2000u64 {
        let load = n % 20 + 1;
        let flights: Vec<_> = (0..load).map(|_| balance.started(BackendId(0), at(now))).collect();
        let latency_ns = (10 + toll * load) * MS;
        for flight in flights {
            let outcome = Outcome::Answered { latency_ns, error: false };
            balance.finished(BackendId(0), flight, outcome, at(now + latency_ns));
        }
        now += MS;
    }
    let _busy: Vec<_> = (0..30).map(|_| balance.started(BackendId(0), at(now))).collect();
    now += SECOND / 5;
    // Makes the plans anew.
    let _choice = balance.select_repeatable(at(now));
    let mut copies = Copies::of(Choice { backend: BackendId(1), reason: Reason::LeastCost });
    let flight = balance.started(BackendId(1), at(now));
    balance.sent(&mut copies, BackendId(1), &flight, at(now));
    balance.hedge(&copies, at(now + 100 * MS)).is_some()
}

#[test]
fn while_load_makes_all_wait_there_are_no_copies() {
    assert_eq!([0, 10].map(hedges_beside), [true, false]);
}

#[test]
fn no_copy_goes_back_to_a_backend_that_may_not_be_chosen_any_more() {
    let (mut balance, mut now) = (balance(2.0, 2), 0);
    play(&mut balance, &mut now, 600, 400);
    let mut again = 0;
    for n in 0..400 {
        let id = BackendId(0);
        let flight = balance.started(id, at(now));
        let mut copies = Copies::of(Choice { backend: id, reason: Reason::LeastCost });
        balance.sent(&mut copies, id, &flight, at(now));
        balance.drain(id, n >= 200);
        let hedge = balance.hedge(&copies, at(now + 30 * MS));
        if n < 200 {
            again += u32::from(hedge == Some((id, true)));
        } else {
            assert_ne!(hedge, Some((id, true)));
        }
        balance.finished(id, flight, Outcome::Cancelled, at(now + 40 * MS));
        let _choice = balance.select_repeatable(at(now));
        now += 50 * MS;
    }
    assert!(again > 0, "no test of it");
}

const TICK: u64 = MS / 5;

/// Requests of which every third waits for 8 ms at the first of two backends and the others take 0.2 there, and all take 4 at the
/// second. A copy that goes to the first again is answered after `again_takes` times 0.2 ms. Returns how many copies there were,
/// and how many of them went again.
fn play_beside_a_steady_one(
    balance: &mut Balance,
    now: &mut u64,
    requests: u64,
    again_takes: u64,
) -> (u64, u64) {
    let (mut further, mut gone_again) = (0, 0);
    let answered = |latency_ns| Outcome::Answered { latency_ns, error: false };
    for n in 0..requests {
        let (begun, choice) = (*now, balance.select_repeatable(at(*now)).unwrap());
        let takes_at = |id: BackendId| match (id, n % 3) {
            (BackendId(1), _) => 20 * TICK,
            (_, 0) => 40 * TICK,
            _ => TICK,
        };
        let flight = balance.started(choice.backend, at(begun));
        let mut copies = Copies::of(choice);
        let delay = balance.sent(&mut copies, choice.backend, &flight, at(begun));
        if let Some(shadow) = balance.shadow(choice) {
            further += 1;
            let flight = balance.started(shadow, at(begun));
            balance.finished(shadow, flight, answered(takes_at(shadow)), at(begun + takes_at(shadow)));
        }
        let takes = takes_at(choice.backend);
        let due = delay.map(|delay| begun + delay.as_nanos() as u64).filter(|&due| due < begun + takes);
        let hedge = due.and_then(|due| Some((due, balance.hedge(&copies, at(due))?)));
        let Some((due, (id, again))) = hedge else {
            *now = begun + takes;
            balance.finished(choice.backend, flight, answered(takes), at(*now));
            continue;
        };
        (further, gone_again) = (further + 1, gone_again + u64::from(again));
        let copy = if again { balance.started_again(id, at(due)) } else { balance.started(id, at(due)) };
        let copy_takes = if again { again_takes } else { 20 } * TICK;
        *now = (due + copy_takes).min(begun + takes);
        let outcome = |end: u64, since: u64| match end == *now {
            true => answered(end - since),
            false => Outcome::Overtaken { elapsed_ns: *now - since },
        };
        balance.finished(id, copy, outcome(due + copy_takes, due), at(*now));
        balance.finished(choice.backend, flight, outcome(begun + takes, begun), at(*now));
    }
    (further, gone_again)
}

#[test]
fn the_same_backend_is_tried_anew_although_copies_fared_badly_there() {
    let (mut balance, mut now) = (balance(0.5, 2), 0);
    play_beside_a_steady_one(&mut balance, &mut now, 1000, 25);
    let (further, again) = play_beside_a_steady_one(&mut balance, &mut now, 1000, 25);
    assert!(further > 100 && again < further / 8, "they fare badly: {again} of {further}");
    play_beside_a_steady_one(&mut balance, &mut now, 1000, 1);
    let (further, again) = play_beside_a_steady_one(&mut balance, &mut now, 300, 1);
    assert!(further > 30 && again > further * 9 / 10, "they fare well: {again} of {further}");
}
