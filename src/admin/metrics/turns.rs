//! The metrics of the event loop's turns.
//!
//! Here: how long they took, and when the loop was not there. Not here: measuring them (`reactor/`). Floor 3.

use std::fmt;

use super::series::{Distribution, Series};
use crate::reactor::{BOUNDS_US, TurnTimes};

/// Writes them.
pub(super) fn encode(times: &TurnTimes, series: &mut Series<'_>) -> fmt::Result {
    let bounds = BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
    let turns =
        Distribution { sum: times.total_ns as f64 / 1e9, buckets: bounds.zip(times.counts).collect() };
    series.histogram(
        "tidegate_turn_seconds",
        "How long turns of the event loop took.",
        [(Vec::new(), turns)],
    )?;
    series.gauge(
        "tidegate_longest_turn_seconds",
        "The longest turn of the event loop; 0 if none took more than a millisecond.",
        [(Vec::new(), times.longest_ns as f64 / 1e9)],
    )?;
    series.counter(
        "tidegate_stalls",
        "How often the event loop was not there for 100 ms or more: the process was stopped, the machine busy, or a turn long.",
        [(Vec::new(), times.stalls as f64)],
    )?;
    series.counter(
        "tidegate_stalled_seconds",
        "For how long in all; timeouts are later by as much.",
        [(Vec::new(), times.stalled_ns as f64 / 1e9)],
    )
}
