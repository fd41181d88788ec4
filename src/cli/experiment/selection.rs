//! `tidegate experiment selection`: how well each routing mode chooses.
//!
//! Here: which modes in which scenarios. Not here: playing them (`lab/selection/`). Floor 5.

use clap::Args;

use super::super::{CliError, Exit};
use super::say;
use crate::balance::RoutingMode;
use crate::config::{ConfigError, parse};
use crate::lab::selection::{Contender, Scenario, play, scenarios, table};

/// What `experiment selection` takes.
#[derive(Args)]
pub(super) struct SelectionArgs {
    /// Routing modes, with commas; each with its options [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse::<RoutingMode>)]
    routing: Vec<RoutingMode>,

    /// Scenarios, with commas; an unknown name lists all [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scenarios: Vec<String>,

    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Plays and prints.
pub(super) fn run(args: &SelectionArgs) -> Result<Exit, CliError> {
    let mut contenders = Contender::all();
    contenders.retain(|contender| args.routing.is_empty() || args.routing.contains(&contender.mode));
    let chosen = chosen(&args.scenarios)?;
    let mut played = Vec::new();
    for scenario in &chosen {
        let rows =
            contenders.iter().map(|contender| (contender.name.clone(), play(scenario, contender, args.seed)));
        played.push((scenario.name, rows.collect()));
    }
    say(&table(&played).markdown())?;
    say("\nThe scenarios:\n\n")?;
    for scenario in &chosen {
        say(&format!("- {}: {}\n", scenario.name, scenario.what))?;
    }
    Ok(Exit::Clean)
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
