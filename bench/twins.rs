//! Real runs of the contract's two customers beside their twins in virtual time: the same seeds, the same requests.
//!
//! For each strategy five runs of `SECONDS` (30) over loopback sockets, by the program's own `classifier`, `proxy` and
//! `clients`, and the same five in the world. Prints a table of means in milliseconds.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidegate::batch::{QueueOptions, StrategyName};
use tidegate::load::customers::Customer;
use tidegate::net::Weather;
use tidegate::world::{BatchingPlan, BatchingWorld};

const RUNS: std::ops::Range<u64> = 1..6;

/// A server of ours, ended with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).stdin(Stdio::null()).env_remove("PROXY_STRATEGY");
    command
}

/// Starts a server and waits until it says where it listens.
fn start(arguments: &[&str]) -> (Server, String) {
    let mut child = program(arguments).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    while !line.contains(" listens on ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("its words") > 0, "{arguments:?} ended");
    }
    std::thread::spawn(move || said.read_to_string(&mut String::new()));
    let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    (Server(child), address)
}

/// Mean latency over sockets.
fn real(strategy: StrategyName, seed: u64, seconds: u64) -> f64 {
    let (_classifier, address) = start(&["classifier", "--listen=127.0.0.1:0"]);
    let url = format!("http://{address}");
    let strategy = format!("--strategy={strategy}");
    let (backend, classifier) = (format!("--backend={url}"), format!("--classifier={url}"));
    let (_proxy, address) =
        start(&["proxy", "--listen=127.0.0.1:0", "--csv=off", &backend, &classifier, &strategy]);
    let (proxy, seed) = (format!("--proxy=http://{address}"), format!("--seed={seed}"));
    let duration = format!("--duration={seconds}s");
    let output = program(&["clients", &proxy, &seed, &duration]).output().expect("the customers");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let latencies: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once(" seqs done in ")?.1.trim().split(' ').next()?.parse().ok())
        .collect();
    assert!(latencies.len() > 10, "{text}{}", String::from_utf8_lossy(&output.stderr));
    latencies.iter().sum::<f64>() / latencies.len() as f64
}

/// What a message takes from one process to the next here, waking included. The customers' rhythms make the means sensitive
/// to it: they drift past each other by such trifles, and a request that just misses a batch waits for all of it.
const HOP: Duration = Duration::from_micros(150);

/// Mean latency in virtual time.
fn virtual_twin(strategy: StrategyName, seed: u64, seconds: u64) -> f64 {
    let queue = QueueOptions { strategy, ..QueueOptions::default() };
    let plan = BatchingPlan {
        duration: Duration::from_secs(seconds),
        weather: Weather { delay: (HOP, HOP), ..Weather::CALM },
        ..BatchingPlan::calm(seed, vec![Customer::a(), Customer::b()], queue)
    };
    let samples = BatchingWorld::new(&plan).run().expect("no violation").samples;
    samples.iter().map(|s| s.latency.as_secs_f64() * 1e3).sum::<f64>() / samples.len() as f64
}

fn main() {
    let seconds = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    println!("| strategy | seed | sockets, mean ms | virtual, mean ms | difference |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let mut worst: f64 = 0.0;
    for strategy in StrategyName::ALL {
        let running: Vec<_> =
            RUNS.map(|seed| (seed, std::thread::spawn(move || real(strategy, seed, seconds)))).collect();
        for (seed, run) in running {
            let (real, twin) = (run.join().expect("a run"), virtual_twin(strategy, seed, seconds));
            worst = worst.max((real - twin).abs());
            println!("| {strategy} | {seed} | {real:.2} | {twin:.2} | {:+.2} |", real - twin);
        }
    }
    println!("\nlargest difference: {worst:.2} ms");
}
