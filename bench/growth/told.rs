//! The figures as tables, and as a file.
//!
//! Here: Markdown with medians and the range of the rounds, and CSV with a row for each run. Not here: the picture
//! (`picture.rs`).

use std::path::Path;

use tidegate::lab::table::grouped;

use super::Runs;
use super::common::sample::{Sample, median, remarks, spread};
use super::curve::Curve;

/// Which curves stand in one table and one field of the picture, and what grows in them.
pub(crate) const PANELS: [(&str, &[Curve]); 4] = [
    ("connections", &[Curve::Busy, Curve::InTurn]),
    ("backends", &[Curve::RoundRobin, Curve::Adaptive]),
    ("bytes of the request's head", &[Curve::Head]),
    ("bytes of the answer's body", &[Curve::Body]),
];

/// What sets the curves of a table apart.
const fn load(curve: Curve) -> &'static str {
    match curve {
        Curve::Busy => "all ask",
        Curve::InTurn => "100 at a time ask, in turn",
        Curve::RoundRobin => "round-robin",
        Curve::Adaptive => "adaptive",
        Curve::Head | Curve::Body => "",
    }
}

/// Prints all tables.
pub(crate) fn print(runs: &Runs) {
    for (grows, curves) in PANELS {
        println!("\n### By {grows}\n");
        println!(
            "| {grows} | | processor time a request, µs | of it user | requests/s | p99, ms | remarks |"
        );
        println!("| ---: | --- | ---: | ---: | ---: | ---: | --- |");
        for &curve in curves {
            for &step in curve.steps() {
                let own = &runs[&(curve.name(), step)];
                let all = |of: fn(&Sample) -> f64| own.iter().map(of).collect::<Vec<_>>();
                println!(
                    "| {} | {} | {} | {:.1} | {} | {:.2} | {} |",
                    grouped(&step.to_string()),
                    load(curve),
                    spread(&all(Sample::cpu_us), 1),
                    median(all(|s| s.user_us)),
                    spread(&all(Sample::rate), 0),
                    median(all(|s| s.load.p99_ms)),
                    remarks(own).join("; ")
                );
            }
        }
    }
}

/// Writes a row for each run.
pub(crate) fn write(path: &Path, runs: &Runs) -> Result<(), csv::Error> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record([
        "curve",
        "value",
        "round",
        "user_us",
        "system_us",
        "requests_per_second",
        "busy",
        "stolen",
        "p50_ms",
        "p99_ms",
    ])?;
    for ((curve, step), samples) in runs {
        for (round, sample) in samples.iter().enumerate() {
            let head = [(*curve).to_owned(), step.to_string(), (round + 1).to_string()];
            let Sample { user_us, system_us, busy, stolen, ref load } = *sample;
            let figures = [user_us, system_us, sample.rate(), busy, stolen, load.p50_ms, load.p99_ms];
            file.write_record(head.into_iter().chain(figures.map(|figure| format!("{figure:.3}"))))?;
        }
    }
    Ok(file.flush()?)
}
