//! Which metrics there are.
//!
//! Here: names, helps, labels and where each number comes from, all but those of batching, of turns and of connections to servers. Labels are bounded: servers
//! by the configuration, statuses to those of RFC 9110 and their classes. Floor 3.

mod connections;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::series::{Distribution, Labels, Series};
use super::{batching, configuration, turns};
use crate::admin::facts::Facts;
use crate::balance::{Availability, RoutingMode};
use crate::h1::reply::phrase;
use crate::telemetry::histogram::Histogram;
use crate::telemetry::logger;
use crate::telemetry::process::ProcessFigures;
use crate::telemetry::{BackendSnapshot, Snapshot};

/// Upper bounds in seconds: those of OpenTelemetry's `http.server.request.duration`, with finer ones below.
const SECONDS: [f64; 20] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
    5.0, 7.5, 10.0, 30.0,
];

/// All figures of one moment.
#[derive(Debug)]
pub(super) struct Families {
    facts: Facts,
    snapshot: Arc<Snapshot>,
    process: ProcessFigures,
}

/// A series without labels.
pub(super) fn one<'a>(value: impl Into<Number>) -> [(Labels<'a>, f64); 1] {
    [(Vec::new(), value.into().0)]
}

/// A number on its way into a sample, all of which are floating-point.
pub(super) struct Number(f64);

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        Number(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number(value as f64)
    }
}

impl Families {
    pub(super) fn new(facts: Facts, snapshot: Arc<Snapshot>, process: ProcessFigures) -> Families {
        Families { facts, snapshot, process }
    }

    /// One series for each server, called by its name; two that share it are told as one by adding up.
    fn by_server(&self, value: impl Fn(&BackendSnapshot) -> Option<f64>) -> Vec<(Labels<'_>, f64)> {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for figures in &self.snapshot.backends {
            if let Some(value) = value(figures) {
                *sums.entry(&figures.name).or_default() += value;
            }
        }
        sums.into_iter().map(|(name, value)| (vec![("backend", name)], value)).collect()
    }

    fn requests(&self, series: &mut Series<'_>) -> fmt::Result {
        let counters = &self.snapshot.counters;
        let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
        for figures in &self.snapshot.backends {
            add_statuses(&mut counts, &figures.name, &figures.statuses);
        }
        add_statuses(&mut counts, "", &self.snapshot.unsent);
        let requests = counts
            .iter()
            .map(|((name, code), &count)| (vec![("backend", *name), ("code", code.as_str())], count as f64));
        series.counter(
            "tidegate_requests",
            "Finished requests by the server tried last (empty: there was none to choose) and the status that the client got; 499: it left before.",
            requests,
        )?;
        series.counter(
            "tidegate_failed_requests",
            "Requests that failed on a backend's side: refused, reset, timed out, malformed.",
            self.by_server(|figures| Some(figures.failed as f64)),
        )?;
        let mut durations: BTreeMap<&str, Histogram> = BTreeMap::new();
        for figures in &self.snapshot.backends {
            durations.entry(&figures.name).or_default().merge(&figures.latencies.histogram());
        }
        series.histogram(
            "tidegate_request_duration_seconds",
            "From the first sending of a request, or the arrival of one that is batched, to its end.",
            durations.iter().map(|(name, times)| (vec![("backend", *name)], distribution(times))),
        )?;
        series.counter(
            "tidegate_retries",
            "Requests sent again: the pooled connection had been closed, or the backend failed or answered with a status of --retry-on.",
            [("stale-connection", counters.retries_stale), ("another-backend", counters.retries_elsewhere)]
                .map(|(reason, count)| (vec![("reason", reason)], count as f64)),
        )?;
        series.counter(
            "tidegate_retries_denied",
            "Requests that did not go to another backend because the budget of retries was used up.",
            one(counters.retries_denied),
        )?;
        series.counter(
            "tidegate_hedges",
            "Further copies of requests whose answers were late.",
            one(counters.hedges),
        )?;
        series.counter(
            "tidegate_hedges_won",
            "Further copies that were answered first.",
            one(counters.hedges_won),
        )?;
        series.counter(
            "tidegate_shadow_requests",
            "Copies of requests that were sent only to learn how a backend does.",
            one(counters.shadows),
        )
    }

    fn failures(&self, series: &mut Series<'_>) -> fmt::Result {
        let counters = &self.snapshot.counters;
        series.counter(
            "tidegate_checks_failed",
            "Checks of servers that were not passed.",
            one(counters.checks_failed),
        )?;
        series.counter(
            "tidegate_malformed_answers",
            "Answers of servers, to requests and to checks, that break a rule of HTTP, by that rule.",
            counters
                .malformed_answers
                .seen()
                .map(|(violation, count)| (vec![("reason", violation.name())], count as f64)),
        )?;
        series.counter(
            "tidegate_backend_ejections",
            "How often a server was left alone for a while because it had failed too often in a row.",
            self.by_server(|figures| Some(figures.ejected as f64)),
        )
    }

    fn backends(&self, series: &mut Series<'_>) -> fmt::Result {
        series.gauge(
            "tidegate_in_flight_requests",
            "Requests, or batches, that a server has not finished.",
            self.by_server(|figures| Some(f64::from(figures.in_flight))),
        )?;
        series.gauge(
            "tidegate_backend_up",
            "Whether a server may be chosen; 0 while it is drained, down or ejected.",
            self.by_server(|figures| match figures.availability {
                Availability::Usable => Some(1.0),
                Availability::Draining | Availability::Down | Availability::Ejected => Some(0.0),
            })
            .into_iter()
            .map(|(labels, up)| (labels, up.min(1.0))),
        )?;
        series.gauge(
            "tidegate_backend_score_seconds",
            "What the routing mode in force compares; absent if unmeasured, and in round-robin.",
            self.by_server(|figures| figures.score_ns.map(|ns| ns / 1e9)),
        )?;
        series.gauge(
            "tidegate_routing_mode",
            "1 for the routing mode in force.",
            RoutingMode::ALL.map(|mode| {
                let in_force = mode == self.snapshot.conduct.routing;
                (vec![("mode", mode.name())], f64::from(u8::from(in_force)))
            }),
        )?;
        series.gauge(
            "tidegate_draining",
            "1 after the proxy was told to stop.",
            one(u64::from(self.snapshot.conduct.draining)),
        )
    }

    fn clients(&self, series: &mut Series<'_>) -> fmt::Result {
        let counters = &self.snapshot.counters;
        for (name, help, value) in [
            ("tidegate_client_connections", "Client connections accepted.", counters.clients_accepted),
            (
                "tidegate_client_connections_refused",
                "Client connections closed at once: their host had too many.",
                counters.clients_refused,
            ),
            (
                "tidegate_client_connections_evicted",
                "Client connections closed to make room: idle, heard out or slow ones.",
                counters.clients_evicted,
            ),
            (
                "tidegate_loops_cut",
                "Requests answered with 508: they came back to this proxy.",
                counters.loops_cut,
            ),
            ("tidegate_tunnels", "WebSocket tunnels opened.", counters.tunnels_opened),
        ] {
            series.counter(name, help, one(value))?;
        }
        series.counter(
            "tidegate_cancelled_requests",
            "Requests that ended because their client had left.",
            [("forwarded", counters.cancelled_forwarded), ("batched", counters.cancelled_batched)]
                .map(|(path, count)| (vec![("path", path)], count as f64)),
        )?;
        series.gauge("tidegate_open_tunnels", "WebSocket tunnels open now.", one(counters.tunnels_open))?;
        series.gauge(
            "tidegate_open_client_connections",
            "Client connections open now.",
            one(counters.clients_open),
        )
    }

    fn own(&self, series: &mut Series<'_>) -> fmt::Result {
        let Snapshot { rows_written, rows_dropped, traces_written, traces_dropped, records_dropped, .. } =
            *self.snapshot;
        series.counter("tidegate_csv_rows_written", "Rows that are in the CSV file.", one(rows_written))?;
        series.counter(
            "tidegate_csv_rows_dropped",
            "Rows that are missing in the CSV file: the disk was too slow or refused them.",
            one(rows_dropped),
        )?;
        series.counter(
            "tidegate_traces_written",
            "Lines that are in the trace file.",
            one(traces_written),
        )?;
        series.counter(
            "tidegate_traces_dropped",
            "Lines that are missing in the trace file: the disk was too slow or refused them.",
            one(traces_dropped),
        )?;
        series.counter(
            "tidegate_records_dropped",
            "Requests that are missing in these figures: telemetry was too slow to take them.",
            one(records_dropped),
        )?;
        turns::encode(&self.snapshot.counters.turns, series)?;
        series.counter(
            "tidegate_log_lines_dropped",
            "Lines that are missing in the log: nobody read them as fast, or the standard error refused them.",
            one(logger::lines_dropped()),
        )?;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        series.gauge("tidegate_build_info", "Always 1; the label tells the version.", [(version, 1.0)])
    }

    fn process(&self, series: &mut Series<'_>) -> fmt::Result {
        let ProcessFigures { cpu_s, resident_bytes, open_fds, max_fds } = self.process;
        series.counter("process_cpu_seconds", "User and system time of all threads.", one(cpu_s))?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory.", resident_bytes),
            ("process_open_fds", "Open descriptors.", open_fds),
            ("process_max_fds", "How many descriptors may be open.", max_fds),
        ] {
            if let Some(value) = value {
                series.gauge(name, help, one(value))?;
            }
        }
        let started = self.facts.started.as_nanos() as f64 / 1e9;
        series.gauge("process_start_time_seconds", "When it started, since the epoch.", one(started))
    }
}

impl Collector for Families {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut series = Series(encoder);
        self.requests(&mut series)?;
        self.failures(&mut series)?;
        self.backends(&mut series)?;
        self.clients(&mut series)?;
        self.connections(&mut series)?;
        if let Some(state) = &self.snapshot.batching {
            batching::encode(state, &mut series)?;
        }
        self.own(&mut series)?;
        configuration::encode(&self.facts.configuration.get(), &mut series)?;
        self.process(&mut series)
    }
}

fn add_statuses<'a>(
    counts: &mut BTreeMap<(&'a str, String), u64>,
    server: &'a str,
    statuses: &BTreeMap<u16, u64>,
) {
    for (&status, count) in statuses {
        *counts.entry((server, code(status))).or_default() += count;
    }
}

/// A status that is well known by its number, any other by its class: a backend may send whatever it likes.
fn code(status: u16) -> String {
    let known = matches!(status, 201 | 202 | 204 | 206 | 301..=304 | 307 | 308 | 401 | 410 | 416 | 499);
    if known || phrase(status) != "Error" { status.to_string() } else { format!("{}xx", status / 100) }
}

fn distribution(times: &Histogram) -> Distribution {
    let mut below = 0;
    let mut buckets: Vec<_> = SECONDS
        .into_iter()
        .map(|bound| {
            let at_most = times.count_at_most((bound * 1e9).round() as u64);
            let own = at_most.saturating_sub(below);
            below = at_most.max(below);
            (bound, own)
        })
        .collect();
    buckets.push((f64::INFINITY, times.count().saturating_sub(below)));
    Distribution { sum: times.sum_ns() as f64 / 1e9, buckets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_knows_is_told_by_its_class() {
        assert_eq!(
            [200, 204, 404, 499, 503, 299, 418, 599, 999].map(code),
            ["200", "204", "404", "499", "503", "2xx", "4xx", "5xx", "9xx"]
        );
        assert!((100..=999).map(code).collect::<std::collections::BTreeSet<_>>().len() < 60);
    }

    #[test]
    fn buckets_add_up_to_the_count_and_hold_what_they_say() {
        let mut times = Histogram::default();
        [500_000, 3_000_000, 40_000_000_000, 0].into_iter().for_each(|ns| times.record(ns));
        let Distribution { sum, buckets } = distribution(&times);
        let filled: Vec<_> = buckets.iter().copied().filter(|&(_, count)| count > 0).collect();
        assert_eq!(filled, [(0.0001, 1), (0.0005, 1), (0.005, 1), (f64::INFINITY, 1)]);
        assert!((sum - 40.0035).abs() < 1e-9);
    }
}
