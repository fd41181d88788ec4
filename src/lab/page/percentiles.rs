//! The percentile curve: how long the slowest requests took.
//!
//! Here: [`percentiles`]. Not here: the distribution (`lab/charts.rs`), which shows the same with the axes exchanged and
//! its upper end too small to be read. Called by `page/mod.rs`. Floor 4.

use serde_json::json;

use super::figure::{Figure, rounded};
use super::left_out;
use crate::lab::charts::{CURVES, with_size};
use crate::lab::plot::{Drawing, Line, LineChart, Panel, Scale};
use crate::lab::report::Variant;
use crate::lab::statistics::quantile;
use crate::lab::table::{Table, number};

/// Points of a curve, besides its first.
const POINTS: u32 = 200;

/// What the axis names.
const TICKS: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
/// What the table has, besides the largest.
const NAMED: [f64; 8] = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// Latency over percentiles, which stand as far right as they are rare: each 9 more takes as much room.
pub(super) fn percentiles(variants: &[Variant<'_>]) -> Figure {
    let mut lines = Vec::new();
    let mut names = Vec::new();
    let mut shares = Vec::new();
    let mut numbers =
        Table::new(1, &["curve", "min", "p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"]);
    for variant in variants.iter().take(CURVES) {
        let latencies = variant.latencies();
        let points = curve(&latencies);
        shares.push(points.iter().map(|&(place, _)| rounded(percent(place))).collect::<Vec<_>>());
        lines.push(Line { pieces: vec![points] });
        names.push(with_size(variant, &latencies));
        let at = |percent: f64| {
            quantile(&latencies, percent / 100.0).map_or("–".to_owned(), |latency| number(latency, 1))
        };
        numbers.push([variant.label()].into_iter().chain(NAMED.into_iter().chain([100.0]).map(at)).collect());
    }
    let left_out = left_out("variants", variants.len(), CURVES);
    let panel = Panel { axis: "latency (ms)".to_owned(), top: None, mark: None, lines };
    let chart = LineChart {
        title: "Percentiles of latency".to_owned(),
        note: format!("so many of all requests took at most so long; each nine takes as much room{left_out}"),
        names,
        x_axis: "percentile".to_owned(),
        x_scale: Scale::Linear,
        steps: false,
        panels: vec![panel],
    };
    let mut figure = Figure::of("latency_percentiles", &Drawing::Lines(chart));
    figure.layout["xaxis"]["tickvals"] = TICKS.map(place).to_vec().into();
    figure.layout["xaxis"]["ticktext"] = TICKS.map(|percent| percent.to_string()).to_vec().into();
    figure.layout["xaxis"]["tickangle"] = 0.into();
    figure.layout["hovermode"] = "closest".into();
    for (trace, shares) in figure.data.iter_mut().zip(shares) {
        trace["customdata"] = json!(shares);
        trace["hovertemplate"] = "percentile %{customdata:.6~f}: %{y:,.1f} ms".into();
    }
    Figure { numbers, caption: "Percentiles of latency (ms)".to_owned(), ..figure }
}

/// Where a percentile stands: 0, 90, 99 and 99.9 at 0, 1, 2 and 3.
fn place(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn percent(place: f64) -> f64 {
    100.0 * (1.0 - 10f64.powf(-place))
}

/// Up to the percentile that only the largest value is above.
fn curve(ascending: &[f64]) -> Vec<(f64, f64)> {
    let end = place(100.0 * (1.0 - 1.0 / ascending.len().max(1) as f64));
    let at = |n| f64::from(n) / f64::from(POINTS) * end;
    (0..=POINTS).filter_map(|n| Some((at(n), quantile(ascending, percent(at(n)) / 100.0)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_takes_as_much_room() {
        for (share, expected) in [(0.0, 0.0), (90.0, 1.0), (99.0, 2.0), (99.9, 3.0)] {
            assert!((place(share) - expected).abs() < 1e-9 && (percent(expected) - share).abs() < 1e-9);
        }
    }

    #[test]
    fn a_curve_ends_where_one_value_is_above() {
        let values: Vec<f64> = (1..=1_000).map(f64::from).collect();
        let curve = curve(&values);
        assert_eq!((curve.len(), curve[0]), (201, (0.0, 1.0)));
        let (place, latency) = curve[200];
        assert!((place - 3.0).abs() < 1e-9 && (latency - 999.001).abs() < 1e-6, "{place} {latency}");
        assert_eq!(super::curve(&[]), []);
    }
}
