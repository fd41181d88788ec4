//! What a proxy adds to the latency of requests that come at a rate, whether or not earlier ones are answered.
//!
//! Here: an open loop of independent arrivals by this program's own generator, through each proxy and straight to the backend.
//! Latency counts from when a request was due. Not here: closed loops (`wrk.rs`).

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tidegate::load::{Arrivals, AtEnd, FixedRequest, Pace, Plan, Tally, spawn};

use super::common::sample::{Effort, spread};
use super::common::server::Backend;
use super::contenders::{Contender, Mode, check};
use super::order;

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// What one run saw: the quantiles in microseconds, and how many requests were not answered with 200.
struct Run {
    latencies_us: [f64; 3],
    failed: u64,
}

/// Plays all rounds at `rate` requests a second and prints their table.
pub(crate) fn compare(rate: u64, effort: &Effort, backend: &Backend, folder: &Path) -> Result<(), String> {
    let origin = backend.addresses().next().ok_or("the backend has no address")?;
    let mut direct = Vec::new();
    let mut runs = Contender::ALL.map(|_| Vec::new());
    for round in 0..effort.rounds {
        direct.push(run(origin, rate, effort.seconds, round)?);
        for index in order(round) {
            let contender = Contender::ALL[index];
            let proxy = contender.start(Mode::Persistent, backend, folder)?;
            check(&proxy)?;
            run(proxy.address, rate, effort.warmup, round)?;
            let one = run(proxy.address, rate, effort.seconds, round)?;
            eprintln!("rate, round {}, {}: p50 {:.0} µs", round + 1, contender.name(), one.latencies_us[0]);
            runs[index].push(one);
        }
    }
    println!("| | p50, µs | p99, µs | p99.9, µs | not answered |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let names = ["no proxy"].into_iter().chain(Contender::ALL.map(Contender::name));
    for (name, runs) in names.zip([direct].iter().chain(&runs)) {
        let of = |n: usize| spread(&runs.iter().map(|run| run.latencies_us[n]).collect::<Vec<_>>(), 0);
        let failed: u64 = runs.iter().map(|run| run.failed).sum();
        println!("| {name} | {} | {} | {} | {failed} |", of(0), of(1), of(2));
    }
    Ok(())
}

/// One run, with the arrivals of this round.
fn run(address: SocketAddr, rate: u64, seconds: u64, round: usize) -> Result<Run, String> {
    let plan = Plan {
        address,
        sources: vec![Pace::Open {
            arrivals: Arrivals::poisson(rate as f64, round as u64),
            connections: 100,
        }],
        timeout: Duration::from_secs(10),
        duration: Duration::from_secs(seconds),
        at_end: AtEnd::Drain,
    };
    let request = FixedRequest::new("GET", "/tiny", &address.to_string(), &[], None);
    let ended = spawn("load", plan, request, ()).and_then(|load| load.join());
    let (tally, _) = ended.map_err(|e| format!("cannot load {address}: {e}"))?;
    Ok(Run {
        latencies_us: QUANTILES.map(|q| quantile_us(&tally, q)),
        failed: tally.failures() + tally.not_successful() + tally.unsent,
    })
}

fn quantile_us(tally: &Tally, q: f64) -> f64 {
    tally.latencies.corrected.value_at_quantile(q) as f64 / 1e3
}
