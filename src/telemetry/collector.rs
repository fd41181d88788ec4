//! The `telemetry` thread.
//!
//! Here: [`Collector`], which adds batches to the figures, publishes them and passes the rows on; [`CsvLane`], the
//! way to the `csv` thread that never waits for it. Not here: the sums (`figures.rs`), the file (`csv.rs`).
//! `Telemetry::start` runs it. Floor 2.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::counts::{Counts, Lines, Pace, Total};
use super::figures::Figures;
use super::give_back;
use super::recorder::{BATCH, Batch, Gauge};
use super::roster::Block;
use super::snapshot::Published;
use crate::record::Record;

/// Least time between two snapshots, and between two tries of rows that wait.
const INTERVAL: Duration = Duration::from_millis(100);
/// Least time between two complaints.
pub(super) const COMPLAINT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Collector {
    batches: Receiver<Batch>,
    gauges_back: Sender<Vec<Gauge>>,
    records_back: Sender<Vec<Record>>,
    figures: Figures,
    published: Arc<Published>,
    counts: Arc<Counts>,
    csv: Option<CsvLane>,
    /// Whether batches arrived since the last snapshot.
    changed: bool,
    /// What [`Counts`] said in the last snapshot; the `csv` thread goes on when no batch arrives.
    seen: [u64; 5],
    pace: Pace,
    /// Whether nothing is left to publish or to pass on before the next batch.
    resting: bool,
}

impl Collector {
    pub(super) fn new(
        batches: Receiver<Batch>,
        gauges_back: Sender<Vec<Gauge>>,
        records_back: Sender<Vec<Record>>,
        figures: Figures,
        published: Arc<Published>,
        counts: Arc<Counts>,
        csv: Option<CsvLane>,
    ) -> Collector {
        Collector {
            batches,
            gauges_back,
            records_back,
            figures,
            published,
            counts,
            csv,
            changed: false,
            seen: [0; 5],
            pace: Pace::new(INTERVAL),
            resting: true,
        }
    }

    /// Runs until the recorder is gone and everything it sent is counted and written.
    pub(super) fn run(mut self) {
        loop {
            let limit = if self.resting { Duration::MAX } else { INTERVAL };
            match self.batches.recv_timeout(limit) {
                Ok(batch) => self.take(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(csv) = &mut self.csv {
                csv.send_waiting();
            }
            self.publish_if_due();
        }
        if let Some(csv) = self.csv.take() {
            csv.finish();
        }
        self.publish();
    }

    fn take(&mut self, batch: Batch) {
        let Batch { records, roster, mut gauges, counters, conduct, batching } = batch;
        self.changed = true;
        self.figures.adopt(&roster);
        self.figures.observe(&gauges, counters, conduct, batching);
        if gauges.capacity() > 0 {
            gauges.clear();
            // A full pool has enough; this one is freed.
            let _ = self.gauges_back.try_send(gauges);
        }
        for record in &records {
            self.figures.add(record);
        }
        match &mut self.csv {
            Some(csv) if !records.is_empty() => csv.offer(Block { items: records, roster }),
            _ => give_back(&self.records_back, records),
        }
    }

    fn publish_if_due(&mut self) {
        self.resting = false;
        if !self.pace.open() {
            return;
        }
        if self.changed || self.seen != self.totals() {
            self.publish();
            self.pace.close();
        } else {
            self.resting = self.csv.as_ref().is_none_or(CsvLane::is_settled);
        }
    }

    fn publish(&mut self) {
        self.changed = false;
        self.seen = self.totals();
        self.published.publish(self.figures.snapshot(&self.counts));
    }

    fn totals(&self) -> [u64; 5] {
        let Counts { rows, traces, records_dropped } = &*self.counts;
        [&rows.written, &rows.dropped, &traces.written, &traces.dropped, records_dropped].map(Total::get)
    }
}

/// The way to the `csv` thread.
#[derive(Debug)]
pub(super) struct CsvLane {
    rows: Sender<Block<Record>>,
    /// What the queue had no room for, oldest first. Merged into whole blocks: the queue is bounded in batches,
    /// and if each held one record, a disk that pauses for milliseconds would already cost rows.
    waiting: VecDeque<Block<Record>>,
    blocks: usize,
    back: Sender<Vec<Record>>,
    counts: Arc<Counts>,
    complaint: Pace,
    thread: JoinHandle<()>,
}

impl CsvLane {
    pub(super) fn new(
        rows: Sender<Block<Record>>,
        back: Sender<Vec<Record>>,
        blocks: usize,
        counts: Arc<Counts>,
        thread: JoinHandle<()>,
    ) -> CsvLane {
        let waiting = VecDeque::with_capacity(blocks);
        CsvLane { rows, waiting, blocks, back, counts, complaint: Pace::new(COMPLAINT), thread }
    }

    /// Passes records on, keeps them for later, or drops and counts them; never waits.
    fn offer(&mut self, records: Block<Record>) {
        self.counts.rows.offered.add(records.items.len());
        self.send_waiting();
        if !self.waiting.is_empty() {
            return self.keep(records);
        }
        if let Err(refused) = self.rows.try_send(records) {
            self.refused(refused);
        }
    }

    /// Whether it is known of every row what became of it.
    fn is_settled(&self) -> bool {
        let Lines { offered, written, dropped } = &*self.counts.rows;
        offered.get() == written.get() + dropped.get()
    }

    fn send_waiting(&mut self) {
        while !self.rows.is_full()
            && let Some(block) = self.waiting.pop_front()
        {
            if let Err(refused) = self.rows.try_send(block) {
                self.refused(refused);
            }
        }
    }

    fn refused(&mut self, refused: TrySendError<Block<Record>>) {
        match refused {
            TrySendError::Full(records) => self.keep(records),
            TrySendError::Disconnected(records) => self.drop_rows(records),
        }
    }

    fn keep(&mut self, records: Block<Record>) {
        let blocks = self.waiting.len();
        match self.waiting.back_mut() {
            Some(last)
                if last.items.len() + records.items.len() <= BATCH
                    && Arc::ptr_eq(&last.roster, &records.roster) =>
            {
                last.items.extend_from_slice(&records.items);
                give_back(&self.back, records.items);
            }
            _ if blocks < self.blocks => self.waiting.push_back(records),
            _ => self.drop_rows(records),
        }
    }

    fn drop_rows(&mut self, records: Block<Record>) {
        self.counts.rows.dropped.add(records.items.len());
        give_back(&self.back, records.items);
        if self.complaint.pass() {
            log::warn!(
                "the CSV file cannot be written as fast as requests finish: {} rows dropped so far",
                self.counts.rows.dropped.get()
            );
        }
    }

    /// Waits until everything is in the file. Only at the end, when nothing else is left to do.
    fn finish(mut self) {
        while let Some(block) = self.waiting.pop_front() {
            if let Err(refused) = self.rows.send(block) {
                self.drop_rows(refused.into_inner());
            }
        }
        drop(self.rows);
        if self.thread.join().is_err() {
            log::error!("the thread `csv` panicked; rows are missing in the file");
        }
    }
}
