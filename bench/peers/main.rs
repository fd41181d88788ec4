//! Tidegate beside the proxies that Debian packages, nginx and HAProxy: what a request costs each of them, and what an idle
//! client; and Tidegate's batched requests beside its forwarded ones.
//!
//! `ROUNDS=7 SECONDS=4 cargo bench --bench peers` (`make peers`). Each proxy has one thread and processor 0 to itself; wrk and
//! the backend, an nginx that answers at once, share the other processors. Rounds are interleaved and turned round each time,
//! since a shared machine's speed drifts: figures of one run can be compared, those of two cannot. Prints Markdown.
//! `SCENARIOS=persistent,idle` plays some of them only, `RATE=5000` is the rate of `rate`.

mod batched;
#[path = "../common/mod.rs"]
mod common;
mod contenders;
mod idle;
mod rate;
mod table;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use common::sample::{Effort, Sample};
use common::server::{Backend, write};
use common::wrk::{self, Wanted};
use common::{machine, number};
use contenders::{Contender, LARGE, LARGE_BYTES, Mode, POST_BYTES, check};

/// The workloads under wrk.
const SCENARIOS: [Scenario; 5] = [
    Scenario::new("persistent", "A tiny body, kept upstream connections, 100 clients"),
    Scenario {
        mode: Mode::NonPersistent,
        ..Scenario::new("non-persistent", "A new upstream connection for each request, 100 clients")
    },
    Scenario { target: LARGE, ..Scenario::new("body64k", "A body of 64 KiB in the answer, 100 clients") },
    Scenario {
        target: "/post",
        post: true,
        ..Scenario::new("post10k", "A body of 10 KiB in the request, 100 clients")
    },
    Scenario { clients: 1000, ..Scenario::new("c1000", "A tiny body, 1,000 clients") },
];

/// What is not a workload alike for all under wrk.
const RATE: &str = "rate";
const IDLE: &str = "idle";
const BATCHED: &str = "batched";

/// What is asked of each proxy, and by how many.
pub(crate) struct Scenario {
    name: &'static str,
    title: &'static str,
    mode: Mode,
    target: &'static str,
    post: bool,
    clients: usize,
}

impl Scenario {
    const fn new(name: &'static str, title: &'static str) -> Scenario {
        Scenario { name, title, mode: Mode::Persistent, target: "/tiny", post: false, clients: 100 }
    }

    /// Plays it to the proxy for so long.
    pub(crate) fn load(&self, proxy: SocketAddr, seconds: u64, folder: &Path) -> Result<wrk::Load, String> {
        let mut wanted =
            Wanted { target: self.target.to_owned(), clients: self.clients, ..Wanted::default() };
        if self.post {
            wanted.options = post(&"x".repeat(POST_BYTES), folder)?;
        }
        wrk::run(&wanted, proxy, seconds)
    }
}

/// The options with which wrk posts `body`, by a script that it finds in `folder`.
pub(crate) fn post(body: &str, folder: &Path) -> Result<Vec<String>, String> {
    let script = folder.join("post.lua");
    write(&script, &format!("wrk.method = \"POST\"\nwrk.body = [==[{body}]==]\n"))?;
    Ok(vec!["-s".to_owned(), script.display().to_string()])
}

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("peers: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Which scenarios are to be played.
fn chosen() -> Result<Vec<String>, String> {
    let known: Vec<_> = SCENARIOS
        .iter()
        .map(|scenario| scenario.name.to_owned())
        .chain([RATE, IDLE, BATCHED].map(str::to_owned))
        .collect();
    let Ok(text) = std::env::var("SCENARIOS") else { return Ok(known) };
    let names: Vec<_> = text.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(format!("SCENARIOS: unknown `{unknown}`; there are {}", known.join(", "))),
        None => Ok(names),
    }
}

fn compare() -> Result<(), String> {
    let effort = Effort {
        rounds: number("ROUNDS", 7)? as usize,
        seconds: number("SECONDS", 4)?,
        warmup: number("WARMUP", 1)?,
    };
    let chosen = chosen()?;
    let descriptors = tidegate::net::raise_descriptor_limit();
    machine::leave_first_cpu()?;
    let folder = tempfile::tempdir().map_err(|e| format!("cannot make a folder: {e}"))?;
    let backend = Backend::start(folder.path(), 3, &[LARGE_BYTES])?;
    println!("{}\n", machine::told(descriptors)?);
    for contender in Contender::ALL {
        println!("- {}", contender.version()?);
    }
    for scenario in SCENARIOS.iter().filter(|scenario| chosen.iter().any(|name| name == scenario.name)) {
        play(scenario, &effort, &backend, folder.path())?;
    }
    if chosen.iter().any(|name| name == RATE) {
        let rate = number("RATE", 5_000)?;
        println!("\n### {rate} requests a second, whether or not earlier ones are answered\n");
        rate::compare(rate, &effort, &backend, folder.path())?;
    }
    if chosen.iter().any(|name| name == IDLE) {
        println!("\n### Idle clients: connected, served once, and silent\n");
        idle::compare(&backend, folder.path(), descriptors)?;
    }
    if chosen.iter().any(|name| name == BATCHED) {
        batched::compare(&effort, &backend, folder.path())?;
    }
    Ok(())
}

/// In which order the proxies have their turn.
fn order(round: usize) -> [usize; 3] {
    if round.is_multiple_of(2) { [0, 1, 2] } else { [2, 1, 0] }
}

/// All rounds of a scenario, and its table.
fn play(scenario: &Scenario, effort: &Effort, backend: &Backend, folder: &Path) -> Result<(), String> {
    let mut samples = Contender::ALL.map(|_| Vec::new());
    for round in 0..effort.rounds {
        for index in order(round) {
            let contender = Contender::ALL[index];
            let sample = time(contender, scenario, effort, backend, folder)?;
            eprintln!("{}, round {}, {}: {sample}", scenario.name, round + 1, contender.name());
            samples[index].push(sample);
        }
    }
    println!("\n### {}\n", scenario.title);
    table::print(&samples);
    Ok(())
}

/// One timed run of one proxy.
fn time(
    contender: Contender,
    scenario: &Scenario,
    effort: &Effort,
    backend: &Backend,
    folder: &Path,
) -> Result<Sample, String> {
    let proxy = contender.start(scenario.mode, backend, folder)?;
    check(&proxy)?;
    Sample::take(proxy.id(), effort, |seconds| scenario.load(proxy.address, seconds, folder))
}
