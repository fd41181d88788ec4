//! The contract's analysis of a request log.
//!
//! Here: figures of all rows, of each backend's and of each routing mode's. Not here: reading (`log.rs`), curves over
//! time (`series.rs`), text (`table.rs`). Called by `cli/report/`. Floor 4.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::log::{Log, Row};
use super::statistics::{deviation, mean, quantile};

/// What stands for a backend's URL in a row without one.
const NO_BACKEND: &str = "-";

/// Figures of a set of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Rows.
    pub requests: u64,
    /// Rows a second; none if the time is not known or is nothing.
    pub requests_per_s: Option<f64>,
    /// Latency of all rows, failed ones too; none without rows.
    pub latency: Option<Latency>,
    /// Rows with a status of 400 and above, or without an answer.
    pub errors: u64,
    /// How often each of those statuses occurs.
    pub error_statuses: BTreeMap<u16, u64>,
}

/// The distribution of latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean_ms: f64,
    /// The median; quantiles are interpolated linearly.
    pub p50_ms: f64,
    /// The 0.95 quantile.
    pub p95_ms: f64,
    /// The 0.99 quantile.
    pub p99_ms: f64,
    /// The standard deviation of the sample; none of a single row.
    pub deviation_ms: Option<f64>,
    /// The least.
    pub min_ms: f64,
    /// The most.
    pub max_ms: f64,
}

impl Latency {
    /// Of latencies in milliseconds, in any order; they are sorted on the way.
    pub fn of(latencies_ms: &mut [f64]) -> Option<Latency> {
        latencies_ms.sort_unstable_by(f64::total_cmp);
        let at = |q| quantile(latencies_ms, q);
        Some(Latency {
            mean_ms: mean(latencies_ms)?,
            p50_ms: at(0.5)?,
            p95_ms: at(0.95)?,
            p99_ms: at(0.99)?,
            deviation_ms: deviation(latencies_ms),
            min_ms: *latencies_ms.first()?,
            max_ms: *latencies_ms.last()?,
        })
    }
}

/// A part of the rows beside the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// A backend's URL.
    pub name: String,
    /// Its part of the rows.
    pub share_percent: f64,
    /// Its figures; requests/s over the time of the whole.
    pub figures: Figures,
}

/// All rows of one routing mode or strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModePart {
    /// Its name.
    pub name: String,
    /// Its part of the rows.
    pub share_percent: f64,
    /// From its first row to its last; of the only mode, the time of the whole.
    pub duration_s: Option<f64>,
    /// Its figures; requests/s over that time.
    pub figures: Figures,
    /// The same by backend.
    pub backends: Vec<Part>,
}

/// The analysis of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The time that requests/s refers to: the one given, else from the first row to the last. None if that is nothing.
    pub duration_s: Option<f64>,
    /// The longest time between two rows in order of time, in seconds.
    pub longest_pause_s: f64,
    /// Of all rows.
    pub figures: Figures,
    /// By backend, in order of host and port.
    pub backends: Vec<Part>,
    /// By routing mode, in order of appearance.
    pub modes: Vec<ModePart>,
}

/// Analyses a log. `duration` takes the place of the time between its first and its last row, which is less than the
/// time of the run: nothing ends at its very beginning.
pub fn analyze(log: &Log, duration: Option<Duration>) -> Analysis {
    let rows = || log.rows.iter();
    let span = Span::of(rows());
    let duration_s = duration.map(|duration| duration.as_secs_f64()).or(span.seconds());
    let modes = log.modes.iter().enumerate().map(|(mode, name)| {
        let of_mode = rows().filter(move |row| usize::from(row.mode) == mode);
        let duration_s = if log.modes.len() == 1 { duration_s } else { Span::of(of_mode.clone()).seconds() };
        ModePart {
            name: name.clone(),
            share_percent: percent(of_mode.clone().count(), log.rows.len()),
            duration_s,
            figures: figures(of_mode.clone(), duration_s),
            backends: by_backend(log, of_mode, duration_s),
        }
    });
    Analysis {
        duration_s,
        longest_pause_s: span.longest_pause_us as f64 / 1e6,
        figures: figures(rows(), duration_s),
        modes: modes.collect(),
        backends: by_backend(log, rows(), duration_s),
    }
}

fn figures<'a>(rows: impl Iterator<Item = &'a Row>, duration_s: Option<f64>) -> Figures {
    let mut error_statuses = BTreeMap::new();
    let mut latencies_ms = Vec::new();
    for row in rows {
        latencies_ms.push(row.latency_ms);
        if row.is_error() {
            *error_statuses.entry(row.status).or_default() += 1;
        }
    }
    Figures {
        requests: latencies_ms.len() as u64,
        requests_per_s: duration_s.map(|seconds| latencies_ms.len() as f64 / seconds),
        latency: Latency::of(&mut latencies_ms),
        errors: error_statuses.values().sum(),
        error_statuses,
    }
}

fn by_backend<'a>(
    log: &Log,
    rows: impl Iterator<Item = &'a Row> + Clone,
    duration_s: Option<f64>,
) -> Vec<Part> {
    let all = rows.clone().count();
    let mut parts: Vec<Part> = (log.backends.iter().enumerate())
        .map(|(backend, url)| {
            let figures = figures(rows.clone().filter(|row| usize::from(row.backend) == backend), duration_s);
            Part { name: url.clone(), share_percent: percent(figures.requests as usize, all), figures }
        })
        .collect();
    parts.sort_by_cached_key(|part| place(&part.name));
    parts
}

/// Rows without a backend come last.
fn place(url: &str) -> (bool, String, Option<u16>) {
    match url.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (false, host.to_owned(), port.parse().ok()),
        _ => (url == NO_BACKEND, url.to_owned(), None),
    }
}

fn percent(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 }
}

/// The time that rows cover.
struct Span {
    first_us: i64,
    last_us: i64,
    longest_pause_us: i64,
}

impl Span {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Span {
        let mut span: Option<Span> = None;
        for row in rows {
            let at = row.ended_us;
            let span = span.get_or_insert(Span { first_us: at, last_us: at, longest_pause_us: 0 });
            span.longest_pause_us = span.longest_pause_us.max(at - span.last_us);
            // Rows of several threads, or a clock that was set, need not be in order.
            span.first_us = span.first_us.min(at);
            span.last_us = span.last_us.max(at);
        }
        span.unwrap_or(Span { first_us: 0, last_us: 0, longest_pause_us: 0 })
    }

    fn seconds(&self) -> Option<f64> {
        let micros = self.last_us - self.first_us;
        (micros > 0).then_some(micros as f64 / 1e6)
    }
}

/// Short names of backends for axes and columns: the port of each if they differ in nothing else, else what follows
/// `http://`; `none` for rows without a backend.
pub fn backend_labels(urls: &[&str]) -> Vec<String> {
    let mut hosts =
        urls.iter().filter(|url| **url != NO_BACKEND).map(|url| host_and_port(url).map(|(host, _)| host));
    let first = hosts.next().flatten();
    let only_ports_differ = first.is_some() && hosts.all(|host| host == first);
    let label = |url: &&str| match host_and_port(url) {
        _ if *url == NO_BACKEND => "none".to_owned(),
        Some((_, port)) if only_ports_differ => port.to_owned(),
        _ => authority(url).to_owned(),
    };
    urls.iter().map(label).collect()
}

fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

fn host_and_port(url: &str) -> Option<(&str, &str)> {
    authority(url).rsplit_once(':')
}

#[cfg(test)]
#[path = "analyze_tests.rs"]
mod tests;
