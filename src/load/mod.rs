//! Clients that put load on a server.
//!
//! Here: what a run of load is made of ([`Plan`], [`Pace`]), who says what is asked ([`Workload`]), and what is known of
//! each request ([`Sample`]); [`Generator`] is the handler that plays it on any `Net`. Not here: printing and
//! options (`cli/`), and judging a proxy's answers byte by byte (`world/clients.rs`). Floor 3.
//!
//! Times are in nanoseconds. A request has three: when it was due, when its first byte was sent, when the last byte of its
//! answer had come. *Raw* latency is from the second to the third, *corrected* latency from the first: in an open
//! loop it contains the time for which a slow server kept the generator from sending (G. Tene, "How NOT to Measure
//! Latency", 2013: coordinated omission).

mod answer;
mod arrivals;
mod connection;
pub mod customers;
mod fixed;
mod generator;
mod run;
mod source;
mod summary;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Instant;

pub use arrivals::Arrivals;
pub use fixed::FixedRequest;
pub use generator::{Generator, TICK_SHIFT, Timer};
pub use run::{Control, Ended, RunningLoad, share, spawn};
pub use source::Pace;
pub use summary::{LatencyFigures, Summary};
pub use tally::{Latencies, Tally, WINDOW};

/// What a generator is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// Who sends, and when; a request names its source by the position here.
    pub sources: Vec<Pace>,
    /// How long a request may take, from its beginning, until it is given up.
    pub timeout: Duration,
    /// How long requests are begun.
    pub duration: Duration,
    /// What becomes of those under way then.
    pub at_end: AtEnd,
}

impl Plan {
    /// Whether it has deadlines that should be kept finer than epoll's milliseconds. A closed loop without pauses
    /// sends when answers come, and is spared the system calls.
    pub fn needs_fine_timer(&self) -> bool {
        !self.sources.iter().all(|pace| matches!(pace, Pace::Closed { pause: Duration::ZERO, .. }))
    }
}

/// What becomes of requests that are under way when the time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// They are given up and count nowhere, as wrk does.
    Cut,
    /// They are waited for until their timeout, and so are those that are due and not sent.
    Drain,
}

/// Names a request: the same for the same plan, whatever the timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// The position of its source in [`Plan::sources`].
    pub source: usize,
    /// How many requests of that source came before it.
    pub index: u64,
}

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection was refused.
    Refused,
    /// No connection could be made, for another reason.
    Connect,
    /// The connection was reset.
    Reset,
    /// The server closed the connection before a whole response head.
    Closed,
    /// The connection ended within the body.
    ShortBody,
    /// What came is not an answer in HTTP/1.1.
    Malformed,
    /// It was not over in time.
    Timeout,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 7] = [
        Failure::Refused,
        Failure::Connect,
        Failure::Reset,
        Failure::Closed,
        Failure::ShortBody,
        Failure::Malformed,
        Failure::Timeout,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::Connect => "connect",
            Failure::Reset => "reset",
            Failure::Closed => "closed",
            Failure::ShortBody => "short-body",
            Failure::Malformed => "malformed",
            Failure::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Refused => "connection refused",
            Failure::Connect => "no connection could be made",
            Failure::Reset => "connection reset",
            Failure::Closed => "connection closed before the answer",
            Failure::ShortBody => "the answer was cut off",
            Failure::Malformed => "the answer is malformed",
            Failure::Timeout => "no answer in time",
        })
    }
}

/// A request that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which.
    pub request: RequestId,
    /// When it was to be sent.
    pub due: Instant,
    /// When its first byte was sent; without a connection, when that was begun.
    pub sent: Instant,
    /// When the last byte of the answer had come, or it failed.
    pub ended: Instant,
    /// The status of the answer.
    pub outcome: Result<u16, Failure>,
}

impl Sample {
    /// From the first byte sent to the last received.
    pub fn raw(&self) -> Duration {
        self.ended - self.sent
    }

    /// From when it was due to the last byte received.
    pub fn corrected(&self) -> Duration {
        self.ended - self.due
    }
}

/// What is asked, and who is told of the answers.
pub trait Workload {
    /// Whether bodies of answers are kept, up to [`MAX_KEPT_BODY_BYTES`], to be shown to [`Workload::finished`].
    const KEEPS_BODIES: bool;

    /// The run begins; samples count from the same clock. Most need not know.
    fn begun(&mut self, _start: Instant) {}

    /// Appends the request to `out`, head and body; returns whether it is a HEAD request, whose answer has no body.
    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool;

    /// A request is over. `body` is what came of the answer's, if bodies are kept.
    fn finished(&mut self, sample: &Sample, body: &[u8]);
}

/// This much of a body is kept; the rest is read and dropped.
pub const MAX_KEPT_BODY_BYTES: usize = 1024 * 1024;
