//! Pictures: charts as SVG and PNG.
//!
//! Here: [`Picture`], the sheet that charts are drawn on (title, legend, fonts, colours). Beside: a file for each kind of
//! chart, and `grid.rs` for several charts in one picture. Not here: what is drawn (`analyze.rs`, `series.rs`, `batching/`),
//! files. Values in, pictures out; called by `charts.rs` and `batching/`. Floor 4.
//!
//! A chart is drawn once, as SVG; the PNG is that SVG, rendered. The font is in the program (DejaVu Sans), so pictures look
//! alike on a machine without any.

mod axis;
mod bars;
mod boxes;
mod frame;
mod grid;
mod histogram;
mod lanes;
mod legend;
mod lines;
mod marks;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use plotters::coord::{CoordTranslate, Shift};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;

use legend::{Key, Legend, Names};

pub use axis::Axis;
pub use bars::{Bar, BarChart, Group};
pub use boxes::{BoxFigures, BoxPlot};
pub use grid::{Cell, Grid};
pub use histogram::{Histogram, shares};
pub use lanes::{Lane, Lanes};
pub use lines::{Line, LineChart, Panel, Scale};

/// The first is embedded, and what PNGs have; the others are for programs that show an SVG on a machine without it.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// Plotters places everything on whole units; with so many to a pixel, curves are smooth.
const UNIT: i32 = 4;

/// Pixels of a PNG for each of the SVG, so that it is sharp on dense screens and in print.
const PNG_SCALE: f32 = 2.0;

/// The free edge around a picture, in pixels.
const MARGIN: i32 = 18;

/// Heights of text, in pixels.
const TITLE: i32 = 19;
const TEXT: i32 = 13;
const SMALL: i32 = 11;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0x59, 0x59, 0x59);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Colours that the colour-blind can tell apart (Okabe and Ito 2008), without the yellow, which is faint on white.
const COLORS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x00, 0x00),
];

/// A picture that could not be drawn.
#[derive(Debug)]
pub struct PlotError(String);

impl fmt::Display for PlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot draw: {}", self.0)
    }
}

impl std::error::Error for PlotError {}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> PlotError {
        PlotError(error.to_string())
    }
}

/// A drawn chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    svg: String,
}

impl Picture {
    /// The picture as an SVG document. Its text is text, in the font that is embedded if the reader's machine has it.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as a PNG, with two pixels for each of the SVG.
    ///
    /// # Errors
    /// When it is too large to be held.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let mut options = usvg::Options { font_family: "DejaVu Sans".to_owned(), ..usvg::Options::default() };
        options.fontdb_mut().load_font_data(dejavu::sans::regular().to_vec());
        let tree = usvg::Tree::from_str(&self.svg, &options).map_err(|e| PlotError(e.to_string()))?;
        let size = tree.size().to_int_size().scale_by(PNG_SCALE);
        let mut pixmap = size
            .and_then(|size| Pixmap::new(size.width(), size.height()))
            .ok_or_else(|| PlotError("the picture is too large".to_owned()))?;
        resvg::render(&tree, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|e| PlotError(e.to_string()))
    }
}

/// A chart that is not drawn yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawing {
    /// Bars.
    Bars(BarChart),
    /// Curves.
    Lines(LineChart),
}

impl Drawing {
    /// What it shows.
    pub fn title(&self) -> &str {
        match self {
            Drawing::Bars(chart) => &chart.title,
            Drawing::Lines(chart) => &chart.title,
        }
    }

    /// Draws it.
    ///
    /// # Errors
    /// Only if the embedded font is damaged.
    pub fn draw(&self) -> Result<Picture, PlotError> {
        match self {
            Drawing::Bars(chart) => chart.draw(),
            Drawing::Lines(chart) => chart.draw(),
        }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What stands above every chart.
struct Heading<'a> {
    title: &'a str,
    note: &'a str,
    /// Names of the series, whose colours are [`color`]'s.
    legend: &'a [Names<'a>],
}

/// Draws the heading on a white sheet of `width` pixels, then below it, on an area `height` pixels high, what `draw` draws.
fn sheet(
    (width, height): (i32, i32),
    heading: &Heading<'_>,
    draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>,
) -> Result<Picture, PlotError> {
    register()?;
    let legend = Legend::lay_out(heading.legend, width)?;
    let top = MARGIN + TITLE + 8 + if heading.note.is_empty() { 0 } else { TEXT + 8 } + legend.height() + 6;
    let size = (width, top + height + MARGIN / 2);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (units(size.0) as u32, units(size.1) as u32))
            .into_drawing_area();
        root.fill(&WHITE)?;
        root.draw_text(heading.title, &text(TITLE, INK), (units(MARGIN), units(MARGIN)))?;
        let below_title = MARGIN + TITLE + 8;
        root.draw_text(heading.note, &text(TEXT, FAINT), (units(MARGIN), units(below_title)))?;
        legend.draw(&root, top - legend.height() - 6)?;
        draw(&root.split_vertically(units(top)).1)?;
        root.present()?;
    }
    let drawn = format!("width=\"{}\" height=\"{}\"", units(size.0), units(size.1));
    Ok(Picture { svg: svg.replacen(&drawn, &format!("width=\"{}\" height=\"{}\"", size.0, size.1), 1) })
}

/// Tells plotters of the font, once.
fn register() -> Result<(), PlotError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered =
        REGISTERED.get_or_init(|| register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok());
    if *registered { Ok(()) } else { Err(PlotError("the embedded font is damaged".to_owned())) }
}

fn units(pixels: i32) -> i32 {
    pixels * UNIT
}

/// Text so many pixels high, from its upper left corner.
fn text(pixels: i32, color: RGBColor) -> TextStyle<'static> {
    // Plotters divides the size of a font by 1.24 when it writes it.
    let font = FontDesc::new(FontFamily::Name(FONT), f64::from(units(pixels)) * 1.24, FontStyle::Normal);
    TextStyle { color: color.to_backend_color(), ..TextStyle::from(font) }
}

/// The same, placed otherwise.
fn placed(pixels: i32, color: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
    text(pixels, color).pos(Pos::new(across, down))
}

/// The names, if there are several: a single series needs no legend.
fn several(names: &[String]) -> &[String] {
    if names.len() > 1 { names } else { &[] }
}

/// What stands in the place of a series without values.
const NOTHING: &str = "nothing measured";

/// The points without those that would be drawn where one is already: a long run has more of them than a picture can show.
fn visible<CT: CoordTranslate>(
    area: &DrawingArea<SVGBackend<'_>, CT>,
    points: impl IntoIterator<Item = CT::From>,
) -> Vec<CT::From> {
    let mut taken = BTreeSet::new();
    let pixel = |point: &CT::From| {
        let (x, y) = area.map_coordinate(point);
        (x / UNIT, y / UNIT)
    };
    points.into_iter().filter(|point| taken.insert(pixel(point))).collect()
}

/// How wide a text is, in pixels.
fn width_of(words: &str, pixels: i32) -> Result<i32, PlotError> {
    let size = text(pixels, INK).font.box_size(words).map_err(|e| PlotError(e.to_string()))?;
    Ok(size.0 as i32 / UNIT + 1)
}

/// The colour of the `n`-th series.
fn color(n: usize) -> RGBColor {
    COLORS[n % COLORS.len()]
}

/// Whether the `n`-th curve is dashed, since its colour is taken.
fn dashed(n: usize) -> bool {
    (n / COLORS.len()) % 2 == 1
}

/// Ticks as `1,000` or `0.25`.
fn tick(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    let text = rounded.to_string();
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let grouped = super::table::grouped(whole);
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

/// The stroke of the `n`-th curve.
fn stroke(n: usize) -> ShapeStyle {
    color(n).stroke_width(2 * UNIT as u32)
}

fn dashes<C: Clone>(points: Vec<C>, n: usize) -> DashedPathElement<std::vec::IntoIter<C>, u32> {
    DashedPathElement::new(points, 7 * UNIT as u32, 4 * UNIT as u32, stroke(n))
}

#[cfg(test)]
mod tests;
