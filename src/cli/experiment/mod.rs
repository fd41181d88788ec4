//! `tidegate experiment`: studies, from a file to figures, tables, pictures and verdicts.
//!
//! Here: which study, where it is played, what is told meanwhile. Not here: studies (`config/study/`), playing them and reporting
//! (`lab/experiment/`), progress (`progress.rs`). Floor 5.

mod progress;
mod selection;
mod terminal;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::output::say;
use super::start::{network_with_signals_and_hangup, next_signal_ends_at_once, start_log};
use super::{CliError, Exit};
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::config::{
    BATCHING_VARIANTS, ConfigError, Count, Overrides, ROUTING_VARIANTS, batching_study, parse, parse_study,
    read_study, routing_study,
};
use crate::lab::experiment::{
    Demand, Driver, ExperimentError, Findings, Folder, Ground, Pace, Study, Watcher, conduct,
};
use crate::net::raise_descriptor_limit;
use progress::Progress;

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate experiment routing
  tidegate experiment routing --seconds 20 --repeats 5 --routing round-robin,adaptive_sma
  tidegate experiment batching --simulate --repeats 10
  tidegate experiment run bench/studies/degrading.toml --simulate
  tidegate experiment selection --scenarios seed,gc --routing adaptive,least_requests
  tidegate experiment selection --in sockets --seconds 60

Each experiment, selection only over sockets, makes a folder under results/ with the study, the environment, every row, figures, pictures and a report;
nothing is overwritten. --simulate plays the same program in virtual time.
Exit codes: 0 done, or nobody reads on, 1 failed, 2 usage or study, 130 ended early by a signal, with a report on what was played.";

/// What `experiment` takes.
#[derive(Args)]
pub(super) struct ExperimentArgs {
    #[command(subcommand)]
    which: Which,
}

#[derive(Subcommand)]
enum Which {
    /// Each connection mode with each routing mode, in front of the backends A, B and C
    Routing(RoutingArgs),
    /// The two customers A and B with each batching strategy, switched while the proxy runs
    Batching(BatchingArgs),
    /// A study from a file
    Run(RunArgs),
    /// All routing modes in many scenarios, in virtual time, or in one of them over sockets: a table
    Selection(selection::SelectionArgs),
}

#[derive(Args)]
struct Common {
    /// Virtual time in place of sockets: the same program, seconds instead of minutes
    #[arg(long)]
    simulate: bool,

    /// Where the folder is made
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

#[derive(Args)]
struct RoutingArgs {
    /// Routing modes, with commas [default: round-robin,adaptive_sma,adaptive_ewma]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::<RoutingMode>)]
    routing: Vec<RoutingMode>,

    /// How long figures are taken in each run, in seconds; load is put on for 5 s before
    #[arg(long, value_name = "N", default_value = "120", value_parser = parse::<Count>)]
    seconds: Count,

    /// How often each combination is played, in random order; with two or more there are verdicts
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::<Count>)]
    repeats: Count,

    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Who puts the load on: the program itself, or wrk, if it is installed
    #[arg(long, value_name = "own|wrk", default_value = "own", conflicts_with = "simulate")]
    driver: DriverName,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, ValueEnum)]
enum DriverName {
    Own,
    Wrk,
}

#[derive(Args)]
struct BatchingArgs {
    /// Strategies, with commas [default: sjf,fair,fcfs]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::<StrategyName>)]
    strategies: Vec<StrategyName>,

    /// How long the customers ask with each strategy, in seconds
    #[arg(long, value_name = "N", default_value = "30", value_parser = parse::<Count>)]
    seconds: Count,

    /// How often each strategy is played, in random order; with two or more there are verdicts
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::<Count>)]
    repeats: Count,

    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct RunArgs {
    /// The study
    #[arg(value_name = "STUDY.toml")]
    study: PathBuf,

    /// In place of the study's duration, in seconds
    #[arg(long, value_name = "N", value_parser = parse::<Count>)]
    seconds: Option<Count>,

    /// In place of the study's repeats
    #[arg(long, value_name = "N", value_parser = parse::<Count>)]
    repeats: Option<Count>,

    /// In place of the study's seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    common: Common,
}

impl From<ExperimentError> for CliError {
    fn from(error: ExperimentError) -> CliError {
        match error {
            ExperimentError::System { what, source } => CliError::System { what, source },
            other => CliError::Experiment(other),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: ExperimentArgs) -> Result<Exit, CliError> {
    start_log(log::LevelFilter::Warn)?;
    let descriptors = raise_descriptor_limit();
    let seconds = |count: Count| Duration::from_secs(count.0 as u64);
    match args.which {
        Which::Routing(args) => {
            let modes = or(args.routing, &ROUTING_VARIANTS);
            let text = routing_study(&modes, seconds(args.seconds), args.repeats.0, args.seed);
            let study = parse_study("routing", "routing", &text, descriptors)?;
            play(&study, args.common, args.driver)
        }
        Which::Batching(args) => {
            let strategies = or(args.strategies, &BATCHING_VARIANTS);
            let text = batching_study(&strategies, seconds(args.seconds), args.repeats.0, args.seed);
            let study = parse_study("batching", "batching", &text, descriptors)?;
            play(&study, args.common, DriverName::Own)
        }
        Which::Selection(args) => selection::run(args, descriptors),
        Which::Run(args) => {
            let duration = args.seconds.map(seconds);
            let overrides =
                Overrides { duration, repeats: args.repeats.map(|count| count.0), seed: args.seed };
            play(&read_study(&args.study, &overrides, descriptors)?, args.common, DriverName::Own)
        }
    }
}

fn or<T: Clone>(given: Vec<T>, usual: &[T]) -> Vec<T> {
    if given.is_empty() { usual.to_vec() } else { given }
}

/// Plays it, tells what came of it, and where that is.
fn play(study: &Study, common: Common, driver: DriverName) -> Result<Exit, CliError> {
    let (findings, folder) = play_into_folder(study, &common, driver)?;
    say(&format!("{}\nEverything is in {}\n", findings.report.short(), folder.path().display()))?;
    for link in &findings.links {
        say(&format!("{}\n", link.display()))?;
    }
    Ok(exit(&findings))
}

fn exit(findings: &Findings) -> Exit {
    if findings.interrupted { Exit::SecondSignal } else { Exit::Clean }
}

fn play_into_folder(
    study: &Study,
    common: &Common,
    driver: DriverName,
) -> Result<(Findings, Folder), CliError> {
    let net = network_with_signals_and_hangup()?;
    let mut progress = Progress::new(study);
    let mut watcher = Watcher::new(net, &mut progress)?;
    let folder = Folder::new(&common.results, &study.name, watcher.wall())?;
    let ground = match (common.simulate, driver) {
        (true, _) => Ground::Virtual,
        (false, DriverName::Own) => Ground::Sockets(Driver::Own),
        (false, DriverName::Wrk) => Ground::Sockets(Driver::Wrk(folder.rows())),
    };
    check_room(study, &ground)?;
    let findings = conduct(study, &ground, &folder, &mut watcher)?;
    progress.finish();
    // Whoever reads what is told now may let us wait, and nothing reads signals as readiness any more.
    next_signal_ends_at_once()?;
    Ok((findings, folder))
}

/// Each connection of the load is one descriptor here, one of the proxy's for it, two for its upstream; all in this process.
const DESCRIPTORS_A_CONNECTION: usize = 4;

/// Refuses a load that this process has not descriptors enough for, before the first run.
fn check_room(study: &Study, ground: &Ground) -> Result<(), CliError> {
    let Demand::Requests { pace: Pace::Closed { connections, .. }, .. } = study.demand else { return Ok(()) };
    let limit = usize::try_from(raise_descriptor_limit()).unwrap_or(usize::MAX);
    if *ground == Ground::Virtual || connections * DESCRIPTORS_A_CONNECTION < limit {
        return Ok(());
    }
    let what = format!(
        "{connections} connections need {DESCRIPTORS_A_CONNECTION} descriptors each; the limit is {limit}"
    );
    Err(ConfigError::new(what).hint("raise it (ulimit -n), or take fewer, or --simulate").into())
}
