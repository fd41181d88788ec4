//! `tidegate check`: is this configuration all right, and what does it come to?
//!
//! Here: printing the settings in force. Not here: the judgement (`config/`), which is that of the start and of a reload. Nothing
//! is bound, opened or looked up. Floor 5.

use clap::{ArgMatches, Args, ValueEnum};

use super::output::say;
use super::{CliError, Exit, ServerArgs, logger};
use crate::config::{Audience, Source};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate check --config tidegate.toml
  tidegate check --config tidegate.toml --routing adaptive_sma
  tidegate check --config tidegate.toml --for testbed

Prints each setting with who set it, then `configuration ok`. It judges as the start and a reload do; what they may
find besides only the machine can say: names that lead nowhere, ports that are taken, files that cannot be written,
addresses to connect from that are not its own.
Exit codes: 0 all right, or nobody reads on, 1 the output cannot be written, 2 all errors, with file, line and column.";

/// What `check` takes.
#[derive(Args)]
pub(super) struct CheckArgs {
    /// For which command [default: testbed if backend-listen or classifier-listen is set, else proxy]
    #[arg(long = "for", value_name = "proxy|testbed")]
    command: Option<Serving>,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// A command that settings are for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Serving {
    Proxy,
    Testbed,
}

impl CheckArgs {
    pub(super) fn source(self, matches: &ArgMatches) -> Source {
        let audience = match self.command {
            None => Audience::Either,
            Some(Serving::Proxy) => Audience::Proxy,
            Some(Serving::Testbed) => Audience::Testbed,
        };
        self.server.source(matches, audience)
    }
}

/// Runs the command.
pub(super) fn run(args: CheckArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let effective = args.source(matches).load()?;
    for remark in effective.remarks() {
        logger::complain(&format!("tidegate: {remark}"));
    }
    let mut text = String::new();
    for line in effective.lines() {
        text.push_str(&format!("{line}\n"));
    }
    say(&(text + "configuration ok\n"))?;
    Ok(Exit::Clean)
}
