//! Bar charts: groups of bars side by side.
//!
//! Here: [`BarChart`], for figures of variants and for shares. Not here: curves (`lines.rs`). Floor 4.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{
    Area, FAINT, GRID, Heading, INK, Key, MARGIN, Picture, PlotError, SMALL, TEXT, color, placed, several,
    sheet, text, tick, units, width_of,
};
use crate::lab::statistics::Interval;
use crate::lab::table::number;

/// A bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Its height, from 0.
    pub value: f64,
    /// How sure the value is, or how far what it is the mean of spreads; drawn as a whisker, from 0 at least.
    pub interval: Option<Interval>,
}

impl From<f64> for Bar {
    fn from(value: f64) -> Bar {
        Bar { value, interval: None }
    }
}

/// Bars that stand together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What is written below; a line break divides it.
    pub name: String,
    /// A bar for each series; none leaves its place free.
    pub bars: Vec<Option<Bar>>,
}

/// Groups of bars.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// What it shows.
    pub title: String,
    /// What it is made from: sizes of samples, for instance.
    pub note: String,
    /// What is measured, with its unit.
    pub axis: String,
    /// Decimals of the values written above the bars.
    pub decimals: usize,
    /// What the bars of a group stand for, in the order of [`Group::bars`]. A single series needs no legend.
    pub series: Vec<String>,
    /// What the groups are; often their names tell it.
    pub groups_axis: Option<String>,
    /// From left to right.
    pub groups: Vec<Group>,
}

/// Pixels.
const AXIS: i32 = 74;
const GAP: i32 = 34;
const NARROWEST: i32 = 26;
const WIDEST: i32 = 84;
const LEAST_WIDTH: i32 = 640;
const MOST_WIDTH: i32 = 2_400;
const PLOT_HEIGHT: i32 = 330;
const LABEL_LINE: i32 = TEXT + 4;
const MOST_LABEL_LINES: usize = 4;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Where things stand, in pixels.
struct Measures {
    width: i32,
    bar: i32,
    group: i32,
    /// Whether values fit above their bars.
    values: bool,
    labels: Vec<Vec<String>>,
    /// What everything below the axis needs.
    below: i32,
}

impl BarChart {
    /// Draws it. Its width follows from the number of bars.
    ///
    /// # Errors
    /// Only if the embedded font is damaged.
    pub fn draw(&self) -> Result<Picture, PlotError> {
        super::register()?;
        let measures = self.measure()?;
        let heading =
            Heading { title: &self.title, note: &self.note, legend: &[(Key::Bar, several(&self.series))] };
        sheet((measures.width, PLOT_HEIGHT + measures.below), &heading, |area| self.draw_on(area, &measures))
    }

    /// Draws it on an area so many pixels wide, without title, note and legend.
    pub(super) fn draw_within(&self, area: &Area<'_>, width: i32) -> Result<(), PlotError> {
        self.draw_on(area, &self.fit(width)?)
    }

    fn value(&self, bar: &Bar) -> String {
        number(bar.value, self.decimals)
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.groups.iter().flat_map(|group| group.bars.iter().flatten())
    }

    fn measure(&self) -> Result<Measures, PlotError> {
        let value = self.widest_value()?;
        let (groups, series) = self.counts();
        let inside = |bar: i32| groups * (series * bar + GAP);
        let edges = AXIS + 2 * MARGIN;
        let most = (MOST_WIDTH - edges) / groups - GAP;
        let roomy = (LEAST_WIDTH - edges) / groups - GAP;
        let wanted = (roomy / series).clamp(NARROWEST, WIDEST).max(value);
        let bar = wanted.min(most / series).max(2);
        let width = (edges + inside(bar)).max(LEAST_WIDTH);
        self.arrange(width, bar)
    }

    /// For a given width, however narrow the bars become.
    fn fit(&self, width: i32) -> Result<Measures, PlotError> {
        let (groups, series) = self.counts();
        let group = (width - AXIS - 2 * MARGIN) / groups;
        let gap = (group / 5).clamp(4, GAP);
        self.arrange(width, ((group - gap) / series).clamp(1, WIDEST))
    }

    fn arrange(&self, width: i32, bar: i32) -> Result<Measures, PlotError> {
        let group = (width - AXIS - 2 * MARGIN) / self.counts().0;
        let labels: Vec<Vec<String>> =
            self.groups.iter().map(|group_of| wrap(&group_of.name, group - 10)).collect::<Result<_, _>>()?;
        let lines = labels.iter().map(Vec::len).max().unwrap_or(0) + usize::from(self.groups_axis.is_some());
        let below = 10 + LABEL_LINE * lines as i32;
        Ok(Measures { width, bar, group, values: self.widest_value()? <= bar, labels, below })
    }

    /// How many groups and how many bars in each, at least one.
    fn counts(&self) -> (i32, i32) {
        (self.groups.len().max(1) as i32, self.series.len().max(1) as i32)
    }

    /// In pixels, with the space beside it.
    fn widest_value(&self) -> Result<i32, PlotError> {
        let widths =
            self.bars().map(|bar| width_of(&self.value(bar), SMALL)).collect::<Result<Vec<_>, _>>()?;
        Ok(widths.into_iter().max().unwrap_or(0) + 8)
    }

    fn draw_on(&self, area: &Area<'_>, measures: &Measures) -> Result<(), PlotError> {
        let heights =
            self.bars().map(|bar| bar.interval.map_or(bar.value, |interval| interval.high.max(bar.value)));
        let highest = heights.fold(0.0, f64::max);
        let top = if highest > 0.0 { highest * 1.1 } else { 1.0 };
        let mut chart = ChartBuilder::on(area)
            .margin_left(units(MARGIN) as u32)
            .margin_right(units(MARGIN) as u32)
            .margin_top(units(6) as u32)
            .y_label_area_size(units(AXIS) as u32)
            .x_label_area_size(units(measures.below) as u32)
            .build_cartesian_2d(0.0..self.groups.len().max(1) as f64, 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_labels(7)
            .y_label_formatter(&|value| tick(*value))
            .label_style(text(TEXT, INK))
            .axis_style(FAINT.stroke_width(units(1) as u32))
            .set_tick_mark_size(LabelAreaPosition::Left, units(5))
            .set_tick_mark_size(LabelAreaPosition::Bottom, 0)
            .bold_line_style(GRID.stroke_width(units(1) as u32))
            .light_line_style(TRANSPARENT)
            .x_desc(self.groups_axis.as_deref().unwrap_or_default())
            .y_desc(&self.axis)
            .axis_desc_style(text(TEXT, INK))
            .draw()?;
        for (n, group) in self.groups.iter().enumerate() {
            self.draw_group(&mut chart, measures, n, group)?;
        }
        Ok(())
    }

    fn draw_group(
        &self,
        chart: &mut Chart<'_, '_>,
        measures: &Measures,
        n: usize,
        group: &Group,
    ) -> Result<(), PlotError> {
        let center = n as f64 + 0.5;
        let bar_width = f64::from(measures.bar) / f64::from(measures.group);
        let left = center - bar_width * self.series.len() as f64 / 2.0;
        for (series, bar) in group.bars.iter().enumerate() {
            let Some(bar) = bar else { continue };
            let from = left + series as f64 * bar_width;
            let middle = from + bar_width / 2.0;
            let corners = [(from + 0.06 * bar_width, 0.0), (from + 0.94 * bar_width, bar.value)];
            chart.draw_series([Rectangle::new(corners, color(series).filled())])?;
            let mut top = bar.value;
            if let Some(Interval { low, high }) = bar.interval {
                let (cap, thin) = (0.12 * bar_width, INK.stroke_width(units(1) as u32 + 2));
                let low = low.max(0.0);
                let line = |from, to| PathElement::new(vec![from, to], thin);
                let cap_at = |y| line((middle - cap, y), (middle + cap, y));
                chart.draw_series([line((middle, low), (middle, high)), cap_at(low), cap_at(high)])?;
                top = top.max(high);
            }
            if measures.values {
                let style = placed(SMALL, INK, HPos::Center, VPos::Bottom);
                let label =
                    EmptyElement::at((middle, top)) + Text::new(self.value(bar), (0, -units(2)), style);
                chart.draw_series([label])?;
            }
        }
        for (line, words) in measures.labels[n].iter().enumerate() {
            let style = placed(TEXT, INK, HPos::Center, VPos::Top);
            let down = units(8 + LABEL_LINE * line as i32);
            chart.draw_series([
                EmptyElement::at((center, 0.0)) + Text::new(words.clone(), (0, down), style)
            ])?;
        }
        Ok(())
    }
}

/// Divides a name into lines of at most `width` pixels, after signs that end words if it can.
pub(super) fn wrap(name: &str, width: i32) -> Result<Vec<String>, PlotError> {
    let mut lines: Vec<String> = Vec::new();
    for given in name.split('\n') {
        lines.push(String::new());
        for word in given.split_inclusive(['_', '-', ' ', '/', '.']) {
            let line = lines.last_mut().expect("a line was just begun");
            let fits = width_of(&format!("{line}{word}"), TEXT)? <= width;
            if fits || line.is_empty() {
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    let more = lines.len() > MOST_LABEL_LINES;
    lines.truncate(MOST_LABEL_LINES);
    let last = lines.len() - 1;
    for (n, line) in lines.iter_mut().enumerate() {
        shorten(line, width, more && n == last)?;
    }
    Ok(lines)
}

/// Cuts a line that is too wide, and marks one that is not the end.
fn shorten(line: &mut String, width: i32, marked: bool) -> Result<(), PlotError> {
    let mut mark = if marked { "…" } else { "" };
    while !line.is_empty() && width_of(&format!("{line}{mark}"), TEXT)? > width {
        line.pop();
        mark = "…";
    }
    line.push_str(mark);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_wrapped_after_words_and_cut_at_last() {
        super::super::register().unwrap();
        assert_eq!(wrap("adaptive_sma", 200).unwrap(), ["adaptive_sma"]);
        assert_eq!(wrap("adaptive_sma", 70).unwrap(), ["adaptive_", "sma"]);
        assert_eq!(wrap("sma\nP", 200).unwrap(), ["sma", "P"]);
        let long = wrap(&"word ".repeat(20), 60).unwrap();
        assert!(long.len() == MOST_LABEL_LINES && long[3].ends_with('…'), "{long:?}");
        let cut = wrap("incomprehensibilities", 60).unwrap();
        assert!(cut[0].starts_with("incom") && cut[0].ends_with('…'), "{cut:?}");
    }
}
