//! The command line and the environment, read.
//!
//! Here: all values that cannot be read, not the first alone, so that they are told with whatever else is wrong. Not here: what
//! there is to say (`mod.rs`), what settings must keep together (`config/judge.rs`). Floor 5.

use std::error::Error;
use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use crate::config::{ConfigError, Misgiven};

/// What was typed, and what of it is of no use.
pub(super) struct Arguments {
    pub(super) matches: ArgMatches,
    pub(super) misgiven: Vec<Misgiven>,
}

/// Reads them.
///
/// # Errors
/// Clap's own, among them help, with the values that were found unreadable before.
pub(super) fn read(mut command: Command) -> Result<Arguments, (clap::Error, Vec<Misgiven>)> {
    let mut misgiven: Vec<Misgiven> = Vec::new();
    loop {
        let e = match command.clone().try_get_matches() {
            Ok(matches) => return Ok(Arguments { matches, misgiven }),
            Err(e) => e,
        };
        let Some(found) = bad_flag(&e).filter(|found| misgiven.iter().all(|known| known.key != found.key))
        else {
            return Err((e, misgiven));
        };
        match let_pass(&command, &found.key) {
            Some(lenient) => command = lenient,
            None => return Err((e, misgiven)),
        }
        misgiven.push(found);
    }
}

/// The same command, in which the flag of that name takes anything.
fn let_pass(command: &Command, flag: &str) -> Option<Command> {
    let id = |command: &Command| {
        let found = command.get_arguments().find(|argument| argument.get_long() == Some(flag));
        found.map(|argument| argument.get_id().clone())
    };
    let names = command.get_subcommands().filter_map(|sub| Some((sub.get_name().to_owned(), id(sub)?)));
    let names: Vec<_> = names.collect();
    let lenient = |command: Command, (name, id): &(String, clap::Id)| {
        command.mut_subcommand(name, |sub| {
            sub.mut_arg(id.as_str(), |argument| argument.value_parser(OsStringValueParser::new()))
        })
    };
    (!names.is_empty()).then(|| names.iter().fold(command.clone(), lenient))
}

/// Takes what is of no use out of the matches of a command, whose other values can be read then.
pub(super) fn forget(matches: &mut ArgMatches, misgiven: &[Misgiven]) {
    for Misgiven { key, .. } in misgiven {
        // The identifier of a flag is that of its field.
        matches.remove_many::<OsString>(&key.replace('-', "_"));
    }
}

/// A flag or a variable whose value one of our parsers refused.
fn bad_flag(e: &clap::Error) -> Option<Misgiven> {
    let (usage, error) = refused(e)?;
    let key = usage.strip_prefix("--")?.split(' ').next()?.to_owned();
    Some(Misgiven { key, error })
}

/// A value that one of our parsers refused, told as everything else that is wrong with a configuration.
pub(super) fn bad_value(e: &clap::Error) -> Option<ConfigError> {
    refused(e).map(|(_, error)| error)
}

/// What was not read, as clap calls it, and why.
fn refused(e: &clap::Error) -> Option<(&str, ConfigError)> {
    let (ErrorKind::ValueValidation, Some(ContextValue::String(usage)), Some(why)) =
        (e.kind(), e.get(ContextKind::InvalidArg), e.source())
    else {
        return None;
    };
    if !usage.starts_with('-') {
        return Some((usage, ConfigError::new(why.to_string())));
    }
    let flag = usage.split(' ').next().unwrap_or(usage);
    let typed = std::env::args_os().any(|argument| argument.to_string_lossy().starts_with(flag));
    let variable = match flag {
        "--strategy" => "PROXY_STRATEGY".to_owned(),
        _ => format!("TIDEGATE{}", flag.to_uppercase().replace("--", "_").replace('-', "_")),
    };
    let by_variable = !typed && std::env::var_os(&variable).is_some();
    let name = if by_variable { &variable } else { flag };
    Some((usage, ConfigError::new(format!("{name}: {why}"))))
}
