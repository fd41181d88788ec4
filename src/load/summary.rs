//! What was counted, as figures.
//!
//! Here: [`Summary`] and [`LatencyFigures`], which serialise to the JSON of reports; times in milliseconds. Not here:
//! counting (`tally.rs`), printing (`cli/`). Floor 3.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Failure, Tally, WINDOW};

/// The figures of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// Requests answered, whatever the status.
    pub requests: u64,
    /// Answers per second.
    pub requests_per_s: f64,
    /// Bytes of responses, heads included.
    pub bytes_read: u64,
    /// The same per second.
    pub bytes_per_s: f64,
    /// From the first byte sent to the last received.
    pub latency_ms: LatencyFigures,
    /// From when the request was due to the last byte received.
    pub corrected_latency_ms: LatencyFigures,
    /// How often each status came.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers with a status outside 200 to 399.
    pub non_2xx_or_3xx: u64,
    /// How often requests failed, by kind.
    pub failures: BTreeMap<&'static str, u64>,
    /// Requests that were under way at the end and were given up.
    pub cut: u64,
    /// Requests of an open loop that were due and never sent.
    pub unsent: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// The length of a window of the time line, in seconds.
    pub window_s: f64,
    /// Answers in each window.
    pub answers_per_window: Vec<u64>,
}

/// The distribution of a latency, in milliseconds; zero if there was no answer.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyFigures {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub stdev: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// What 75 % do not exceed.
    pub p75: f64,
    /// What 90 % do not exceed.
    pub p90: f64,
    /// What 95 % do not exceed.
    pub p95: f64,
    /// What 99 % do not exceed.
    pub p99: f64,
    /// What 99.9 % do not exceed.
    pub p99_9: f64,
    /// What 99.99 % do not exceed.
    pub p99_99: f64,
}

impl Summary {
    /// The figures of a run that is over.
    pub fn new(tally: &Tally) -> Summary {
        let seconds = tally.elapsed.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let failures = Failure::ALL.into_iter().map(|failure| (failure.name(), tally.failed(failure)));
        Summary {
            duration_s: seconds,
            requests: tally.answered(),
            requests_per_s: per_second(tally.answered()),
            bytes_read: tally.bytes_read,
            bytes_per_s: per_second(tally.bytes_read),
            latency_ms: LatencyFigures::new(&tally.latencies.raw),
            corrected_latency_ms: LatencyFigures::new(&tally.latencies.corrected),
            statuses: tally.statuses().collect(),
            non_2xx_or_3xx: tally.not_successful(),
            failures: failures.filter(|&(_, count)| count > 0).collect(),
            cut: tally.cut,
            unsent: tally.unsent,
            connections_opened: tally.connections,
            window_s: WINDOW.as_secs_f64(),
            answers_per_window: tally.windows.clone(),
        }
    }
}

impl LatencyFigures {
    /// The figures of a histogram of nanoseconds.
    pub fn new(histogram: &Histogram<u64>) -> LatencyFigures {
        let ms = |ns: u64| ns as f64 / 1e6;
        let quantile = |q: f64| ms(histogram.value_at_quantile(q));
        LatencyFigures {
            mean: histogram.mean() / 1e6,
            stdev: histogram.stdev() / 1e6,
            min: ms(histogram.min()),
            max: ms(histogram.max()),
            p50: quantile(0.5),
            p75: quantile(0.75),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            p99_99: quantile(0.9999),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_milliseconds_and_nothing_measured_is_zero() {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        assert_eq!(LatencyFigures::new(&histogram).mean, 0.0);
        for ms in 1..=1000u64 {
            histogram.record(ms * 1_000_000).unwrap();
        }
        let figures = LatencyFigures::new(&histogram);
        let near = |figure: f64, expected: f64| (figure - expected).abs() <= expected * 2e-3;
        assert!(near(figures.mean, 500.5) && near(figures.stdev, 288.7), "{figures:?}");
        assert!(
            near(figures.p50, 500.0) && near(figures.p99, 990.0) && near(figures.max, 1000.0),
            "{figures:?}"
        );
        assert_eq!(Summary::new(&Tally::default()).requests_per_s, 0.0);
    }
}
