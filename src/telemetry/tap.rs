//! Records without threads, for virtual time.
//!
//! Here: a recorder whose records are taken out by hand. `world/` uses it. Floor 2.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::batching::BatchingState;
use super::counts::Counts;
use super::give_back;
use super::lane::{LaneEnd, TraceLane};
use super::recorder::{BATCH, Batch, Counters, Gauge, Recorder};
use super::roster::Roster;
use crate::record::Record;

/// The other end of a recorder.
pub struct Tap {
    batches: Receiver<Batch>,
    batching: Option<BatchingState>,
    counters: Counters,
    records_back: Sender<Vec<Record>>,
    gauges_back: Sender<Vec<Gauge>>,
    lane: LaneEnd,
    traces: u64,
    counts: Arc<Counts>,
}

/// How many batches may wait to be taken.
const WAITING: usize = 4;

/// A recorder for these servers, and the place where its records come out.
pub fn tap(roster: Roster) -> (Recorder, Tap) {
    let (sender, batches) = bounded(WAITING);
    let (records_back, spare_records) = bounded(WAITING + 1);
    let (gauges_back, spare_gauges) = bounded(WAITING + 1);
    for _ in 0..=WAITING {
        // The channels have room for exactly these.
        let _ = records_back.send(Vec::with_capacity(BATCH));
        let _ = gauges_back.send(Vec::with_capacity(roster.seats().len()));
    }
    let (traces, lane) = TraceLane::new(WAITING, Arc::default(), Arc::default());
    let (roster, counts) = (Arc::new(roster), Arc::new(Counts::default()));
    let recorder = Recorder::new(sender, spare_records, spare_gauges, roster, WAITING, Arc::clone(&counts));
    let recorder = recorder.with_files(Some(traces), Vec::new());
    let counters = Counters::default();
    (recorder, Tap { batches, batching: None, counters, records_back, gauges_back, lane, traces: 0, counts })
}

impl Tap {
    /// The state of batching as of the flush that was taken last.
    pub fn batching(self) -> Option<BatchingState> {
        self.batching
    }

    /// The proxy's counters as of the flush that was taken last.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many records were dropped because nobody took them.
    pub fn lost(&self) -> u64 {
        self.counts.records_dropped.get()
    }

    /// How many traces have come out with the records.
    pub const fn traces(&self) -> u64 {
        self.traces
    }

    /// Calls `each` with every record that was flushed since the last call.
    pub fn take(&mut self, mut each: impl FnMut(Record)) {
        while let Ok(mut batch) = self.batches.try_recv() {
            batch.records.drain(..).for_each(&mut each);
            batch.gauges.clear();
            self.counters = batch.counters;
            if let Some(state) = batch.batching.take() {
                self.batching = Some(*state);
            }
            // One that does not fit is one too many.
            let _ = self.records_back.try_send(batch.records);
            let _ = self.gauges_back.try_send(batch.gauges);
        }
        for block in self.lane.blocks.try_iter() {
            self.traces += block.items.len() as u64;
            give_back(&self.lane.back, block.items);
        }
    }
}
