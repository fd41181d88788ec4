//! An experiment from its first run to its report.
//!
//! Here: playing all runs, keeping each as soon as it is over, and writing what they say together. Not here: how a run is played
//! (`live.rs`, `simulated.rs`). Called by `cli/experiment/`. Floor 4.

use std::path::PathBuf;

use super::environment::{Environment, local_time};
use super::outcome::{Load, Outcome, Rows};
use super::strategies::strategies;
use super::{Driver, ExperimentError, Folder, Live, Study, Watcher, simulated, summary};
use crate::lab::batching::{self, Conditions, Strategy, picture};
use crate::lab::charts::charts;
use crate::lab::page::{Content, PageExtra, Section, page};
use crate::lab::plot::{Picture, PlotError};
use crate::lab::report::{Report, Run as Logged};
use crate::testbed::Meter;

/// How runs are played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Over loopback sockets.
    Sockets(Driver),
    /// In virtual time.
    Virtual,
}

/// What came of an experiment.
#[derive(Debug)]
pub struct Findings {
    /// The report on all its runs.
    pub report: Report,
    /// What the backends worked in each of them.
    pub meters: Vec<Vec<Meter>>,
    /// What leads into the folder from outside.
    pub links: Vec<PathBuf>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
}

/// Plays a study, and writes everything into `folder`: what was played and where, rows, figures, tables, pictures. A run that was cut short
/// stands for itself, and is compared with nothing.
///
/// # Errors
/// When the system refuses something; rows of runs that are over are in the folder then.
pub fn conduct(
    study: &Study,
    ground: &Ground,
    folder: &Folder,
    watcher: &mut Watcher<'_>,
) -> Result<Findings, ExperimentError> {
    let environment = Environment::here(watcher, *ground == Ground::Virtual);
    folder.put("study.toml", study.text.as_bytes())?;
    let text = serde_json::to_string_pretty(&environment).expect("strings and numbers are JSON") + "\n";
    folder.put("environment.json", text.as_bytes())?;
    let mut played = play_all(study, ground, folder, watcher)?;
    played.sort_by_key(|(outcome, _)| (outcome.run.variant, outcome.run.repeat));
    let logged = played.iter_mut().map(|(outcome, file)| {
        let log = outcome.log(study);
        // The rows are in the file; the log is all that is needed of them from here on.
        if !study.is_batching() {
            outcome.rows = Rows::Seen(Vec::new());
        }
        let name = &study.variants[outcome.run.variant].name;
        let name = match outcome.cut_short {
            None => name.clone(),
            Some(after) => format!("{name} (cut short after {:.1} s)", after.as_secs_f64()),
        };
        Logged::new(name, file.clone(), log, Some(outcome.measured(study)))
    });
    let report = Report::new(logged.collect());
    let (interrupted, simulated) = (watcher.interrupted(), environment.simulated);
    folder.put("summary.json", summary::summary(study, simulated, &played, &report).as_bytes())?;
    let (mut links, mut sections) = (Vec::new(), Vec::new());
    if study.is_batching() {
        let conditions = Conditions {
            generated: local_time(watcher.wall()),
            length: study.duration,
            repeats: study.repeats,
            simulated,
        };
        let drawn;
        (drawn, links) = compare_strategies(&strategies(study, &played), &conditions, folder)?;
        let shown = Content::Picture("Latency by customer and strategy, in four panels".to_owned(), drawn);
        sections.push(Section { title: "Customers and strategies".to_owned(), contents: vec![shown] });
    }
    publish(study, &environment, &report, sections, folder)?;
    let meters = played.into_iter().map(|(outcome, _)| outcome.meters).collect();
    Ok(Findings { report, meters, links, interrupted })
}

/// Plays all runs, until a signal ends it.
fn play_all(
    study: &Study,
    ground: &Ground,
    folder: &Folder,
    watcher: &mut Watcher<'_>,
) -> Result<Vec<(Outcome, String)>, ExperimentError> {
    let mut live = match ground {
        Ground::Sockets(driver) => Some(Live::new(study, driver.clone())),
        Ground::Virtual => None,
    };
    let runs = study.runs();
    let mut played = Vec::new();
    for (n, run) in runs.iter().enumerate() {
        watcher.runs = (n, runs.len());
        let outcome = match &mut live {
            Some(live) => live.play(*run, watcher)?,
            None => simulated::play(study, *run, watcher)?,
        };
        let file = folder.keep(study, &outcome)?;
        if let Load::Wrk(words) = &outcome.load {
            folder.put(&file.replace(".csv", ".wrk.txt"), words.as_bytes())?;
        }
        played.push((outcome, file));
        if watcher.interrupted() {
            break;
        }
    }
    if let Some(live) = &mut live {
        live.close()?;
    }
    Ok(played)
}

/// Writes what people read.
fn publish(
    study: &Study,
    environment: &Environment,
    report: &Report,
    sections: Vec<Section>,
    folder: &Folder,
) -> Result<(), ExperimentError> {
    let mut pictures = Vec::new();
    for chart in charts(report).map_err(cannot_draw)? {
        folder.put(&format!("{}.svg", chart.name), chart.picture.svg().as_bytes())?;
        folder.put(&format!("{}.png", chart.name), &chart.picture.png().map_err(cannot_draw)?)?;
        pictures.push((chart.title, chart.name.to_owned()));
    }
    let text = report.markdown(&study.title, &preface(study, environment), &pictures);
    folder.put("report.md", text.as_bytes())?;
    let intro = [("Study", study.name.clone()), ("Played", played_how(study))].into_iter();
    let intro = intro.chain(environment.lines()).map(|(name, value)| (name.to_owned(), value));
    let extra = PageExtra {
        title: study.title.clone(),
        subtitle: environment.simulated.then(|| format!("Simulated: {SIMULATED}.")),
        intro: intro.collect(),
        study_text: Some(study.text.clone()),
        sections,
    };
    folder.put("report.html", page(report, &extra).as_bytes())
}

/// What a reader of simulated figures must know.
const SIMULATED: &str = "the same program in virtual time, on a network that takes 50 µs each way; nothing but the simulated \
                         servers takes time";

/// How often and how long.
fn played_how(study: &Study) -> String {
    let times = match study.repeats {
        1 => "once".to_owned(),
        repeats => format!("{repeats} times, in random order"),
    };
    format!(
        "{} variants, each {times}; {:.1} s each after {:.1} s of warm-up; seed {}",
        study.variants.len(),
        study.duration.as_secs_f64(),
        study.warm_up.as_secs_f64(),
        study.seed
    )
}

/// Writes the contract's picture and summary, and links to them where the earlier system had them.
fn compare_strategies(
    strategies: &[Strategy],
    conditions: &Conditions,
    folder: &Folder,
) -> Result<(Picture, Vec<PathBuf>), ExperimentError> {
    let drawn = picture(strategies, conditions).map_err(cannot_draw)?;
    folder.put("latency_comparison.svg", drawn.svg().as_bytes())?;
    folder.put("latency_comparison.png", &drawn.png().map_err(cannot_draw)?)?;
    folder.put("summary.txt", batching::summary(strategies, conditions).as_bytes())?;
    let links = ["latency_comparison.png", "summary.txt"].into_iter().map(|name| folder.link(name));
    Ok((drawn, links.collect::<Result<_, _>>()?))
}

fn cannot_draw(error: PlotError) -> ExperimentError {
    super::cannot("draw the report's pictures")(std::io::Error::other(error))
}

/// What was played, and where.
fn preface(study: &Study, environment: &Environment) -> String {
    let mut text = format!("{}.\n\n", played_how(study));
    if environment.simulated {
        text += &format!("**Simulated**: {SIMULATED}.\n\n");
    }
    for (name, value) in environment.lines() {
        text += &format!("- {name}: {value}\n");
    }
    text
}
