//! Latencies that one thread adds to and others look at.
//!
//! Here: [`Latencies`], a histogram whose clones share what is settled. A snapshot has one of each backend, ten times a second:
//! with a thousand of them, histograms of 100 KB that are copied whenever one latency is added cost more than the proxy itself.
//! Not here: the counters (`histogram.rs`). `figures.rs` adds, pages and metrics look. Floor 2.

use std::borrow::Cow;
use std::sync::Arc;

use super::histogram::Histogram;

/// So many latencies are copied with each clone, and settled together.
const LATEST: usize = 256;

/// How many requests took how long, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    settled: Arc<Histogram>,
    /// What was added since, in nanoseconds.
    latest: Vec<u64>,
}

impl Latencies {
    /// Adds a latency of `ns` nanoseconds.
    pub(super) fn record(&mut self, ns: u64) {
        if self.latest.len() == LATEST {
            let settled = Arc::make_mut(&mut self.settled);
            self.latest.drain(..).for_each(|ns| settled.record(ns));
        }
        self.latest.push(ns);
    }

    /// All that was added.
    pub fn histogram(&self) -> Cow<'_, Histogram> {
        let mut all = Cow::Borrowed(&*self.settled);
        if !self.latest.is_empty() {
            self.latest.iter().for_each(|&ns| all.to_mut().record(ns));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_has_what_was_added_before_it_and_nothing_after() {
        let mut latencies = Latencies::default();
        let mut clones = Vec::new();
        for ns in (0..2_000).map(|i| i * 10_000) {
            clones.push(latencies.clone());
            latencies.record(ns);
        }
        clones.push(latencies);
        for (count, clone) in clones.iter().enumerate().step_by(50) {
            let histogram = clone.histogram();
            let largest = (count as u64).saturating_sub(1) * 10_000;
            assert_eq!((histogram.count(), histogram.max_ns()), (count as u64, largest));
            assert_eq!(histogram.sum_ns(), (0..count as u64).map(|i| i * 10_000).sum::<u64>());
        }
    }
}
