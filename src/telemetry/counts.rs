//! What the telemetry threads count together, and how often they may complain.
//!
//! Here: [`Counts`], the totals that several threads add to; [`Pace`]. Not here: figures of the traffic, which one
//! thread owns (`figures.rs`). Everyone in this room uses it. Floor 2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, after};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Total(AtomicU64);

impl Total {
    pub(super) fn add(&self, n: usize) {
        // Relaxed: a statistic; whoever needs the exact end joins the threads first.
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lines for a file by what became of them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// All that there were to be.
    pub(super) offered: Total,
    pub(super) written: Total,
    pub(super) dropped: Total,
}

impl Lines {
    /// How many are not in the file: those that are known to be dropped, or if nothing further will be written, all others too.
    pub(super) fn missing(&self, settled: bool) -> u64 {
        if settled { self.dropped.get() } else { self.offered.get().saturating_sub(self.written.get()) }
    }
}

/// Lines and records by what became of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Of the CSV file.
    pub(super) rows: Arc<Lines>,
    /// Of the trace.
    pub(super) traces: Arc<Lines>,
    pub(super) records_dropped: Total,
}

/// Lets something happen at most once in a while. The channel's timer stands in for a clock, which this room may
/// not read.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    closed: Option<Receiver<std::time::Instant>>,
}

impl Pace {
    pub(super) const fn new(every: Duration) -> Pace {
        Pace { every, closed: None }
    }

    /// Whether it may happen now.
    pub(super) fn open(&self) -> bool {
        self.closed.as_ref().is_none_or(|timer| !timer.is_empty())
    }

    /// Whether it may happen now; if so, not again for a while.
    pub(super) fn pass(&mut self) -> bool {
        let open = self.open();
        if open {
            self.close();
        }
        open
    }

    /// From now on it may not happen for a while.
    pub(super) fn close(&mut self) {
        self.closed = Some(after(self.every));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_the_first_pass_and_then_waits() {
        let mut pace = Pace::new(Duration::from_secs(3600));
        assert!(pace.pass());
        assert!(!pace.pass());
        let mut pace = Pace::new(Duration::ZERO);
        assert!(pace.pass() && pace.pass());
    }
}
