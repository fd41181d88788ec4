//! Verdicts: is one variant better than another, or is that not shown.
//!
//! Here: [`Repeats`] of variants, and [`Verdict`]s on pairs of them, one plain sentence each. Not here: how intervals
//! are made (`statistics.rs`). Called by `cli/report/`. Floor 4.

use std::fmt;

use serde::Serialize;

use super::analyze::Figures;
use super::statistics::{Bootstrap, Interval, mean};

/// In how many of a hundred pairs all verdicts hold, if nothing but chance is at work. Stricter than the usual 95 %, since
/// a study has many pairs.
pub const CONFIDENCE: f64 = 0.99;

/// Resamples for each interval: some 30 fall outside at [`CONFIDENCE`] shared by three figures.
const RESAMPLES: usize = 10_000;

/// A figure that variants are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean latency.
    MeanMs,
    /// The 0.95 quantile of latency.
    P95Ms,
    /// Requests a second.
    RequestsPerS,
}

impl Metric {
    /// All that a verdict is given for.
    pub const ALL: [Metric; 3] = [Metric::MeanMs, Metric::P95Ms, Metric::RequestsPerS];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::MeanMs => "mean latency",
            Metric::P95Ms => "p95 latency",
            Metric::RequestsPerS => "requests/s",
        }
    }

    /// The figure as text, with its unit unless that is its name.
    pub fn show(self, value: f64) -> String {
        match self {
            Metric::MeanMs | Metric::P95Ms => format!("{value:.2} ms"),
            Metric::RequestsPerS => format!("{value:.2}"),
        }
    }

    fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Metric::MeanMs => figures.latency.as_ref().map(|latency| latency.mean_ms),
            Metric::P95Ms => figures.latency.as_ref().map(|latency| latency.p95_ms),
            Metric::RequestsPerS => figures.requests_per_s,
        }
    }

    fn less_is_better(self) -> bool {
        match self {
            Metric::MeanMs | Metric::P95Ms => true,
            Metric::RequestsPerS => false,
        }
    }
}

/// The figures of a variant, one for each repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeats {
    /// The variant's name.
    pub name: String,
    /// Milliseconds.
    pub mean_ms: Vec<f64>,
    /// Milliseconds.
    pub p95_ms: Vec<f64>,
    /// Requests a second.
    pub requests_per_s: Vec<f64>,
    /// The steps in which latencies were written down, in milliseconds: 1 in the contract's CSV. A quantile is one of the
    /// values written, and so cannot tell smaller differences; a mean of many can.
    pub resolution_ms: f64,
}

impl Repeats {
    /// A variant without repeats yet.
    pub fn new(name: impl Into<String>, resolution_ms: f64) -> Repeats {
        Repeats { name: name.into(), resolution_ms, ..Repeats::default() }
    }

    /// Adds a repeat; figures that it does not have are left out.
    pub fn push(&mut self, figures: &Figures) {
        self.mean_ms.extend(Metric::MeanMs.of(figures));
        self.p95_ms.extend(Metric::P95Ms.of(figures));
        self.requests_per_s.extend(Metric::RequestsPerS.of(figures));
    }

    /// The figure in each repeat.
    pub fn of(&self, metric: Metric) -> &[f64] {
        match metric {
            Metric::MeanMs => &self.mean_ms,
            Metric::P95Ms => &self.p95_ms,
            Metric::RequestsPerS => &self.requests_per_s,
        }
    }

    fn resolution(&self, metric: Metric) -> f64 {
        if metric == Metric::P95Ms { self.resolution_ms } else { 0.0 }
    }

    /// The mean of a figure over the repeats, with its interval; none without repeats.
    pub fn estimate(&self, metric: Metric, seed: u64) -> Option<(f64, Option<Interval>)> {
        let bootstrap = Bootstrap { confidence: CONFIDENCE, resamples: RESAMPLES, seed };
        let values = self.of(metric);
        Some((mean(values)?, bootstrap.mean(values).filter(Interval::is_finite)))
    }
}

/// What the repeats say of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The variant is better than the baseline.
    Better,
    /// It is worse.
    Worse,
    /// The difference, if any, is within what chance does.
    NotShown,
    /// There are too few repeats to tell anything.
    TooFewRepeats,
}

/// A variant beside a baseline, in one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What it is compared with.
    pub baseline: String,
    /// What is compared.
    pub variant: String,
    /// In which figure.
    pub metric: Metric,
    /// The baseline's mean over its repeats.
    pub baseline_value: Option<f64>,
    /// The variant's.
    pub variant_value: Option<f64>,
    /// How many repeats each has.
    pub repeats: [usize; 2],
    /// Between which ends variant − baseline lies; none if nothing can be said.
    pub difference: Option<[f64; 2]>,
    /// How sure the three verdicts of a pair are together.
    pub confidence: f64,
    /// What is found.
    pub finding: Finding,
}

/// Compares `variant` with `baseline` in every [`Metric`]. Equal seeds give equal verdicts. The repeats need not be
/// paired; if they are (equal draws in both), the verdicts are the more cautious.
pub fn compare(baseline: &Repeats, variant: &Repeats, confidence: f64, seed: u64) -> [Verdict; 3] {
    // Bonferroni: each interval takes its part of the doubt.
    let each = 1.0 - (1.0 - confidence) / Metric::ALL.len() as f64;
    let bootstrap = Bootstrap { confidence: each, resamples: RESAMPLES, seed };
    Metric::ALL.map(|metric| {
        let (old, new) = (baseline.of(metric), variant.of(metric));
        let resolution = baseline.resolution(metric).max(variant.resolution(metric));
        let difference = bootstrap
            .difference(old, new)
            .filter(|interval| {
                interval.is_finite() && (varies(old) || varies(new) || enough(old, new, 1.0 - each))
            })
            .map(|Interval { low, high }| Interval { low: low - resolution, high: high + resolution });
        Verdict {
            baseline: baseline.name.clone(),
            variant: variant.name.clone(),
            metric,
            baseline_value: mean(old),
            variant_value: mean(new),
            repeats: [old.len(), new.len()],
            difference: difference.map(|Interval { low, high }| [low, high]),
            confidence,
            finding: finding(difference, metric),
        }
    })
}

/// The verdicts on each pair; the earlier of two is the baseline.
pub fn compare_all(variants: &[Repeats], confidence: f64, seed: u64) -> Vec<Verdict> {
    let pairs =
        variants.iter().enumerate().flat_map(|(n, old)| variants[n + 1..].iter().map(move |new| (old, new)));
    pairs.flat_map(|(old, new)| compare(old, new, confidence, seed)).collect()
}

fn varies(values: &[f64]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}

/// Whether repeats that do not vary, as a p95 in whole milliseconds may not, are enough to tell anything: chance alone puts
/// all of one sample above all of the other in 2 of the (n + m over n) orders, which must be at most the share `doubt`.
fn enough(old: &[f64], new: &[f64], doubt: f64) -> bool {
    let (n, m) = (old.len(), new.len());
    let orders: f64 = (1..=n).map(|k| (m + k) as f64 / k as f64).product();
    2.0 / orders <= doubt
}

fn finding(difference: Option<Interval>, metric: Metric) -> Finding {
    match difference {
        None => Finding::TooFewRepeats,
        Some(interval) if interval.contains(0.0) => Finding::NotShown,
        Some(interval) if (interval.high < 0.0) == metric.less_is_better() => Finding::Better,
        Some(_) => Finding::Worse,
    }
}

/// One plain sentence.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { baseline, variant, metric, .. } = self;
        let name = metric.name();
        let (Some(old), Some(new)) = (self.baseline_value, self.variant_value) else {
            return write!(f, "`{variant}` and `{baseline}` cannot be compared in {name}: no figures.");
        };
        let values = format!("{} against {}", metric.show(new), metric.show(old));
        let Some([low, high]) = self.difference else {
            let [before, after] = self.repeats;
            return write!(
                f,
                "`{variant}` and `{baseline}` cannot be compared in {name}: {after} and {before} repeats are too few \
                 ({values})."
            );
        };
        let sure = 100.0 * self.confidence;
        let ends = [low, high].map(|end| self.relative(end, old));
        match self.finding {
            Finding::Better | Finding::Worse => {
                let word = if self.finding == Finding::Better { "better" } else { "worse" };
                let [near, far] = if high < 0.0 { [&ends[1], &ends[0]] } else { [&ends[0], &ends[1]] };
                write!(
                    f,
                    "`{variant}` is {word} than `{baseline}` in {name}: {values}, {}; at least {near}, at most {far} \
                     ({sure} % confidence).",
                    self.relative(new - old, old),
                )
            }
            Finding::NotShown | Finding::TooFewRepeats => write!(
                f,
                "No difference between `{variant}` and `{baseline}` is shown in {name}: {values}; the true one lies \
                 between {} and {} ({sure} % confidence).",
                ends[0], ends[1],
            ),
        }
    }
}

impl Verdict {
    /// A difference as a share of the baseline: `4.1 % lower`.
    fn relative(&self, difference: f64, baseline: f64) -> String {
        let direction = if difference < 0.0 { "lower" } else { "higher" };
        if baseline > 0.0 {
            let percent = 100.0 * difference.abs() / baseline;
            // Two digits, so that a small difference is not told as none.
            let decimals = if percent < 1.0 { 2 } else { 1 };
            format!("{percent:.decimals$} % {direction}")
        } else {
            format!("{} {direction}", self.metric.show(difference.abs()))
        }
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
