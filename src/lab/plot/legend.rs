//! Legends: which colour, line or mark stands for what, in as many lines as it takes.
//!
//! Here: [`Legend`], between the note of a picture and its charts. Not here: charts. Floor 4.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::draw_mark;
use super::{Area, INK, MARGIN, PlotError, TEXT, color, dashed, dashes, placed, stroke, units, width_of};

/// How a legend shows a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Bar,
    Line,
    /// A shape, whatever its colour.
    Mark,
}

impl Key {
    /// In pixels.
    fn width(self) -> i32 {
        match self {
            Key::Bar => 16,
            Key::Line => 26,
            Key::Mark => 10,
        }
    }
}

/// Names of series, the `n`-th with the `n`-th colour, line or mark.
pub(super) type Names<'a> = (Key, &'a [String]);

struct Entry<'a> {
    x: i32,
    line: i32,
    key: Key,
    /// Which of its kind.
    n: usize,
    name: &'a str,
}

pub(super) struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    lines: i32,
}

const LINE: i32 = TEXT + 9;

impl<'a> Legend<'a> {
    /// Each kind begins a line.
    pub(super) fn lay_out(kinds: &[Names<'a>], width: i32) -> Result<Legend<'a>, PlotError> {
        let mut legend = Legend { entries: Vec::new(), lines: 0 };
        for &(key, names) in kinds.iter().filter(|(_, names)| !names.is_empty()) {
            let mut x = MARGIN;
            for (n, name) in names.iter().enumerate() {
                let needed = key.width() + 7 + width_of(name, TEXT)?;
                if x > MARGIN && x + needed > width - MARGIN {
                    x = MARGIN;
                    legend.lines += 1;
                }
                legend.entries.push(Entry { x, line: legend.lines, key, n, name });
                x += needed + 20;
            }
            legend.lines += 1;
        }
        Ok(legend)
    }

    pub(super) fn height(&self) -> i32 {
        self.lines * LINE
    }

    pub(super) fn draw(&self, root: &Area<'_>, top: i32) -> Result<(), PlotError> {
        for &Entry { x, line, key, n, name } in &self.entries {
            let middle = top + line * LINE + LINE / 2;
            let width = key.width();
            match key {
                Key::Bar => {
                    let corners = [(units(x), units(middle - 6)), (units(x + width), units(middle + 6))];
                    root.draw(&Rectangle::new(corners, color(n).filled()))?;
                }
                Key::Line => {
                    let ends = vec![(units(x), units(middle)), (units(x + width), units(middle))];
                    if dashed(n) {
                        root.draw(&dashes(ends, n))?;
                    } else {
                        root.draw(&PathElement::new(ends, stroke(n)))?;
                    }
                }
                Key::Mark => draw_mark(root, (units(x + width / 2), units(middle)), n, INK)?,
            }
            let style = placed(TEXT, INK, HPos::Left, VPos::Center);
            root.draw_text(name, &style, (units(x + width + 7), units(middle)))?;
        }
        Ok(())
    }
}
