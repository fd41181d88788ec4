//! What is known of a finished exchange.
//!
//! Here: [`Record`], plain and of fixed size, copied by value from the reactor to telemetry; `trace.rs` has the long
//! form. Not here: its rendering (`telemetry/csv.rs`) and the meaning of failure codes (`proxy/failure.rs`). Floor 1.

pub mod trace;

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

/// A backend's averages at one moment, to seven digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Averages {
    /// The bits of nanoseconds as `f32`, so that records stay small and can be compared.
    sma: u32,
    ewma: u32,
}

/// The bits of an average that there is not.
const UNMEASURED: u32 = f32::NAN.to_bits();

impl Averages {
    /// Of a backend without a sample, and of a server that has none.
    pub const UNMEASURED: Averages = Averages { sma: UNMEASURED, ewma: UNMEASURED };

    /// What these averages in nanoseconds come to.
    pub fn new(sma_ns: Option<f64>, ewma_ns: Option<f64>) -> Averages {
        let bits = |ns: Option<f64>| ns.map_or(UNMEASURED, |ns| (ns as f32).to_bits());
        Averages { sma: bits(sma_ns), ewma: bits(ewma_ns) }
    }

    /// Mean of the last latencies in nanoseconds; `None` without a sample.
    pub fn sma_ns(self) -> Option<f32> {
        measured(self.sma)
    }

    /// Exponentially weighted mean latency in nanoseconds; `None` without a sample.
    pub fn ewma_ns(self) -> Option<f32> {
        measured(self.ewma)
    }
}

fn measured(bits: u32) -> Option<f32> {
    (bits != UNMEASURED).then(|| f32::from_bits(bits))
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
    /// The averages of its backend with this request in them.
    pub averages: Averages,
}
