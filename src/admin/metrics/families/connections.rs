//! The metrics of connections to servers.
//!
//! Here: how many there are, and what became of them. Not here: counting them (`proxy/`). Floor 3.

use std::fmt;

use super::{Families, distribution, one};
use crate::admin::metrics::series::Series;

impl Families {
    /// Writes them.
    pub(super) fn connections(&self, series: &mut Series<'_>) -> fmt::Result {
        let counters = &self.snapshot.counters;
        for (name, help, value) in [
            (
                "tidegate_upstream_connections_opened",
                "Connections to servers opened.",
                counters.connections_opened,
            ),
            (
                "tidegate_upstream_connections_closed",
                "Connections to servers closed, by either side.",
                counters.connections_closed,
            ),
            (
                "tidegate_upstream_connections_evicted",
                "Idle connections to servers closed to make room.",
                counters.connections_evicted,
            ),
            (
                "tidegate_upstream_connections_reused",
                "Requests sent on a connection that had served one before.",
                counters.connections_reused,
            ),
            (
                "tidegate_upstream_connections_stale",
                "Reused connections that turned out closed before any byte of an answer.",
                counters.connections_stale,
            ),
            (
                "tidegate_upstream_connections_unasked",
                "Connections to servers closed because bytes came on them that no request had asked for.",
                counters.connections_unasked,
            ),
        ] {
            series.counter(name, help, one(value))?;
        }
        series.gauge(
            "tidegate_open_upstream_connections",
            "Connections to servers open now, idle ones included.",
            one(self.snapshot.counters.connections_open),
        )?;
        series.gauge(
            "tidegate_idle_upstream_connections",
            "Connections to a server that rest, in its pool or for their clients.",
            self.by_server(|figures| Some(f64::from(figures.idle))),
        )?;
        series.histogram(
            "tidegate_upstream_connect_seconds",
            "From the beginning of an attempt until its new connection took bytes.",
            [(Vec::new(), distribution(&self.snapshot.connects.histogram()))],
        )
    }
}
