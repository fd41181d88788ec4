//! What was seen of each request.
//!
//! Here: [`Observed`], and [`Observer`], the workload that keeps one for each request of another. Not here: figures
//! (`analyze.rs`). Floor 4.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::letter;
use crate::load::{Failure, RequestId, Sample, Workload};
use crate::time::Instant;

/// How the body of a simulated backend's answer begins.
const GREETING: &[u8] = b"Hello from ";

/// A request that is over, as its sender saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which.
    pub request: RequestId,
    /// When it was to be sent, since the start of the run.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// When it was over.
    pub ended: Duration,
    /// The status of the answer.
    pub outcome: Result<u16, Failure>,
    /// Who answered.
    pub served: Served,
}

/// Who answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The backend of this number.
    Backend(u16),
    /// The classifier, by way of a batch.
    Batch,
    /// The proxy itself, or nobody.
    Nobody,
}

impl Observed {
    /// From when it was due to its end.
    pub fn corrected(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }

    /// From when it was sent to its end.
    pub fn raw(&self) -> Duration {
        self.ended.saturating_sub(self.sent)
    }
}

/// Latencies since somebody looked last, in nanoseconds.
pub(super) type Recent = Arc<Mutex<Histogram<u64>>>;

/// An empty [`Recent`].
pub(super) fn recent() -> Recent {
    let histogram =
        Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).expect("bounds that the crate allows");
    Arc::new(Mutex::new(histogram))
}

/// A workload, observed.
pub(super) struct Observer<W> {
    workload: W,
    /// Who answers, if the body does not tell.
    classifier: bool,
    start: Instant,
    recent: Recent,
    rows: Vec<Observed>,
    names: Vec<char>,
}

impl<W> Observer<W> {
    /// Observes `workload`, which is answered by a `classifier`, or else by `backends` that name themselves.
    pub(super) fn new(workload: W, classifier: bool, backends: usize, recent: Recent) -> Observer<W> {
        let names = (0..backends).map(letter).collect();
        Observer { workload, classifier, start: Instant::ZERO, recent, rows: Vec::new(), names }
    }

    /// What was seen, in order of the ends.
    pub(super) fn finish(self) -> Vec<Observed> {
        self.rows
    }

    fn served(&self, sample: &Sample, body: &[u8]) -> Served {
        if self.classifier {
            return if sample.outcome == Ok(200) { Served::Batch } else { Served::Nobody };
        }
        let named = body.strip_prefix(GREETING).and_then(|rest| rest.utf8_chunks().next());
        let first = named.and_then(|chunk| chunk.valid().chars().next());
        let number = first.and_then(|first| self.names.iter().position(|name| *name == first));
        number.map_or(Served::Nobody, |number| Served::Backend(number as u16))
    }
}

impl<W: Workload> Workload for Observer<W> {
    const KEEPS_BODIES: bool = true;

    fn begun(&mut self, start: Instant) {
        self.start = start;
        self.workload.begun(start);
    }

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        self.workload.write(request, out)
    }

    fn finished(&mut self, sample: &Sample, body: &[u8]) {
        let served = self.served(sample, body);
        let since = |at: Instant| at - self.start;
        let row = Observed {
            request: sample.request,
            due: since(sample.due),
            sent: since(sample.sent),
            ended: since(sample.ended),
            outcome: sample.outcome,
            served,
        };
        if row.outcome.is_ok()
            && let Ok(mut recent) = self.recent.lock()
        {
            recent.saturating_record(sample.ended.nanos_since(sample.due));
        }
        self.rows.push(row);
        self.workload.finished(sample, body);
    }
}
