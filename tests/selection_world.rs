//! The routing modes in the laboratory's scenarios, played by the whole proxy in virtual time: beside the model without a proxy, and
//! what `adaptive` is for.

use std::time::Duration;

use tidegate::balance::{AllOut, BalanceOptions, HealthOptions, RoutingMode};
use tidegate::lab::selection::{
    Arrivals, Contender, Figures, Group, InWorld, Scenario, Sent, play, play_in_world, scenarios,
};

const ADAPTIVE: RoutingMode = RoutingMode::Adaptive;

fn scenario(name: &str) -> Scenario {
    scenarios().into_iter().find(|scenario| scenario.name == name).expect("a scenario of this name")
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn in_world(scenario: &Scenario, contender: &Contender) -> InWorld {
    play_in_world(scenario, contender, 1).unwrap_or_else(|violation| panic!("{violation}"))
}

/// `backends` of 50 ms, and this many requests a second.
fn of_50_ms(backends: Vec<Group>, per_second: f64, end: u64) -> Scenario {
    Scenario {
        name: "of 50 ms",
        what: "backends of 50 ms",
        groups: backends,
        arrivals: Arrivals::open(per_second),
        warm_up: seconds(2.0),
        end: Duration::from_secs(end),
        proxies: 1,
    }
}

fn group(copies: usize) -> Group {
    // Its mean is 50 ms.
    Group::new(copies, "lognormal:44.125,0.5")
}

/// The share of the first backend of what was sent between two times, in seconds.
fn share_of_first(sent: &[Sent], from: f64, until: f64) -> f64 {
    let within = sent.iter().filter(|sent| sent.at >= seconds(from) && sent.at < seconds(until));
    let (all, first) =
        within.fold((0, 0), |(all, first), sent| (all + 1, first + u32::from(sent.backend == 0)));
    f64::from(first) / f64::from(all)
}

/// The largest share of one backend in a window of `width` seconds between two times.
fn largest_share(sent: &[Sent], from: f64, until: f64, width: f64) -> f64 {
    let backends = sent.iter().map(|sent| sent.backend).max().map_or(0, |most| most + 1);
    let mut windows = vec![vec![0u32; backends]; ((until - from) / width) as usize];
    for one in sent {
        let number = ((one.at.as_secs_f64() - from) / width).floor();
        if number >= 0.0
            && let Some(window) = windows.get_mut(number as usize)
        {
            window[one.backend] += 1;
        }
    }
    let of_one = |window: &Vec<u32>| {
        f64::from(*window.iter().max().unwrap_or(&0)) / f64::from(window.iter().sum::<u32>())
    };
    windows.iter().map(of_one).fold(0.0, f64::max)
}

/// Of the scenarios those that need most of the proxy: a closed loop, queues, pauses, many backends, many proxies.
#[test]
fn the_whole_proxy_does_as_the_model_says() {
    for (name, from, end) in [
        ("seed", 0.0, 30.0),
        ("het-80", 1.0, 6.0),
        ("gc", 2.0, 12.0),
        ("n100-70", 0.5, 2.0),
        ("n1000-idle", 10.0, 30.0),
        ("herd", 2.0, 10.0),
    ] {
        let scenario = Scenario { warm_up: seconds(from), end: seconds(end), ..scenario(name) };
        let contender = Contender::plain(ADAPTIVE);
        let (model, world) = (play(&scenario, &contender, 1), in_world(&scenario, &contender).figures);
        let told = format!(
            "{name}: model {:.2} / {:.1}, world {:.2} / {:.1}",
            model.mean_ms, model.p95_ms, world.mean_ms, world.p95_ms
        );
        println!("{told}");
        let near = |one: f64, other: f64| (one - other).abs() <= 0.06 * other;
        let alike = |of: fn(&Figures) -> f64| near(of(&world), of(&model));
        assert!(alike(|f| f.mean_ms) && alike(|f| f.p95_ms) && alike(|f| f.per_second), "{told}");
        assert!(alike(|f| f.work_ms) && world.errors == 0.0, "{told}: {world:?}");
    }
}

#[test]
fn equal_seeds_give_equal_runs_and_others_do_not() {
    let scenario = Scenario { end: seconds(4.0), ..scenario("herd") };
    let run = |seed| play_in_world(&scenario, &Contender::plain(ADAPTIVE), seed);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_backend_that_slows_down_is_left_within_three_seconds_and_taken_back_when_it_recovers() {
    let slowed = group(1).fault("throttle:x10,from=10s,for=20s");
    let played = in_world(&of_50_ms(vec![slowed, group(2)], 600.0, 50), &Contender::plain(ADAPTIVE));
    let shares = [(2.0, 10.0), (13.0, 30.0), (45.0, 50.0)].map(|(a, b)| share_of_first(&played.sent, a, b));
    let [before, slowed, after] = shares;
    println!("share before {before:.3}, slowed {slowed:.4}, after {after:.3}");
    assert!((before - 1.0 / 3.0).abs() < 0.03, "{before}");
    assert!(slowed <= 0.1 * before && after >= 0.8 * before, "{before} {slowed} {after}");
}

#[test]
fn who_fails_fast_gets_hardly_a_request() {
    let errors = |mode, end| {
        let failing = group(1).fault("error:1,after=1ms,from=5s,for=15s");
        let played = in_world(&of_50_ms(vec![failing, group(4)], 1600.0, end), &Contender::plain(mode));
        let failed = played.sent.iter().filter(|sent| sent.status == 500).count();
        assert!(failed > 0, "nothing failed");
        failed as f64 / played.sent.len() as f64
    };
    let (adaptive, tempted) = (errors(ADAPTIVE, 40), errors(RoutingMode::LeastRequests, 10));
    println!("errors: adaptive {:.3} %, least_requests {:.1} %", 100.0 * adaptive, 100.0 * tempted);
    assert!(adaptive <= 0.001, "{adaptive}");
    assert!(tempted > 0.2, "the scenario does not tempt: {tempted}");
}

/// Without a slow start, which would forbid a herd to whoever wants one.
#[test]
fn who_returns_from_the_dead_gets_its_share_and_no_herd() {
    let played = |mode| {
        let dead = group(1).fault("refuse,from=5s,for=10s");
        let health = HealthOptions {
            eject_after: 5,
            eject_for: seconds(1.0),
            eject_for_most: seconds(4.0),
            eject_share: 0.7,
            all_out: AllOut::Fail,
            slow_start: Duration::ZERO,
        };
        let options = BalanceOptions { health, ..BalanceOptions::default() };
        let contender = Contender { options, ..Contender::plain(mode) };
        in_world(&of_50_ms(vec![dead, group(3)], 400.0, 30), &contender)
    };
    let adaptive = played(ADAPTIVE);
    let (dead, after) =
        (share_of_first(&adaptive.sent, 6.0, 15.0), share_of_first(&adaptive.sent, 20.0, 30.0));
    let most = largest_share(&adaptive.sent, 15.0, 30.0, 0.5);
    let herd = largest_share(&played(RoutingMode::AdaptiveSma).sent, 15.0, 30.0, 0.5);
    println!(
        "share dead {dead:.3}, after {after:.3}; the most of one in half a second {most:.3}, adaptive_sma {herd:.3}"
    );
    assert!(dead < 0.01 && (after - 0.25).abs() < 0.03, "{dead} {after}");
    assert!(adaptive.sent.iter().all(|sent| sent.status == 200), "a client has noticed");
    // Half as much again as its share, while three backends share the load and when there are four.
    assert!(most <= 1.5 * 0.333, "{most}");
    assert!(largest_share(&adaptive.sent, 17.0, 30.0, 0.5) <= 1.4 * 0.25);
    assert!(herd > 0.9, "the scenario does not tempt: {herd}");
}

#[test]
fn proxies_that_do_not_know_of_each_other_do_not_swing() {
    let largest = |mode, proxies| {
        let queues = vec![Group::new(4, "lognormal:44.125,0.5").capacity(16)];
        let scenario = Scenario { proxies, ..of_50_ms(queues, 900.0, 15) };
        let played = in_world(&scenario, &Contender::plain(mode));
        assert_eq!(played.sent.iter().map(|sent| sent.proxy).max(), Some(proxies - 1));
        largest_share(&played.sent, 2.0, 15.0, 0.5)
    };
    let (alone, four) = (largest(ADAPTIVE, 1), largest(ADAPTIVE, 4));
    let swinging = largest(RoutingMode::AdaptiveSma, 4);
    println!(
        "the largest share of one of four in half a second: {alone:.3} with one proxy, {four:.3} with four, adaptive_sma {swinging:.3}"
    );
    assert!(alone <= 0.325 && four <= 0.325, "{alone} {four}");
    assert!(swinging > 0.8, "the scenario does not tempt: {swinging}");
}

/// What the mode was specified with, `make selection`: all scenarios, beside the best that any mode without copies did in an independent
/// simulation.
#[test]
#[ignore = "takes minutes; `make selection` runs it, built for release"]
fn in_all_scenarios_adaptive_is_near_the_best() {
    const BEST: &str = include_str!("selection_best.txt");
    const RUNS: u64 = 5;
    let mut astray = Vec::new();
    for line in BEST.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(" | ").collect();
        let figure = |n: usize| words[n].parse::<f64>().expect("a figure");
        let scenario = scenario(words[0]);
        let runs = (1..=RUNS).map(|seed| {
            let played = play_in_world(&scenario, &Contender::plain(ADAPTIVE), seed);
            played.unwrap_or_else(|violation| panic!("{line}: {violation}")).figures
        });
        let (means, tails): (Vec<f64>, Vec<f64>) = runs.map(|run| (run.mean_ms, run.p95_ms)).unzip();
        let of = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let (mean, p95) = (of(&means) / figure(1), of(&tails) / figure(2));
        println!("{line}: {:.2} / {:.1}, {mean:.2} / {p95:.2} of the best", of(&means), of(&tails));
        let (most_mean, most_p95) = if words[0].starts_with("hold-") { (1.05, 1.08) } else { (1.4, 1.15) };
        // Five runs are not all runs: the tail of `means` alone lies within 1 % of what it may be, in the other simulation too.
        if mean > most_mean * 1.01 || p95 > most_p95 * 1.01 {
            astray.push(format!("{line}: {mean:.3} / {p95:.3}"));
        }
    }
    assert!(astray.is_empty(), "{astray:#?}");
}
