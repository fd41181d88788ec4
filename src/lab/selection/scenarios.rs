//! The scenarios.
//!
//! Here: those for which the selector's parameters were sought, each a way in which backends differ or change. Not here: those
//! that were drawn at random afterwards (`holdout.rs`). Floor 4.

use std::time::Duration;

use super::holdout::holdout;
use super::scenario::{Arrivals, Group, Scenario};
use crate::testbed::{Draws, Profile};

const WARM_UP: Duration = Duration::from_secs(2);

/// All scenarios, those drawn at random last.
pub fn scenarios() -> Vec<Scenario> {
    [seed(), changing(), service_times(), queues(), pauses(), many(), herds(), holdout()].concat()
}

fn scenario(
    name: &'static str,
    what: &'static str,
    groups: Vec<Group>,
    arrivals: Arrivals,
    seconds: u64,
) -> Scenario {
    let end = Duration::from_secs(seconds);
    Scenario { name, what, groups, arrivals, warm_up: WARM_UP, end, proxies: 1 }
}

/// Log-normal service times by their mean in milliseconds.
fn log_normal(mean_ms: f64, sigma: f64) -> Profile {
    let median = Duration::from_secs_f64(mean_ms / 1e3 * (-sigma * sigma / 2.0).exp());
    Profile::LogNormal { median, sigma }
}

fn of(copies: usize, profile: Profile) -> Group {
    Group { copies, profile, capacity: None, faults: Vec::new() }
}

fn seed() -> Vec<Scenario> {
    let backends = || ['A', 'B', 'C'].map(|id| of(1, Profile::of(id))).to_vec();
    vec![
        Scenario {
            warm_up: Duration::ZERO,
            ..scenario("seed", "backends A, B and C, 100 clients", backends(), Arrivals::Closed(100), 120)
        },
        scenario("seed-open", "the same, 500/s", backends(), Arrivals::open(500.0), 60),
    ]
}

fn changing() -> Vec<Scenario> {
    let slowed = of(1, log_normal(50.0, 0.5)).fault("throttle:x10,from=20s,for=20s");
    let backends = vec![slowed, of(2, log_normal(50.0, 0.5))];
    let flapping = of(1, log_normal(10.0, 0.3)).fault("throttle:x50,from=2s,for=2s,every=4s");
    let failing = Group::new(0, "exponential:20").fault("error:1,after=1ms,from=10s,for=15s");
    let steady = || of(4, log_normal(20.0, 0.5)).capacity(16);
    let failing = Group { copies: 1, faults: failing.faults, ..steady() };
    vec![
        scenario(
            "degrade",
            "3 of 50 ms, one 10 times slower for 20 s of 60, 100 clients",
            backends.clone(),
            Arrivals::Closed(100),
            60,
        ),
        scenario("degrade-open", "the same, 1000/s", backends, Arrivals::open(1000.0), 60),
        scenario(
            "flap",
            "one of 10 ms, 500 ms every other 2 s, four of 50 ms, 1000/s",
            vec![flapping, of(4, log_normal(50.0, 0.3))],
            Arrivals::open(1000.0),
            40,
        ),
        scenario(
            "fastfail",
            "5 x 16 servers of 20 ms, one answers errors in 1 ms for 15 s of 40, 1600/s",
            vec![failing, steady()],
            Arrivals::open(1600.0),
            40,
        ),
    ]
}

fn service_times() -> Vec<Scenario> {
    let means = (1..=5).map(|k| of(1, log_normal(20.0 * f64::from(k), 1.0))).collect();
    let two_ways = Group::new(5, "percentiles:0=10,97.9999999=10,98=500,100=500");
    vec![
        scenario(
            "means",
            "log-normal (sigma 1) with means of 20 to 100 ms, 1000/s",
            means,
            Arrivals::open(1000.0),
            40,
        ),
        scenario(
            "bimodal",
            "5 equal, 10 ms, 2 % take 500 ms, 1000/s",
            vec![two_ways],
            Arrivals::open(1000.0),
            40,
        ),
    ]
}

/// Unequal capacities: 4250 requests a second in all.
fn unequal() -> Vec<Group> {
    vec![Group::new(5, "exponential:10").capacity(8), Group::new(5, "exponential:40").capacity(2)]
}

/// 2000 requests a second in all.
fn equal() -> Vec<Group> {
    vec![Group::new(10, "exponential:20").capacity(4)]
}

fn queues() -> Vec<Scenario> {
    let equal_at = |name, what, share: f64| scenario(name, what, equal(), Arrivals::open(2000.0 * share), 60);
    let unequal_at =
        |name, what, share: f64| scenario(name, what, unequal(), Arrivals::open(4250.0 * share), 40);
    let cliff = vec![Group::new(1, "exponential:5").capacity(1), of(4, log_normal(50.0, 0.3)).capacity(64)];
    let (from, to) = (Duration::from_secs(10), Duration::from_secs(20));
    let overload = Arrivals::Open(vec![(Duration::ZERO, 1400.0), (from, 2400.0), (to, 1400.0)]);
    vec![
        equal_at("mmk-50", "10 x 4 servers, exponential 20 ms, 50 %", 0.5),
        equal_at("mmk-80", "the same, 80 %", 0.8),
        equal_at("mmk-95", "the same, 95 %", 0.95),
        unequal_at("het-50", "5 x (8 servers, 10 ms) + 5 x (2 servers, 40 ms), exponential, 50 %", 0.5),
        unequal_at("het-80", "the same, 80 %", 0.8),
        unequal_at("het-95", "the same, 95 %", 0.95),
        scenario("het-closed", "the same, 60 clients", unequal(), Arrivals::Closed(60), 40),
        scenario(
            "cliff",
            "one tiny and fast (1 server, 5 ms), four big and slow (50 ms), 1000/s",
            cliff,
            Arrivals::open(1000.0),
            40,
        ),
        scenario("overload", "10 x 4 servers, 20 ms: 70 %, 120 % for 10 s, 70 %", equal(), overload, 60),
    ]
}

fn pauses() -> Vec<Scenario> {
    let pausing = |first: u64, apart: u64, count: u64| {
        let one = move |k: u64| {
            let fault = format!("stall,from={}s,for=500ms,every=10s", first + apart * k);
            of(1, log_normal(10.0, 0.5)).capacity(32).fault(&fault)
        };
        (0..count).map(one).collect()
    };
    vec![
        scenario(
            "gc",
            "10 of 10 ms, each stops for 500 ms every 10 s, 2000/s",
            pausing(0, 1, 10),
            Arrivals::open(2000.0),
            40,
        ),
        scenario("gc-closed", "3 such, 30 clients", pausing(0, 3, 3), Arrivals::Closed(30), 40),
    ]
}

/// Backends of 4 servers whose means are drawn, and what they can do in a second.
fn drawn(count: u64) -> (Vec<Group>, f64) {
    let draws = Draws::new(7, 0);
    let means: Vec<Duration> = (0..count).map(|n| log_normal(20.0, 0.5).step(n, draws)).collect();
    let capacity = means.iter().map(|mean| 4.0 / mean.as_secs_f64()).sum();
    (means.into_iter().map(|mean| of(1, Profile::Exponential(mean)).capacity(4)).collect(), capacity)
}

fn many() -> Vec<Scenario> {
    let ((hundred, of_hundred), (thousand, of_thousand)) = (drawn(100), drawn(1000));
    let busy = scenario(
        "n1000-70",
        "1000 x 4 servers, means drawn, 70 %",
        thousand.clone(),
        Arrivals::open(0.7 * of_thousand),
        3,
    );
    let idle = scenario("n1000-idle", "the same 1000, 500/s in all", thousand, Arrivals::open(500.0), 40);
    vec![
        scenario(
            "n100-70",
            "100 x 4 servers, means drawn, 70 %",
            hundred,
            Arrivals::open(0.7 * of_hundred),
            12,
        ),
        Scenario { warm_up: Duration::from_secs(1), end: Duration::from_millis(2500), ..busy },
        Scenario { warm_up: Duration::from_secs(10), ..idle },
    ]
}

fn herds() -> Vec<Scenario> {
    let herd = scenario(
        "herd",
        "10 proxies, 10 x 4 servers, exponential 20 ms, 80 %",
        equal(),
        Arrivals::open(1600.0),
        60,
    );
    let herd_unequal = scenario(
        "herd-unequal",
        "10 proxies, unequal capacities, 80 %",
        unequal(),
        Arrivals::open(3400.0),
        40,
    );
    [herd, herd_unequal].map(|herd| Scenario { proxies: 10, ..herd }).to_vec()
}
