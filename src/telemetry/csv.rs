//! The contract's CSV file.
//!
//! Here: opening the file, the `csv` thread, [`Sheet`] (records to rows), [`Pen`] (blocks of rows to a writer that
//! may refuse). Not here: timestamps (`clock.rs`), who waits for whom (`collector.rs`). Floor 2.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::csv::{Writer, WriterBuilder};
use crossbeam_channel::{Receiver, Sender};
use jiff::tz::TimeZone;
use memchr::{memchr, memchr_iter};

use super::clock::CivilClock;
use super::collector::COMPLAINT;
use super::counts::{Counts, Pace};
use super::give_back;
use super::recorder::BATCH;
use crate::record::Record;

/// The first line of a new file.
const HEADER: &[u8] = b"timestamp,backend_url,latency_ms,status_code,routing_mode\n";
/// In place of a URL when there was no backend to choose.
const NO_BACKEND: &str = "-";
/// Most bytes of a row besides the URL: 26 timestamp, 14 latency, 5 status, 13 mode, 5 commas and line end.
const ROW_BYTES: usize = 64;

/// Opens `path` to append rows: a new or empty file gets its header, one that a crash left in the middle of a row
/// a line end.
///
/// # Errors
///
/// What the kernel says on opening, or on writing those bytes.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    if file.metadata()?.len() == 0 {
        file.write_all(HEADER)?;
    } else if !ends_in_newline(path) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Says no for a file that cannot be read: an empty line harms no reader, two rows in one line do.
fn ends_in_newline(path: &Path) -> bool {
    let last_byte = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last_byte().is_ok_and(|byte| byte == b'\n')
}

/// The `csv` thread: writes until the queue is closed and empty. Rows wait in memory only while more of them are
/// queued, and never more than a block.
pub(super) fn run<W: Write>(mut sheet: Sheet<W>, rows: &Receiver<Vec<Record>>, back: &Sender<Vec<Record>>) {
    while let Ok(records) = rows.recv() {
        let queued = rows.try_iter().take(rows.len());
        for records in std::iter::once(records).chain(queued) {
            records.iter().for_each(|record| sheet.write(record));
            give_back(back, records);
        }
        sheet.flush();
    }
}

/// Turns records into rows and writes them in blocks of at most [`BATCH`].
pub(super) struct Sheet<W: Write> {
    rows: Writer<Pen<W>>,
    urls: Arc<[Arc<str>]>,
    clock: CivilClock,
    buffered: usize,
}

impl<W: Write> Sheet<W> {
    pub(super) fn new(out: W, urls: Arc<[Arc<str>]>, path: PathBuf, counts: Arc<Counts>) -> Sheet<W> {
        let longest = urls.iter().map(|url| url.len()).max().unwrap_or(0);
        let pen = Pen { out, torn: Vec::new(), counts, path, complaint: Pace::new(COMPLAINT) };
        // So large that a block fits with every URL quoted: the pen then gets whole rows, a block at a time.
        let capacity = BATCH * (ROW_BYTES + 2 * longest + 2);
        let rows = WriterBuilder::new().buffer_capacity(capacity).from_writer(pen);
        Sheet { rows, urls, clock: CivilClock::new(TimeZone::system()), buffered: 0 }
    }

    /// Adds a row; writes a block if it is full. Never fails: the pen counts what the writer refuses.
    fn write(&mut self, record: &Record) {
        let url = record.backend.and_then(|id| self.urls.get(usize::from(id.0)));
        let url = url.map_or(NO_BACKEND, |url| url);
        let millis = decimal(record.latency_ns.saturating_add(500_000) / 1_000_000);
        let status = decimal(u64::from(record.status));
        let fields = [
            self.clock.format(record.ended).as_slice(),
            url.as_bytes(),
            millis.as_bytes(),
            status.as_bytes(),
            record.mode.name().as_bytes(),
        ];
        // Five fields in every row and a pen that takes all: there is nothing to fail.
        let _ = self.rows.write_record(fields);
        self.buffered += 1;
        if self.buffered == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.buffered = 0;
        let _ = self.rows.flush();
    }
}

/// A number's digits without a heap.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

fn decimal(mut n: u64) -> Decimal {
    let mut decimal = Decimal { digits: [b'0'; 20], start: 20 };
    loop {
        decimal.start -= 1;
        decimal.digits[decimal.start] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return decimal;
        }
    }
}

/// Writes blocks of whole rows and knows which of them arrived. To the outside it takes everything: a row that the
/// writer refuses is counted and gone, and the next block is tried again.
struct Pen<W> {
    out: W,
    /// The rest of a row whose beginning is in the file: it must come next, or two rows become one line.
    torn: Vec<u8>,
    counts: Arc<Counts>,
    path: PathBuf,
    complaint: Pace,
}

impl<W: Write> Pen<W> {
    /// Writes `block` after what is torn. Returns how many of its bytes were taken, and why not all.
    fn put(&mut self, block: &[u8]) -> (usize, io::Result<()>) {
        let (mended, outcome) = write_most(&mut self.out, &self.torn);
        self.torn.drain(..mended);
        if outcome.is_err() {
            return (0, outcome);
        }
        if mended > 0 {
            self.counts.rows_written.add(1);
        }
        write_most(&mut self.out, block)
    }

    /// Counts the rows of `block`, of which `taken` bytes are in the file, and keeps the rest of a torn one.
    fn account(&mut self, block: &[u8], taken: usize) {
        let (inside, outside) = block.split_at(taken);
        self.counts.rows_written.add(memchr_iter(b'\n', inside).count());
        let mut lost = outside;
        if inside.last().is_some_and(|&byte| byte != b'\n') {
            let end = memchr(b'\n', outside).map_or(outside.len(), |newline| newline + 1);
            self.torn.extend_from_slice(&outside[..end]);
            lost = &outside[end..];
        }
        self.counts.rows_dropped.add(memchr_iter(b'\n', lost).count());
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complaint.pass() {
            log::warn!(
                "cannot write to the CSV file {}: {error}; {} rows dropped so far",
                self.path.display(),
                self.counts.rows_dropped.get()
            );
        }
    }
}

impl<W: Write> Write for Pen<W> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let (taken, outcome) = self.put(block);
        self.account(block, taken);
        if let Err(error) = outcome {
            self.complain(&error);
        }
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Without a block, so that a row torn by the last write of all is mended too.
        let (_, outcome) = self.put(&[]);
        if let Err(error) = outcome.and_then(|()| self.out.flush()) {
            self.complain(&error);
        }
        Ok(())
    }
}

impl<W> Drop for Pen<W> {
    fn drop(&mut self) {
        if !self.torn.is_empty() {
            self.counts.rows_dropped.add(1);
        }
    }
}

/// As `write_all`, but tells how far it came.
fn write_most(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match out.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => taken += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
