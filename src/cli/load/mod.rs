//! `tidegate load`: load on a server, measured.
//!
//! Here: from options to running generators, waiting for them, and what is said at the end. Not here: the generators
//! (`load/`), the options themselves (`options.rs`), the text (`text.rs`). Floor 5.

mod options;
mod text;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::output::say;
use super::start::{network_with_signals_and_hangup, next_signal_ends_at_once, start_log};
use super::{CliError, Exit};
use crate::config::{TargetUrl, Value};
use crate::load::{AtEnd, Ended, FixedRequest, Pace, Plan, RunningLoad, Summary, Tally, share, spawn};
use crate::net::{Event, Net, OsNet, Wake, raise_descriptor_limit};

pub(super) use options::LoadArgs;
use options::{Destination, Setup};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate load http://localhost:9090/ -c 100 -t 4 -d 30s --latency
  tidegate load http://localhost:9090/ --rate 500 --arrivals poisson -d 1m
  tidegate load http://localhost:9090/proxy_classify --body '{\"sequences\": [\"x\"]}' --json -

Each of the connections sends its next request when the last is answered, as wrk does. With --rate requests fall due at
that rate, and latency counts from then, also if all connections were busy (`Raw`: from when it was sent).
Answers of any status count; latency ends with the last byte received and has three significant digits.
Exit codes: 0 done, or nobody reads on, 1 failed, 2 usage, 130 ended early by a signal, with what was measured.";

/// How long the first connection may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// What `--json` writes.
#[derive(Serialize)]
struct Report<'a> {
    url: String,
    threads: usize,
    connections: usize,
    /// Requests per second asked for, in an open loop.
    rate: Option<f64>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// Runs the command.
pub(super) fn run(args: LoadArgs) -> Result<Exit, CliError> {
    start_log(log::LevelFilter::Warn)?;
    let setup = args.setup()?;
    raise_descriptor_limit();
    let address = reach(&setup.url)?;
    let net = network_with_signals_and_hangup()?;
    let on_stdout = !matches!(setup.json, Some(Destination::Stdout));
    if on_stdout {
        say(&text::opening(&setup))?;
    }
    let (tally, interrupted) = measure(net, &setup, address)?;
    // Whoever reads may let us wait, and nothing reads signals as readiness any more.
    next_signal_ends_at_once()?;
    let summary = Summary::new(&tally);
    let report = Report {
        url: setup.url.show(),
        threads: setup.threads,
        connections: setup.connections,
        rate: setup.rate.map(|open| open.rate),
        summary: &summary,
    };
    match &setup.json {
        Some(Destination::Stdout) => say(&as_json(&report))?,
        Some(Destination::File(path)) => write_file(path, &as_json(&report))?,
        None => {}
    }
    if on_stdout {
        say(&text::closing(&setup, &tally, &summary))?;
    }
    Ok(if interrupted { Exit::SecondSignal } else { Exit::Clean })
}

/// The first of the server's addresses that takes a connection.
pub(super) fn reach(url: &TargetUrl) -> Result<SocketAddr, CliError> {
    let failed = |source| CliError::System { what: format!("reach {}", url.show()), source };
    let mut last = None;
    for address in url.resolve().map_err(failed)? {
        match TcpStream::connect_timeout(&address, PROBE_LIMIT) {
            Ok(_) => return Ok(address),
            Err(e) => last = Some(e),
        }
    }
    Err(failed(last.unwrap_or_else(|| io::ErrorKind::NotFound.into())))
}

fn plan(setup: &Setup, address: SocketAddr, n: usize) -> Plan {
    let connections = share(setup.connections, n, setup.threads);
    let (pace, at_end) = match &setup.rate {
        None => (Pace::Closed { users: connections, pause: Duration::ZERO }, AtEnd::Cut),
        // Who counts from when a request was due must not give up those that are late.
        Some(open) => (Pace::Open { arrivals: open.arrivals(n, setup.threads), connections }, AtEnd::Drain),
    };
    Plan { address, sources: vec![pace], timeout: setup.timeout, duration: setup.duration, at_end }
}

/// Runs the generators; returns what they counted together, and whether a signal ended them.
fn measure(mut net: OsNet, setup: &Setup, address: SocketAddr) -> Result<(Tally, bool), CliError> {
    let failed = |source| CliError::System { what: "run the load".to_owned(), source };
    let ended = Arc::new(AtomicUsize::new(0));
    let waker = Arc::new(net.waker().map_err(failed)?);
    let start = |n| {
        let held = Ended { count: Arc::clone(&ended), waker: Arc::clone(&waker) };
        spawn(&format!("load {n}"), plan(setup, address, n), setup.request.clone(), held)
    };
    let running = (0..setup.threads).map(start).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let interrupted = wait(&mut net, &running, &ended).map_err(failed)?;
    let mut tally = Tally::default();
    for one in running {
        tally.add(&one.join().map_err(failed)?.0);
    }
    Ok((tally, interrupted))
}

/// Waits until all have ended, by themselves or by a signal.
fn wait(net: &mut OsNet, running: &[RunningLoad<FixedRequest>], ended: &AtomicUsize) -> io::Result<bool> {
    let (mut events, mut interrupted) = (Vec::new(), false);
    while ended.load(Ordering::Acquire) < running.len() {
        let now = net.now();
        net.poll(&mut events, now, None)?;
        for event in events.drain(..) {
            if event == Event::Woken(Wake::StopSignal) {
                interrupted = true;
                running.iter().try_for_each(RunningLoad::stop)?;
            }
        }
    }
    Ok(interrupted)
}

fn as_json(report: &Report<'_>) -> String {
    let text = serde_json::to_string_pretty(report).expect("figures and strings are JSON");
    text + "\n"
}

fn write_file(path: &Path, text: &str) -> Result<(), CliError> {
    let what = || format!("write the JSON file {}", path.display());
    std::fs::write(path, text).map_err(|source| CliError::System { what: what(), source })
}
