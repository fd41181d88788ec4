//! What came of the requests, counted.
//!
//! Here: [`Tally`], with latencies in nanoseconds in histograms of three significant digits from 1 ns to an hour; it
//! takes no memory per request. Not here: how it is shown (`cli/`). Floor 3.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Failure, Sample};

/// The grain of the time line.
pub const WINDOW: Duration = Duration::from_millis(100);

/// What is longer counts as this long, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

const SIGNIFICANT_DIGITS: u8 = 3;

/// The windows of ten minutes; more make room for themselves.
const WINDOWS_EXPECTED: usize = 6_000;

/// Latencies of answered requests, whatever their status.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the first byte sent, in nanoseconds.
    pub raw: Histogram<u64>,
    /// From when the request was due, in nanoseconds.
    pub corrected: Histogram<u64>,
}

/// The counts of one generator, or of several together.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latencies of what was answered.
    pub latencies: Latencies,
    statuses: Box<[u64]>,
    failures: [u64; Failure::ALL.len()],
    /// Bytes of responses, heads included.
    pub bytes_read: u64,
    /// Connections opened.
    pub connections: u64,
    /// Answers in each [`WINDOW`] since the start, the last one that was not full left out.
    pub windows: Vec<u64>,
    /// Requests per second of each generator in each of its windows.
    pub rates: Vec<f64>,
    /// Requests that were under way at the end and were given up.
    pub cut: u64,
    /// Requests of an open loop that were due and never sent, for want of a free connection.
    pub unsent: u64,
    /// From the start to the end, the waiting for late answers included.
    pub elapsed: Duration,
    /// Why the first connection that failed for another reason than refusal did.
    pub connect_error: Option<String>,
    in_window: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        let latencies = || {
            Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
                .expect("bounds that the crate allows")
        };
        Tally {
            latencies: Latencies { raw: latencies(), corrected: latencies() },
            statuses: vec![0; 1000].into_boxed_slice(),
            failures: [0; Failure::ALL.len()],
            bytes_read: 0,
            connections: 0,
            windows: Vec::with_capacity(WINDOWS_EXPECTED),
            rates: Vec::with_capacity(WINDOWS_EXPECTED),
            cut: 0,
            unsent: 0,
            elapsed: Duration::ZERO,
            connect_error: None,
            in_window: 0,
        }
    }
}

impl Tally {
    pub(super) fn record(&mut self, sample: &Sample) {
        match sample.outcome {
            Ok(status) => {
                self.statuses[usize::from(status)] += 1;
                self.in_window += 1;
                self.latencies.raw.saturating_record(sample.ended.nanos_since(sample.sent));
                self.latencies.corrected.saturating_record(sample.ended.nanos_since(sample.due));
            }
            Err(failure) => self.failures[failure as usize] += 1,
        }
    }

    /// A [`WINDOW`] is over.
    pub(super) fn end_window(&mut self) {
        let answers = std::mem::take(&mut self.in_window);
        self.windows.push(answers);
        self.rates.push(answers as f64 / WINDOW.as_secs_f64());
    }

    /// Adds what another generator counted at the same time.
    pub fn add(&mut self, other: &Tally) {
        for (own, others) in [
            (&mut self.latencies.raw, &other.latencies.raw),
            (&mut self.latencies.corrected, &other.latencies.corrected),
        ] {
            own.add(others).expect("all histograms have the same bounds");
        }
        self.statuses.iter_mut().zip(&other.statuses).for_each(|(own, others)| *own += others);
        self.failures.iter_mut().zip(other.failures).for_each(|(own, others)| *own += others);
        self.bytes_read += other.bytes_read;
        self.connections += other.connections;
        self.cut += other.cut;
        self.unsent += other.unsent;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.windows.resize(self.windows.len().max(other.windows.len()), 0);
        self.windows.iter_mut().zip(&other.windows).for_each(|(own, others)| *own += others);
        self.rates.extend_from_slice(&other.rates);
        if self.connect_error.is_none() {
            self.connect_error.clone_from(&other.connect_error);
        }
    }

    /// How many requests were answered, whatever the status.
    pub fn answered(&self) -> u64 {
        self.latencies.raw.len()
    }

    /// Statuses that came and how often, ascending.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        (0u16..).zip(&self.statuses).filter(|&(_, &count)| count > 0).map(|(status, &count)| (status, count))
    }

    /// How many answers had a status outside 200 to 399.
    pub fn not_successful(&self) -> u64 {
        self.statuses().filter(|(status, _)| !(200..400).contains(status)).map(|(_, count)| count).sum()
    }

    /// How many requests failed so.
    pub fn failed(&self, failure: Failure) -> u64 {
        self.failures[failure as usize]
    }

    /// How many requests failed.
    pub fn failures(&self) -> u64 {
        self.failures.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::RequestId;
    use crate::time::Instant;

    fn sample(due_ms: u64, sent_ms: u64, ended_ms: u64, outcome: Result<u16, Failure>) -> Sample {
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let request = RequestId { source: 0, index: 0 };
        Sample { request, due: at(due_ms), sent: at(sent_ms), ended: at(ended_ms), outcome }
    }

    fn near(ns: f64, ms: f64) -> bool {
        (ns / 1e6 - ms).abs() <= ms * 1e-3
    }

    #[test]
    fn failures_have_no_latency_and_late_sending_shows_in_the_corrected_one_only() {
        let mut tally = Tally::default();
        tally.record(&sample(0, 30, 40, Ok(200)));
        tally.record(&sample(0, 0, 20, Ok(503)));
        tally.record(&sample(0, 0, 9000, Err(Failure::Timeout)));
        assert!(near(tally.latencies.raw.mean(), 15.0) && near(tally.latencies.corrected.mean(), 30.0));
        assert_eq!(tally.statuses().collect::<Vec<_>>(), [(200, 1), (503, 1)]);
        assert_eq!((tally.answered(), tally.not_successful(), tally.failures()), (2, 1, 1));
        assert_eq!((tally.failed(Failure::Timeout), tally.failed(Failure::Reset)), (1, 0));
    }

    #[test]
    fn two_tallies_add_up_window_by_window() {
        let (mut a, mut b) = (Tally::default(), Tally::default());
        a.record(&sample(0, 0, 1, Ok(200)));
        a.end_window();
        b.record(&sample(0, 0, 3, Ok(200)));
        b.end_window();
        b.record(&sample(0, 0, 3, Ok(404)));
        b.end_window();
        b.elapsed = Duration::from_secs(1);
        a.add(&b);
        assert_eq!((a.windows.as_slice(), a.rates.as_slice()), (&[2, 1][..], &[10.0, 10.0, 10.0][..]));
        assert_eq!((a.answered(), a.elapsed), (3, Duration::from_secs(1)));
        assert!(near(a.latencies.raw.max() as f64, 3.0));
    }

    #[test]
    fn what_is_longer_than_an_hour_counts_as_an_hour() {
        let mut tally = Tally::default();
        tally.record(&sample(0, 0, 7_200_000, Ok(200)));
        assert!(near(tally.latencies.raw.max() as f64, 3_600_000.0));
    }
}
