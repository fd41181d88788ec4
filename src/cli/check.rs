//! `tidegate check`: is this configuration all right, and what does it come to?
//!
//! Here: printing the settings in force. Not here: the checks (`config/`). Nothing is bound, opened or looked up.
//! Floor 5.

use std::io::{self, Write};

use clap::ArgMatches;

use super::{CliError, Exit, ServerArgs};
use crate::config::{Audience, Effective};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate check --config tidegate.toml
  tidegate check --config tidegate.toml --routing adaptive_sma

Prints each setting with who set it, then `configuration ok`.
Exit codes: 0 all right, 2 the first error, with file, line and column.";

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let effective = args.source(matches, Audience::Either).load()?;
    match print(&effective, io::stdout().lock()) {
        // Whoever reads, such as `head`, has read enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::System { what: "write to the standard output".to_owned(), source: e })
        }
        _ => Ok(Exit::Clean),
    }
}

fn print(effective: &Effective, mut out: impl Write) -> io::Result<()> {
    for line in effective.lines() {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "configuration ok")?;
    out.flush()
}
