//! Tests of the pictures: that they are complete, and that they show what they are given.

use resvg::tiny_skia::{Pixmap, PremultipliedColorU8};

use super::*;
use crate::lab::statistics::Interval;

fn bars(values: &[f64]) -> BarChart {
    let group = |&value: &f64| Group { name: format!("g{value}"), bars: vec![Some(Bar::from(value)), None] };
    BarChart {
        title: "Mean <latency>".to_owned(),
        note: "10 requests".to_owned(),
        axis: "mean latency (ms)".to_owned(),
        decimals: 1,
        series: vec!["persistent".to_owned(), "non-persistent".to_owned()],
        groups_axis: None,
        groups: values.iter().map(group).collect(),
    }
}

fn curve(points: &[(f64, f64)], x_scale: Scale) -> LineChart {
    let lines = vec![Line { pieces: vec![points.to_vec()] }];
    let panel = Panel { axis: "share (%)".to_owned(), top: None, mark: None, lines };
    LineChart {
        title: "Distribution".to_owned(),
        note: String::new(),
        names: vec!["only".to_owned()],
        x_axis: "latency (ms)".to_owned(),
        x_scale,
        steps: false,
        panels: vec![panel],
    }
}

/// How many pixels of each column have a colour.
fn height_of(png: &[u8], color: RGBColor) -> Vec<u32> {
    let picture = Pixmap::decode_png(png).unwrap();
    let wanted = PremultipliedColorU8::from_rgba(color.0, color.1, color.2, 255).unwrap();
    (0..picture.width())
        .map(|x| (0..picture.height()).filter(|&y| picture.pixel(x, y) == Some(wanted)).count() as u32)
        .collect()
}

#[test]
fn the_svg_has_every_text() {
    let picture = bars(&[10.0, 1234.5]).draw().unwrap();
    for text in [
        "Mean &lt;latency&gt;",
        "10 requests",
        "mean latency (ms)",
        "non-persistent",
        "g10",
        "1234.5",
        "1,000",
    ] {
        assert!(picture.svg().contains(text), "{text} is missing:\n{}", picture.svg());
    }
}

#[test]
fn bars_are_as_high_as_their_values() {
    let png = bars(&[50.0, 100.0]).draw().unwrap().png().unwrap();
    let columns = height_of(&png, color(0));
    let low = columns.iter().copied().filter(|&height| height > 100).min().unwrap();
    let high = columns.iter().copied().max().unwrap();
    assert!((f64::from(high) / f64::from(low) - 2.0).abs() < 0.1, "{high} {low}");
}

#[test]
fn text_is_drawn_without_fonts_on_the_machine() {
    // Nothing of this title but its letters is so dark.
    let png = curve(&[(0.0, 0.0), (1.0, 1.0)], Scale::Linear).draw().unwrap().png().unwrap();
    let ink: u32 = height_of(&png, INK).iter().sum();
    assert!(ink > 1_000, "{ink}");
}

#[test]
fn a_picture_is_twice_as_dense_as_png() {
    let picture = bars(&[1.0]).draw().unwrap();
    let png = Pixmap::decode_png(&picture.png().unwrap()).unwrap();
    assert!(picture.svg().contains(&format!(
        "width=\"{}\" height=\"{}\"",
        png.width() / 2,
        png.height() / 2
    )));
}

#[test]
fn nothing_and_single_points_can_be_drawn() {
    for values in [&[][..], &[0.0], &[7.0]] {
        bars(values).draw().unwrap().png().unwrap();
    }
    for scale in [Scale::Linear, Scale::Log] {
        for points in [&[][..], &[(0.0, 0.0)], &[(5.0, 1.0)], &[(0.0, 1.0), (1e6, 2.0)]] {
            curve(points, scale).draw().unwrap().png().unwrap();
        }
    }
}

#[test]
fn whiskers_reach_as_far_as_the_interval() {
    let mut chart = bars(&[100.0]);
    let drawn = |chart: &BarChart| chart.draw().unwrap().svg().matches("stroke-width=\"6\"").count();
    let without = drawn(&chart);
    chart.groups[0].bars[0] = Some(Bar { value: 100.0, interval: Some(Interval { low: 80.0, high: 300.0 }) });
    assert_eq!(drawn(&chart) - without, 3, "a line and its two caps");
    // The axis has room for them.
    assert!(chart.draw().unwrap().svg().contains(">\n300\n<"));
}

#[test]
fn curves_are_told_apart_by_dashes_when_colours_are_used_up() {
    let mut chart = curve(&[(0.0, 0.0), (1.0, 1.0)], Scale::Linear);
    let drawn = |chart: &LineChart| chart.draw().unwrap().svg().matches("<polyline").count();
    let one = drawn(&chart);
    let line = chart.panels[0].lines[0].clone();
    chart.panels[0].lines = vec![line; 8];
    assert!(drawn(&chart) > one + 7 + 10, "the eighth is in pieces");
}

#[test]
fn ticks_are_short() {
    let shown = [0.0, 0.25, 1000.0, 0.1 + 0.2, 1e6].map(tick);
    assert_eq!(shown, ["0", "0.25", "1,000", "0.3", "1,000,000"]);
}

fn grid(cell: Cell) -> Picture {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let (colors, marks) = (names(["sjf", "fair"]), names(["A", "B"]));
    let cells = vec![("(a) only".to_owned(), cell)];
    Grid { title: "Grid".to_owned(), note: String::new(), colors, marks, cells }.draw().unwrap()
}

#[test]
fn no_bar_of_a_histogram_hides_another() {
    let histogram = Histogram {
        axis: Axis::from_zero(10.0),
        x_axis: "latency (ms)".to_owned(),
        y_axis: "share (%)".to_owned(),
        shares: vec![vec![50.0, 0.0], vec![100.0, 50.0]],
    };
    let png = grid(Cell::Histogram(histogram)).png().unwrap();
    let heights = [0, 1].map(|n| height_of(&png, color(n)));
    let highest = heights.each_ref().map(|columns| f64::from(*columns.iter().max().unwrap()));
    assert!((highest[1] / highest[0] - 2.0).abs() < 0.05, "{highest:?}");
    // Bars, not the keys in the legend.
    let bars = heights.map(|columns| columns.into_iter().map(|height| height > 100).collect::<Vec<_>>());
    assert!(bars[0].iter().zip(&bars[1]).all(|(first, second)| !(first & second)));
    let wide = bars.map(|columns| columns.into_iter().filter(|&bar| bar).count() as f64);
    assert!((wide[1] / wide[0] - 2.0).abs() < 0.05, "as many bars as shares, all as wide: {wide:?}");
}

#[test]
fn a_box_reaches_from_quartile_to_quartile_with_a_ring_for_each_outlier() {
    let boxes = |figures: BoxFigures| {
        let boxes = vec![("sjf".to_owned(), Some(figures)), ("fair".to_owned(), None)];
        let words = || String::new();
        grid(Cell::Boxes(BoxPlot { axis: Axis::from_zero(100.0), x_axis: words(), y_axis: words(), boxes }))
    };
    let figures = BoxFigures {
        lower: 20.0,
        median: 20.0,
        upper: 40.0,
        whiskers: (10.0, 60.0),
        outliers: vec![90.0, 95.0],
    };
    let height = |picture: &Picture| {
        let columns = height_of(&picture.png().unwrap(), color(0));
        f64::from(columns.into_iter().max().unwrap())
    };
    let low = boxes(figures.clone());
    let high = boxes(BoxFigures { upper: 60.0, ..figures });
    assert!((height(&high) / height(&low) - 2.0).abs() < 0.1);
    assert_eq!(low.svg().matches("<circle").count(), 2);
    assert!(low.svg().contains(NOTHING), "of the second there is nothing");
}

#[test]
fn lanes_are_below_each_other_in_their_colours_with_a_mark_for_each_point() {
    let lane = |name: &str, points: &[(f64, f64)]| Lane {
        name: name.to_owned(),
        points: vec![points.to_vec(), vec![(5.0, 5.0)]],
    };
    let lanes = Lanes {
        x: Axis::from_zero(10.0),
        x_axis: "time (s)".to_owned(),
        y: Axis::from_zero(10.0),
        y_axis: "latency (ms)".to_owned(),
        lanes: vec![lane("first", &[(1.0, 1.0), (2.0, 9.0), (2.0, 9.0)]), lane("second", &[(1.0, 1.0)])],
    };
    let picture = grid(Cell::Lanes(lanes));
    let filled =
        |n| picture.svg().matches(&format!("<polygon opacity=\"0.7\" fill=\"{}\"", hex(color(n)))).count();
    assert_eq!([filled(0), filled(1)], [2, 1], "what would be drawn twice is drawn once");
    let outlines =
        |n| picture.svg().matches(&format!("stroke=\"{}\" stroke-width=\"4\"", hex(color(n)))).count();
    assert_eq!([outlines(0), outlines(1)], [1, 1]);
    let first = picture.svg().find("\nfirst\n").unwrap();
    assert!(first < picture.svg().find("\nsecond\n").unwrap());
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[test]
fn marks_are_told_apart() {
    let mark = |n: usize| {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (100, 100)).into_drawing_area();
            marks::draw_mark(&root, (50, 50), n, INK).unwrap();
        }
        svg
    };
    let drawn: BTreeSet<String> = (0..marks::MARKS).map(mark).collect();
    assert_eq!(drawn.len(), marks::MARKS);
    assert_eq!(mark(0), mark(marks::MARKS));
}

#[test]
fn curves_of_a_grid_keep_their_colours_where_another_has_none() {
    let mut chart = curve(&[(1.0, 1.0), (10.0, 2.0)], Scale::Log);
    let drawn = chart.panels[0].lines.remove(0);
    chart.panels[0].lines = vec![Line { pieces: Vec::new() }, drawn];
    let picture = grid(Cell::Lines(chart));
    let strokes =
        |n| picture.svg().matches(&format!("stroke=\"{}\" stroke-width=\"8\"", hex(color(n)))).count();
    assert_eq!([strokes(0), strokes(1)], [0, 1]);
    assert!(picture.svg().contains("latency (ms)") && !picture.svg().contains("Distribution"));
}
