//! `tidegate experiment selection`: how well each routing mode chooses.
//!
//! Here: which modes in which scenarios. Not here: playing them (`lab/selection/`). Floor 5.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::{CliError, Exit};
use super::{Common, DriverName, exit, play_into_folder, say};
use crate::balance::RoutingMode;
use crate::config::{ConfigError, Count, parse, parse_study, selection_study};
use crate::lab::experiment::ExperimentError;
use crate::lab::selection::{
    Contender, Figures, Scenario, figures_over_sockets, play, play_in_world, scenarios, table,
};

/// The scenario that is played over sockets too.
const SEED: &str = "seed";

/// How long figures are taken of each mode over sockets.
const DURATION: Duration = Duration::from_secs(30);

/// What `experiment selection` takes.
#[derive(Args)]
pub(super) struct SelectionArgs {
    /// Routing modes, with commas; each with its options [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::<RoutingMode>)]
    routing: Vec<RoutingMode>,

    /// Scenarios, with commas; an unknown name lists all [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scenarios: Vec<String>,

    /// Where they are played
    #[arg(long = "in", value_name = "model|world|sockets", default_value = "model")]
    place: Place,

    /// How long figures are taken of each mode over sockets, in seconds; load is put on for 5 s before [default: 30]
    #[arg(long, value_name = "N", value_parser = parse::<Count>)]
    seconds: Option<Count>,

    /// Where the folder is made over sockets [default: results]
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,

    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// Without a proxy: the choosing alone, before queues
    Model,
    /// The whole program in virtual time
    World,
    /// The scenario `seed` over sockets, in real time, with a folder of results
    Sockets,
}

/// Plays a scenario from a seed.
type Player = fn(&Scenario, &Contender, u64) -> Result<Figures, ExperimentError>;

/// Plays and prints.
pub(super) fn run(args: SelectionArgs, descriptors: u64) -> Result<Exit, CliError> {
    let mut contenders = Contender::all();
    contenders.retain(|contender| args.routing.is_empty() || args.routing.contains(&contender.mode));
    let player: Player = match args.place {
        Place::Model => |scenario, contender, seed| Ok(play(scenario, contender, seed)),
        Place::World => |scenario, contender, seed| {
            let played = play_in_world(scenario, contender, seed);
            Ok(played.map_err(ExperimentError::Violation)?.figures)
        },
        Place::Sockets => return over_sockets(args, &contenders, descriptors),
    };
    let only = [("--seconds", args.seconds.is_some()), ("--results", args.results.is_some())];
    if let Some((flag, _)) = only.into_iter().find(|(_, given)| *given) {
        let error = ConfigError::new(format!("{flag} is for what is played over sockets"));
        return Err(error.hint("add --in sockets; in virtual time a scenario has its own length").into());
    }
    let chosen = chosen(&args.scenarios)?;
    let mut played = Vec::new();
    for scenario in &chosen {
        let row = |contender: &Contender| {
            player(scenario, contender, args.seed).map(|figures| (contender.name.clone(), figures))
        };
        let rows = contenders.iter().map(row).collect::<Result<_, _>>()?;
        played.push((scenario.name, rows));
    }
    say(&table(&played).markdown())?;
    say("\nThe scenarios:\n\n")?;
    for scenario in &chosen {
        say(&format!("- {}: {}\n", scenario.name, scenario.what))?;
    }
    Ok(Exit::Clean)
}

/// Plays the one scenario that needs nothing but sockets, and prints its table.
fn over_sockets(args: SelectionArgs, contenders: &[Contender], descriptors: u64) -> Result<Exit, CliError> {
    if let Some(other) = args.scenarios.iter().find(|name| *name != SEED) {
        let error = ConfigError::new(format!("`{other}` is not played over sockets"));
        return Err(error.hint(format!("take `{SEED}`, or --in world")).into());
    }
    let duration = args.seconds.map_or(DURATION, |count| Duration::from_secs(count.0 as u64));
    let text = selection_study(contenders, duration, args.seed);
    let study = parse_study("selection", "selection", &text, descriptors)?;
    let results = args.results.unwrap_or_else(|| PathBuf::from("results"));
    let common = Common { simulate: false, results };
    let (findings, folder) = play_into_folder(&study, &common, DriverName::Own)?;
    let rows =
        findings.report.runs().iter().zip(&findings.meters).filter_map(|(run, meters)| {
            Some((run.name.clone(), figures_over_sockets(&run.analysis, meters)?))
        });
    let text = table(&[(SEED, rows.collect())]).markdown();
    folder.put("selection.md", text.as_bytes())?;
    say(&format!("{text}\nEverything is in {}\n", folder.path().display()))?;
    Ok(exit(&findings))
}

fn chosen(names: &[String]) -> Result<Vec<Scenario>, ConfigError> {
    let mut all = scenarios();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|scenario| scenario.name != **name)) {
        let known: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
        return Err(ConfigError::new(format!("there is no scenario `{unknown}`"))
            .hint(format!("take some of {}", known.join(", "))));
    }
    all.retain(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name));
    Ok(all)
}
