//! Encoding metrics by prometheus-client.
//!
//! Here: one function for each kind of metric, with any number of series. Floor 3.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Labels of one series.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A distribution: its sum, and how many values were at most each bound and above the one before, the last bound
/// being infinite.
pub(super) struct Distribution {
    pub(super) sum: f64,
    pub(super) buckets: Vec<(f64, u64)>,
}

/// Writes metrics.
pub(super) struct Series<'a>(pub(super) DescriptorEncoder<'a>);

impl Series<'_> {
    /// A number that only grows; `name` is without `_total`.
    pub(super) fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A number that goes up and down.
    pub(super) fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Distributions.
    pub(super) fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'a>, Distribution)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, Distribution { sum, buckets }) in series {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let mut family = metric.encode_family(&labels)?;
            family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
