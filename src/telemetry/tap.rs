//! Records without threads, for virtual time.
//!
//! Here: a recorder whose records are taken out by hand. `world/` uses it. Floor 2.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::batching::BatchingState;
use super::counts::Counts;
use super::recorder::{BATCH, Batch, Counters, Gauge, Recorder};
use crate::record::Record;

/// The other end of a recorder.
pub struct Tap {
    batches: Receiver<Batch>,
    batching: Option<BatchingState>,
    counters: Counters,
    records_back: Sender<Vec<Record>>,
    gauges_back: Sender<Vec<Gauge>>,
}

/// How many batches may wait to be taken.
const WAITING: usize = 4;

/// A recorder for so many backends, and the place where its records come out.
pub fn tap(backends: usize) -> (Recorder, Tap) {
    let (sender, batches) = bounded(WAITING);
    let (records_back, spare_records) = bounded(WAITING + 1);
    let (gauges_back, spare_gauges) = bounded(WAITING + 1);
    for _ in 0..=WAITING {
        // The channels have room for exactly these.
        let _ = records_back.send(Vec::with_capacity(BATCH));
        let _ = gauges_back.send(Vec::with_capacity(backends));
    }
    let recorder =
        Recorder::new(sender, spare_records, spare_gauges, backends, WAITING, Arc::new(Counts::default()));
    (recorder, Tap { batches, batching: None, counters: Counters::default(), records_back, gauges_back })
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
    }
}
