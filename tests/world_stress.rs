//! The proxy under stress in virtual time: hundreds and thousands of clients at each limit, our own stalls, slow and odd peers.

#[path = "world_stress/climates.rs"]
mod climates;
#[path = "world_stress/log_sink.rs"]
mod log_sink;
#[path = "support/watchdog.rs"]
mod watchdog;

use std::process::Command;
use std::time::{Duration, Instant};

use climates::{CLIMATES, Climate};
use tidegate::world::{LongestTurn, Rows, StressOutcome, StressPlan, StressWorld};
use watchdog::watched;

/// How many seeds of each climate a test plays.
const SEEDS: u64 = 2;

fn run(climate: &Climate, seed: u64) -> StressOutcome {
    let name = climate.name;
    let play = || StressWorld::new(&(climate.plan)(seed)).run();
    let outcome = watched(&format!("{name}, seed {seed}"), || match name {
        "sinks" => log_sink::logging_into(seed, play),
        _ => play(),
    });
    outcome.unwrap_or_else(|violation| {
        let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output();
        let commit =
            commit.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
        panic!(
            "{name}, seed {seed}, {violation}\ncommit {}\nreplay: make sim CLIMATE={name} SEED={seed}",
            commit.trim()
        )
    })
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a whole number")))
}

/// The climate in CLIMATE, or all.
fn chosen() -> Vec<&'static Climate> {
    let name = std::env::var("CLIMATE").ok();
    let chosen: Vec<_> =
        CLIMATES.iter().filter(|climate| name.as_ref().is_none_or(|name| climate.name == name)).collect();
    assert!(!chosen.is_empty(), "CLIMATE={}: none is called so", name.unwrap_or_default());
    chosen
}

/// What many seeds of a climate have shown.
#[derive(Default)]
struct Sum {
    seeds: u64,
    answers: u64,
    well: u64,
    cut: u64,
    evicted: u64,
    stalls: u64,
    ejections: u64,
    deceived: u64,
    rows_lost: u64,
    most_pooled: usize,
    longest_wait: Duration,
    longest_turn: LongestTurn,
}

impl Sum {
    fn add(&mut self, outcome: &StressOutcome) {
        self.seeds += 1;
        self.answers += outcome.answers;
        self.well += outcome.well;
        self.cut += outcome.cut;
        self.evicted += outcome.counters.clients_evicted;
        self.stalls += outcome.stalls;
        self.ejections += outcome.ejections;
        self.deceived += outcome.deceived;
        self.rows_lost += outcome.rows_lost;
        self.most_pooled = self.most_pooled.max(outcome.most_pooled);
        self.longest_wait = self.longest_wait.max(outcome.longest_wait);
        if outcome.longest_turn.calls > self.longest_turn.calls {
            self.longest_turn = outcome.longest_turn;
        }
    }

    fn tell(&self, climate: &Climate, took: Duration) {
        println!(
            "{}: {} seeds, {} answers, {} of them 200, {} cut, {} evicted, {} stalls, {} ejections, {} deceived, \
             {} rows lost, {} pooled too much, longest wait {:?}, longest turn {} calls of {} allowed; {took:.1?}",
            climate.name,
            self.seeds,
            self.answers,
            self.well,
            self.cut,
            self.evicted,
            self.stalls,
            self.ejections,
            self.deceived,
            self.rows_lost,
            self.most_pooled,
            self.longest_wait,
            self.longest_turn.calls,
            self.longest_turn.bound
        );
    }
}

/// As many seeds of each climate as SEEDS says (2), from FIRST_SEED on; or as many as SECONDS for all climates together allow.
#[test]
#[allow(clippy::disallowed_methods, reason = "SECONDS are the user's, not the world's")]
fn many_seeds_under_stress_show_no_violation() {
    let (first, seconds) = (number("FIRST_SEED").unwrap_or(0), number("SECONDS"));
    let seeds = number("SEEDS").unwrap_or(if seconds.is_some() { u64::MAX - first } else { SEEDS });
    let climates = chosen();
    let seconds = seconds.map(|seconds| seconds / climates.len() as u64);
    for climate in climates {
        let (start, mut sum) = (Instant::now(), Sum::default());
        for seed in first..first + seeds {
            sum.add(&run(climate, seed));
            if seconds.is_some_and(|limit| start.elapsed().as_secs() >= limit) {
                break;
            }
        }
        sum.tell(climate, start.elapsed());
        assert!(sum.well > 100 * sum.seeds, "worlds in which hardly anything is answered prove nothing");
    }
}

/// The seed in SEED of the climate in CLIMATE, with a trace of all that happens on standard error.
#[test]
fn one_seed_under_stress() {
    let Some(seed) = number("SEED") else { return };
    let logger = simple_logger::SimpleLogger::new().with_level(log::LevelFilter::Trace).without_timestamps();
    logger.init().expect("the only logger");
    for climate in chosen() {
        println!("{}, seed {seed}: {:?}", climate.name, run(climate, seed));
    }
}

/// Many times as many users as places get at least four fifths of what a few get whom there is room for; at exactly as many as there
/// are places, each request is answered.
#[test]
fn a_crowd_at_the_limit_is_served_as_fast_as_a_few_below_it() {
    let answers = |users: usize| {
        let outcome = StressWorld::new(&climates::at_limit(users, 100)).run().expect("no violation");
        println!("{users} users at 100 places: {} answers, {} cut", outcome.answers, outcome.cut);
        (outcome.answers as f64, outcome.cut)
    };
    let (few, _) = answers(90);
    for users in [100, 120, 200, 1_000] {
        let (many, cut) = answers(users);
        assert!(
            many >= 0.8 * few && cut == 0,
            "{users} users: {many} answers, {few} for 90 users; {cut} cut"
        );
    }
}

/// Rows and lines are lost then, and counted.
#[test]
fn sinks_that_take_nothing_hold_up_no_turn() {
    let plan = StressPlan { rows: Rows::Blocked, ..climates::at_limit(200, 100) };
    for seed in [0, 1] {
        let play = || log_sink::logging_into(seed, || StressWorld::new(&plan).run());
        let outcome = watched("sinks that take nothing", play).expect("no violation");
        let (answers, lost) = (outcome.answers, outcome.rows_lost);
        assert!(lost > 0 && lost + 10_000 > answers, "{answers} answers, {lost} rows lost");
        assert!(log_sink::lost() > 0);
    }
}

#[test]
fn a_seed_under_stress_runs_the_same_way_twice() {
    for climate in
        CLIMATES.iter().filter(|climate| ["descriptors", "stalls", "silences"].contains(&climate.name))
    {
        let (one, two) = (run(climate, 1), run(climate, 1));
        assert_eq!((one.digest, one.steps), (two.digest, two.steps), "{}", climate.name);
    }
}
