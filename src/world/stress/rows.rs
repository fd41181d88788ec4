//! Who takes the rows of a proxy under stress.
//!
//! Here: [`RowSink`], which takes them at once, with pauses, or not at all while the proxy runs, and judges that each exchange has
//! one or is counted as lost. Not here: writing them (`telemetry/collector.rs`). Floor 4.

use super::plan::Rows;
use crate::record::Mode;
use crate::telemetry::Tap;
use crate::time::Instant;

/// The other end of the proxy's recorder.
pub(super) struct RowSink {
    tap: Tap,
    rows: Rows,
    /// Those of exchanges, and of jobs of the batching queue.
    recorded: u64,
    digest: u64,
}

impl RowSink {
    pub(super) fn new(tap: Tap, rows: Rows) -> RowSink {
        RowSink { tap, rows, recorded: 0, digest: 0 }
    }

    /// Takes what has come, if this is the time for it.
    pub(super) fn take(&mut self, now: Instant) {
        let takes = match self.rows {
            Rows::Taken => true,
            Rows::Halting(every) => (now.as_nanos() / every.as_nanos() as u64).is_multiple_of(2),
            Rows::Blocked => false,
        };
        if takes {
            self.take_all();
        }
    }

    /// Takes all that has come.
    pub(super) fn take_all(&mut self) {
        let (recorded, digest) = (&mut self.recorded, &mut self.digest);
        self.tap.take(|record| {
            // A job that was never sent has a row too.
            let is_begun = record.backend.is_some() || matches!(record.mode, Mode::Strategy(_));
            *recorded += u64::from(is_begun);
            let word = record.latency_ns ^ u64::from(record.status) << 48 ^ record.ended.as_nanos();
            *digest = (*digest ^ word).wrapping_mul(0x0100_0000_01b3);
        });
    }

    /// Judges the end of a proxy that has begun so many exchanges. Returns how many rows were lost.
    ///
    /// # Errors
    /// If an exchange has no row and is not counted, or a row was lost though they were taken.
    pub(super) fn check(&mut self, begun: u64) -> Result<u64, String> {
        self.take_all();
        let (recorded, lost) = (self.recorded, self.tap.lost());
        match recorded + lost == begun && (lost == 0 || self.rows != Rows::Taken) {
            true => Ok(lost),
            false => Err(format!("{begun} exchanges begun, {recorded} recorded, {lost} lost")),
        }
    }

    /// Equal for equal rows.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }
}
