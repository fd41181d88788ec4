//! The frame of a chart: its two axes with ticks, names and grid.
//!
//! Here: [`Frame`]. Not here: what is drawn inside, nor bar charts and curves, which have axes of their own. Floor 4.

use plotters::prelude::*;

use super::{Area, Axis, FAINT, GRID, INK, MARGIN, PlotError, TEXT, text, tick, units};

pub(super) type Framed<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Left of every frame, in pixels: frames above each other are flush.
pub(super) const LEFT: i32 = 74;
/// Below one with values and a name.
pub(super) const BELOW: i32 = 46;

/// The axes of a chart.
pub(super) struct Frame<'a> {
    pub(super) x: Axis,
    pub(super) x_name: &'a str,
    /// So many at most; none: no lines from top to bottom either.
    pub(super) x_ticks: usize,
    pub(super) y: Axis,
    pub(super) y_name: &'a str,
    pub(super) y_ticks: usize,
    /// Free pixels below, where what is written about x stands.
    pub(super) below: i32,
    /// Whether the ticks of x have their values beside them.
    pub(super) x_written: bool,
    /// Free pixels to the right, besides the margin.
    pub(super) right: i32,
}

impl Frame<'_> {
    /// Draws it, and lends what is inside.
    pub(super) fn draw<'a, 'b>(&self, area: &'a Area<'b>) -> Result<Framed<'a, 'b>, PlotError> {
        let mut chart = ChartBuilder::on(area)
            .margin_left(units(MARGIN) as u32)
            .margin_right(units(MARGIN + self.right) as u32)
            .margin_top(units(6) as u32)
            .y_label_area_size(units(LEFT) as u32)
            .x_label_area_size(units(self.below) as u32)
            .build_cartesian_2d(self.x, self.y)?;
        chart
            .configure_mesh()
            .x_labels(self.x_ticks)
            .y_labels(self.y_ticks)
            .x_label_formatter(&|value| if self.x_written { tick(*value) } else { String::new() })
            .y_label_formatter(&|value| tick(*value))
            .label_style(text(TEXT, INK))
            .axis_style(FAINT.stroke_width(units(1) as u32))
            .set_tick_mark_size(LabelAreaPosition::Left, units(5))
            .set_tick_mark_size(LabelAreaPosition::Bottom, if self.x_written { units(5) } else { 0 })
            .bold_line_style(GRID.stroke_width(units(1) as u32))
            .light_line_style(TRANSPARENT)
            .x_desc(self.x_name)
            .y_desc(self.y_name)
            .axis_desc_style(text(TEXT, INK))
            .draw()?;
        Ok(chart)
    }
}
