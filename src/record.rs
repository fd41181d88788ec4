//! What is known of a finished exchange.
//!
//! Here: [`Record`], plain and of fixed size, copied by value from the reactor to telemetry. Not here: its
//! rendering (`telemetry/csv.rs`) and the meaning of failure codes (`proxy/failure.rs`). Floor 1.

use crate::balance::{BackendId, RoutingMode};
use crate::batch::StrategyName;
use crate::time::WallTime;

/// How it was decided where a request goes and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A backend was chosen in this mode.
    Routing(RoutingMode),
    /// It went with a batch.
    Strategy(StrategyName),
}

impl Mode {
    /// The name in a row.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Routing(mode) => mode.name(),
            Mode::Strategy(strategy) => strategy.name(),
        }
    }
}

/// A backend's averages at one moment, in whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Averages {
    sma_us: u32,
    ewma_us: u32,
}

impl Averages {
    /// Of a backend without a sample, and of a server that has none.
    pub const UNMEASURED: Averages = Averages { sma_us: u32::MAX, ewma_us: u32::MAX };

    /// What these averages in nanoseconds come to; above an hour they count as that.
    pub fn new(sma_ns: Option<f64>, ewma_ns: Option<f64>) -> Averages {
        let us = |ns: Option<f64>| ns.map_or(u32::MAX, |ns| ((ns * 1e-3) as u32).min(3_600_000_000));
        Averages { sma_us: us(sma_ns), ewma_us: us(ewma_ns) }
    }

    /// Mean of the last latencies in microseconds; `None` without a sample.
    pub fn sma_us(self) -> Option<u32> {
        (self.sma_us != u32::MAX).then_some(self.sma_us)
    }

    /// Exponentially weighted mean latency in microseconds; `None` without a sample.
    pub fn ewma_us(self) -> Option<u32> {
        (self.ewma_us != u32::MAX).then_some(self.ewma_us)
    }
}

/// One client request that reached selection, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it ended.
    pub ended: WallTime,
    /// Nanoseconds from the first sending, or from the arrival of a request that was batched, to the end; never 0 for a
    /// request that was sent.
    pub latency_ns: u64,
    /// The server that was tried last; none if there was none to choose.
    pub backend: Option<BackendId>,
    /// The status that the client got; 499 if it left before.
    pub status: u16,
    /// The routing mode in force when the backend was chosen, or the strategy when the request ended.
    pub mode: Mode,
    /// Whether the exchange failed on the backend's side (refused, reset, timeout, malformed).
    pub failed: bool,
    /// Whether the upstream connection had served an exchange before.
    pub reused: bool,
    /// Microseconds from the attempt's beginning until its new connection took bytes, at least 1; 0 if it used one
    /// that was there, or none.
    pub connect_us: u32,
    /// How many records were made between the choice of the backend and this one: with [`Record::averages`] of them
    /// all, it can be told what the choice was made on.
    pub since_choice: u32,
    /// The averages of its backend with this request in them.
    pub averages: Averages,
}
