//! What is known of a finished exchange.
//!
//! Here: [`Record`], plain and of fixed size, copied by value from the reactor to telemetry. Not here: its
//! rendering (`telemetry/csv.rs`) and the meaning of failure codes (`proxy/failure.rs`). Floor 1.

use crate::balance::{BackendId, RoutingMode};
use crate::time::WallTime;

/// One client request that reached selection, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it ended.
    pub ended: WallTime,
    /// Nanoseconds from the first sending to the end; never 0 for a request that was sent.
    pub latency_ns: u64,
    /// The backend that was tried last; none if there was no backend to choose.
    pub backend: Option<BackendId>,
    /// The status that the client got; 499 if it left before.
    pub status: u16,
    /// The routing mode in force when the backend was chosen.
    pub mode: RoutingMode,
    /// Whether the exchange failed on the backend's side (refused, reset, timeout, malformed).
    pub failed: bool,
    /// Whether the upstream connection had served an exchange before.
    pub reused: bool,
}
