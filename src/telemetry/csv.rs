//! The contract's CSV file.
//!
//! Here: [`Sheet`], which turns records into rows. Not here: timestamps (`clock.rs`), the file (`pen.rs`), who waits for
//! whom (`collector.rs`). Floor 2.

use std::io::Write;
use std::sync::Arc;

use ::csv::{Writer, WriterBuilder};
use jiff::tz::TimeZone;

use super::clock::CivilClock;
use super::counts::Lines;
use super::pen::{Pen, Scribe, Target};
use super::recorder::BATCH;
use super::roster::Roster;
use crate::record::Record;

/// The first line of a new file.
pub(super) const HEADER: &[u8] = b"timestamp,backend_url,latency_ms,status_code,routing_mode\n";
/// In place of a URL when there was no backend to choose.
const NO_BACKEND: &str = "-";
/// Most bytes of a row besides the URL: 26 timestamp, 14 latency, 5 status, 13 mode, 5 commas and line end.
const ROW_BYTES: usize = 64;

/// Turns records into rows and writes them in blocks of at most [`BATCH`].
pub(super) struct Sheet<W: Write> {
    rows: Writer<Pen<W>>,
    roster: Arc<Roster>,
    /// For URLs of up to so many bytes the buffer holds a block.
    longest: usize,
    clock: CivilClock,
    buffered: usize,
}

impl<W: Write> Sheet<W> {
    pub(super) fn new(target: Target<W>, roster: Arc<Roster>, lines: Arc<Lines>) -> Sheet<W> {
        Sheet::with(Pen::new(target, lines), roster, CivilClock::new(TimeZone::system()))
    }

    fn with(pen: Pen<W>, roster: Arc<Roster>, clock: CivilClock) -> Sheet<W> {
        let longest = roster.longest();
        // So large that a block fits with every URL quoted: the pen then gets whole rows, a block at a time.
        let capacity = BATCH * (ROW_BYTES + 2 * longest + 2);
        let rows = WriterBuilder::new().buffer_capacity(capacity).from_writer(pen);
        Sheet { rows, roster, longest, clock, buffered: 0 }
    }

    /// Writes what is gathered, and begins anew with the pen.
    fn renewed(mut self, renew: impl FnOnce(&mut Pen<W>)) -> Sheet<W> {
        self.flush();
        let Sheet { rows, roster, longest, clock, buffered } = self;
        match rows.into_inner() {
            Ok(mut pen) => {
                renew(&mut pen);
                Sheet::with(pen, roster, clock)
            }
            Err(e) => Sheet { rows: e.into_inner(), roster, longest, clock, buffered },
        }
    }
}

impl<W: Write> Scribe<Record> for Sheet<W> {
    fn write(&mut self, record: &Record) {
        let url = record.backend.and_then(|id| self.roster.url(id)).unwrap_or(NO_BACKEND);
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

    fn knowing(mut self, roster: &Arc<Roster>) -> Sheet<W> {
        if Arc::ptr_eq(&self.roster, roster) {
            return self;
        }
        self.roster = Arc::clone(roster);
        if roster.longest() > self.longest { self.renewed(|_| ()) } else { self }
    }

    fn reopened(self) -> Sheet<W> {
        self.renewed(Pen::reopen)
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

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
