//! The pictures of a report.
//!
//! Here: which charts there are and what stands in them: the contract's four bar charts, the distribution of latency, and
//! figures over time. Not here: how charts are drawn (`plot/`, `page/`). Called by `cli/report.rs` and `page/`. Floor 4.

use super::analyze::backend_labels;
use super::plot::{Bar, BarChart, Drawing, Group, Line, LineChart, Panel, Picture, PlotError, Scale};
use super::report::{Report, Run, SEED, Variant, in_order, sizes};
use super::series::{Moment, distribution, over_time};
use super::statistics::quantile;
use super::table::grouped;
use super::verdict::{CONFIDENCE, Metric, Repeats};
use crate::proxy::ConnectionMode;

/// Points of a curve; more cannot be told apart.
const POINTS: usize = 1_000;
/// Parts of the time, if there are rows enough.
const MOMENTS: usize = 100;
/// Rows for each part, at least, on average.
const ROWS_A_MOMENT: usize = 20;
/// Variants that a bar chart has room for.
const GROUPS: usize = 40;
/// Curves that can still be told apart.
pub(super) const CURVES: usize = 14;

/// A picture with its title and a name for its file, without the ending.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What the file is called.
    pub name: &'static str,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub picture: Picture,
}

/// Names of the files that [`charts`] has pictures for.
pub const NAMES: [&str; 6] = [
    "requests_per_second",
    "mean_latency",
    "p95_latency",
    "request_distribution",
    "latency_ecdf",
    "time_line",
];

/// All pictures of a report, in the order of [`NAMES`].
///
/// # Errors
/// Those of drawing.
pub fn charts(report: &Report) -> Result<Vec<Chart>, PlotError> {
    let drawn = |(name, drawing): (_, Drawing)| {
        Ok(Chart { name, title: drawing.title().to_owned(), picture: drawing.draw()? })
    };
    drawings(report).into_iter().map(drawn).collect()
}

/// What [`charts`] draws, each with its name.
pub(super) fn drawings(report: &Report) -> [(&'static str, Drawing); NAMES.len()] {
    let variants = report.variants();
    let layout = Layout::of(&variants[..variants.len().min(GROUPS)], variants.len());
    let [requests, mean, p95, shares, ecdf, time] = NAMES;
    let bars = |title, axis, metric| Drawing::Bars(layout.figures(title, axis, metric));
    [
        (requests, bars("Requests per second", "requests/s", Metric::RequestsPerS)),
        (mean, bars("Mean latency", "mean latency (ms)", Metric::MeanMs)),
        (p95, bars("95th percentile of latency", "p95 latency (ms)", Metric::P95Ms)),
        (shares, Drawing::Bars(layout.shares())),
        (ecdf, Drawing::Lines(latency_ecdf(&variants))),
        (time, Drawing::Lines(time_line(report.runs()))),
    ]
}

/// How variants are arranged as bars.
struct Layout<'a> {
    variants: &'a [Variant<'a>],
    /// A name and the variants of each series.
    groups: Vec<(String, Vec<Option<usize>>)>,
    series: Vec<String>,
    /// How many variants there are, shown or not.
    all: usize,
}

impl<'a> Layout<'a> {
    /// P and NP side by side if each variant is one routing mode in one connection mode, as its name tells; else a bar
    /// for each.
    fn of(variants: &'a [Variant<'a>], all: usize) -> Layout<'a> {
        Layout::by_connection(variants, all).unwrap_or_else(|| Layout {
            variants,
            groups: variants
                .iter()
                .enumerate()
                .map(|(n, variant)| (two_lines(variant), vec![Some(n)]))
                .collect(),
            series: vec![String::new()],
            all,
        })
    }

    fn by_connection(variants: &'a [Variant<'a>], all: usize) -> Option<Layout<'a>> {
        let places: Vec<(&str, ConnectionMode)> = variants
            .iter()
            .map(|variant| Some((variant.only_mode?, connection_of(variant.name)?)))
            .collect::<Option<_>>()?;
        let find = |place: (&str, ConnectionMode)| places.iter().position(|&other| other == place);
        let unique = places.iter().enumerate().all(|(n, &place)| find(place) == Some(n));
        let connections: Vec<_> = ConnectionMode::ALL
            .into_iter()
            .filter(|mode| places.iter().any(|(_, other)| other == mode))
            .collect();
        let modes = in_order(places.iter().map(|&(mode, _)| mode));
        let bars = |mode| connections.iter().map(|&connection| find((mode, connection))).collect();
        (unique && !places.is_empty()).then(|| Layout {
            variants,
            groups: modes.into_iter().map(|mode| (mode.to_owned(), bars(mode))).collect(),
            series: connections.iter().map(|mode| mode.name().to_owned()).collect(),
            all,
        })
    }

    fn note(&self) -> String {
        let figures = self.variants.iter().flat_map(Variant::figures);
        let counts: Vec<u64> = figures.map(|(figures, _)| figures.requests).collect();
        let only = match self.series.as_slice() {
            [only] if !only.is_empty() => format!("{only} connections, "),
            _ => String::new(),
        };
        let whiskers = if self.variants.iter().any(|variant| variant.runs.len() > 1) {
            format!("; bars are means of repeats, whiskers their {} % intervals", 100.0 * CONFIDENCE)
        } else {
            String::new()
        };
        let each = if self.variants.len() > 1 { " each" } else { "" };
        let left_out = left_out("variants", self.all, GROUPS);
        format!("{only}{}{each}{left_out}{whiskers}", sizes(&counts))
    }

    fn figures(&self, title: &str, axis: &str, metric: Metric) -> BarChart {
        let repeats: Vec<Repeats> = self.variants.iter().map(Variant::repeats).collect();
        let bar = |variant: usize| {
            let (value, interval) = repeats[variant].estimate(metric, SEED)?;
            Some(Bar { value, interval })
        };
        let group = |(name, variants): &(String, Vec<Option<usize>>)| Group {
            name: name.clone(),
            bars: variants.iter().map(|variant| variant.and_then(bar)).collect(),
        };
        BarChart {
            title: title.to_owned(),
            note: self.note(),
            axis: axis.to_owned(),
            decimals: 1,
            series: self.series.clone(),
            groups_axis: None,
            groups: self.groups.iter().map(group).collect(),
        }
    }

    /// A group for each variant, P and NP of a mode beside each other; a bar for each backend.
    fn shares(&self) -> BarChart {
        let parts = || self.variants.iter().flat_map(Variant::figures).flat_map(|(_, backends)| backends);
        let urls = in_order(parts().map(|part| part.name.as_str()));
        let mut groups = Vec::new();
        for (name, variants) in &self.groups {
            for (series, variant) in self.series.iter().zip(variants) {
                let Some(variant) = variant else { continue };
                let name = if self.series.len() > 1 { format!("{name}\n{series}") } else { name.clone() };
                let share = |url: &&str| self.share(&self.variants[*variant], url).map(Bar::from);
                groups.push(Group { name, bars: urls.iter().map(share).collect() });
            }
        }
        let series = backend_labels(&urls).into_iter().map(|label| match label.as_str() {
            "none" => "no backend".to_owned(),
            _ => format!("backend {label}"),
        });
        BarChart {
            title: "Request distribution".to_owned(),
            note: self.note().split(';').next().unwrap_or_default().to_owned(),
            axis: "share of requests (%)".to_owned(),
            decimals: 1,
            series: series.collect(),
            groups_axis: None,
            groups,
        }
    }

    /// Over all repeats together.
    fn share(&self, variant: &Variant<'_>, url: &str) -> Option<f64> {
        let (mut part, mut all) = (0, 0);
        for (figures, backends) in variant.figures() {
            all += figures.requests;
            part += backends.iter().find(|part| part.name == url).map_or(0, |part| part.figures.requests);
        }
        (all > 0).then(|| 100.0 * part as f64 / all as f64)
    }
}

fn two_lines(variant: &Variant<'_>) -> String {
    variant.mode.map_or(variant.name.to_owned(), |mode| format!("{}\n{mode}", variant.name))
}

/// The connection mode that a name tells: `round_robin_persistent`, `sma non-persistent`, `rr_np`.
fn connection_of(name: &str) -> Option<ConnectionMode> {
    let name = name.to_lowercase();
    let letters: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let has_word = |word| name.split(|c: char| !c.is_alphanumeric()).any(|other| other == word);
    if letters.contains("nonpersistent") || has_word("np") {
        Some(ConnectionMode::NonPersistent)
    } else if letters.contains("persistent") || has_word("p") {
        Some(ConnectionMode::Persistent)
    } else {
        None
    }
}

fn latency_ecdf(variants: &[Variant<'_>]) -> LineChart {
    let latencies: Vec<Vec<f64>> = variants.iter().take(CURVES).map(Variant::latencies).collect();
    let curve = |latencies: &Vec<f64>| {
        let bottom = latencies.first().map(|&least| (least, 0.0));
        let points = distribution(latencies, POINTS).into_iter().map(|(ms, share)| (ms, 100.0 * share));
        Line { pieces: vec![bottom.into_iter().chain(points).collect()] }
    };
    let middles = latencies.iter().filter_map(|latencies| quantile(latencies, 0.5));
    let largest = latencies.iter().filter_map(|latencies| latencies.last()).copied().fold(0.0, f64::max);
    let x_scale = Scale::suiting(middles.fold(f64::INFINITY, f64::min), largest);
    let unit = if x_scale == Scale::Log { "latency (ms, logarithmic)" } else { "latency (ms)" };
    LineChart {
        title: "Distribution of latency".to_owned(),
        note: format!(
            "share of requests that took at most so long{}",
            left_out("variants", variants.len(), CURVES)
        ),
        names: variants.iter().zip(&latencies).map(|(variant, all)| with_size(variant, all)).collect(),
        x_axis: unit.to_owned(),
        x_scale,
        steps: true,
        panels: vec![Panel {
            axis: "share of requests (%)".to_owned(),
            top: Some(100.0),
            mark: Some((95.0, "p95".to_owned())),
            lines: latencies.iter().map(curve).collect(),
        }],
    }
}

/// The name of a curve over all latencies of a variant.
pub(super) fn with_size(variant: &Variant<'_>, latencies: &[f64]) -> String {
    format!("{} (n = {})", variant.label(), grouped(&latencies.len().to_string()))
}

fn time_line(runs: &[Run]) -> LineChart {
    let names = in_order(runs.iter().map(|run| run.name.as_str()));
    let shown = &names[..names.len().min(CURVES)];
    let moments: Vec<Vec<Moment>> = shown
        .iter()
        .map(|name| {
            let repeats = runs.iter().filter(|run| run.name == *name);
            let logs: Vec<_> = repeats.map(|run| run.log.rows.as_slice()).collect();
            let rows = logs.iter().map(|rows| rows.len()).sum::<usize>();
            over_time(&logs, (rows / ROWS_A_MOMENT).clamp(2, MOMENTS))
        })
        .collect();
    let panel = |axis: &str, value: &dyn Fn(&Moment) -> Option<f64>| Panel {
        axis: axis.to_owned(),
        top: None,
        mark: None,
        lines: moments.iter().map(|moments| without_gaps(moments, value)).collect(),
    };
    let repeats = if runs.len() > names.len() { ", repeats taken together" } else { "" };
    LineChart {
        title: "Over time".to_owned(),
        note: format!("{}{repeats}{}", lengths(&moments), left_out("logs", names.len(), CURVES)),
        names: shown.iter().map(|&name| name.to_owned()).collect(),
        x_axis: "time since the first row (s)".to_owned(),
        x_scale: Scale::Linear,
        steps: false,
        panels: vec![
            panel("requests/s", &|moment| Some(moment.requests_per_s)),
            panel("mean (ms)", &|moment| moment.mean_ms),
            panel("p95 (ms)", &|moment| moment.p95_ms),
        ],
    }
}

/// What a point stands for.
fn lengths(moments: &[Vec<Moment>]) -> String {
    let lengths = || moments.iter().filter_map(|moments| Some(moments.first()?.length_s));
    let (least, most) = (lengths().fold(f64::INFINITY, f64::min), lengths().fold(0.0, f64::max));
    match (format!("{least:.2}"), format!("{most:.2}")) {
        _ if most == 0.0 => "no time between rows".to_owned(),
        (least, most) if least == most => format!("requests by when they ended, each point {most} s"),
        (least, most) => format!("requests by when they ended, each point {least} to {most} s"),
    }
}

/// What a note says if there is more than is shown.
pub(super) fn left_out(what: &str, count: usize, most: usize) -> String {
    if count > most { format!("; the first {most} of {count} {what}") } else { String::new() }
}

fn without_gaps(moments: &[Moment], value: &dyn Fn(&Moment) -> Option<f64>) -> Line {
    let pieces = moments.split(|moment| value(moment).is_none());
    let points =
        |piece: &[Moment]| piece.iter().filter_map(|moment| Some((moment.at_s, value(moment)?))).collect();
    Line { pieces: pieces.filter(|piece| !piece.is_empty()).map(points).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_connection_mode() {
        for name in
            ["round_robin_non_persistent", "sma NonPersistent", "rr_np", "NP", "ewma-non-persistent.csv"]
        {
            assert_eq!(connection_of(name), Some(ConnectionMode::NonPersistent), "{name}");
        }
        for name in ["round_robin_persistent", "P", "sma-p"] {
            assert_eq!(connection_of(name), Some(ConnectionMode::Persistent), "{name}");
        }
        assert_eq!(connection_of("proxy_log"), None);
    }
}
