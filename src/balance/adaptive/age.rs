//! What requests in flight tell before they are answered.
//!
//! Here: the age rule: a backend that keeps requests far beyond what is usual costs at least as much as they have waited.
//! Floor 1.

use super::super::Backend;
use super::super::flights::Flights;
use super::band::{BAND, Bid};
use crate::time::Instant;

/// The request that so many of those in flight precede is asked for its age: one in ten...
const RANK_SHARE: u32 = 10;

/// ...but at least the second oldest: one straggler alone proves nothing.
const LEAST_RANK: u32 = 1;

/// Beyond so many times the 90 % quantile of the ratios, times the load line, a wait is unusual. The rule pays on stalls (11.8
/// against 12.6 ms without) and costs on heavy tails (22.1 against 20.1): the part to tune again on real traffic.
const UNUSUAL: f64 = 3.0;

/// How long the requests at the backend of `bid` have waited, in milliseconds, if that is unusual and beyond what it costs.
pub(super) fn stalled_ms(bid: &Bid, backend: &Backend, flights: &Flights, now: Instant) -> Option<f64> {
    let followed = backend.queue.len();
    if followed < 2 {
        return None;
    }
    let usual = backend.score.expected_ms(bid.in_flight) * backend.score.ratios.q90();
    let limit = (UNUSUAL * usual).max((1.0 + BAND) * bid.cost_ms);
    flights.age_beyond(&backend.queue, (followed / RANK_SHARE).max(LEAST_RANK), limit, now)
}
