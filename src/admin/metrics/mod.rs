//! `GET /metrics`: the figures for Prometheus.
//!
//! Here: which format is sent, and sending it. `families.rs` says which metrics there are, `batching.rs` those of
//! batching, `configuration.rs` those of reloads and names, `series.rs` encodes them by prometheus-client, `prometheus.rs` turns its OpenMetrics into the older format.
//! Not here: counting (`telemetry/`). Floor 3.

mod batching;
mod configuration;
mod families;
mod prometheus;
mod series;
mod turns;

use std::sync::Arc;

use httparse::Header;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::facts::Facts;
use crate::telemetry::Snapshot;
use crate::telemetry::process::ProcessFigures;

use families::Families;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics if one of these `Accept` fields names it; else what every scraper and `curl` can read.
    pub(super) fn accepted<'a>(accept: impl Iterator<Item = &'a Header<'a>>) -> Format {
        let mut ranges = accept.flat_map(|field| field.value.split(|&byte| byte == b','));
        let named = ranges.any(|range| {
            let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let essence = parts.next().unwrap_or_default();
            let refused =
                parts.any(|parameter| matches!(parameter, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"));
            essence.eq_ignore_ascii_case(b"application/openmetrics-text") && !refused
        });
        if named { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// The `Content-Type`.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Appends all metrics.
pub(super) fn write(facts: &Facts, snapshot: Arc<Snapshot>, format: Format, out: &mut String) {
    let families = Families::new(facts.clone(), snapshot, ProcessFigures::read());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families));
    let mut text = String::with_capacity(64 * 1024);
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    match format {
        Format::OpenMetrics => out.push_str(&text),
        Format::Prometheus => prometheus::write(&text, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_sent_to_who_names_it() {
        let accepted = |values: &[&str]| {
            let fields: Vec<_> =
                values.iter().map(|value| Header { name: "Accept", value: value.as_bytes() }).collect();
            Format::accepted(fields.iter())
        };
        let of_prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(accepted(&[of_prometheus]), Format::OpenMetrics);
        assert_eq!(accepted(&["text/plain", "Application/OpenMetrics-Text"]), Format::OpenMetrics);
        for other in [&[][..], &["*/*"], &["text/html, */*;q=0.8"], &["application/openmetrics-text;q=0"]] {
            assert_eq!(accepted(other), Format::Prometheus, "{other:?}");
        }
    }
}
