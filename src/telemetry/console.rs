//! The contract's lines for each request, at level debug.
//!
//! Here: what a choice and a connection look like on the console. Not here: the logger and its level (the door).
//! The proxy calls these; with the level off each costs one comparison and consumes nothing. Floor 2.

use std::collections::HashMap;
use std::fmt::Write;

use crate::balance::RoutingMode;

/// Whether the lines are wanted at all.
#[inline]
pub fn is_on() -> bool {
    log::log_enabled!(log::Level::Debug)
}

/// What happened to an upstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// A new one was opened for a request.
    Opened,
    /// A request goes over one that had served another.
    Reused,
    /// One was closed.
    Closed,
}

impl ConnectionEvent {
    /// The word on the console.
    pub const fn name(self) -> &'static str {
        match self {
            ConnectionEvent::Opened => "opened",
            ConnectionEvent::Reused => "reused",
            ConnectionEvent::Closed => "closed",
        }
    }
}

/// The mode's short name on the console.
pub const fn tag(mode: RoutingMode) -> &'static str {
    match mode {
        RoutingMode::RoundRobin => "RR",
        RoutingMode::AdaptiveSma => "SMA",
        RoutingMode::AdaptiveEwma => "EWMA",
        RoutingMode::Adaptive => "ADAPTIVE",
        RoutingMode::LeastRequests => "LEAST",
        RoutingMode::P2cPeakEwma => "P2C",
        RoutingMode::Prequal => "PREQUAL",
    }
}

/// `[RR] chosen: URL`.
pub fn chosen(mode: RoutingMode, url: &str) {
    log::debug!("[{}] chosen: {url}", tag(mode));
}

/// `[SMA] probing unmeasured: URL`: the backend was chosen because it has no estimate yet.
pub fn probing(mode: RoutingMode, url: &str) {
    log::debug!("[{}] probing unmeasured: {url}", tag(mode));
}

/// `[SMA] probing stale: URL`: the backend was chosen because its estimate is old.
pub fn refreshing(mode: RoutingMode, url: &str) {
    log::debug!("[{}] probing stale: {url}", tag(mode));
}

/// `[SMA] SMAs: 8081=12.3ms, 8082=N/A`, in the modes after the contract's `[ADAPTIVE] scores: 8081=…`: the estimates, in nanoseconds, that a choice compares. `labels` come from
/// [`labels`]; `scores` is asked only if the line is wanted. A mode that compares none has no line.
pub fn scores<I>(mode: RoutingMode, labels: &[String], scores: impl FnOnce() -> I)
where
    I: IntoIterator<Item = Option<f64>>,
{
    if mode.compares_latency() {
        // The macro evaluates its arguments only if the level is on.
        log::debug!("{}", scores_line(mode, labels, scores()));
    }
}

/// `connection opened: URL`, and the same with reused and closed.
pub fn connection(event: ConnectionEvent, url: &str) {
    log::debug!("connection {}: {url}", event.name());
}

fn scores_line(
    mode: RoutingMode,
    labels: &[String],
    scores: impl IntoIterator<Item = Option<f64>>,
) -> String {
    let tag = tag(mode);
    let what = match mode {
        RoutingMode::AdaptiveSma | RoutingMode::AdaptiveEwma => tag,
        _ => "score",
    };
    let mut line = format!("[{tag}] {what}s:");
    for (i, (label, score)) in labels.iter().zip(scores).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match score {
            Some(ns) => write!(line, "{comma} {label}={:.1}ms", ns / 1e6),
            None => write!(line, "{comma} {label}=N/A"),
        };
    }
    line
}

/// What to call each of `urls` where space is short: its port, or host:port where several share the port. A URL
/// without a port has that of its scheme.
pub fn labels<S: AsRef<str>>(urls: &[S]) -> Vec<String> {
    let parts: Vec<(&str, &str)> = urls.iter().map(|url| host_and_port(url.as_ref())).collect();
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for (_, port) in &parts {
        *shared.entry(port).or_default() += 1;
    }
    let label = |(host, port): &(&str, &str)| match shared.get(port) {
        Some(1) => (*port).to_owned(),
        _ => format!("{host}:{port}"),
    };
    parts.iter().map(label).collect()
}

fn host_and_port(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let default = if scheme.eq_ignore_ascii_case("https") { "443" } else { "80" };
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address lie within its brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_listed_with_one_decimal_and_unmeasured_ones_as_such() {
        let labels = labels(&["http://localhost:8081", "http://localhost:8082", "http://localhost:8083"]);
        let line = |mode, scores: [Option<f64>; 3]| scores_line(mode, &labels, scores);
        assert_eq!(
            line(RoutingMode::AdaptiveSma, [Some(12_345_678.0), Some(200_700_000.0), Some(250e6)]),
            "[SMA] SMAs: 8081=12.3ms, 8082=200.7ms, 8083=250.0ms"
        );
        assert_eq!(
            line(RoutingMode::AdaptiveEwma, [Some(1e6), Some(2e6), None]),
            "[EWMA] EWMAs: 8081=1.0ms, 8082=2.0ms, 8083=N/A"
        );
    }

    #[test]
    fn labels_are_ports_unless_two_backends_share_one() {
        assert_eq!(
            labels(&["http://a:8081/x", "http://b:8081", "http://c:8082"]),
            ["a:8081", "b:8081", "8082"]
        );
        assert_eq!(
            labels(&["http://a", "https://b/", "http://[::1]:81", "http://[::2]"]),
            ["a:80", "443", "81", "[::2]:80"]
        );
        assert_eq!(labels(&["http://user@host:8081?x=1:2", "host:7"]), ["8081", "7"]);
    }
}
