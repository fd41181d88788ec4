//! Marks: small shapes that tell points apart where colour tells something else.
//!
//! Here: [`draw_mark`]. Not here: which point has which (`lanes.rs`, `legend.rs`). Floor 4.

use std::f64::consts::TAU;

use plotters::coord::CoordTranslate;
use plotters::prelude::*;

use super::{PlotError, UNIT, units};

/// How many shapes there are; then they begin again.
pub(super) const MARKS: usize = 12;

/// From the middle to a corner, in units.
const REACH: f64 = 4.0 * UNIT as f64;

enum Shape {
    Filled(Vec<(i32, i32)>),
    Outline(Vec<(i32, i32)>),
    Strokes([[(i32, i32); 2]; 2]),
}

/// The `n`-th shape, around (0, 0). The first ones differ most.
fn shape(n: usize) -> Shape {
    let corners = |count: usize, first_at: f64, size: f64| -> Vec<(i32, i32)> {
        let at = |corner: usize| TAU * (corner as f64 / count as f64 + first_at);
        let place = |angle: f64| ((size * angle.cos()).round() as i32, (size * angle.sin()).round() as i32);
        (0..count).map(|corner| place(at(corner))).collect()
    };
    let (circle, up, down) =
        (corners(16, 0.0, 0.85 * REACH), corners(3, 0.75, REACH), corners(3, 0.25, REACH));
    let (square, diamond) = (corners(4, 0.125, REACH), corners(4, 0.0, REACH));
    let strokes = |ends: Vec<(i32, i32)>| Shape::Strokes([[ends[0], ends[2]], [ends[1], ends[3]]]);
    match n % MARKS {
        0 => Shape::Filled(circle),
        1 => Shape::Outline(up),
        2 => strokes(square),
        3 => Shape::Outline(square),
        4 => Shape::Filled(diamond),
        5 => Shape::Outline(circle),
        6 => strokes(diamond),
        7 => Shape::Filled(up),
        8 => Shape::Outline(down),
        9 => Shape::Filled(square),
        10 => Shape::Outline(diamond),
        _ => Shape::Filled(down),
    }
}

/// Draws the `n`-th mark at a point.
pub(super) fn draw_mark<CT>(
    area: &DrawingArea<SVGBackend<'_>, CT>,
    at: CT::From,
    n: usize,
    color: RGBColor,
) -> Result<(), PlotError>
where
    CT: CoordTranslate,
    CT::From: Clone,
{
    let line = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: units(1) as u32 };
    let stroke = |ends: Vec<(i32, i32)>| EmptyElement::at(at.clone()) + PathElement::new(ends, line);
    match shape(n) {
        // So much less than full that points below can be seen.
        Shape::Filled(corners) => {
            let inside = color.mix(0.7).filled();
            area.draw(&(EmptyElement::at(at) + Polygon::new(corners, inside)))?;
        }
        Shape::Outline(mut corners) => {
            corners.push(corners[0]);
            area.draw(&stroke(corners))?;
        }
        Shape::Strokes(strokes) => {
            for ends in strokes {
                area.draw(&stroke(ends.to_vec()))?;
            }
        }
    }
    Ok(())
}
