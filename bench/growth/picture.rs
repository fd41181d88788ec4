//! The figures as a picture.
//!
//! Here: which curves stand in which field, in which colour. Not here: drawing (`lab::plot`).

use tidegate::lab::plot::{Cell, Grid, Line, LineChart, Panel, Picture, PlotError, Scale};

use super::Runs;
use super::common::sample::{Sample, median};
use super::curve::Curve;
use super::told::PANELS;

/// The colours: what curves of one colour have in common.
const COLORS: [&str; 3] = [
    "round-robin, all connections ask",
    "round-robin, 100 connections at a time ask, in turn",
    "adaptive, all connections ask",
];

const fn color(curve: Curve) -> usize {
    match curve {
        Curve::Busy | Curve::RoundRobin | Curve::Head | Curve::Body => 0,
        Curve::InTurn => 1,
        Curve::Adaptive => 2,
    }
}

/// Medians over the rounds.
pub(crate) fn draw(runs: &Runs, note: String) -> Result<Picture, PlotError> {
    let cells =
        PANELS.map(|(grows, curves)| (format!("By {grows}"), Cell::Lines(panel(runs, grows, curves))));
    Grid {
        title: "Processor time of a proxied request".to_owned(),
        note,
        colors: COLORS.map(str::to_owned).to_vec(),
        marks: Vec::new(),
        cells: cells.to_vec(),
    }
    .draw()
}

fn panel(runs: &Runs, grows: &str, curves: &[Curve]) -> LineChart {
    let line = |n: usize| Line {
        pieces: curves
            .iter()
            .filter(|&&curve| color(curve) == n)
            .flat_map(|&curve| pieces(runs, curve))
            .collect(),
    };
    LineChart {
        title: String::new(),
        note: String::new(),
        names: COLORS.map(str::to_owned).to_vec(),
        x_axis: axis(grows, curves),
        x_scale: Scale::Log,
        steps: false,
        panels: vec![Panel {
            axis: "processor time (µs)".to_owned(),
            top: None,
            mark: None,
            lines: (0..COLORS.len()).map(line).collect(),
        }],
    }
}

/// What grows; on a logarithmic axis 0 has no place of its own.
fn axis(grows: &str, curves: &[Curve]) -> String {
    let from_zero = curves.iter().any(|curve| curve.steps().contains(&0));
    if from_zero { format!("{grows} (0 at the left edge)") } else { grows.to_owned() }
}

/// The curve, and each of its points alone, since such are drawn as dots.
fn pieces(runs: &Runs, curve: Curve) -> Vec<Vec<(f64, f64)>> {
    let height = |step| median(runs[&(curve.name(), step)].iter().map(Sample::cpu_us).collect());
    let points: Vec<_> = curve.steps().iter().map(|&step| (step as f64, height(step))).collect();
    let dots: Vec<_> = points.iter().map(|&point| vec![point]).collect();
    [vec![points], dots].concat()
}
