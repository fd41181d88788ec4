//! What the queue counts.
//!
//! Here: [`Figures`], plain sums and histograms of fixed buckets, read by the caller whenever it likes. Not here: what
//! each customer received (`customers.rs`), nor names of metrics (`telemetry/`). Floor 1.

use std::time::Duration;

use super::dispatch::FlushReason;

/// Upper bounds of sequences of a batch.
const SIZES: &[u64] = &[1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 128, 256];

/// Upper bounds of microseconds, 100 µs to 100 s.
const MICROS: &[u64] = &[
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// The most bounds of a histogram.
const MOST_BOUNDS: usize = 19;

/// Counts of values by fixed upper bounds.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than there are bounds: the last counts what is above all.
    counts: [u64; MOST_BOUNDS + 1],
    sum: u64,
}

impl Histogram {
    const fn new(bounds: &'static [u64]) -> Histogram {
        assert!(bounds.len() <= MOST_BOUNDS);
        Histogram { bounds, counts: [0; MOST_BOUNDS + 1], sum: 0 }
    }

    pub(super) fn record(&mut self, value: u64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum += value;
    }

    pub(super) fn record_duration(&mut self, duration: Duration) {
        self.record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Upper bounds, ascending, each with how many values were at most that and above the bound before; at last
    /// `None` with how many were above all bounds.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts)
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The values together.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

/// Of the batches that were sent for one reason.
#[derive(Clone, Copy, Debug)]
pub struct FlushFigures {
    /// Sequences of a batch.
    pub sequences: Histogram,
    /// Microseconds from the arrival of a part to its sending.
    pub wait_us: Histogram,
    /// Microseconds from sending a batch to its answer.
    pub service_us: Histogram,
}

/// What the queue has done since it began.
#[derive(Clone, Debug)]
pub struct Figures {
    by_flush: [FlushFigures; FlushReason::ALL.len()],
    /// Jobs that were queued.
    pub queued: u64,
    /// Jobs that were refused as too many waited.
    pub refused: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Batches that failed and were not sent again.
    pub failed: u64,
    /// Batches that failed and were sent again in halves.
    pub halved: u64,
    /// Characters of all sequences sent.
    pub characters: u64,
    /// Characters that would be added if each sequence were as long as the longest of its batch.
    pub wasted_characters: u64,
}

impl Figures {
    pub(super) const fn new() -> Figures {
        let flush = FlushFigures {
            sequences: Histogram::new(SIZES),
            wait_us: Histogram::new(MICROS),
            service_us: Histogram::new(MICROS),
        };
        Figures {
            by_flush: [flush; FlushReason::ALL.len()],
            queued: 0,
            refused: 0,
            cancelled: 0,
            failed: 0,
            halved: 0,
            characters: 0,
            wasted_characters: 0,
        }
    }

    /// Of the batches sent for that reason.
    pub fn by_flush(&self, reason: FlushReason) -> &FlushFigures {
        &self.by_flush[reason as usize]
    }

    pub(super) fn by_flush_mut(&mut self, reason: FlushReason) -> &mut FlushFigures {
        &mut self.by_flush[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_under_the_least_bound_that_holds_them() {
        let mut sizes = Histogram::new(SIZES);
        [1, 5, 7, 8, 256, 257].into_iter().for_each(|n| sizes.record(n));
        let found: Vec<_> = sizes.buckets().filter(|&(_, count)| count > 0).collect();
        assert_eq!(found, [(Some(1), 1), (Some(5), 1), (Some(8), 2), (Some(256), 1), (None, 1)]);
        assert_eq!((sizes.count(), sizes.sum()), (6, 534));
        let mut micros = Histogram::new(MICROS);
        micros.record_duration(Duration::from_secs(101));
        assert_eq!(micros.buckets().last(), Some((None, 1)));
    }
}
