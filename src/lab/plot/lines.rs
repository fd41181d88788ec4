//! Curves: one or more panels above each other with a common horizontal axis.
//!
//! Here: [`LineChart`], for distributions and for figures over time. Not here: the points (`lab/series.rs`). Floor 4.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Area, COLORS, FAINT, GRID, Heading, INK, Key, MARGIN, Picture, PlotError, SMALL, TEXT, dashed, dashes,
    placed, several, sheet, stroke, text, tick, units,
};

/// How the horizontal axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from 0.
    Linear,
    /// By factors of ten; points at 0 stand at the left edge.
    Log,
}

impl Scale {
    /// Logarithmic if even divisions would crowd the small values: the largest is more than 30 times the middle.
    pub fn suiting(middle: f64, largest: f64) -> Scale {
        if middle > 0.0 && largest > 30.0 * middle { Scale::Log } else { Scale::Linear }
    }
}

/// A curve; where it has a gap it is divided.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Pieces without gaps, points from left to right.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

/// A field with its own vertical axis, which begins at 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What is measured, with its unit.
    pub axis: String,
    /// Where the axis ends; by itself if none.
    pub top: Option<f64>,
    /// A thin line across, with its name.
    pub mark: Option<(f64, String)>,
    /// A curve for each of [`LineChart::names`].
    pub lines: Vec<Line>,
}

/// Panels of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// What it is made from.
    pub note: String,
    /// What the curves are; a single one needs no legend.
    pub names: Vec<String>,
    /// What is measured to the right, with its unit.
    pub x_axis: String,
    /// How.
    pub x_scale: Scale,
    /// Whether the value of a point holds until the next, as that of a distribution does.
    pub steps: bool,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// Pixels.
const WIDTH: i32 = 900;
const AXIS: i32 = 74;
const BELOW: i32 = 48;
const ONLY_PANEL: i32 = 380;
const PANEL: i32 = 190;

impl LineChart {
    /// Draws it.
    ///
    /// # Errors
    /// Only if the embedded font is damaged.
    pub fn draw(&self) -> Result<Picture, PlotError> {
        let each = if self.panels.len() > 1 { PANEL } else { ONLY_PANEL };
        let height = each * self.panels.len() as i32 + BELOW;
        let heading =
            Heading { title: &self.title, note: &self.note, legend: &[(Key::Line, several(&self.names))] };
        sheet((WIDTH, height), &heading, |area| self.draw_within(area, height))
    }

    /// The panels, each with the same share of `height` pixels.
    pub(super) fn draw_within(&self, area: &Area<'_>, height: i32) -> Result<(), PlotError> {
        let each = (height - BELOW) / self.panels.len().max(1) as i32;
        let mut rest = area.clone();
        for (n, panel) in self.panels.iter().enumerate() {
            let last = n + 1 == self.panels.len();
            let (here, below) = rest.split_vertically(units(each + if last { BELOW } else { 0 }));
            rest = below;
            self.draw_panel(&here, panel, last)?;
        }
        Ok(())
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.panels.iter().flat_map(points)
    }

    fn draw_panel(&self, area: &Area<'_>, panel: &Panel, last: bool) -> Result<(), PlotError> {
        let right = self.points().map(|(x, _)| x).fold(0.0, f64::max);
        let right = if right > 0.0 { right } else { 1.0 };
        let highest = points(panel).map(|(_, y)| y).fold(0.0, f64::max);
        let own_top = if highest > 0.0 { highest * 1.08 } else { 1.0 };
        let y_range = 0.0..panel.top.unwrap_or(own_top);
        match self.x_scale {
            Scale::Linear => self.draw_over(area, panel, 0.0..right * 1.01, y_range, last, 0.0),
            Scale::Log => {
                let least = self.points().map(|(x, _)| x).filter(|&x| x > 0.0).fold(right, f64::min);
                let left = (least * 0.8).min(right / 10.0);
                let x_range = (left..right * 1.1).log_scale();
                self.draw_over(area, panel, x_range, y_range, last, left)
            }
        }
    }

    fn draw_over<X>(
        &self,
        area: &Area<'_>,
        panel: &Panel,
        x_range: X,
        y_range: Range<f64>,
        last: bool,
        left: f64,
    ) -> Result<(), PlotError>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin_left(units(MARGIN) as u32)
            .margin_right(units(MARGIN + 14) as u32)
            .margin_top(units(8) as u32)
            .y_label_area_size(units(AXIS) as u32)
            .x_label_area_size(units(if last { BELOW } else { 8 }) as u32)
            .build_cartesian_2d(x_range, y_range)?;
        chart
            .configure_mesh()
            .x_labels(10)
            .y_labels(if self.panels.len() > 1 { 5 } else { 10 })
            .x_label_formatter(&|value| if last { tick(*value) } else { String::new() })
            .y_label_formatter(&|value| tick(*value))
            .label_style(text(TEXT, INK))
            .axis_style(FAINT.stroke_width(units(1) as u32))
            .set_tick_mark_size(LabelAreaPosition::Left, units(5))
            .set_tick_mark_size(LabelAreaPosition::Bottom, if last { units(5) } else { 0 })
            .bold_line_style(GRID.stroke_width(units(1) as u32))
            .light_line_style(TRANSPARENT)
            .x_desc(if last { self.x_axis.as_str() } else { "" })
            .y_desc(&panel.axis)
            .axis_desc_style(text(TEXT, INK))
            .draw()?;
        if let Some((height, name)) = &panel.mark {
            let right = chart.x_range().end;
            let ends = vec![(left, *height), (right, *height)];
            chart.draw_series([PathElement::new(ends, FAINT.stroke_width(units(1) as u32))])?;
            let style = placed(SMALL, FAINT, HPos::Left, VPos::Center);
            chart.draw_series([
                EmptyElement::at((right, *height)) + Text::new(name.clone(), (units(4), 0), style)
            ])?;
        }
        // The first on top: it is what the others are compared with.
        for (n, line) in panel.lines.iter().enumerate().rev() {
            for piece in &line.pieces {
                let corners = if self.steps { corners(piece) } else { piece.clone() };
                let points: Vec<_> = corners.into_iter().map(|(x, y)| (x.max(left), y)).collect();
                match points.as_slice() {
                    [point] => {
                        chart.draw_series([Circle::new(
                            *point,
                            units(2),
                            COLORS[n % COLORS.len()].filled(),
                        )])?;
                    }
                    _ if dashed(n) => {
                        chart.draw_series([dashes(points, n)])?;
                    }
                    _ => {
                        chart.draw_series([PathElement::new(points, stroke(n))])?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The path that goes to each point across, then up.
fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let steps = points.windows(2).flat_map(|pair| [(pair[1].0, pair[0].1), pair[1]]);
    points.first().copied().into_iter().chain(steps).collect()
}

fn points(panel: &Panel) -> impl Iterator<Item = (f64, f64)> {
    panel.lines.iter().flat_map(|line| line.pieces.iter().flatten().copied())
}
