//! wrk as the load.
//!
//! Here: running it and reading what it says. Not here: what is measured meanwhile (`sample.rs`).

use std::net::SocketAddr;
use std::process::Command;

/// What wrk saw.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Its lines on errors.
    pub(crate) errors: Vec<String>,
}

/// What wrk asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The path.
    pub(crate) target: String,
    /// Over how many connections, with a request under way on each at all times.
    pub(crate) clients: usize,
    /// Further options for wrk.
    pub(crate) options: Vec<String>,
}

/// Loads the proxy for so long.
pub(crate) fn run(wanted: &Wanted, proxy: SocketAddr, seconds: u64) -> Result<Load, String> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "-t1", "--timeout", "10s"]);
    command.args([format!("-c{}", wanted.clients), format!("-d{seconds}s")]);
    command.args(&wanted.options).arg(format!("http://{proxy}{}", wanted.target));
    let run = command.output().map_err(|e| format!("cannot run wrk: {e} (`make install-wrk`)"))?;
    let text = String::from_utf8_lossy(&run.stdout);
    read(&text).ok_or_else(|| {
        format!("wrk says something else than expected: {text}{}", String::from_utf8_lossy(&run.stderr))
    })
}

fn read(text: &str) -> Option<Load> {
    let lines = || text.lines().map(str::trim);
    let percentile = |name: &str| lines().find_map(|line| milliseconds(line.strip_prefix(name)?.trim()));
    let (requests, rest) = lines().find_map(|line| line.split_once(" requests in "))?;
    let (seconds, _) = rest.split_once(", ")?;
    let is_error = |line: &&str| line.starts_with("Socket errors") || line.starts_with("Non-2xx");
    Some(Load {
        requests: requests.parse().ok()?,
        seconds: milliseconds(seconds)? / 1e3,
        p50_ms: percentile("50%")?,
        p99_ms: percentile("99%")?,
        errors: lines().filter(is_error).map(str::to_owned).collect(),
    })
}

/// `1.23ms`, with one of wrk's units.
fn milliseconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        _ => return None,
    };
    text[..unit].parse::<f64>().ok().map(|number| number * factor)
}
