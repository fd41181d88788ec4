//! The sums behind a snapshot.
//!
//! Here: [`Figures`], which records are added to. Not here: threads and channels (`collector.rs`). The `telemetry`
//! thread owns it. Floor 2.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::batching::BatchingState;
use super::choices::Choices;
use super::counts::Counts;
use super::latencies::Latencies;
use super::recorder::{Conduct, Counters, Gauge};
use super::roster::{Kind, Roster, Seat, Standing};
use super::snapshot::{BackendSnapshot, Snapshot};
use super::trend::Trend;
use crate::balance::BackendId;
use crate::record::Record;

/// How many of the last records a snapshot holds.
const RECENT: usize = 1_000;

#[derive(Debug)]
struct Backend {
    seat: Seat,
    requests: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    gauge: Gauge,
    latencies: Latencies,
}

/// Everything that is counted, since the start.
#[derive(Debug)]
pub(super) struct Figures {
    requests: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    /// Of requests that no server was chosen for.
    unsent: BTreeMap<u16, u64>,
    roster: Arc<Roster>,
    /// By `BackendId`.
    backends: Vec<Backend>,
    counters: Counters,
    conduct: Conduct,
    batching: Option<Arc<BatchingState>>,
    recent: VecDeque<Record>,
    choices: Choices,
    connects: Latencies,
    trend: Trend,
}

impl Figures {
    pub(super) fn new(roster: &Arc<Roster>) -> Figures {
        let servers = roster.seats().len();
        Figures {
            requests: 0,
            failed: 0,
            statuses: BTreeMap::new(),
            unsent: BTreeMap::new(),
            roster: Arc::clone(roster),
            backends: roster.seats().iter().map(Backend::new).collect(),
            counters: Counters::default(),
            conduct: Conduct::default(),
            batching: None,
            recent: VecDeque::with_capacity(RECENT),
            choices: Choices::new(servers),
            connects: Latencies::default(),
            trend: Trend::new(servers),
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
            self.connects.record(u64::from(record.connect_us) * 1_000);
        }
        match record.backend.map(|id| self.backends.get_mut(usize::from(id.0))) {
            Some(Some(backend)) => backend.add(record),
            Some(None) => {}
            None => *self.unsent.entry(record.status).or_default() += 1,
        }
    }

    /// Knows from now on who is there. What was kept of the former owner of an id is forgotten when there is another.
    pub(super) fn adopt(&mut self, roster: &Arc<Roster>) {
        if Arc::ptr_eq(&self.roster, roster) {
            return;
        }
        self.roster = Arc::clone(roster);
        self.choices.make_room(roster.seats().len());
        self.trend.make_room(roster.seats().len());
        for (seat, id) in roster.seats().iter().zip((0..=u16::MAX).map(BackendId)) {
            match self.backends.get_mut(usize::from(id.0)) {
                None => self.backends.push(Backend::new(seat)),
                Some(backend) if backend.seat.serial == seat.serial => backend.seat = seat.clone(),
                Some(backend) => {
                    *backend = Backend::new(seat);
                    self.recent.retain(|record| record.backend != Some(id));
                    self.choices.forget(id);
                    self.trend.forget(id);
                }
            }
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

    pub(super) fn snapshot(&mut self, counts: &Counts) -> Snapshot {
        Snapshot {
            requests: self.requests,
            failed: self.failed,
            statuses: self.statuses.clone(),
            rows_written: counts.rows.written.get(),
            rows_dropped: counts.rows.dropped.get(),
            traces_written: counts.traces.written.get(),
            traces_dropped: counts.traces.dropped.get(),
            records_dropped: counts.records_dropped.get(),
            unsent: self.unsent.clone(),
            backends: self.servers(),
            roster: Arc::clone(&self.roster),
            counters: self.counters,
            conduct: self.conduct,
            connects: self.connects.clone(),
            batching: self.batching.clone(),
            recent: self.recent.iter().copied().collect(),
            latest: self.choices.latest(&self.recent),
            trend: self.trend.points(),
        }
    }
}

impl Figures {
    /// Those that are there: backends and classifiers in order of configuration, then those that have left with something in
    /// flight.
    fn servers(&self) -> Vec<BackendSnapshot> {
        let place = |seat: &Seat| match (seat.standing, seat.kind) {
            (Standing::Member(place), Kind::Backend) => Some((0, place)),
            (Standing::Member(place), Kind::Classifier) => Some((1, place)),
            (Standing::Removed, _) => Some((2, 0)),
            (Standing::Gone, _) => None,
        };
        let all = self.backends.iter().zip((0..=u16::MAX).map(BackendId));
        let mut there: Vec<_> =
            all.filter_map(|(backend, id)| Some((place(&backend.seat)?, id, backend))).collect();
        there.sort_by_key(|&(place, id, _)| (place, id));
        there.into_iter().map(|(_, id, backend)| backend.snapshot(id)).collect()
    }
}

impl Backend {
    fn new(seat: &Seat) -> Backend {
        Backend {
            seat: seat.clone(),
            requests: 0,
            failed: 0,
            statuses: BTreeMap::new(),
            gauge: Gauge::default(),
            latencies: Latencies::default(),
        }
    }

    fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.failed += u64::from(record.failed);
        *self.statuses.entry(record.status).or_default() += 1;
        // Zero means that nothing was sent: there is no latency to speak of.
        if record.latency_ns > 0 {
            self.latencies.record(record.latency_ns);
        }
    }

    fn snapshot(&self, id: BackendId) -> BackendSnapshot {
        let Seat { url, name, label, kind, standing, .. } = self.seat.clone();
        BackendSnapshot {
            id,
            url,
            name,
            label,
            kind,
            removed: standing == Standing::Removed,
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
            latencies: self.latencies.clone(),
        }
    }
}
