//! Settings from flags and a file: every mistake is told with its place, and what is shown says the same again.
//!
//! The first lines that begin with `--` are flags; the rest is the file.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use tempfile::NamedTempFile;
use tidegate::config::{Audience, ConfigError, ConfigErrors, Effective, Settings, Source, parse_study};
use tidegate::proxy::Backend;

/// How many files the process may open; part of a default.
const DESCRIPTORS: u64 = 1000;

/// Checks settings, for each command that takes them; says what became of them.
pub(crate) fn check(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut flags = Vec::new();
    while rest.starts_with(b"--")
        && let Some(end) = memchr::memchr(b'\n', rest)
    {
        flags.push(OsStr::from_bytes(&rest[..end]).to_owned());
        rest = &rest[end + 1..];
    }
    let given = match Given::parse(flags) {
        Ok(given) => given,
        Err(error) => return format!("flag: {}", kind(&error.to_string())),
    };
    let file = File::new(rest);
    if let Ok(text) = std::str::from_utf8(rest) {
        study(text);
    }
    let outcomes = [Audience::Proxy, Audience::Testbed, Audience::Either].map(|audience| {
        match given.load(&file, audience) {
            Err(errors) => all_told(&errors, &file),
            Ok(effective) => shown_again(effective),
        }
    });
    outcomes.join(" | ")
}

/// What the command line says.
struct Given {
    settings: Settings,
    matches: ArgMatches,
}

impl Given {
    fn parse(flags: Vec<OsString>) -> Result<Given, clap::Error> {
        thread_local! {
            static COMMAND: RefCell<Command> =
                RefCell::new(Settings::augment_args(Command::new("fuzz").no_binary_name(true)));
        }
        let matches = COMMAND.with_borrow_mut(|command| command.try_get_matches_from_mut(flags))?;
        Ok(Given { settings: Settings::from_arg_matches(&matches)?, matches })
    }

    fn load(&self, file: &File, audience: Audience) -> Result<Effective, ConfigErrors> {
        let source = Source {
            given: self.settings.clone(),
            matches: self.matches.clone(),
            misgiven: Vec::new(),
            file: Some(file.named.path().to_owned()),
            audience,
            descriptors: DESCRIPTORS,
            dashboard_port: None,
        };
        source.load()
    }
}

/// A file of settings, as long as it is looked at.
struct File {
    named: NamedTempFile,
    text: Option<String>,
}

impl File {
    fn new(bytes: &[u8]) -> File {
        let mut named = NamedTempFile::new().expect("a file for the settings");
        named.write_all(bytes).expect("a file for the settings");
        File { named, text: String::from_utf8(bytes.to_vec()).ok() }
    }
}

/// Each mistake is told in a line of its own, and the first one's kind is returned.
fn all_told(errors: &ConfigErrors, file: &File) -> String {
    let kinds: Vec<_> = errors.iter().map(|error| told(error, file)).collect();
    let lines = errors.lines();
    assert!(lines.len() == kinds.len() || lines.len() == kinds.len() + 1, "{lines:?}");
    kinds.into_iter().next().expect("an error")
}

/// A mistake is told in one line, with its place if it is one of the file.
fn told(error: &ConfigError, file: &File) -> String {
    let told = error.to_string();
    assert!(!told.contains(char::is_control), "more than a line: {told:?}");
    let (Some(place), Some(text)) = (&error.place, &file.text) else {
        return format!("no place: {}", kind(&error.what));
    };
    assert_eq!(place.file, file.named.path().display().to_string());
    let lines: Vec<_> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&place.line), "{} lines: {told}", lines.len());
    let most = lines[place.line - 1].chars().count() + 1;
    assert!((1..=most).contains(&place.column), "{most} columns: {told}");
    kind(&error.what)
}

/// The beginning of a complaint, without the names and numbers in it.
fn kind(what: &str) -> String {
    let words = what.split('`').step_by(2).take(2).flat_map(str::chars).filter(|c| !c.is_ascii_digit());
    words.take_while(|&c| c != '"').take(40).collect()
}

/// What is shown of settings is a file that says the same, and the proxy can be told it.
fn shown_again(effective: Effective) -> String {
    let shown = effective.lines().join("\n");
    let nothing = Given::parse(Vec::new()).expect("no flags");
    let again = nothing.load(&File::new(shown.as_bytes()), Audience::Either);
    let again = again.unwrap_or_else(|e| panic!("{e}\n{shown}"));
    let values = |effective: &Effective| -> Vec<_> {
        effective.shown().into_iter().map(|(key, value, _)| (key, value)).collect()
    };
    assert_eq!((values(&again), &again.shape.value), (values(&effective), &effective.shape.value));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let servers = |urls: usize| -> Vec<Backend> {
        let backend = Backend { url: "u".to_owned(), authority: "a".to_owned(), addresses: vec![address] };
        vec![backend; urls]
    };
    let (backends, classifiers) =
        (servers(effective.backend.value.len()), servers(effective.classifier.value.len()));
    match effective.into_options(backends, classifiers) {
        Ok(setup) => format!("ok, batching {}", setup.options.batching.is_some()),
        // It is about the addresses that were found, so it has no place.
        Err(errors) => kind(&errors.to_string()),
    }
}

/// The same text as an experiment's study.
fn study(text: &str) {
    if let Err(errors) = parse_study("s.toml", "s", text, DESCRIPTORS) {
        assert!(errors.iter().next().is_some());
        for told in errors.lines() {
            assert!(!told.contains(char::is_control), "more than a line: {told:?}");
        }
    }
}
