//! `GET /data`: the document of the earlier system's dashboard.
//!
//! Here: its keys, as the contract has them, and local time. Not here: the figures of the further API (`status.rs`,
//! `live.rs`). Floor 3.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::facts::Facts;
use crate::record::Record;
use crate::telemetry::{CivilClock, Latest, Snapshot};
use crate::time::WallTime;

/// Over how many of the last requests the latency is averaged.
const AVERAGED: usize = 200;

/// How many backends have a column of their own.
const COLUMNS: usize = 3;

#[derive(Serialize)]
struct Document<'a> {
    plotly_latency_data: Vec<Trace>,
    request_distribution: Distribution<'a>,
    sma_table: Vec<Row<'a>>,
    explanation: String,
    current_mode: &'static str,
    avg_recent_latency: Value,
}

#[derive(Serialize)]
struct Trace {
    x: Vec<String>,
    y: Vec<u64>,
    name: String,
    r#type: &'static str,
    mode: &'static str,
}

#[derive(Default, Serialize)]
struct Distribution<'a> {
    labels: Vec<&'a str>,
    data: Vec<u64>,
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the contract's names")]
struct Row<'a> {
    timestamp: String,
    chosen: &'a str,
    latency_ms: u64,
    smaA: Value,
    smaB: Value,
    smaC: Value,
    scores: Map<String, Value>,
}

/// Local time, as this document shows it.
pub(super) struct LocalTime(CivilClock);

impl Default for LocalTime {
    fn default() -> LocalTime {
        LocalTime(CivilClock::new(TimeZone::system()))
    }
}

impl LocalTime {
    fn text(&mut self, time: WallTime) -> String {
        self.0.format(time).iter().map(|&byte| char::from(byte)).collect()
    }

    /// `YYYY-MM-DD HH:MM:SS.ffffff`
    fn date_and_time(&mut self, time: WallTime) -> String {
        self.text(time).replace('T', " ")
    }

    /// `HH:MM:SS.fff`
    pub(super) fn time(&mut self, time: WallTime) -> String {
        self.text(time)[11..23].to_owned()
    }
}

/// Appends the document.
pub(super) fn write(facts: &Facts, snapshot: &Snapshot, clock: &mut LocalTime, out: &mut String) {
    let document = Document {
        plotly_latency_data: traces(facts, snapshot, clock),
        request_distribution: distribution(facts, snapshot),
        sma_table: snapshot.latest.iter().map(|latest| row(facts, latest, clock)).collect(),
        explanation: explanation(facts, snapshot),
        current_mode: snapshot.conduct.routing.name(),
        avg_recent_latency: recent_latency_ms(snapshot).map_or(json!("N/A"), Value::from),
    };
    // A document of strings, numbers and lists can always be written.
    out.push_str(&serde_json::to_string(&document).unwrap_or_default());
}

/// The backends; and the classifiers that have had requests, among which all rows are then accounted for.
fn shown<'a>(facts: &'a Facts, snapshot: &'a Snapshot) -> impl Iterator<Item = (usize, &'a str, u64)> {
    let requests = snapshot.backends.iter().map(|backend| backend.requests);
    let all = facts.servers.iter().zip(requests).enumerate();
    let backends = facts.backends();
    all.filter(move |&(i, (_, requests))| snapshot.requests > 0 && (i < backends || requests > 0))
        .map(|(i, (server, requests))| (i, server.label.as_str(), requests))
}

fn traces(facts: &Facts, snapshot: &Snapshot, clock: &mut LocalTime) -> Vec<Trace> {
    let trace = |(i, label, _): (usize, &str, u64)| {
        let own = |record: &&Record| record.backend.is_some_and(|id| usize::from(id.0) == i);
        let records = || snapshot.recent.iter().filter(own);
        Trace {
            x: records().map(|record| clock.date_and_time(record.ended)).collect(),
            y: records().map(latency_ms).collect(),
            name: format!("Backend {label} (ms)"),
            r#type: "scatter",
            mode: "lines",
        }
    };
    shown(facts, snapshot).map(trace).collect()
}

fn distribution<'a>(facts: &'a Facts, snapshot: &'a Snapshot) -> Distribution<'a> {
    let (labels, data) = shown(facts, snapshot).map(|(_, label, requests)| (label, requests)).unzip();
    Distribution { labels, data }
}

fn row<'a>(facts: &'a Facts, latest: &Latest, clock: &mut LocalTime) -> Row<'a> {
    let record = &latest.record;
    let sma = |i: usize| {
        let ns =
            latest.averages.get(i).filter(|_| i < facts.backends()).and_then(|averages| averages.sma_ns());
        ns.map_or(json!("N/A"), |ns| Value::from(tenths(ns)))
    };
    let told = latest.averages.len().min(facts.backends());
    let further = (COLUMNS..told).map(|i| (facts.servers[i].label.clone(), sma(i)));
    Row {
        timestamp: clock.time(record.ended),
        chosen: chosen(facts, record),
        latency_ms: latency_ms(record),
        smaA: sma(0),
        smaB: sma(1),
        smaC: sma(2),
        scores: further.collect(),
    }
}

/// What the page calls the server that a request went to.
pub(super) fn chosen<'a>(facts: &'a Facts, record: &Record) -> &'a str {
    record.backend.map_or("-", |id| facts.label(id))
}

/// Whole milliseconds, as in a row of the CSV.
pub(super) fn latency_ms(record: &Record) -> u64 {
    (record.latency_ns + 500_000) / 1_000_000
}

/// Milliseconds with one decimal.
pub(super) fn tenths(ns: f32) -> f64 {
    (f64::from(ns) / 1e5).round() / 10.0
}

/// One sentence on the last request.
pub(super) fn explanation(facts: &Facts, snapshot: &Snapshot) -> String {
    let Some(last) = snapshot.recent.last() else { return "No requests processed yet.".to_owned() };
    let mode = last.mode.name();
    match last.backend {
        Some(id) => {
            format!("Last: Mode '{mode}' chose {}, Latency: {}ms.", facts.label(id), latency_ms(last))
        }
        None => format!("Last: Mode '{mode}' had no backend to choose."),
    }
}

/// The mean of the last 200 requests that a server was chosen for, in milliseconds with one decimal.
pub(super) fn recent_latency_ms(snapshot: &Snapshot) -> Option<f64> {
    let recent = snapshot.recent.iter().rev().take(AVERAGED).filter(|record| record.backend.is_some());
    let (sum, count) = recent.fold((0, 0), |(sum, count), record| (sum + record.latency_ns, count + 1u32));
    (count > 0).then(|| (sum as f64 / f64::from(count) / 1e5).round() / 10.0)
}
