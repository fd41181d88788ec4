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
}
