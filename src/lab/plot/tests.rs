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
