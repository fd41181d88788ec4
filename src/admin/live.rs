//! All that the page shows, in one document.
//!
//! Here: `/api/v1/live`, and the same as server-sent events. An event comes each half second whether or not anything has
//! changed, so it is the heartbeat too; the document is rendered once for each snapshot, however many watch. Not
//! here: slow readers (`server/` skips what they cannot take), the parts (`status.rs`). Floor 3.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{self, LocalTime};
use super::facts::Facts;
use super::status;
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::record::Averages;
use crate::telemetry::{Latest, Snapshot, TREND_STEP, TrendPoint};
use crate::time::WallTime;

/// How many of the latest requests are shown.
const ROWS: usize = 50;

/// How long a browser waits before it connects again.
const RETRY_MS: u32 = 2000;

/// The document of the latest snapshot.
#[derive(Default)]
pub(super) struct Live {
    rendered: Option<Arc<Snapshot>>,
    /// The document from its second key on.
    document: String,
    clock: LocalTime,
    /// Numbers the events.
    events: u64,
}

impl Live {
    /// Appends the document.
    pub(super) fn write(
        &mut self,
        facts: &Facts,
        snapshot: &Arc<Snapshot>,
        wall: WallTime,
        out: &mut String,
    ) {
        if !self.rendered.as_ref().is_some_and(|rendered| Arc::ptr_eq(rendered, snapshot)) {
            self.document = self.document(facts, snapshot, wall).to_string();
            self.rendered = Some(Arc::clone(snapshot));
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{{\"time\":\"{}\",{}", status::rfc3339(wall), &self.document[1..]);
    }

    /// Appends the beginning of a feed.
    pub(super) fn open_feed(
        &mut self,
        facts: &Facts,
        snapshot: &Arc<Snapshot>,
        wall: WallTime,
        out: &mut String,
    ) {
        let _ = write!(out, "retry: {RETRY_MS}\n\n");
        self.write_event(facts, snapshot, wall, out);
    }

    /// Appends an event.
    pub(super) fn write_event(
        &mut self,
        facts: &Facts,
        snapshot: &Arc<Snapshot>,
        wall: WallTime,
        out: &mut String,
    ) {
        self.events += 1;
        let _ = write!(out, "id: {}\ndata: ", self.events);
        self.write(facts, snapshot, wall, out);
        out.push_str("\n\n");
    }

    fn document(&mut self, facts: &Facts, snapshot: &Snapshot, wall: WallTime) -> Value {
        let first = snapshot.latest.len().saturating_sub(ROWS);
        let latest: Vec<_> =
            snapshot.latest[first..].iter().map(|latest| row(snapshot, latest, &mut self.clock)).collect();
        json!({
            "choices": {
                "routing": RoutingMode::ALL.map(RoutingMode::name),
                "strategy": StrategyName::ALL.map(StrategyName::name),
            },
            "status": status::status(facts, snapshot, wall),
            "backends": status::servers(snapshot),
            "batching": status::batching(snapshot),
            "latest": latest,
            "trend": {
                "step_seconds": TREND_STEP.as_secs(),
                "points": snapshot.trend.iter().map(|point| trend_point(snapshot, point)).collect::<Vec<_>>(),
            },
        })
    }
}

/// A request, with the averages of all backends when its own was chosen.
fn row(snapshot: &Snapshot, latest: &Latest, clock: &mut LocalTime) -> Value {
    let record = &latest.record;
    let of = |average: fn(Averages) -> Option<f32>| -> Vec<Option<f64>> {
        let backends = data::backends(snapshot).map(|backend| data::averages(latest, backend.id));
        backends.map(|averages| average(averages).map(data::tenths)).collect()
    };
    json!({
        "time": clock.time(record.ended),
        "chosen": data::chosen(snapshot, record),
        "mode": record.mode.name(),
        "status": record.status,
        "latency_ms": data::latency_ms(record),
        "failed": record.failed,
        "reused": record.reused,
        "sma_ms": of(Averages::sma_ns),
        "ewma_ms": of(Averages::ewma_ns),
    })
}

/// Milliseconds since the epoch; then for each server its requests, p50 and p99 in milliseconds, or null.
fn trend_point(snapshot: &Snapshot, point: &TrendPoint) -> Value {
    let ms = |ns: u64| (ns as f64 / 1e4).round() / 1e2;
    let servers = snapshot
        .backends
        .iter()
        .map(|backend| point.servers.get(usize::from(backend.id.0)).copied().flatten())
        .map(|value| value.map(|value| json!([value.requests, ms(value.p50_ns), ms(value.p99_ns)])));
    json!([point.start.as_nanos() / 1_000_000, servers.collect::<Vec<_>>()])
}
