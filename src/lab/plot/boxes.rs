//! Box plots (Tukey, Exploratory Data Analysis, 1977, §2C and 2D).
//!
//! Here: [`BoxPlot`], and the [`BoxFigures`] of a sample. Floor 4.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::bars::wrap;
use super::frame::{Frame, Framed, LEFT};
use super::{Area, Axis, FAINT, INK, MARGIN, NOTHING, PlotError, SMALL, TEXT, color, placed, units, visible};
use crate::lab::statistics::quantile;

/// How far whiskers reach, in heights of the box.
const REACH: f64 = 1.5;
/// Half the width of a box, of a whisker's end.
const BOX: f64 = 0.28;
const CAP: f64 = 0.14;

const LABEL_LINE: i32 = TEXT + 4;

/// A box with its whiskers.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxFigures {
    /// The lower quartile; quantiles are interpolated linearly.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
    /// The least and the largest value that are at most 1.5 times the distance between the quartiles away from them.
    pub whiskers: (f64, f64),
    /// The values beyond the whiskers, ascending.
    pub outliers: Vec<f64>,
}

impl BoxFigures {
    /// Of values in ascending order; none of nothing.
    pub fn of(ascending: &[f64]) -> Option<BoxFigures> {
        let [lower, median, upper] = [0.25, 0.5, 0.75].map(|q| quantile(ascending, q));
        let (lower, median, upper) = (lower?, median?, upper?);
        let reach = REACH * (upper - lower);
        let inside = |value: &f64| lower - reach <= *value && *value <= upper + reach;
        let near = || ascending.iter().copied().filter(inside);
        // Between quartiles that are interpolated there may be no value.
        let whiskers = (
            near().next().map_or(lower, |least| least.min(lower)),
            near().next_back().map_or(upper, |most| most.max(upper)),
        );
        let outliers = ascending.iter().copied().filter(|value| !inside(value)).collect();
        Some(BoxFigures { lower, median, upper, whiskers, outliers })
    }
}

/// A box for each series.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPlot {
    /// Where the values stand.
    pub axis: Axis,
    /// What the series are.
    pub x_axis: String,
    /// What is measured, with its unit.
    pub y_axis: String,
    /// Each series' name and figures; none: it has no values.
    pub boxes: Vec<(String, Option<BoxFigures>)>,
}

impl BoxPlot {
    pub(super) fn draw_within(&self, area: &Area<'_>, width: i32) -> Result<(), PlotError> {
        let count = self.boxes.len().max(1);
        let each = (width - LEFT - 2 * MARGIN) / count as i32;
        let names: Vec<_> =
            self.boxes.iter().map(|(name, _)| wrap(name, each - 10)).collect::<Result<_, _>>()?;
        let lines = names.iter().map(Vec::len).max().unwrap_or(0);
        let frame = Frame {
            // So that boxes are at 0.5, 1.5, …
            x: Axis::exact(count as f64),
            x_name: &self.x_axis,
            x_ticks: 0,
            y: self.axis,
            y_name: &self.y_axis,
            y_ticks: 9,
            below: 12 + LABEL_LINE * (lines as i32 + 1),
            x_written: false,
            right: 0,
        };
        let mut chart = frame.draw(area)?;
        let bottom = self.axis.value_at(0.0);
        for (n, ((_, figures), name)) in self.boxes.iter().zip(names).enumerate() {
            let middle = n as f64 + 0.5;
            match figures {
                Some(figures) => draw_box(&mut chart, figures, n)?,
                None => {
                    let style = placed(SMALL, FAINT, HPos::Center, VPos::Center);
                    let label = EmptyElement::at((middle, self.axis.value_at(0.5)))
                        + Text::new(NOTHING, (0, 0), style);
                    chart.draw_series([label])?;
                }
            }
            for (line, words) in name.into_iter().enumerate() {
                let style = placed(TEXT, INK, HPos::Center, VPos::Top);
                let down = units(8 + LABEL_LINE * line as i32);
                chart
                    .draw_series([EmptyElement::at((middle, bottom)) + Text::new(words, (0, down), style)])?;
            }
        }
        Ok(())
    }
}

fn draw_box(chart: &mut Framed<'_, '_>, figures: &BoxFigures, n: usize) -> Result<(), PlotError> {
    let BoxFigures { lower, median, upper, whiskers: (least, most), .. } = *figures;
    let middle = n as f64 + 0.5;
    let thin = INK.stroke_width(units(1) as u32 + 2);
    let line = |from, to, style: ShapeStyle| PathElement::new(vec![from, to], style);
    let across =
        |half: f64, height: f64, style| line((middle - half, height), (middle + half, height), style);
    chart.draw_series([
        line((middle, least), (middle, lower), thin),
        line((middle, upper), (middle, most), thin),
        across(CAP, least, thin),
        across(CAP, most, thin),
    ])?;
    let corners = [(middle - BOX, lower), (middle + BOX, upper)];
    chart.draw_series([Rectangle::new(corners, color(n).filled())])?;
    chart.draw_series([Rectangle::new(corners, thin)])?;
    // White around the median, which would be lost in a dark box.
    chart.draw_series([across(BOX, median, WHITE.stroke_width(units(5) as u32))])?;
    chart.draw_series([across(BOX, median, INK.stroke_width(units(2) as u32))])?;
    let outliers = figures.outliers.iter().map(|&outlier| (middle, outlier));
    let ring = color(n).stroke_width(units(1) as u32);
    let shown = visible(chart.plotting_area(), outliers);
    chart.draw_series(shown.into_iter().map(|point| Circle::new(point, units(3), ring)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_of_a_known_sample() {
        // numpy: percentile([25, 50, 75]) = 3.25, 5.5, 7.75, so that whiskers reach from -3.5 to 14.5.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 14.5, 14.6];
        let figures = BoxFigures::of(&values).unwrap();
        assert_eq!((figures.lower, figures.median, figures.upper), (3.25, 5.5, 7.75));
        assert_eq!((figures.whiskers, figures.outliers), ((1.0, 14.5), vec![14.6]));
        assert_eq!(BoxFigures::of(&[]), None);
        let one = BoxFigures::of(&[7.0]).unwrap();
        assert_eq!((one.lower, one.upper, one.whiskers, one.outliers), (7.0, 7.0, (7.0, 7.0), vec![]));
    }

    proptest! {
        #[test]
        fn every_value_is_within_the_whiskers_or_an_outlier(
            mut values in prop::collection::vec(prop_oneof![0.0..1.0f64, 0.0..1e6f64], 1..40),
        ) {
            values.sort_by(f64::total_cmp);
            let BoxFigures { lower, median, upper, whiskers: (least, most), outliers } = BoxFigures::of(&values).unwrap();
            prop_assert!(least <= lower && lower <= median && median <= upper && upper <= most);
            for value in values {
                prop_assert!((least <= value && value <= most) != outliers.contains(&value));
            }
        }
    }
}
