//! A report on request logs.
//!
//! Here: [`Report`], its Markdown and its JSON. Not here: its pictures (`charts.rs`), reading (`log.rs`), files. Called by
//! `cli/report.rs`. Floor 4.

use std::time::Duration;

use serde::Serialize;

use super::analyze::{Analysis, Figures, ModePart, Part, analyze};
use super::log::{Log, NO_ANSWER};
use super::table::{FIGURES, Table, cells, grouped, number, shares};
use super::verdict::{CONFIDENCE, Repeats, Verdict, compare_all};

/// A pause of more than this part of the time of a log is remarked.
const LONG_PAUSE: f64 = 0.2;
/// So is none that is shorter, in seconds.
const SHORT_PAUSE_S: f64 = 5.0;

/// The seed of resamples: equal logs give equal reports.
pub(super) const SEED: u64 = 0;

/// A log with its analysis.
#[derive(Clone, Debug)]
pub struct Run {
    /// The variant that it is of; runs of one name are repeats of it.
    pub name: String,
    /// Where it was read.
    pub file: String,
    /// Its rows.
    pub log: Log,
    /// Its figures.
    pub analysis: Analysis,
    /// Whether the time was given, not taken from the rows.
    pub duration_given: bool,
}

impl Run {
    /// Analyses a log; `duration` as [`analyze`] takes it.
    pub fn new(name: String, file: String, log: Log, duration: Option<Duration>) -> Run {
        let analysis = analyze(&log, duration);
        Run { name, file, log, analysis, duration_given: duration.is_some() }
    }

    /// What a reader should know of the log besides its figures.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.log.remarks.clone();
        if self.log.malformed > 0 {
            let lines: Vec<_> = self.log.examples.iter().map(|row| row.line.to_string()).collect();
            let more = if self.log.malformed > lines.len() as u64 { ", …" } else { "" };
            let rows = if self.log.malformed == 1 { "row" } else { "rows" };
            let lines = format!("line {}{more}", lines.join(", "));
            remarks.push(format!("{} malformed {rows} left out ({lines})", self.log.malformed));
        }
        if self.log.rows.is_empty() {
            remarks.push("no rows".to_owned());
        }
        let pause = self.analysis.longest_pause_s;
        let long = |duration_s: f64| pause > SHORT_PAUSE_S && pause > LONG_PAUSE * duration_s;
        if !self.duration_given && self.analysis.duration_s.is_some_and(long) {
            remarks.push(format!(
                "nothing ended for {pause:.0} s: the log may hold several runs, and requests/s counts that time \
                 (`--duration` gives another)"
            ));
        }
        remarks
    }
}

/// All rows of a variant, or those of one of its several routing modes.
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    /// None if all its rows are of `only_mode`, or there are none.
    pub(super) mode: Option<&'a str>,
    pub(super) only_mode: Option<&'a str>,
    /// A run for each repeat.
    pub(super) runs: Vec<&'a Run>,
}

impl<'a> Variant<'a> {
    pub(super) fn figures(&self) -> impl Iterator<Item = (&'a Figures, &'a [Part])> + '_ {
        self.runs.iter().filter_map(|run| match self.mode {
            None => Some((&run.analysis.figures, run.analysis.backends.as_slice())),
            Some(mode) => {
                let part = run.analysis.modes.iter().find(|part| part.name == mode)?;
                Some((&part.figures, part.backends.as_slice()))
            }
        })
    }

    /// Latencies of all repeats, in milliseconds, ascending.
    pub(super) fn latencies(&self) -> Vec<f64> {
        let of_run = |run: &&Run| {
            let mode = self.mode.map(|mode| run.log.modes.iter().position(|name| name == mode));
            let counts = move |row: u16| mode.is_none_or(|mode| mode == Some(usize::from(row)));
            run.log.rows.iter().filter(|row| counts(row.mode)).map(|row| row.latency_ms).collect::<Vec<_>>()
        };
        let mut all: Vec<f64> = self.runs.iter().flat_map(of_run).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    pub(super) fn repeats(&self) -> Repeats {
        let resolution_ms = self.runs.iter().map(|run| run.log.resolution_ms()).fold(0.0, f64::max);
        let mut repeats = Repeats::new(self.label(), resolution_ms);
        self.figures().for_each(|(figures, _)| repeats.push(figures));
        repeats
    }

    /// Its name, with the mode if it has several.
    pub(super) fn label(&self) -> String {
        self.mode.map_or(self.name.to_owned(), |mode| format!("{} {mode}", self.name))
    }
}

/// What is found in logs.
#[derive(Clone, Debug)]
pub struct Report {
    runs: Vec<Run>,
    verdicts: Vec<Verdict>,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    logs: Vec<JsonRun<'a>>,
    confidence: f64,
    verdicts: Vec<JsonVerdict<'a>>,
}

#[derive(Serialize)]
struct JsonRun<'a> {
    name: &'a str,
    file: &'a str,
    malformed: u64,
    remarks: Vec<String>,
    #[serde(flatten)]
    analysis: &'a Analysis,
}

#[derive(Serialize)]
struct JsonVerdict<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    sentence: String,
}

impl Report {
    /// A report on these logs, in this order. Variants of which there are repeats are compared with each other.
    pub fn new(runs: Vec<Run>) -> Report {
        let mut report = Report { runs, verdicts: Vec::new() };
        let variants = report.variants();
        let repeated: Vec<_> =
            variants.iter().map(Variant::repeats).filter(|all| all.mean_ms.len() > 1).collect();
        report.verdicts = compare_all(&repeated, CONFIDENCE, SEED);
        report
    }

    /// The logs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The verdicts on each pair of variants that have repeats.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// In order of appearance; of several routing modes each is a variant of its own.
    pub(super) fn variants(&self) -> Vec<Variant<'_>> {
        let mut variants: Vec<Variant<'_>> = Vec::new();
        for name in in_order(self.runs.iter().map(|run| run.name.as_str())) {
            let runs: Vec<&Run> = self.runs.iter().filter(|run| run.name == name).collect();
            let modes = in_order(runs.iter().flat_map(|run| run.log.modes.iter().map(String::as_str)));
            match modes.as_slice() {
                [] | [_] => {
                    variants.push(Variant { name, mode: None, only_mode: modes.first().copied(), runs })
                }
                several => variants.extend(several.iter().map(|&mode| Variant {
                    name,
                    mode: Some(mode),
                    only_mode: None,
                    runs: runs.clone(),
                })),
            }
        }
        variants
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        let logs = self.runs.iter().map(|run| JsonRun {
            name: &run.name,
            file: &run.file,
            malformed: run.log.malformed,
            remarks: run.remarks(),
            analysis: &run.analysis,
        });
        let verdicts =
            self.verdicts.iter().map(|verdict| JsonVerdict { verdict, sentence: verdict.to_string() });
        let report =
            JsonReport { logs: logs.collect(), confidence: CONFIDENCE, verdicts: verdicts.collect() };
        serde_json::to_string_pretty(&report).expect("figures and strings are JSON") + "\n"
    }

    /// The report as Markdown, under a title and what is to be said before all figures, with these pictures in it: titles, and
    /// names without `.svg`.
    pub fn markdown(&self, title: &str, preface: &str, pictures: &[(String, String)]) -> String {
        let mut out = format!("# {title}\n");
        if !preface.is_empty() {
            out.push_str(&format!("\n{preface}"));
        }
        let mut section = |title: &str, text: String| {
            if !text.is_empty() {
                out.push_str(&format!("\n## {title}\n\n{text}"));
            }
        };
        section("Figures", self.figures().markdown());
        section("Share of each backend", self.shares().markdown());
        section("Figures by backend", self.by_backend().markdown());
        section("Errors", self.errors().markdown());
        section("Verdicts", self.sentences());
        let remarks = self.remark_lines();
        let apart = if remarks.is_empty() { "" } else { "\n" };
        section("Logs", format!("{}{apart}{remarks}", self.sources().markdown()));
        let shown = pictures.iter().map(|(title, name)| format!("![{title}]({name}.svg)\n"));
        section("Pictures", shown.collect::<Vec<_>>().join("\n"));
        out
    }

    /// The figures, the shares and the verdicts, for a terminal.
    pub fn short(&self) -> String {
        let parts =
            [self.figures().markdown(), self.shares().markdown(), self.sentences(), self.remark_lines()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Of each log and routing mode.
    pub(super) fn figures(&self) -> Table {
        let header: Vec<&str> = ["log", "mode"].into_iter().chain(FIGURES).collect();
        let mut table = Table::new(2, &header);
        let row = |name: &str, mode: &str, figures| {
            [vec![name.to_owned(), mode.to_owned()], cells(figures)].concat()
        };
        for Run { name, analysis, .. } in &self.runs {
            match analysis.modes.as_slice() {
                [] => table.push(row(name, "", &analysis.figures)),
                [only] => table.push(row(name, &only.name, &analysis.figures)),
                several => {
                    table.push(row(name, "all", &analysis.figures));
                    several.iter().for_each(|part| table.push(row(name, &part.name, &part.figures)));
                }
            }
        }
        table
    }

    /// The modes of all logs.
    fn modes(&self) -> impl Iterator<Item = (&Run, &ModePart)> {
        self.runs.iter().flat_map(|run| run.analysis.modes.iter().map(move |mode| (run, mode)))
    }

    /// Of each backend.
    pub(super) fn shares(&self) -> Table {
        let set = |(run, mode): (&Run, &'_ ModePart)| vec![run.name.clone(), mode.name.clone()];
        let sets: Vec<_> = self.modes().map(|each| (set(each), each.1.backends.as_slice())).collect();
        shares(&["log", "mode"], &sets)
    }

    /// Figures of each backend.
    pub(super) fn by_backend(&self) -> Table {
        let header: Vec<&str> = ["log", "mode", "backend"].into_iter().chain(FIGURES).collect();
        let mut table = Table::new(3, &header);
        for (run, mode) in self.modes() {
            for part in &mode.backends {
                let names = vec![run.name.clone(), mode.name.clone(), part.name.clone()];
                table.push([names, cells(&part.figures)].concat());
            }
        }
        table
    }

    /// How often each status of 400 and above.
    pub(super) fn errors(&self) -> Table {
        let mut table = Table::new(2, &["log", "backend", "status", "requests"]);
        for run in &self.runs {
            for part in &run.analysis.backends {
                for (status, count) in &part.figures.error_statuses {
                    table.push(vec![
                        run.name.clone(),
                        part.name.clone(),
                        if *status == NO_ANSWER { "no answer".to_owned() } else { status.to_string() },
                        count.to_string(),
                    ]);
                }
            }
        }
        table
    }

    fn sentences(&self) -> String {
        self.verdicts.iter().map(|verdict| format!("- {verdict}\n")).collect()
    }

    /// Where the logs were read, and how much of them.
    pub(super) fn sources(&self) -> Table {
        let mut table = Table::new(3, &["log", "file", "requests/s over", "rows", "malformed"]);
        for run in &self.runs {
            let from = if run.duration_given { "given" } else { "first row to last" };
            let over = run.analysis.duration_s.map_or("–".to_owned(), |seconds| {
                format!("{} s, {from}", number(seconds, if run.duration_given { 1 } else { 3 }))
            });
            let rows = run.log.rows.len().to_string();
            table.push(vec![run.name.clone(), run.file.clone(), over, rows, run.log.malformed.to_string()]);
        }
        table
    }

    fn remark_lines(&self) -> String {
        self.remarks().iter().map(|(file, remark)| format!("- `{file}`: {remark}.\n")).collect()
    }

    /// Each with the file that it is of.
    pub(super) fn remarks(&self) -> Vec<(&str, String)> {
        self.runs
            .iter()
            .flat_map(|run| run.remarks().into_iter().map(|remark| (run.file.as_str(), remark)))
            .collect()
    }
}

/// How many, for a note under a title: `59,492 requests`, or `56,153 to 59,492 requests a log`.
pub(super) fn sizes(counts: &[u64]) -> String {
    let written = |count: Option<&u64>| grouped(&count.unwrap_or(&0).to_string());
    let (least, most) = (written(counts.iter().min()), written(counts.iter().max()));
    if least == most { format!("{most} requests") } else { format!("{least} to {most} requests") }
}

/// Each name once, in order of appearance.
pub(super) fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
