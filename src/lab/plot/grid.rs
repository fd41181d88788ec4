//! Several charts in one picture.
//!
//! Here: [`Grid`], charts in two columns below one title and one legend: colours and marks mean the same in all of them.
//! Floor 4.

use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Area, BarChart, BoxPlot, Heading, Histogram, INK, Key, Lanes, LineChart, MARGIN, Picture, PlotError,
    placed, sheet, units,
};

/// A chart of a grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Without its own title, note and legend.
    Bars(BarChart),
    /// Distributions.
    Histogram(Histogram),
    /// Points over time.
    Lanes(Lanes),
    /// Distributions in five figures each.
    Boxes(BoxPlot),
    /// Curves, without their own title, note and legend.
    Lines(LineChart),
}

/// Charts beside and below each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// What it shows.
    pub title: String,
    /// What it is made from.
    pub note: String,
    /// What the colours stand for.
    pub colors: Vec<String>,
    /// What the marks stand for.
    pub marks: Vec<String>,
    /// Titles and charts, two in each row.
    pub cells: Vec<(String, Cell)>,
}

/// Pixels.
const WIDTH: i32 = 1_320;
const CELL_HEIGHT: i32 = 420;
const CELL_TITLE: i32 = 15;
const GAP: i32 = 14;

impl Grid {
    /// Draws it.
    ///
    /// # Errors
    /// Only if the embedded font is damaged.
    pub fn draw(&self) -> Result<Picture, PlotError> {
        let legend = [(Key::Bar, self.colors.as_slice()), (Key::Mark, self.marks.as_slice())];
        let heading = Heading { title: &self.title, note: &self.note, legend: &legend };
        let rows = self.cells.len().div_ceil(2) as i32;
        sheet((WIDTH, rows * CELL_HEIGHT), &heading, |area| {
            let mut rest = area.clone();
            for row in self.cells.chunks(2) {
                let (here, below) = rest.split_vertically(units(CELL_HEIGHT));
                rest = below;
                let (left, right) = here.split_horizontally(units(WIDTH / 2));
                for ((title, cell), half) in row.iter().zip([left, right]) {
                    draw_cell(&half, title, cell)?;
                }
            }
            Ok(())
        })
    }
}

fn draw_cell(area: &Area<'_>, title: &str, cell: &Cell) -> Result<(), PlotError> {
    let style = placed(CELL_TITLE, INK, HPos::Left, VPos::Top);
    area.draw_text(title, &style, (units(MARGIN), units(GAP)))?;
    let above = GAP + CELL_TITLE + 8;
    let inside = area.split_vertically(units(above)).1;
    let (width, height) = (WIDTH / 2, CELL_HEIGHT - above);
    match cell {
        Cell::Bars(chart) => chart.draw_within(&inside, width),
        Cell::Histogram(chart) => chart.draw_within(&inside),
        Cell::Lanes(chart) => chart.draw_within(&inside, height),
        Cell::Boxes(chart) => chart.draw_within(&inside, width),
        Cell::Lines(chart) => chart.draw_within(&inside, height),
    }
}
