//! What a simulated backend has worked.
//!
//! Here: [`Meter`], read by who started the backend, from whatever thread. Not here: the work (`backend.rs`). Floor 3.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts the requests that come to a backend, and the time that they take on their own, answered in the end or not. Copies of it
/// count together.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    from: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    work_ns: AtomicU64,
}

impl Meter {
    /// One that counts what comes when the backend has been there for `from`.
    pub fn since(from: Duration) -> Meter {
        Meter { from, counts: Arc::default() }
    }

    /// How many requests have come.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// How long they would take together, one after the other. One that is answered with an error is no work.
    pub fn work(&self) -> Duration {
        Duration::from_nanos(self.counts.work_ns.load(Ordering::Relaxed))
    }

    /// A request comes at `at` that takes `work`.
    pub(super) fn count(&self, at: Duration, work: Duration) {
        if at >= self.from {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            self.counts.work_ns.fetch_add(work.as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

impl PartialEq for Meter {
    /// Whether they count together.
    fn eq(&self, other: &Meter) -> bool {
        Arc::ptr_eq(&self.counts, &other.counts)
    }
}
