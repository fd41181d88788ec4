//! `GET /data`: the document of the earlier system's dashboard.
//!
//! Here: its keys, as the contract has them, and local time. Not here: the figures of the further API (`status.rs`,
//! `live.rs`). Floor 3.

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::balance::BackendId;
use crate::record::{Averages, Record};
use crate::telemetry::{BackendSnapshot, CivilClock, Kind, Latest, Snapshot};
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
pub(super) fn write(snapshot: &Snapshot, clock: &mut LocalTime, out: &mut String) {
    let document = Document {
        plotly_latency_data: traces(snapshot, clock),
        request_distribution: distribution(snapshot),
        sma_table: snapshot.latest.iter().map(|latest| row(snapshot, latest, clock)).collect(),
        explanation: explanation(snapshot),
        current_mode: snapshot.conduct.routing.name(),
        avg_recent_latency: recent_latency_ms(snapshot).map_or(json!("N/A"), Value::from),
    };
    // A document of strings, numbers and lists can always be written.
    out.push_str(&serde_json::to_string(&document).unwrap_or_default());
}

/// The backends; and the classifiers that have had requests, among which all rows are then accounted for.
fn shown(snapshot: &Snapshot) -> impl Iterator<Item = &BackendSnapshot> {
    let counts = |backend: &&BackendSnapshot| {
        backend.requests > 0 || backend.kind == Kind::Backend && !backend.removed
    };
    snapshot.backends.iter().filter(counts).filter(|_| snapshot.requests > 0)
}

/// The backends that are chosen among, in order of configuration.
pub(super) fn backends(snapshot: &Snapshot) -> impl Iterator<Item = &BackendSnapshot> {
    snapshot.backends.iter().filter(|backend| backend.kind == Kind::Backend && !backend.removed)
}

/// What a backend's averages were when that choice was made.
pub(super) fn averages(latest: &Latest, id: BackendId) -> Averages {
    latest.averages.get(usize::from(id.0)).copied().unwrap_or(Averages::UNMEASURED)
}

fn traces(snapshot: &Snapshot, clock: &mut LocalTime) -> Vec<Trace> {
    let trace = |backend: &BackendSnapshot| {
        let own = |record: &&Record| record.backend == Some(backend.id);
        let records = || snapshot.recent.iter().filter(own);
        Trace {
            x: records().map(|record| clock.date_and_time(record.ended)).collect(),
            y: records().map(latency_ms).collect(),
            name: format!("Backend {} (ms)", backend.label),
            r#type: "scatter",
            mode: "lines",
        }
    };
    shown(snapshot).map(trace).collect()
}

fn distribution(snapshot: &Snapshot) -> Distribution<'_> {
    let (labels, data) = shown(snapshot).map(|backend| (&*backend.label, backend.requests)).unzip();
    Distribution { labels, data }
}

fn row<'a>(snapshot: &'a Snapshot, latest: &Latest, clock: &mut LocalTime) -> Row<'a> {
    let record = &latest.record;
    let of = |backend: &BackendSnapshot| {
        averages(latest, backend.id).sma_ns().map_or(json!("N/A"), |ns| Value::from(tenths(ns)))
    };
    let sma = |i: usize| backends(snapshot).nth(i).map_or(json!("N/A"), of);
    let told = backends(snapshot).filter(|backend| usize::from(backend.id.0) < latest.averages.len());
    let further = told.skip(COLUMNS).map(|backend| (backend.label.to_string(), of(backend)));
    Row {
        timestamp: clock.time(record.ended),
        chosen: chosen(snapshot, record),
        latency_ms: latency_ms(record),
        smaA: sma(0),
        smaB: sma(1),
        smaC: sma(2),
        scores: further.collect(),
    }
}

/// What the page calls the server that a request went to.
pub(super) fn chosen<'a>(snapshot: &'a Snapshot, record: &Record) -> &'a str {
    record.backend.map_or("-", |id| snapshot.label(id))
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
pub(super) fn explanation(snapshot: &Snapshot) -> String {
    let Some(last) = snapshot.recent.last() else { return "No requests processed yet.".to_owned() };
    let mode = last.mode.name();
    match last.backend {
        Some(id) => {
            format!("Last: Mode '{mode}' chose {}, Latency: {}ms.", snapshot.label(id), latency_ms(last))
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
