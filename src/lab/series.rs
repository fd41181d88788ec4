//! Curves of a request log.
//!
//! Here: the distribution of latency as points, and figures over time. Not here: drawing them (`plot/`). Called by
//! `cli/report/`. Floor 4.

use super::log::Row;
use super::statistics::{mean, quantile};

/// The empirical distribution function: for ascending values, each with the share of all that is at most as large. At
/// most `most` points, evenly over the shares, always with the least and the largest value.
///
/// # Panics
/// If `most` is less than 2.
pub fn distribution(ascending: &[f64], most: usize) -> Vec<(f64, f64)> {
    assert!(most >= 2, "a curve needs two points");
    let count = ascending.len();
    let ends = ascending.chunk_by(|a, b| a == b).scan(0, |below, equal| {
        *below += equal.len();
        Some((equal[0], *below))
    });
    let distinct = ascending.chunk_by(|a, b| a == b).count();
    let stride = distinct.div_ceil(most - 1).max(1);
    ends.enumerate()
        .filter(|(n, _)| n % stride == 0 || n + 1 == distinct)
        .map(|(_, (value, below))| (value, below as f64 / count as f64))
        .collect()
}

/// What ended within a short time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The middle of it, in seconds since a log's first row.
    pub at_s: f64,
    /// How long it is, in seconds.
    pub length_s: f64,
    /// Rows a second.
    pub requests_per_s: f64,
    /// Mean latency in milliseconds; none if nothing ended.
    pub mean_ms: Option<f64>,
    /// The 0.95 quantile of latency in milliseconds.
    pub p95_ms: Option<f64>,
}

/// Divides the time from the first row of each log to its last into `parts` equal ones, of the longest; the rows of all
/// logs, which are repeats of one run, are taken together. Nothing if there is no such time.
pub fn over_time(logs: &[&[Row]], parts: usize) -> Vec<Moment> {
    let spans: Vec<(i64, i64)> = logs.iter().filter_map(|rows| span(rows)).collect();
    let longest_us = spans.iter().map(|(first, last)| last - first).max().unwrap_or(0);
    if longest_us == 0 || parts == 0 {
        return Vec::new();
    }
    let mut latencies: Vec<Vec<f64>> = vec![Vec::new(); parts];
    for (rows, (first, _)) in logs.iter().filter(|rows| !rows.is_empty()).zip(&spans) {
        for row in *rows {
            // The last row belongs to the last part.
            let part = (i128::from(row.ended_us - first) * parts as i128 / i128::from(longest_us)) as usize;
            latencies[part.min(parts - 1)].push(row.latency_ms);
        }
    }
    let length_s = longest_us as f64 / 1e6 / parts as f64;
    let moment = |(n, mut latencies): (usize, Vec<f64>)| {
        latencies.sort_unstable_by(f64::total_cmp);
        let start_s = n as f64 * length_s;
        // Of a log that has ended before, no rows are to be expected.
        let covered =
            |(first, last): &(i64, i64)| ((last - first) as f64 / 1e6 - start_s).clamp(0.0, length_s);
        Moment {
            at_s: start_s + length_s / 2.0,
            length_s,
            requests_per_s: latencies.len() as f64 / spans.iter().map(covered).sum::<f64>(),
            mean_ms: mean(&latencies),
            p95_ms: quantile(&latencies, 0.95),
        }
    };
    latencies.into_iter().enumerate().map(moment).collect()
}

/// When the first and the last row ended.
fn span(rows: &[Row]) -> Option<(i64, i64)> {
    let times = || rows.iter().map(|row| row.ended_us);
    Some((times().min()?, times().max()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_steps_at_each_value() {
        let curve = distribution(&[10.0, 10.0, 20.0, 40.0], 100);
        assert_eq!(curve, [(10.0, 0.5), (20.0, 0.75), (40.0, 1.0)]);
        assert!(distribution(&[], 100).is_empty());
    }

    #[test]
    fn a_thinned_distribution_keeps_its_ends_and_lies_on_the_full_one() {
        let values: Vec<f64> = (1..=100_000).map(f64::from).collect();
        let curve = distribution(&values, 500);
        assert!(curve.len() <= 501 && curve.len() > 400, "{}", curve.len());
        assert_eq!((curve[0].0, curve[curve.len() - 1]), (1.0, (100_000.0, 1.0)));
        assert!(curve.iter().all(|&(value, share)| (share - value / 100_000.0).abs() < 1e-12));
    }

    fn row(ended_us: i64, latency_ms: f64) -> Row {
        Row { ended_us, latency_ms, backend: 0, mode: 0, status: 200 }
    }

    fn moment(at_s: f64, requests_per_s: f64, mean_ms: f64, p95_ms: f64) -> Moment {
        Moment { at_s, length_s: 2.0, requests_per_s, mean_ms: Some(mean_ms), p95_ms: Some(p95_ms) }
    }

    #[test]
    fn time_is_divided_evenly_and_no_row_is_lost() {
        let rows = [row(5_000_000, 10.0), row(6_999_999, 30.0), row(7_000_000, 50.0), row(9_000_000, 70.0)];
        let expected = [moment(1.0, 1.0, 20.0, 29.0), moment(3.0, 1.0, 60.0, 69.0)];
        assert_eq!(over_time(&[&rows], 2), expected);
        let gap = over_time(&[&[row(0, 1.0), row(3_000_000, 1.0)]], 3);
        assert_eq!((gap[1].mean_ms, gap[1].requests_per_s), (None, 0.0));
        assert!(over_time(&[&rows[..1]], 10).is_empty() && over_time(&[&[]], 10).is_empty());
    }

    #[test]
    fn repeats_are_taken_together_each_as_long_as_it_is() {
        let long = [row(0, 10.0), row(1_000_000, 10.0), row(4_000_000, 10.0)];
        let short = [row(9_000_000, 20.0), row(10_000_000, 20.0)];
        // The short one is of one second: three seconds in the first part, two in the second.
        let expected = [moment(1.0, 4.0 / 3.0, 15.0, 20.0), moment(3.0, 0.5, 10.0, 10.0)];
        assert_eq!(over_time(&[&long, &[], &short], 2), expected);
    }
}
