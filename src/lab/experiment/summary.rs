//! The figures of an experiment, for programs.
//!
//! Here: `summary.json`. With equal seeds, a simulated study has an equal one: nothing of when and where is in it. Not here: the
//! same for people (`report.rs`). Floor 4.

use std::time::Duration;

use serde::Serialize;

use super::outcome::Load;
use super::{Outcome, Run, Study};
use crate::lab::analyze::Analysis;
use crate::lab::report::{Report, SEED};
use crate::lab::verdict::{CONFIDENCE, Metric, Verdict};
use crate::load;
use crate::testbed::Meter;

#[derive(Serialize)]
struct Summary<'a> {
    study: About<'a>,
    /// Whether all runs were played to their ends.
    complete: bool,
    confidence: f64,
    variants: Vec<Estimates<'a>>,
    verdicts: Vec<Sentence<'a>>,
    runs: Vec<Played<'a>>,
}

#[derive(Serialize)]
struct About<'a> {
    name: &'a str,
    title: &'a str,
    simulated: bool,
    seed: u64,
    repeats: u32,
    duration_s: f64,
    warm_up_s: f64,
}

/// The means over the repeats of a variant.
#[derive(Serialize)]
struct Estimates<'a> {
    name: &'a str,
    repeats: usize,
    mean_ms: Option<Estimate>,
    p95_ms: Option<Estimate>,
    requests_per_s: Option<Estimate>,
}

#[derive(Serialize)]
struct Estimate {
    mean: f64,
    /// The ends of its confidence interval; none of a single repeat.
    interval: Option<[f64; 2]>,
}

#[derive(Serialize)]
struct Sentence<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    sentence: String,
}

#[derive(Serialize)]
struct Played<'a> {
    variant: &'a str,
    repeat: u32,
    seed: u64,
    rows: &'a str,
    cut_short_after_s: Option<f64>,
    /// How long the requests that came to the backends since the warm-up would take together.
    backend_work_s: f64,
    /// Of the time of measurement.
    figures: &'a Analysis,
    /// Of the whole run, warm-up included, as the load counted it.
    load: Option<&'a load::Summary>,
}

/// `outcomes` with the names of their files, in the order of the report's logs.
pub(super) fn summary(
    study: &Study,
    simulated: bool,
    outcomes: &[(Outcome, String)],
    report: &Report,
) -> String {
    let all = outcomes.iter().zip(report.runs());
    let runs = all.map(|((outcome, rows), logged)| {
        let Run { variant, repeat, seed } = outcome.run;
        Played {
            variant: &study.variants[variant].name,
            repeat,
            seed,
            rows,
            cut_short_after_s: outcome.cut_short.map(|after| after.as_secs_f64()),
            backend_work_s: outcome.meters.iter().map(Meter::work).sum::<Duration>().as_secs_f64(),
            figures: &logged.analysis,
            load: match &outcome.load {
                Load::Own(summary) => Some(summary),
                Load::Wrk(_) => None,
            },
        }
    });
    let variants = report.variants();
    let estimates = variants.iter().map(|variant| {
        let repeats = variant.repeats();
        let estimate = |metric| {
            let (mean, interval) = repeats.estimate(metric, SEED)?;
            Some(Estimate { mean, interval: interval.map(|interval| [interval.low, interval.high]) })
        };
        Estimates {
            name: variant.name,
            repeats: repeats.of(Metric::RequestsPerS).len(),
            mean_ms: estimate(Metric::MeanMs),
            p95_ms: estimate(Metric::P95Ms),
            requests_per_s: estimate(Metric::RequestsPerS),
        }
    });
    let verdicts = report.verdicts().iter();
    let summary = Summary {
        study: About {
            name: &study.name,
            title: &study.title,
            simulated,
            seed: study.seed,
            repeats: study.repeats,
            duration_s: study.duration.as_secs_f64(),
            warm_up_s: study.warm_up.as_secs_f64(),
        },
        complete: outcomes.len() == study.runs().len() && outcomes.iter().all(|(o, _)| o.cut_short.is_none()),
        confidence: CONFIDENCE,
        variants: estimates.collect(),
        verdicts: verdicts.map(|verdict| Sentence { verdict, sentence: verdict.to_string() }).collect(),
        runs: runs.collect(),
    };
    serde_json::to_string_pretty(&summary).expect("figures and strings are JSON") + "\n"
}
