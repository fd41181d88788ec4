//! What is known of the traffic, kept away from the reactor.
//!
//! Here: [`Telemetry`], which starts and stops two threads; [`Recorder`], the reactor's side, which never blocks,
//! never writes and in steady state never allocates; [`Snapshot`], what pages and metrics read. Not here: what a
//! record means (`record.rs`) and any page. The door starts it, the proxy records, admin reads. Floor 2.
//!
//! ```text
//! reactor ──batches──▶ `telemetry`: figures ──the same Vecs──▶ `csv`: file
//!    ▲                     │ Snapshot every 100 ms                │
//!    └──────emptied Vecs───┴──────────────────────────────────────┘
//! ```
//!
//! Every queue is bounded. A stalled disk costs rows, never figures; a stalled `telemetry` thread costs records,
//! never a request; both are counted. Traces, if they are asked for, go from the reactor straight to a thread of their
//! own, `trace`, and come back as emptied Vecs likewise.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::record::Record;

mod batching;
mod choices;
mod clock;
mod collector;
pub mod console;
mod counts;
mod csv;
mod figures;
pub mod histogram;
mod lane;
mod latencies;
pub mod line_queue;
pub mod logger;
mod pen;
pub mod process;
mod recorder;
mod roster;
mod snapshot;
pub mod standard;
mod tap;
mod trace;
mod trend;

pub use batching::{BatchingState, CUSTOMERS_TOLD};
pub use choices::Latest;
pub use clock::CivilClock;
pub use latencies::Latencies;
pub use recorder::{BATCH, Conduct, Counters, Gauge, Recorder};
pub use roster::{Kind, Roster, Seat, Standing};
pub use snapshot::{BackendSnapshot, Snapshot, Snapshots};
pub use tap::{Tap, tap};
pub use trend::{TREND_STEP, TrendPoint, TrendValue};

use collector::{Collector, CsvLane};
use counts::Counts;
use figures::Figures;
use lane::TraceLane;
use pen::{Target, write_down};
use roster::Block;
use snapshot::Published;
use trace::TraceSheet;

/// What to keep and where.
#[derive(Clone, Debug, Default)]
pub struct TelemetryOptions {
    /// Who there is at the start.
    pub roster: Roster,
    /// The CSV file, created or appended to; none writes no rows.
    pub csv: Option<PathBuf>,
    /// The trace file, created or appended to; none writes no traces.
    pub trace: Option<PathBuf>,
}

/// A file that telemetry writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Rows.
    Csv,
    /// Traces.
    Trace,
}

impl Output {
    /// What it is called in the middle of a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Output::Csv => "the CSV file",
            Output::Trace => "the trace file",
        }
    }

    /// The option that names it.
    pub const fn option(self) -> &'static str {
        match self {
            Output::Csv => "csv",
            Output::Trace => "trace",
        }
    }

    /// What a new file begins with.
    const fn header(self) -> &'static [u8] {
        match self {
            Output::Csv => csv::HEADER,
            Output::Trace => b"",
        }
    }
}

/// Why telemetry did not start.
#[derive(Debug)]
pub enum TelemetryError {
    /// A file cannot be opened or its header not be written.
    File {
        /// Which one.
        kind: Output,
        /// The path as configured.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The system gave no thread.
    Thread {
        /// Which one.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl std::fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { kind, path, source } => {
                write!(f, "cannot write {} {}: {source}", kind.name(), path.display())
            }
            Self::Thread { name, source } => write!(f, "cannot start the thread `{name}`: {source}"),
        }
    }
}

impl std::error::Error for TelemetryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Thread { source, .. } => Some(source),
        }
    }
}

/// What became of everything recorded, at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Rows in the CSV file that this run wrote.
    pub rows_written: u64,
    /// Rows that are missing there: the disk was too slow or refused them.
    pub rows_dropped: u64,
    /// Lines in the trace file that this run wrote.
    pub traces_written: u64,
    /// Lines that are missing there.
    pub traces_dropped: u64,
    /// Records that not even the figures have seen.
    pub records_dropped: u64,
}

/// How much may wait where. Tests make it small.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Batches between the reactor and the `telemetry` thread; as many emptied Vecs are made beforehand.
    batches: usize,
    /// Blocks of [`BATCH`] records that pile up in the recorder when that queue is full.
    recorder_blocks: usize,
    /// Batches between the `telemetry` and the `csv` thread.
    csv_batches: usize,
    /// Blocks of rows that pile up in the `telemetry` thread when that queue is full.
    csv_blocks: usize,
    /// Blocks of traces between the reactor and the `trace` thread.
    trace_blocks: usize,
}

const LIMITS: Limits =
    Limits { batches: 64, recorder_blocks: 64, csv_batches: 256, csv_blocks: 64, trace_blocks: 256 };

/// Emptied Vecs that wait for reuse; what an overload made beyond them is freed.
const SPARE_BLOCKS: usize = 128;

/// The threads that aggregate and write.
#[derive(Debug)]
pub struct Telemetry {
    published: Arc<Published>,
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
    trace: Option<JoinHandle<()>>,
    /// Its other ends are gone when the threads have ended that hold one.
    running: Receiver<()>,
}

impl Telemetry {
    /// Opens the files that are asked for, and starts the threads. Returns the reactor's side and the
    /// handle of everyone else.
    ///
    /// # Errors
    ///
    /// A file cannot be opened for writing, its header cannot be written, or there is no thread to be had.
    pub fn start(options: TelemetryOptions) -> Result<(Recorder, Telemetry), TelemetryError> {
        let open = |path: &Option<PathBuf>, kind| {
            let open = |path: &PathBuf| {
                let failed = |source| TelemetryError::File { kind, path: path.clone(), source };
                Target::open(path, kind).map_err(failed)
            };
            path.as_ref().map(open).transpose()
        };
        let (csv, trace) = (open(&options.csv, Output::Csv)?, open(&options.trace, Output::Trace)?);
        Self::start_with::<File>(options.roster, csv, trace, LIMITS)
    }

    /// As [`Telemetry::start`], with any writers in the files' places.
    fn start_with<W: io::Write + Send + 'static>(
        roster: Roster,
        csv: Option<Target<W>>,
        trace: Option<Target<W>>,
        limits: Limits,
    ) -> Result<(Recorder, Telemetry), TelemetryError> {
        let roster = Arc::new(roster);
        let counts = Arc::new(Counts::default());
        let (batches, incoming) = bounded(limits.batches);
        let (records_back, spare_records) = bounded(SPARE_BLOCKS.max(limits.batches));
        let (gauges_back, spare_gauges) = bounded(limits.batches + 1);
        for _ in 0..limits.batches {
            // A full pool is no error: it has what it needs.
            let _ = records_back.try_send(Vec::with_capacity(BATCH));
            let _ = gauges_back.try_send(Vec::with_capacity(roster.seats().len()));
        }
        let mut figures = Figures::new(&roster);
        let published = Arc::new(Published::new(figures.snapshot(&counts)));
        let mut reopen = Vec::new();
        let (runs, running) = bounded(0);
        let csv = match csv {
            None => None,
            Some(target) => {
                let sheet = csv::Sheet::new(target, Arc::clone(&roster), Arc::clone(&counts.rows));
                let asked = ask(&mut reopen);
                Some(start_csv(sheet, limits, records_back.clone(), asked, Arc::clone(&counts))?)
            }
        };
        let (trace, lane) = match trace {
            None => (None, None),
            Some(target) => {
                let (lane, end) =
                    TraceLane::new(limits.trace_blocks, Arc::clone(&roster), Arc::clone(&counts.traces));
                let sheet = TraceSheet::new(target, Arc::clone(&roster), Arc::clone(&counts.traces));
                let asked = ask(&mut reopen);
                let runs: Sender<()> = runs.clone();
                let thread = spawn("trace", move || {
                    write_down(sheet, &end.blocks, asked, &end.back);
                    drop(runs);
                })?;
                (Some(thread), Some(lane))
            }
        };
        let collector = Collector::new(
            incoming,
            gauges_back,
            records_back,
            figures,
            Arc::clone(&published),
            Arc::clone(&counts),
            csv,
        );
        let thread = spawn("telemetry", move || {
            collector.run();
            drop(runs);
        })?;
        let recorder = Recorder::new(
            batches,
            spare_records,
            spare_gauges,
            roster,
            limits.recorder_blocks,
            Arc::clone(&counts),
        );
        Ok((recorder.with_files(lane, reopen), Telemetry { published, counts, thread, trace, running }))
    }

    /// The latest figures, at most about 100 ms behind what was flushed. Costs a lock held for one pointer's copy
    /// and nothing on the reactor.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.latest()
    }

    /// A handle that reads snapshots on its own, for another thread; it outlives [`Telemetry::stop`].
    pub fn snapshots(&self) -> Snapshots {
        Snapshots(Arc::clone(&self.published))
    }

    /// Waits until everything recorded is written, flushed and the threads are gone, for `limit` at most: a file may take
    /// nothing for ever, such as a pipe that nobody reads. Returns what became of it.
    ///
    /// Drop the [`Recorder`] first: as long as it lives this waits for it.
    pub fn stop(self, limit: Duration) -> Summary {
        if self.running.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            log::warn!("a file takes no more lines: what was to be written is given up");
            return summary(&self.counts, false);
        }
        if self.thread.join().is_err() {
            log::error!("the thread `telemetry` panicked; figures and rows may be missing");
        }
        let failed = self.trace.is_some_and(|thread| thread.join().is_err());
        if failed {
            log::error!("the thread `trace` panicked; lines are missing in the trace file");
        }
        summary(&self.counts, true)
    }
}

/// What became of everything; if that is not `settled`, nothing more is written.
fn summary(counts: &Counts, settled: bool) -> Summary {
    Summary {
        rows_written: counts.rows.written.get(),
        rows_dropped: counts.rows.missing(settled),
        traces_written: counts.traces.written.get(),
        traces_dropped: counts.traces.missing(settled),
        records_dropped: counts.records_dropped.get(),
    }
}

fn start_csv<W: io::Write + Send + 'static>(
    sheet: csv::Sheet<W>,
    limits: Limits,
    records_back: Sender<Vec<Record>>,
    reopen: Receiver<()>,
    counts: Arc<Counts>,
) -> Result<CsvLane, TelemetryError> {
    let (rows, incoming): (_, Receiver<Block<Record>>) = bounded(limits.csv_batches);
    let back = records_back.clone();
    let thread = spawn("csv", move || write_down(sheet, &incoming, reopen, &back))?;
    Ok(CsvLane::new(rows, records_back, limits.csv_blocks, counts, thread))
}

/// A way to ask for a file to be opened again; a second asking before the first is heard is the same.
fn ask(all: &mut Vec<Sender<()>>) -> Receiver<()> {
    let (ask, asked) = bounded(1);
    all.push(ask);
    asked
}

fn spawn(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, TelemetryError> {
    Builder::new().name(name.into()).spawn(body).map_err(|source| TelemetryError::Thread { name, source })
}

/// Gives an emptied Vec back for reuse; one without a block (a batch of gauges only) or too many are freed.
fn give_back<T>(pool: &Sender<Vec<T>>, mut records: Vec<T>) {
    if records.capacity() > 0 {
        records.clear();
        let _ = pool.try_send(records);
    }
}

#[cfg(test)]
mod tests;
