//! The routing modes in the laboratory's scenarios: beside an independent simulation of the same, and what they are for.

use std::time::Duration;

use tidegate::balance::RoutingMode;
use tidegate::lab::selection::{Arrivals, Contender, Figures, Group, Scenario, play, scenarios};

/// Figures of another program, with other random numbers. Left out are those that chance alone decides, as when averages herd,
/// and `prequal` before several proxies, which knows there what a server knows here: the load of all.
const REFERENCE: &str = include_str!("selection.txt");

/// The draws are others, and so are the means of the many backends.
const TOLERANCE: f64 = 0.06;

/// Of the 99 % quantile, which is of few requests.
const TOLERANCE_P99: f64 = 0.12;

fn scenario(name: &str) -> Scenario {
    scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario of this name")
}

fn near(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= expected * tolerance
}

/// Where one run is not like another, the means of so many.
const RUNS: u64 = 5;

/// Mean, 95 % and 99 % quantile in milliseconds, errors in percent.
fn played(scenario: &Scenario, contender: &Contender) -> [f64; 4] {
    let fitful = scenario.name.starts_with("hold-") || scenario.name == "overload";
    let runs = if fitful { RUNS } else { 1 };
    let mut sums = [0.0; 4];
    for seed in 1..=runs {
        let figures = play(scenario, contender, seed);
        let run = [figures.mean_ms, figures.p95_ms, figures.p99_ms, 100.0 * figures.errors];
        sums.iter_mut().zip(run).for_each(|(sum, figure)| *sum += figure);
    }
    sums.map(|sum| sum / runs as f64)
}

#[test]
fn each_mode_does_as_an_independent_simulation_says() {
    let (scenarios, contenders) = (scenarios(), Contender::all());
    let mut astray = Vec::new();
    for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(" | ").collect();
        let known = [2, 3, 4, 5].map(|n| words[n].parse::<f64>().expect("a figure"));
        let scenario = scenarios.iter().find(|scenario| scenario.name == words[0]).expect(line);
        let contender = contenders.iter().find(|contender| contender.name == words[1]).expect(line);
        let [mean, p95, p99, errors] = played(scenario, contender);
        let good = near(mean, known[0], TOLERANCE)
            && near(p95, known[1], TOLERANCE)
            && near(p99, known[2], TOLERANCE_P99)
            && (errors - known[3]).abs() <= 1.0;
        let told = format!("{line}: {mean:.2} / {p95:.1} / {p99:.1}, {errors:.2} % errors");
        println!("{told}");
        if !good {
            astray.push(told);
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
}

/// What happens between two seconds of a scenario.
fn between(scenario: &Scenario, from: u64, to: u64) -> Figures {
    let (warm_up, end) = (Duration::from_secs(from), Duration::from_secs(to));
    play(&Scenario { warm_up, end, ..scenario.clone() }, &Contender::plain(RoutingMode::Adaptive), 1)
}

#[test]
fn a_backend_that_slows_down_is_left_within_three_seconds_and_taken_back_when_it_recovers() {
    for name in ["degrade", "degrade-open"] {
        // Its first backend is ten times slower from the 20th second to the 40th.
        let scenario = scenario(name);
        let before = between(&scenario, 2, 20).shares[0];
        let slowed = between(&scenario, 23, 40).shares[0];
        let after = between(&scenario, 55, 60).shares[0];
        println!("{name}: {before:.3}, {slowed:.4}, {after:.3}");
        assert!(slowed <= 0.1 * before && after >= 0.8 * before, "{name}: {before} {slowed} {after}");
    }
}

#[test]
fn who_fails_fast_gets_hardly_a_request() {
    let figures = play(&scenario("fastfail"), &Contender::plain(RoutingMode::Adaptive), 1);
    assert!(figures.errors <= 0.001, "{}", figures.errors);
    let fooled = play(&scenario("fastfail"), &Contender::plain(RoutingMode::LeastRequests), 1);
    assert!(fooled.errors > 0.2, "the scenario does not tempt: {}", fooled.errors);
}

/// What the mode is for: at once a better mean than rotation and a better tail than the averages with probes.
#[test]
fn on_the_seed_profile_mean_and_tail_are_no_trade_off() {
    let seed = scenario("seed");
    let adaptive = play(&seed, &Contender::plain(RoutingMode::Adaptive), 1);
    assert!(
        adaptive.per_second >= 514.0 && adaptive.mean_ms <= 195.0 && adaptive.p95_ms <= 204.0,
        "{adaptive:?}"
    );
    let mean = play(&seed, &Contender::adaptive_mean(), 1);
    assert!(mean.per_second >= 650.0, "{mean:?}");
}

/// A tenth more requests, most of them to where the work is least.
#[test]
fn hedges_that_are_paid_for_lower_mean_and_tail_at_once() {
    let seed = scenario("seed");
    let usual_work = play(&seed, &Contender::plain(RoutingMode::RoundRobin), 1).work_ms;
    for (percent, rate, mean, copies) in [(10, 600.0, 168.0, 1.11), (30, 920.0, 109.0, 1.30)] {
        let figures = play(&seed, &Contender::hedged(percent), 1);
        assert!(
            figures.per_second >= rate && figures.mean_ms <= mean && figures.p95_ms <= 206.0,
            "{figures:?}"
        );
        assert!(figures.copies <= copies && figures.work_ms <= 1.12 * usual_work, "{figures:?}");
    }
}

#[test]
fn hedges_do_not_make_an_overload_worse() {
    let overload = scenario("overload");
    let p95 = |contender: &Contender| -> f64 {
        (1..=RUNS).map(|seed| play(&overload, contender, seed).p95_ms).sum::<f64>() / RUNS as f64
    };
    let (without, with) = (p95(&Contender::plain(RoutingMode::Adaptive)), p95(&Contender::hedged(10)));
    println!("p95 in an overload: {without:.0} ms without hedges, {with:.0} with");
    assert!(with <= 1.1 * without, "{without} {with}");
}

#[test]
fn proxies_that_do_not_know_of_each_other_do_not_swing() {
    let swinging = |proxies| {
        let scenario = Scenario {
            name: "four",
            what: "four backends that slow down under load",
            groups: vec![Group::new(4, "exponential:20").capacity(8)],
            arrivals: Arrivals::open(1120.0),
            warm_up: Duration::ZERO,
            end: Duration::ZERO,
            proxies,
        };
        let halves = (20..40).map(|n| {
            let (from, to) = (Duration::from_millis(500 * n), Duration::from_millis(500 * (n + 1)));
            let half = Scenario { warm_up: from, end: to, ..scenario.clone() };
            let shares = play(&half, &Contender::plain(RoutingMode::Adaptive), 1).shares;
            shares.iter().fold(0.0f64, |most, share| most.max(*share))
        });
        halves.fold(0.0f64, f64::max)
    };
    let (alone, four) = (swinging(1), swinging(4));
    println!(
        "the largest share of one of four in half a second: {alone:.3} with one proxy, {four:.3} with four"
    );
    assert!(four < 0.35, "{four}");
}
