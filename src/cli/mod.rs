//! The commands.
//!
//! Here: what the command line looks like, which command runs, what is said and which exit code is given at its
//! end. Not here: settings (`config/`), the work itself (the rooms below). `main.rs` calls [`main`]. Floor 5.

mod admin;
mod arguments;
mod backend;
mod check;
mod classifier;
mod clients;
mod error;
mod experiment;
#[cfg(test)]
mod judgement_tests;
mod load;
mod output;
mod panics;
mod proxy;
mod reload;
mod report;
mod simulated;
mod start;
mod testbed;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use arguments::Arguments;

use crate::config::{Audience, ConfigErrors, Settings, Source};
use crate::net::raise_descriptor_limit;
use crate::telemetry::logger;
use crate::telemetry::standard::StandardStream;

pub use error::{CliError, Exit};

/// How long the end waits until the last lines of the log are written.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(name = "tidegate", version, about = "An event-loop HTTP/1.1 load balancer and its testbed", long_about = None)]
#[command(after_help = "Example:\n  tidegate testbed --routing adaptive_sma\n  curl http://localhost:9090/")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Balance requests over backends
    #[command(after_help = proxy::EXAMPLE)]
    Proxy(ServerArgs),
    /// Run three simulated backends, a classifier and the proxy in one process
    #[command(after_help = testbed::EXAMPLE)]
    Testbed(ServerArgs),
    /// Run one simulated backend
    #[command(after_help = backend::EXAMPLE)]
    Backend(backend::BackendArgs),
    /// Run one simulated classifier
    #[command(after_help = classifier::EXAMPLE)]
    Classifier(classifier::ClassifierArgs),
    /// Put load on a server and measure it
    #[command(after_help = load::EXAMPLE)]
    Load(load::LoadArgs),
    /// Play customers of the batching proxy
    #[command(after_help = clients::EXAMPLE)]
    Clients(clients::ClientsArgs),
    /// Analyse request logs: figures, tables, pictures, verdicts on repeats
    #[command(after_help = report::EXAMPLE)]
    Report(report::ReportArgs),
    /// Play a study: variants of the proxy side by side, with figures, pictures and verdicts
    #[command(after_help = experiment::EXAMPLE)]
    Experiment(experiment::ExperimentArgs),
    /// Check a configuration and show the values in force
    #[command(after_help = check::EXAMPLE)]
    Check(check::CheckArgs),
}

/// What `proxy`, `testbed` and `check` take.
#[derive(Args)]
struct ServerArgs {
    /// A TOML file whose keys are the options below without the dashes in front; flags and environment beat it
    #[arg(short, long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl ServerArgs {
    fn source(self, matches: &ArgMatches, audience: Audience) -> Source {
        let port = std::env::var_os("DASHBOARD_PORT").map(|port| port.to_string_lossy().into_owned());
        Source {
            given: self.settings,
            matches: matches.clone(),
            file: self.config,
            audience,
            descriptors: raise_descriptor_limit(),
            dashboard_port: port,
            misgiven: Vec::new(),
        }
    }
}

/// The command line, each command without the options that it refuses.
fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("proxy", |proxy| hide(proxy, ["backend_listen", "classifier_listen"]))
        .mut_subcommand("testbed", |testbed| hide(testbed, ["backend", "classifier"]))
}

fn hide(command: clap::Command, flags: [&'static str; 2]) -> clap::Command {
    flags.into_iter().fold(command, |command, flag| command.mut_arg(flag, |flag| flag.hide(true)))
}

/// Runs the program.
pub fn main() -> ExitCode {
    panics::watch();
    let exit = panics::caught(run).unwrap_or_else(|e| {
        complain(&e);
        e.exit()
    });
    let exit = if panics::happened() { Exit::Failed } else { exit };
    logger::flush(LAST_WORDS);
    exit.into()
}

/// Says why the program ends: a line for each reason.
fn complain(e: &CliError) {
    match e {
        // Who has read enough need not be told, and a panic has been told.
        CliError::ReaderGone | CliError::Panicked => {}
        CliError::Config(errors) => {
            errors.lines().iter().for_each(|line| logger::complain(&format!("tidegate: {line}")));
        }
        _ => logger::complain(&format!("tidegate: {}", one_line(&e.to_string()))),
    }
}

fn run() -> Result<Exit, CliError> {
    start::disarm_signals()?;
    let arguments = match arguments::read(command()) {
        Ok(arguments) => arguments,
        Err((e, misgiven)) => {
            misgiven.into_iter().for_each(|misgiven| complain(&misgiven.error.into()));
            return clap_says(&e);
        }
    };
    if !arguments.misgiven.is_empty() {
        return misgiven(arguments);
    }
    match Cli::from_arg_matches(&arguments.matches) {
        Ok(cli) => dispatch(cli, &arguments.matches),
        Err(e) => clap_says(&e),
    }
}

/// Tells of values that cannot be read, and where they are settings of whatever else is wrong with those.
fn misgiven(Arguments { mut matches, misgiven }: Arguments) -> Result<Exit, CliError> {
    let errors = misgiven.iter().map(|misgiven| misgiven.error.clone()).collect::<ConfigErrors>();
    let Some((name, mut of_command)) = matches.remove_subcommand() else { return Err(errors.into()) };
    if !["proxy", "testbed", "check"].contains(&name.as_str()) {
        return Err(errors.into());
    }
    arguments::forget(&mut of_command, &misgiven);
    let server = || ServerArgs::from_arg_matches(&of_command);
    let source = match name.as_str() {
        "proxy" => server().map(|args| args.source(&of_command, Audience::Proxy)),
        "testbed" => server().map(|args| args.source(&of_command, Audience::Testbed)),
        _ => check::CheckArgs::from_arg_matches(&of_command).map(|args| args.source(&of_command)),
    };
    match source {
        Ok(source) => Err(Source { misgiven, ..source }.load().err().unwrap_or(errors).into()),
        Err(e) => clap_says(&e),
    }
}

fn dispatch(cli: Cli, matches: &ArgMatches) -> Result<Exit, CliError> {
    let matches = matches.subcommand().map_or(matches, |(_, of_command)| of_command);
    match cli.command {
        Command::Proxy(args) => proxy::run(args, matches),
        Command::Testbed(args) => testbed::run(args, matches),
        Command::Backend(args) => backend::run(args),
        Command::Classifier(args) => classifier::run(args),
        Command::Load(args) => load::run(args),
        Command::Clients(args) => clients::run(args),
        Command::Report(args) => report::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Check(args) => check::run(args, matches),
    }
}

/// A command line that is not run: one that is wrong, --help and --version. What one of our parsers refused is told as
/// everything else that is wrong with a configuration, all else in clap's own words.
fn clap_says(e: &clap::Error) -> Result<Exit, CliError> {
    if let Some(refused) = arguments::bad_value(e) {
        return Err(refused.into());
    }
    let to = if e.use_stderr() { StandardStream::Error } else { StandardStream::Output };
    let text = e.render();
    let text = if is_coloured(to) { text.ansi().to_string() } else { text.to_string() };
    match to {
        StandardStream::Output => output::say(&text).map(|()| Exit::Clean),
        StandardStream::Error => {
            logger::draw(text.into_bytes());
            Ok(Exit::Usage)
        }
    }
}

/// Whether clap's words may have colours there (no-color.org).
fn is_coloured(stream: StandardStream) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// What a user typed may hold line breaks and escape sequences; the message is one line all the same.
fn one_line(message: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    message.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_message_stays_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[1m é"), "a\\nb\\u{1b}[1m é");
    }
}
