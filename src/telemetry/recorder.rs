//! The reactor's side of telemetry.
//!
//! Here: [`Recorder`], which gathers records into blocks and hands them over; [`Gauge`] and [`Counters`], what goes
//! with them. Not here: anything that waits, writes or computes. The proxy pushes and flushes. Floor 2.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::batching::BatchingState;
use super::counts::Counts;
use super::lane::TraceLane;
use super::roster::Roster;
use crate::balance::{Availability, RoutingMode};
use crate::h1::violation::ViolationCounts;
use crate::reactor::TurnTimes;
use crate::record::Record;
use crate::record::trace::Trace;

/// Records in a full batch.
pub const BATCH: usize = 1024;

/// A backend's state at the time of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauge {
    /// Exchanges that it has not finished.
    pub in_flight: u32,
    /// The estimate, in nanoseconds, by which the routing mode in force compares it; none if unmeasured or if the
    /// mode compares nothing.
    pub score_ns: Option<f64>,
    /// Mean of the last latencies in nanoseconds; none if unmeasured.
    pub sma_ns: Option<f64>,
    /// Exponentially weighted mean latency in nanoseconds; none if unmeasured.
    pub ewma_ns: Option<f64>,
    /// Whether it may be chosen.
    pub availability: Availability,
    /// How often it was ejected.
    pub ejected: u64,
    /// Connections to it that rest in the pool.
    pub idle: u32,
    /// Attempts it answered since the start, retries included.
    pub answered: u64,
    /// Attempts that failed on its side since the start, retries included.
    pub failed: u64,
}

/// What the proxy counts as a whole. All but what is `open` only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Client connections accepted.
    pub clients_accepted: u64,
    /// Client connections closed at once, because their host had too many.
    pub clients_refused: u64,
    /// Client connections closed to make room: idle, heard out or slow ones.
    pub clients_evicted: u64,
    /// Requests answered with 508 because they had been here before.
    pub loops_cut: u64,
    /// Idle upstream connections closed to make room.
    pub connections_evicted: u64,
    /// Client connections open now.
    pub clients_open: u64,
    /// Upstream connections opened.
    pub connections_opened: u64,
    /// Upstream connections closed, by either side.
    pub connections_closed: u64,
    /// Upstream connections open now, idle ones included.
    pub connections_open: u64,
    /// Requests sent on an upstream connection that had served one before.
    pub connections_reused: u64,
    /// Reused upstream connections that turned out closed before any byte of an answer.
    pub connections_stale: u64,
    /// Upstream connections closed because they brought bytes that no request had asked for.
    pub connections_unasked: u64,
    /// Requests sent again after a failed attempt.
    pub retries_stale: u64,
    /// Requests sent to another backend after a failed attempt.
    pub retries_elsewhere: u64,
    /// Checks of servers that were not passed.
    pub checks_failed: u64,
    /// Requests that failed because the budget for that was used up.
    pub retries_denied: u64,
    /// Further copies of requests whose answers were late.
    pub hedges: u64,
    /// Of those, the ones that were answered first.
    pub hedges_won: u64,
    /// Copies that were sent only to learn how a backend does.
    pub shadows: u64,
    /// Requests cancelled because the client left: those that had gone to a backend.
    pub cancelled_forwarded: u64,
    /// The same of those that were to be batched.
    pub cancelled_batched: u64,
    /// Answers of servers that were malformed, by the rule that they break.
    pub malformed_answers: ViolationCounts,
    /// Tunnels begun.
    pub tunnels_opened: u64,
    /// Tunnels open now.
    pub tunnels_open: u64,
    /// How long the turns of the event loop took.
    pub turns: TurnTimes,
}

/// How the proxy goes about its work at the time of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// How backends are chosen.
    pub routing: RoutingMode,
    /// The connection mode's name.
    pub connections: &'static str,
    /// It was told to stop, and finishes what is in flight.
    pub draining: bool,
}

/// What one flush hands over; more than one if records have piled up.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    /// Who is meant by the ids in them.
    pub(super) roster: Arc<Roster>,
    /// In order of `BackendId`; empty if nothing is to be said of them.
    pub(super) gauges: Vec<Gauge>,
    pub(super) counters: Counters,
    pub(super) conduct: Conduct,
    pub(super) batching: Option<Box<BatchingState>>,
}

/// Takes records from the reactor. One per reactor; dropping it ends telemetry.
pub struct Recorder {
    current: Vec<Record>,
    /// Blocks that were full before the queue had room, oldest first.
    full: VecDeque<Vec<Record>>,
    /// How many blocks may wait here, `current` included.
    blocks: usize,
    batches: Sender<Batch>,
    spare_records: Receiver<Vec<Record>>,
    spare_gauges: Receiver<Vec<Gauge>>,
    roster: Arc<Roster>,
    counters: Counters,
    conduct: Conduct,
    batching: Option<Box<BatchingState>>,
    counts: Arc<Counts>,
    pool_misses: u64,
    trace: Option<TraceLane>,
    /// One for each file.
    reopen: Vec<Sender<()>>,
}

impl Recorder {
    pub(super) fn new(
        batches: Sender<Batch>,
        spare_records: Receiver<Vec<Record>>,
        spare_gauges: Receiver<Vec<Gauge>>,
        roster: Arc<Roster>,
        blocks: usize,
        counts: Arc<Counts>,
    ) -> Recorder {
        Recorder {
            current: Vec::with_capacity(BATCH),
            full: VecDeque::with_capacity(blocks),
            blocks,
            batches,
            spare_records,
            spare_gauges,
            roster,
            counters: Counters::default(),
            conduct: Conduct::default(),
            batching: None,
            counts,
            pool_misses: 0,
            trace: None,
            reopen: Vec::new(),
        }
    }

    /// With the way to the trace file, and the ways to ask for files to be opened again.
    pub(super) fn with_files(mut self, trace: Option<TraceLane>, reopen: Vec<Sender<()>>) -> Recorder {
        (self.trace, self.reopen) = (trace, reopen);
        self
    }

    /// Keeps a record for the next flush. If 65,536 of them wait already, telemetry is far behind: this one is
    /// dropped and counted.
    pub fn push(&mut self, record: Record) {
        if self.current.len() >= BATCH {
            if self.full.len() + 1 >= self.blocks {
                self.counts.records_dropped.add(1);
                return;
            }
            let block = self.take_current();
            self.full.push_back(block);
        }
        self.current.push(record);
    }

    /// How the proxy goes about its work, for the flushes from now on.
    pub fn note_conduct(&mut self, conduct: Conduct) {
        self.conduct = conduct;
    }

    /// Who is meant by ids from now on, and by those in what waits: an id must not get a new owner unless all that refers
    /// to the old one is [handed over](Recorder::is_settled).
    pub fn set_roster(&mut self, roster: Roster) {
        self.roster = Arc::new(roster);
        if let Some(lane) = &mut self.trace {
            lane.set_roster(Arc::clone(&self.roster));
        }
    }

    /// Whether neither a record nor a trace waits to be handed over.
    pub fn is_settled(&self) -> bool {
        !self.pending() && self.trace.as_ref().is_none_or(TraceLane::is_empty)
    }

    /// Keeps an exchange's trace for the next flush, if traces are written. What has no room is dropped and counted.
    pub fn push_trace(&mut self, record: Record, trace: &Trace) {
        if let Some(lane) = &mut self.trace {
            lane.push(record, trace);
        }
    }

    /// Asks for every file to be opened again under its name, as after it was renamed. It happens soon, on the threads
    /// that write them.
    pub fn reopen(&self) {
        for ask in &self.reopen {
            // One that is full has been asked already.
            let _ = ask.try_send(());
        }
    }

    /// The state of batching, for the next flush.
    pub fn note_batching(&mut self, state: BatchingState) {
        self.batching = Some(Box::new(state));
    }

    /// Whether records wait for a flush.
    pub fn pending(&self) -> bool {
        !self.current.is_empty() || !self.full.is_empty()
    }

    /// Whether a whole batch of [`BATCH`] records waits, so that a flush should not.
    pub fn is_full(&self) -> bool {
        self.current.len() >= BATCH || !self.full.is_empty()
    }

    /// Hands over what waits, with the state of the backends in order of `BackendId` and of the proxy; without
    /// records the state alone. If the queue is full nothing is taken, not even from `gauges`: records wait for the
    /// next flush.
    ///
    /// It may cost a wake-up of the other thread, so a flush per full batch and per few milliseconds is cheaper
    /// than one per turn.
    pub fn flush(&mut self, gauges: impl Iterator<Item = Gauge>, counters: Counters) {
        self.counters = counters;
        if let Some(lane) = &mut self.trace {
            lane.send();
        }
        if self.batches.is_full() {
            return;
        }
        let mut state = self.spare_gauges.try_recv().unwrap_or_else(|_| {
            self.pool_misses += 1;
            Vec::with_capacity(self.roster.seats().len())
        });
        state.extend(gauges);
        loop {
            let records = self.take_oldest();
            let (gauges, batching) = (mem::take(&mut state), self.batching.take());
            let (roster, conduct) = (Arc::clone(&self.roster), self.conduct);
            let batch = Batch { records, roster, gauges, counters, conduct, batching };
            // Nobody else sends, so the room seen before is still there: an error means that the thread is gone.
            if let Err(refused) = self.batches.try_send(batch) {
                self.counts.records_dropped.add(refused.into_inner().records.len());
            }
            if !self.pending() || self.batches.is_full() {
                return;
            }
        }
    }

    /// How many Vecs were made because none had come back; 0 while telemetry keeps up.
    pub const fn pool_misses(&self) -> u64 {
        self.pool_misses
    }

    fn take_oldest(&mut self) -> Vec<Record> {
        match self.full.pop_front() {
            Some(block) => block,
            None if self.current.is_empty() => Vec::new(),
            None => self.take_current(),
        }
    }

    fn take_current(&mut self) -> Vec<Record> {
        let fresh = self.spare_records.try_recv().unwrap_or_else(|_| {
            self.pool_misses += 1;
            Vec::with_capacity(BATCH)
        });
        mem::replace(&mut self.current, fresh)
    }
}

impl Drop for Recorder {
    /// Hands over the rest. Here alone it may wait: the loop has ended, and the other side waits for no disk
    /// before it has taken everything.
    fn drop(&mut self) {
        while self.pending() {
            let (records, counters, batching) = (self.take_oldest(), self.counters, self.batching.take());
            let (roster, gauges, conduct) = (Arc::clone(&self.roster), Vec::new(), self.conduct);
            let batch = Batch { records, roster, gauges, counters, conduct, batching };
            if let Err(refused) = self.batches.send(batch) {
                self.counts.records_dropped.add(refused.into_inner().records.len());
            }
        }
    }
}
