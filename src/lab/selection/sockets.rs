//! What came out over sockets.
//!
//! Here: the figures of an experiment's run as those of a scenario. Not here: playing it (`lab/experiment/`). Floor 4.

use super::figures::{Figures, Work};
use crate::lab::analyze::Analysis;
use crate::testbed::Meter;

/// Of a run's rows, and of what the backends worked meanwhile; none without rows.
pub fn figures_over_sockets(analysis: &Analysis, meters: &[Meter]) -> Option<Figures> {
    let (seen, latency) = (&analysis.figures, analysis.figures.latency?);
    let Work { copies, work_ms, shares } = Work::told_by(meters, seen.requests as f64);
    Some(Figures {
        mean_ms: latency.mean_ms,
        p50_ms: latency.p50_ms,
        p95_ms: latency.p95_ms,
        p99_ms: latency.p99_ms,
        per_second: seen.requests_per_s?,
        copies,
        work_ms,
        errors: seen.errors as f64 / seen.requests as f64,
        shares,
    })
}
