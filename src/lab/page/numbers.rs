//! The numbers of a chart as a table.
//!
//! Here: [`of_bars`], [`of_lines`]. Not here: the chart (`figure.rs`), which calls this. Floor 4.

use crate::lab::plot::{BarChart, Line, LineChart};
use crate::lab::statistics::Interval;
use crate::lab::table::{Table, number};

/// Rows for each curve; the charts themselves have more points.
const ROWS: usize = 100;

/// A value with the ends of its interval: `1.50 (1.00 to 2.00)`.
pub(super) fn value(value: f64, interval: Option<Interval>, decimals: usize) -> String {
    let ends = interval.map_or(String::new(), |Interval { low, high }| {
        format!(" ({} to {})", number(low, decimals), number(high, decimals))
    });
    number(value, decimals) + &ends
}

/// A row for each group, a column for each series.
pub(super) fn of_bars(chart: &BarChart) -> Table {
    let names = chart.series.iter().map(|name| if name.is_empty() { &chart.axis } else { name });
    let header: Vec<&str> = [chart.groups_axis.as_deref().unwrap_or_default()]
        .into_iter()
        .chain(names.map(String::as_str))
        .collect();
    let mut table = Table::new(1, &header);
    for group in &chart.groups {
        let bars = group.bars.iter().map(|bar| {
            bar.map_or("–".to_owned(), |bar| value(bar.value, bar.interval, chart.decimals + 1))
        });
        table.push([group.name.replace('\n', ", ")].into_iter().chain(bars).collect());
    }
    table
}

/// Rows for each curve, evenly over its points, with its last; a column for each panel.
pub(super) fn of_lines(chart: &LineChart) -> Table {
    let axes = chart.panels.iter().map(|panel| panel.axis.as_str());
    let header: Vec<&str> = ["curve", chart.x_axis.as_str()].into_iter().chain(axes).collect();
    let mut table = Table::new(1, &header);
    for (n, name) in chart.names.iter().enumerate() {
        let lines: Vec<Option<&Line>> = chart.panels.iter().map(|panel| panel.lines.get(n)).collect();
        let mut places: Vec<f64> = lines.iter().copied().flatten().flat_map(points).map(|(x, _)| x).collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        let stride = places.len().div_ceil(ROWS).max(1);
        for (_, &x) in places.iter().enumerate().filter(|(at, _)| at % stride == 0 || at + 1 == places.len())
        {
            let figures = lines.iter().map(|line| {
                // Where a curve rises straight up, its upper end.
                let at = line.and_then(|line| points(line).filter(|point| point.0 == x).last());
                at.map_or("–".to_owned(), |(_, y)| number(y, 2))
            });
            table.push([name.clone(), number(x, 2)].into_iter().chain(figures).collect());
        }
    }
    table
}

fn points(line: &Line) -> impl Iterator<Item = (f64, f64)> {
    line.pieces.iter().flatten().copied()
}
