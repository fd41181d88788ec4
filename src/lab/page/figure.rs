//! A chart as Plotly.js takes it.
//!
//! Here: [`Figure`], made of the same values that `lab/plot/` draws. Not here: colours and fonts, which follow the reader's
//! choice of light or dark (`page.js`). Called by `page/mod.rs`. Floor 4.
//!
//! The schema is Plotly's: <https://plotly.com/javascript/reference/>. Its texts may have some tags of HTML, so names pass
//! through [`literal`]; the curve or series that a trace belongs to is its `meta`.

use serde::Serialize;
use serde_json::{Value, json};

use super::numbers;
use crate::lab::plot::{Bar, BarChart, Drawing, LineChart, Panel, Scale};
use crate::lab::table::Table;

/// Pixels.
const BARS: u32 = 400;
const NARROWEST_BAR: usize = 16;
const ONLY_PANEL: u32 = 440;
const PANEL: u32 = 210;
const LEAST_WIDTH: usize = 300;

/// Characters of a line below a bar; more would take the bars' room.
const LONGEST_TICK: usize = 28;

/// Share of the height between panels.
const BETWEEN: f64 = 0.05;

/// Values in one box where the pointer is; with more it would cover the chart, and only the nearest is shown.
const UNIFIED: usize = 12;

/// A chart on a page.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    /// What downloads are called.
    pub(super) name: String,
    pub(super) title: String,
    #[serde(skip)]
    pub(super) note: String,
    /// Of curves or series; none if there is only one, without a name.
    pub(super) names: Vec<String>,
    /// Plotly's traces.
    pub(super) data: Vec<Value>,
    /// Plotly's layout.
    pub(super) layout: Value,
    /// Its numbers, and what they are.
    #[serde(skip)]
    pub(super) numbers: Table,
    #[serde(skip)]
    pub(super) caption: String,
    /// Whether it takes the whole width.
    #[serde(skip)]
    pub(super) wide: bool,
    /// Pixels; below, it scrolls.
    #[serde(skip)]
    pub(super) least_width: usize,
    /// Pixels.
    #[serde(skip)]
    pub(super) height: u32,
}

impl Figure {
    /// The figure of a chart; its downloads are called `name`.
    pub(super) fn of(name: &str, drawing: &Drawing) -> Figure {
        match drawing {
            Drawing::Bars(chart) => of_bars(name, chart),
            Drawing::Lines(chart) => of_lines(name, chart),
        }
    }
}

/// Text that Plotly shows as it is: not as tags, nor as a template.
pub(super) fn literal(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace("%{", "%&#123;")
}

/// To nanoseconds, if it is milliseconds: more would only make the page larger.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn of_bars(name: &str, chart: &BarChart) -> Figure {
    let labels: Vec<String> =
        chart.groups.iter().map(|group| literal(&group.name).replace('\n', "<br>")).collect();
    let ticks: Vec<String> = chart.groups.iter().map(|group| tick(&group.name)).collect();
    let places: Vec<usize> = (0..chart.groups.len()).collect();
    let series = |(n, name): (usize, &String)| {
        let bars: Vec<Option<Bar>> =
            chart.groups.iter().map(|group| group.bars.get(n).copied().flatten()).collect();
        let intervals = || bars.iter().map(|bar| bar.and_then(|bar| Some((bar.value, bar.interval?))));
        let up: Vec<_> = intervals().map(|of| of.map(|(value, interval)| interval.high - value)).collect();
        let down: Vec<_> = intervals().map(|of| of.map(|(value, interval)| value - interval.low)).collect();
        let mut trace = json!({
            "type": "bar",
            "name": literal(name),
            "meta": n,
            "x": places,
            "y": bars.iter().map(|bar| bar.map(|bar| bar.value)).collect::<Vec<_>>(),
            "customdata": labels,
            "texttemplate": format!("%{{y:,.{}f}}", chart.decimals),
            "textposition": "inside",
            // At the bar's foot, away from the whisker.
            "insidetextanchor": "start",
            "hovertemplate": format!("%{{customdata}}<br>{}: %{{y:,.{}f}}", literal(&chart.axis), chart.decimals + 1),
        });
        if up.iter().any(Option::is_some) {
            trace["error_y"] = json!({ "type": "data", "symmetric": false, "array": up, "arrayminus": down });
        }
        trace
    };
    let named = chart.series.iter().any(|name| !name.is_empty());
    let bars = chart.groups.len() * chart.series.len();
    Figure {
        name: name.to_owned(),
        title: chart.title.clone(),
        note: chart.note.clone(),
        names: if named { chart.series.clone() } else { Vec::new() },
        data: chart.series.iter().enumerate().map(series).collect(),
        layout: json!({
            "barmode": "group",
            "bargap": 0.3,
            "uniformtext": { "mode": "hide", "minsize": 10 },
            "xaxis": {
                "title": { "text": literal(chart.groups_axis.as_deref().unwrap_or_default()) },
                "tickvals": places,
                "ticktext": ticks,
                "automargin": true,
                "fixedrange": true,
            },
            "yaxis": { "title": { "text": literal(&chart.axis) }, "rangemode": "tozero", "automargin": true },
        }),
        numbers: numbers::of_bars(chart),
        caption: chart.axis.clone(),
        wide: bars > 18,
        least_width: (90 + bars * NARROWEST_BAR).max(LEAST_WIDTH),
        height: BARS,
    }
}

/// The name of a group below its bars; the whole stands in the table and where the pointer is.
fn tick(name: &str) -> String {
    let shortened = name.lines().map(|line| match line.char_indices().nth(LONGEST_TICK) {
        Some(_) => literal(&line.chars().take(LONGEST_TICK - 1).chain(['…']).collect::<String>()),
        None => literal(line),
    });
    shortened.collect::<Vec<_>>().join("<br>")
}

fn of_lines(name: &str, chart: &LineChart) -> Figure {
    let traces = chart.panels.iter().enumerate().flat_map(|(n, panel)| panel_traces(chart, n, panel));
    let values = chart.names.len() * chart.panels.len();
    let unified = !chart.steps && values <= UNIFIED;
    let mut layout = json!({
        "hovermode": if unified { "x unified" } else { "closest" },
        "hoversubplots": "axis",
        "xaxis": {
            "title": { "text": literal(&chart.x_axis) },
            "type": if chart.x_scale == Scale::Log { "log" } else { "linear" },
            "rangemode": "tozero",
            "anchor": axis("y", chart.panels.len().saturating_sub(1)),
            "automargin": true,
        },
    });
    let mut shapes = Vec::new();
    let mut annotations = Vec::new();
    for (n, panel) in chart.panels.iter().enumerate() {
        layout[axis("yaxis", n)] = y_axis(panel, n, chart.panels.len());
        if let Some((height, name)) = &panel.mark {
            let (across, up) = ("paper", axis("y", n));
            shapes.push(json!({
                "type": "line", "xref": across, "x0": 0, "x1": 1, "yref": up, "y0": height, "y1": height,
                "line": { "width": 1, "dash": "dot" },
            }));
            annotations.push(json!({
                "xref": across, "x": 1, "xanchor": "left", "yref": up, "y": height,
                "text": literal(name), "showarrow": false,
            }));
        }
    }
    layout["shapes"] = shapes.into();
    layout["annotations"] = annotations.into();
    Figure {
        name: name.to_owned(),
        title: chart.title.clone(),
        note: chart.note.clone(),
        names: chart.names.clone(),
        data: traces.collect(),
        layout,
        numbers: numbers::of_lines(chart),
        caption: chart.title.clone(),
        wide: true,
        least_width: LEAST_WIDTH,
        height: if chart.panels.len() > 1 { PANEL * chart.panels.len() as u32 } else { ONLY_PANEL },
    }
}

/// The name of an axis, as Plotly counts: `y`, `y2`, `y3`.
fn axis(letter: &str, n: usize) -> String {
    if n == 0 { letter.to_owned() } else { format!("{letter}{}", n + 1) }
}

/// A trace for each curve; a gap is a point without a value.
fn panel_traces<'a>(chart: &'a LineChart, n: usize, panel: &'a Panel) -> impl Iterator<Item = Value> + 'a {
    let all = || panel.lines.iter().flat_map(|line| line.pieces.iter().flatten());
    // A logarithmic axis has no 0; such points stand at the left edge.
    let least = all().map(|&(x, _)| x).filter(|&x| x > 0.0).fold(f64::INFINITY, f64::min);
    let left = if chart.x_scale == Scale::Log && least.is_finite() { least * 0.8 } else { f64::NEG_INFINITY };
    panel.lines.iter().zip(&chart.names).enumerate().map(move |(curve, (line, name))| {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for (gap, piece) in line.pieces.iter().enumerate() {
            if gap > 0 {
                x.push(None);
                y.push(None);
            }
            x.extend(piece.iter().map(|point| Some(rounded(point.0.max(left)))));
            y.extend(piece.iter().map(|point| Some(rounded(point.1))));
        }
        // A piece of one point has no line.
        let lonely = line.pieces.iter().any(|piece| piece.len() == 1);
        json!({
            "type": "scatter",
            "mode": if lonely { "lines+markers" } else { "lines" },
            "name": literal(name),
            "meta": curve,
            "legendgroup": curve.to_string(),
            "showlegend": n == 0,
            "x": x,
            "y": y,
            "yaxis": axis("y", n),
            "line": { "shape": if chart.steps { "hv" } else { "linear" } },
            "hovertemplate": format!("{}: %{{x:,.3~f}}<br>{}: %{{y:,.2f}}", literal(&chart.x_axis), literal(&panel.axis)),
        })
    })
}

fn y_axis(panel: &Panel, n: usize, panels: usize) -> Value {
    let each = (1.0 - BETWEEN * (panels - 1) as f64) / panels as f64;
    let top = 1.0 - n as f64 * (each + BETWEEN);
    let mut axis = json!({
        "title": { "text": literal(&panel.axis) },
        "domain": [rounded(top - each).max(0.0), rounded(top)],
        "rangemode": "tozero",
        "automargin": true,
    });
    if let Some(highest) = panel.top {
        axis["range"] = json!([0.0, highest * 1.02]);
    }
    axis
}
