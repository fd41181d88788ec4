//! What others may know of the traffic.
//!
//! Here: [`Snapshot`], plain and immutable; [`Snapshots`], how any thread gets the latest. Not here: how figures
//! come about (`figures.rs`) and any rendering. Pages, metrics and the lab read it. Floor 2.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::batching::BatchingState;
use super::choices::Latest;
use super::latencies::Latencies;
use super::recorder::{Conduct, Counters};
use super::roster::{Kind, Roster};
use super::trend::TrendPoint;
use crate::balance::{Availability, BackendId};
use crate::record::Record;

/// The figures at one moment, since the start.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Finished requests, with or without a backend.
    pub requests: u64,
    /// Those that failed on a backend's side.
    pub failed: u64,
    /// Requests by the status that the client got.
    pub statuses: BTreeMap<u16, u64>,
    /// Rows that are in the CSV file.
    pub rows_written: u64,
    /// Rows that are not, because the disk was too slow or refused them.
    pub rows_dropped: u64,
    /// Lines that are in the trace file.
    pub traces_written: u64,
    /// Lines that are not, because the disk was too slow or refused them.
    pub traces_dropped: u64,
    /// Records that telemetry was too slow to take; they are in no figure.
    pub records_dropped: u64,
    /// Requests that no server was chosen for, by the status that the client got.
    pub unsent: BTreeMap<u16, u64>,
    /// Backends and classifiers in order of configuration, then those that have left with something in flight.
    pub backends: Vec<BackendSnapshot>,
    /// Who is meant by the ids in records.
    pub roster: Arc<Roster>,
    /// What the proxy counts as a whole, as of the last flush.
    pub counters: Counters,
    /// How the proxy goes about its work, as of the last flush.
    pub conduct: Conduct,
    /// How long new connections to backends took.
    pub connects: Latencies,
    /// The batching queue as of the last flush; none without a classifier.
    pub batching: Option<Arc<BatchingState>>,
    /// The last 1,000 records, oldest first.
    pub recent: Vec<Record>,
    /// The last 200 of them with what their choice was made on, oldest first.
    pub latest: Arc<[Latest]>,
    /// Latencies over the last minutes, oldest first.
    pub trend: Vec<Arc<TrendPoint>>,
}

impl Snapshot {
    /// What a server is called where space is short, also one that is gone.
    pub fn label(&self, id: BackendId) -> &str {
        self.roster.seats().get(usize::from(id.0)).map_or("-", |seat| &seat.label)
    }
}

/// One backend's figures.
#[derive(Clone, Debug)]
pub struct BackendSnapshot {
    /// Its id in records.
    pub id: BackendId,
    /// What commands and metrics call it: host and port.
    pub name: Arc<str>,
    /// Its name where space is short: the port, if no other has it.
    pub label: Arc<str>,
    /// What it is for.
    pub kind: Kind,
    /// Whether it is no longer configured.
    pub removed: bool,
    /// As configured.
    pub url: Arc<str>,
    /// Finished requests that tried it last.
    pub requests: u64,
    /// Those that failed on its side.
    pub failed: u64,
    /// Those requests by the status that the client got.
    pub statuses: BTreeMap<u16, u64>,
    /// Exchanges it had not finished at the last flush.
    pub in_flight: u32,
    /// The estimate in nanoseconds at the last flush; none if unmeasured or not used by the routing mode.
    pub score_ns: Option<f64>,
    /// Mean of the last latencies in nanoseconds at the last flush; none if unmeasured.
    pub sma_ns: Option<f64>,
    /// Exponentially weighted mean latency in nanoseconds at the last flush; none if unmeasured.
    pub ewma_ns: Option<f64>,
    /// Whether it could be chosen at the last flush.
    pub availability: Availability,
    /// How often it was ejected.
    pub ejected: u64,
    /// Connections to it that rested in the pool at the last flush.
    pub idle: u32,
    /// Attempts it answered, as of the last flush; with retries there are more attempts than requests.
    pub attempts_answered: u64,
    /// Attempts that failed on its side, as of the last flush.
    pub attempts_failed: u64,
    /// Latencies of all its requests that were sent, failed ones too.
    pub latencies: Latencies,
}

/// Where the latest snapshot lies.
#[derive(Debug)]
pub(super) struct Published {
    latest: Mutex<Arc<Snapshot>>,
    renewed: Condvar,
}

impl Published {
    pub(super) fn new(first: Snapshot) -> Published {
        Published { latest: Mutex::new(Arc::new(first)), renewed: Condvar::new() }
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        let old =
            std::mem::replace(&mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner), snapshot);
        self.renewed.notify_all();
        // Freed after the lock is open again.
        drop(old);
    }

    pub(super) fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the latest snapshot from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshots(pub(super) Arc<Published>);

impl Snapshots {
    /// The latest figures, at most about 100 ms behind what was flushed.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.0.latest()
    }

    /// Waits until `condition` holds of a snapshot, for at most `limit`. Returns the latest then; whether the
    /// condition holds of it is for the caller to see.
    pub fn wait_for(&self, limit: Duration, mut condition: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let (latest, _) = self
            .0
            .renewed
            .wait_timeout_while(latest, limit, |snapshot| !condition(snapshot))
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&latest)
    }
}
