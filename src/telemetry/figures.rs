//! The sums behind a snapshot.
//!
//! Here: [`Figures`], which records are added to. Not here: threads and channels (`collector.rs`). The `telemetry`
//! thread owns it. Floor 2.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::batching::BatchingState;
use super::choices::Choices;
use super::counts::Counts;
use super::histogram::Histogram;
use super::recorder::{Conduct, Counters, Gauge};
use super::snapshot::{BackendSnapshot, LatencySummary, Snapshot};
use super::trend::Trend;
use crate::record::Record;

/// How many of the last records a snapshot holds.
const RECENT: usize = 1_000;

#[derive(Debug)]
struct Backend {
    url: Arc<str>,
    requests: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    gauge: Gauge,
    /// Shared with the last snapshot, copied at the first record after it.
    histogram: Arc<Histogram>,
    summary: LatencySummary,
    summary_is_old: bool,
}

/// Everything that is counted, since the start.
#[derive(Debug)]
pub(super) struct Figures {
    requests: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    backends: Vec<Backend>,
    counters: Counters,
    conduct: Conduct,
    batching: Option<Arc<BatchingState>>,
    recent: VecDeque<Record>,
    choices: Choices,
    /// Shared with the last snapshot, copied at the first connection after it.
    connects: Arc<Histogram>,
    trend: Trend,
}

impl Figures {
    pub(super) fn new(urls: &[Arc<str>]) -> Figures {
        let backends = urls.iter().map(|url| Backend {
            url: Arc::clone(url),
            requests: 0,
            failed: 0,
            statuses: BTreeMap::new(),
            gauge: Gauge::default(),
            histogram: Arc::default(),
            summary: LatencySummary::default(),
            summary_is_old: false,
        });
        Figures {
            requests: 0,
            failed: 0,
            statuses: BTreeMap::new(),
            backends: backends.collect(),
            counters: Counters::default(),
            conduct: Conduct::default(),
            batching: None,
            recent: VecDeque::with_capacity(RECENT),
            choices: Choices::new(urls.len()),
            connects: Arc::default(),
            trend: Trend::new(urls.len()),
        }
    }

    pub(super) fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.failed += u64::from(record.failed);
        *self.statuses.entry(record.status).or_default() += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(*record);
        self.choices.add(record);
        self.trend.add(record);
        if record.connect_us > 0 {
            Arc::make_mut(&mut self.connects).record(u64::from(record.connect_us) * 1_000);
        }
        if let Some(backend) = record.backend.and_then(|id| self.backends.get_mut(usize::from(id.0))) {
            backend.add(record);
        }
    }

    /// Takes over the state at a flush. What is missing stays as it was.
    pub(super) fn observe(
        &mut self,
        gauges: &[Gauge],
        counters: Counters,
        conduct: Conduct,
        batching: Option<Box<BatchingState>>,
    ) {
        self.counters = counters;
        self.conduct = conduct;
        if let Some(state) = batching {
            self.batching = Some(Arc::from(state));
        }
        for (backend, gauge) in self.backends.iter_mut().zip(gauges) {
            backend.gauge = *gauge;
        }
    }

    /// Recomputes the summaries of the backends that had requests since the last call.
    pub(super) fn renew(&mut self) {
        for backend in self.backends.iter_mut().filter(|backend| backend.summary_is_old) {
            backend.summary = LatencySummary::from(&*backend.histogram);
            backend.summary_is_old = false;
        }
        self.choices.renew(&self.recent);
    }

    pub(super) fn snapshot(&self, counts: &Counts) -> Snapshot {
        Snapshot {
            requests: self.requests,
            failed: self.failed,
            statuses: self.statuses.clone(),
            rows_written: counts.rows.written.get(),
            rows_dropped: counts.rows.dropped.get(),
            traces_written: counts.traces.written.get(),
            traces_dropped: counts.traces.dropped.get(),
            records_dropped: counts.records_dropped.get(),
            backends: self.backends.iter().map(Backend::snapshot).collect(),
            counters: self.counters,
            conduct: self.conduct,
            connects: Arc::clone(&self.connects),
            batching: self.batching.clone(),
            recent: self.recent.iter().copied().collect(),
            latest: self.choices.latest(),
            trend: self.trend.points(),
        }
    }
}

impl Backend {
    fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.failed += u64::from(record.failed);
        *self.statuses.entry(record.status).or_default() += 1;
        // Zero means that nothing was sent: there is no latency to speak of.
        if record.latency_ns > 0 {
            Arc::make_mut(&mut self.histogram).record(record.latency_ns);
            self.summary_is_old = true;
        }
    }

    fn snapshot(&self) -> BackendSnapshot {
        BackendSnapshot {
            url: Arc::clone(&self.url),
            requests: self.requests,
            failed: self.failed,
            statuses: self.statuses.clone(),
            in_flight: self.gauge.in_flight,
            score_ns: self.gauge.score_ns,
            sma_ns: self.gauge.sma_ns,
            ewma_ns: self.gauge.ewma_ns,
            availability: self.gauge.availability,
            ejected: self.gauge.ejected,
            idle: self.gauge.idle,
            attempts_answered: self.gauge.answered,
            attempts_failed: self.gauge.failed,
            latency: self.summary,
            histogram: Arc::clone(&self.histogram),
        }
    }
}
