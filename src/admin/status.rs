//! How things stand: `/api/v1/status`, `/api/v1/backends`, `/api/v1/config`, and batching.
//!
//! Here: these documents; units are in the names. Not here: what is drawn over time (`live.rs`). Floor 3.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::data;
use super::facts::Facts;
use crate::batch::{CustomerFigures, FlushReason};
use crate::telemetry::{BackendSnapshot, BatchingState, Latencies, Snapshot};
use crate::time::WallTime;

/// How many customers are told apart on the page.
const CUSTOMERS: usize = 20;

/// RFC 3339 in UTC.
pub(super) fn rfc3339(time: WallTime) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(time.as_nanos())).unwrap_or_default();
    format!("{timestamp:.3}")
}

/// The proxy as a whole.
pub(super) fn status(facts: &Facts, snapshot: &Snapshot, wall: WallTime) -> Value {
    let counters = &snapshot.counters;
    let uptime_ns = wall.as_nanos().saturating_sub(facts.started.as_nanos());
    let idle: u64 = snapshot.backends.iter().map(|backend| u64::from(backend.idle)).sum();
    let in_flight: u64 = snapshot.backends.iter().map(|backend| u64::from(backend.in_flight)).sum();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started": rfc3339(facts.started),
        "uptime_seconds": uptime_ns / 1_000_000_000,
        "listen": facts.listen.to_string(),
        "routing": snapshot.conduct.routing.name(),
        "connections": snapshot.conduct.connections,
        "strategy": snapshot.batching.as_ref().map(|batching| batching.strategy.name()),
        "draining": snapshot.conduct.draining,
        "requests": snapshot.requests,
        "failed": snapshot.failed,
        "in_flight": in_flight,
        "checks_failed": counters.checks_failed,
        "malformed_answers": counters.malformed_answers.seen().map(|(v, n)| (v.name(), n)).collect::<BTreeMap<_, _>>(),
        "retries": {
            "stale_connection": counters.retries_stale,
            "another_backend": counters.retries_elsewhere,
            "denied": counters.retries_denied,
        },
        "hedges": { "sent": counters.hedges, "won": counters.hedges_won, "shadows": counters.shadows },
        "statuses": snapshot.statuses,
        "avg_recent_latency_ms": data::recent_latency_ms(snapshot),
        "explanation": data::explanation(snapshot),
        "cancelled": { "forwarded": counters.cancelled_forwarded, "batched": counters.cancelled_batched },
        "tunnels": { "opened": counters.tunnels_opened, "open": counters.tunnels_open },
        "clients": {
            "accepted": counters.clients_accepted,
            "refused": counters.clients_refused,
            "evicted": counters.clients_evicted,
            "open": counters.clients_open,
        },
        "pool": {
            "opened": counters.connections_opened,
            "closed": counters.connections_closed,
            "open": counters.connections_open,
            "idle": idle,
            "reused": counters.connections_reused,
            "stale": counters.connections_stale,
            "unasked": counters.connections_unasked,
            "evicted": counters.connections_evicted,
            "connect_ms": summary(&snapshot.connects),
        },
        "csv": {
            "path": facts.csv,
            "rows_written": snapshot.rows_written,
            "rows_dropped": snapshot.rows_dropped,
        },
        "trace": {
            "path": facts.trace,
            "lines_written": snapshot.traces_written,
            "lines_dropped": snapshot.traces_dropped,
        },
        "records_dropped": snapshot.records_dropped,
    })
}

/// Every server: backends, then classifiers, then those that are removed and have something in flight.
pub(super) fn servers(snapshot: &Snapshot) -> Value {
    let server = |backend: &BackendSnapshot| {
        json!({
            "name": &*backend.name,
            "url": &*backend.url,
            "label": &*backend.label,
            "kind": backend.kind.name(),
            "state": if backend.removed { "removed" } else { backend.availability.name() },
            "ejected": backend.ejected,
            "requests": backend.requests,
            "failed": backend.failed,
            "statuses": backend.statuses,
            "attempts_answered": backend.attempts_answered,
            "attempts_failed": backend.attempts_failed,
            "in_flight": backend.in_flight,
            "idle": backend.idle,
            "score_ms": millis(backend.score_ns),
            "sma_ms": millis(backend.sma_ns),
            "ewma_ms": millis(backend.ewma_ns),
            "latency_ms": summary(&backend.latencies),
        })
    };
    snapshot.backends.iter().map(server).collect()
}

/// The settings in force, each with who set it.
pub(super) fn config(facts: &Facts) -> Value {
    let in_force = facts.configuration.get();
    let settings = in_force
        .settings
        .iter()
        .map(|setting| (setting.key.clone(), json!({ "value": setting.value, "origin": setting.origin })));
    Value::Object(settings.collect())
}

/// The batching queue; null without a classifier.
pub(super) fn batching(snapshot: &Snapshot) -> Value {
    let Some(state) = &snapshot.batching else { return Value::Null };
    let figures = &state.figures;
    let share = |part: u64, whole: u64| if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
    let flushes = FlushReason::ALL.map(|reason| {
        let of = figures.by_flush(reason);
        let sizes: Map<_, _> = of
            .sequences
            .buckets()
            .filter(|&(_, count)| count > 0)
            .map(|(bound, count)| (bound.map_or("more".to_owned(), |n| n.to_string()), Value::from(count)))
            .collect();
        json!({
            "reason": reason.name(),
            "batches": of.sequences.count(),
            "sequences": of.sequences.sum(),
            "sizes": sizes,
            "wait_ms_mean": share(of.wait_us.sum(), of.wait_us.count()) / 1e3,
            "service_ms_mean": share(of.service_us.sum(), of.service_us.count()) / 1e3,
        })
    });
    json!({
        "strategy": state.strategy.name(),
        "depth": state.depth,
        "bytes": state.bytes,
        "bytes_limit": state.bytes_limit,
        "bytes_made": state.bytes_made,
        "oldest_seconds": state.oldest_age.map(|age| age.as_secs_f64()),
        "in_flight": state.in_flight,
        "most_in_flight": state.most_in_flight,
        "queued": figures.queued,
        "refused": figures.refused,
        "cancelled": figures.cancelled,
        "batches_failed": figures.failed,
        "batches_halved": figures.halved,
        "padding_waste_ratio": share(figures.wasted_characters, figures.characters + figures.wasted_characters),
        "flushes": flushes,
        "service": state.service.map(|estimate| json!({
            "size": estimate.size,
            "base_ms": estimate.base_s * 1e3,
            "per_size_ms": estimate.per_size_s * 1e3,
            "error_ms": estimate.error_s * 1e3,
        })),
        "customers": customers(state),
        "rejections": state.rejections,
    })
}

fn customers(state: &BatchingState) -> Value {
    let row = |name: &str, figures: CustomerFigures| {
        json!({
            "name": name,
            "parts": figures.parts,
            "sequences": figures.sequences,
            "work_seconds": figures.work.as_secs_f64(),
        })
    };
    let (told, rest) = state.customers.split_at(state.customers.len().min(CUSTOMERS));
    let mut others = state.other_customers;
    rest.iter().for_each(|(_, figures)| others.add(*figures));
    let mut rows: Vec<_> = told.iter().map(|(name, figures)| row(name, *figures)).collect();
    if others != CustomerFigures::default() {
        rows.push(json!({
            "name": null,
            "parts": others.parts,
            "sequences": others.sequences,
            "work_seconds": others.work.as_secs_f64(),
        }));
    }
    Value::Array(rows)
}

/// Milliseconds with three decimals.
fn millis(ns: Option<f64>) -> Option<f64> {
    ns.map(|ns| (ns / 1e3).round() / 1e3)
}

fn summary(latencies: &Latencies) -> Value {
    let all = latencies.histogram();
    let ms = |ns: u64| (ns as f64 / 1e3).round() / 1e3;
    json!({
        "p50": ms(all.quantile_ns(0.50)),
        "p95": ms(all.quantile_ns(0.95)),
        "p99": ms(all.quantile_ns(0.99)),
        "mean": ms(all.mean_ns()),
        "max": ms(all.max_ns()),
    })
}
