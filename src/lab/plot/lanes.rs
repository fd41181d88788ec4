//! Points over time in lanes: one below the other, with common axes, so that no series hides another.
//!
//! Here: [`Lanes`]. Not here: curves (`lines.rs`). Floor 4.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bars::wrap;
use super::frame::{BELOW, Frame};
use super::marks::draw_mark;
use super::{
    Area, Axis, FAINT, INK, MARGIN, NOTHING, PlotError, SMALL, TEXT, color, placed, text, units, visible,
};

/// Pixels for the name of a lane.
const NAME: i32 = 72;
/// Pixels below a lane, above the next.
const GAP: i32 = 5;
/// Pixels that a tick needs.
const TICK: i32 = 24;

/// A series, in its colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What stands beside it.
    pub name: String,
    /// Points for each mark.
    pub points: Vec<Vec<(f64, f64)>>,
}

/// Lanes, from top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Lanes {
    /// The time axis of all lanes.
    pub x: Axis,
    /// Its name, with the unit.
    pub x_axis: String,
    /// The vertical axis of each lane.
    pub y: Axis,
    /// Its name, with the unit.
    pub y_axis: String,
    /// The series.
    pub lanes: Vec<Lane>,
}

impl Lanes {
    pub(super) fn draw_within(&self, area: &Area<'_>, height: i32) -> Result<(), PlotError> {
        let each = (height - BELOW + GAP) / self.lanes.len().max(1) as i32;
        let mut rest = area.clone();
        for (n, lane) in self.lanes.iter().enumerate() {
            let last = n + 1 == self.lanes.len();
            let (here, others) = rest.split_vertically(units(each + if last { BELOW - GAP } else { 0 }));
            rest = others;
            let frame = Frame {
                x: self.x,
                x_name: if last { &self.x_axis } else { "" },
                x_ticks: 9,
                y: self.y,
                y_name: "",
                y_ticks: (((each - GAP) / TICK) as usize).clamp(2, 9),
                below: if last { BELOW } else { GAP },
                x_written: last,
                right: NAME,
            };
            let chart = frame.draw(&here)?;
            let inside = chart.plotting_area();
            for (mark, points) in lane.points.iter().enumerate() {
                for point in visible(inside, points.iter().copied()) {
                    draw_mark(inside, point, mark, color(n))?;
                }
            }
            if lane.points.iter().all(Vec::is_empty) {
                let style = placed(SMALL, FAINT, HPos::Center, VPos::Center);
                let center = (self.x.value_at(0.5), self.y.value_at(0.5));
                inside.draw(&(EmptyElement::at(center) + Text::new(NOTHING, (0, 0), style)))?;
            }
            let style = placed(TEXT, INK, HPos::Left, VPos::Top);
            let corner = (self.x.value_at(1.0), self.y.value_at(1.0));
            for (line, words) in wrap(&lane.name, NAME - 8)?.into_iter().enumerate() {
                let place = (units(8), units((TEXT + 3) * line as i32));
                // Not `inside`: that ends where the name begins.
                let (x, y) = inside.map_coordinate(&corner);
                let (left, top) = here.get_base_pixel();
                here.draw_text(&words, &style, (x - left + place.0, y - top + place.1))?;
            }
        }
        let upwards =
            text(TEXT, INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw_text(&self.y_axis, &upwards, (units(MARGIN), units((height - BELOW) / 2)))?;
        Ok(())
    }
}
