//! `tidegate check`: is this configuration all right, and what does it come to?
//!
//! Here: printing the settings in force. Not here: the checks (`config/`). Nothing is bound, opened or looked up.
//! Floor 5.

use clap::ArgMatches;

use super::output::say;
use super::{CliError, Exit, ServerArgs};
use crate::config::Audience;

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate check --config tidegate.toml
  tidegate check --config tidegate.toml --routing adaptive_sma

Prints each setting with who set it, then `configuration ok`.
Exit codes: 0 all right, or nobody reads on, 1 the output cannot be written, 2 the first error, with file, line and column.";

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let effective = args.source(matches, Audience::Either).load()?;
    let mut text = String::new();
    for line in effective.lines() {
        text.push_str(&format!("{line}\n"));
    }
    say(&(text + "configuration ok\n"))?;
    Ok(Exit::Clean)
}
