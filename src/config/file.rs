//! The configuration file.
//!
//! Here: TOML text to [`Settings`], and all that is wrong with it, each error with its place. Not here: merging
//! (`config/effective.rs`), what settings must keep together (`judge.rs`). Floor 5.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Command};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::bounded;
use super::diagnose::{ConfigError, Place, nearest};
use super::errors::{ConfigErrors, MOST_TOLD};
use super::places::Places;
use super::{Audience, Settings};

/// What a file says, as far as it can be used.
#[derive(Default)]
pub(super) struct Written {
    pub(super) settings: Settings,
    /// Keys that are there, and of no use.
    pub(super) unusable: BTreeSet<String>,
    pub(super) places: Places,
    /// What is wrong.
    pub(super) errors: ConfigErrors,
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, or is not TOML: then nothing is known of its settings.
pub(super) fn read(path: &Path, audience: Audience) -> Result<Written, ConfigErrors> {
    parse(&path.display().to_string(), &text(path)?, audience)
}

fn text(path: &Path) -> Result<String, ConfigError> {
    bounded::text(path, "the configuration file")
}

fn parse(name: &str, text: &str, audience: Audience) -> Result<Written, ConfigErrors> {
    let document = document(name, text)?;
    let known = keys();
    let places = Places::of(name, text, document.get_ref(), |key| known.iter().any(|known| known == key));
    Ok(Written { places, ..settings(name, text, document, audience) })
}

/// Where `key` stands in the file, if it does and the file can be read.
pub(super) fn place_of(path: &Path, key: &str) -> Option<Place> {
    let text = text(path).ok()?;
    let document = DeTable::parse(&text).ok()?;
    let offset = document.get_ref().keys().find(|name| name.get_ref() == key)?.span().start;
    Some(Place::of(&path.display().to_string(), &text, offset))
}

/// `text` as a table, whose spans are places in it.
///
/// # Errors
/// What is not TOML, one for each line.
pub(super) fn document<'t>(name: &str, text: &'t str) -> Result<Spanned<DeTable<'t>>, ConfigErrors> {
    let (document, mut complaints) = DeTable::parse_recoverable(text);
    complaints.sort_by_key(start);
    let mut errors = ConfigErrors::default();
    let mut lines = BTreeSet::new();
    for e in &complaints {
        let line = text[..start(e).min(text.len())].rfind('\n');
        if lines.insert(line) {
            errors.add(|| {
                ConfigError::new(format!("not TOML: {}", complaint(e))).at(Place::of(name, text, start(e)))
            });
        }
    }
    errors.or(document)
}

/// Reads what `document` holds, a table of the file called `name`.
///
/// # Errors
/// What cannot be read, each with its place and its key.
pub(super) fn typed<'t, T: Deserialize<'t>>(
    name: &str,
    text: &str,
    document: &Spanned<DeTable<'t>>,
) -> Result<T, ConfigErrors> {
    deserialize(document).map_err(|e| {
        let mut errors = ConfigErrors::default();
        let mut bad: Vec<_> =
            bad_values::<T>(name, text, document).into_iter().flat_map(|(_, errors)| errors).collect();
        bad.sort_by_key(|&(offset, _)| offset);
        bad.into_iter().for_each(|(_, error)| errors.add(|| error));
        match errors.or(()) {
            Ok(()) => placed(name, text, document, &e).1.into(),
            Err(errors) => errors,
        }
    })
}

fn deserialize<'t, T: Deserialize<'t>>(document: &Spanned<DeTable<'t>>) -> Result<T, toml::de::Error> {
    T::deserialize(toml::Deserializer::from(document.clone()))
}

/// The error with its place, and where that is.
fn placed(
    name: &str,
    text: &str,
    document: &Spanned<DeTable<'_>>,
    e: &toml::de::Error,
) -> (usize, ConfigError) {
    let (mut at, table) = (start(e), document.get_ref());
    let mut key = table.iter().find(|(_, value)| value.span().contains(&at)).map(|(key, _)| key.get_ref());
    let is_lost = e.span().is_none_or(|span| span == document.span());
    if let (true, 1, Some((only, value))) = (is_lost, table.len(), table.iter().next()) {
        // Errors of flattened structs have no place of their own.
        (at, key) = (value.span().start, Some(only.get_ref()));
    }
    let key = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
    (at, ConfigError::new(format!("{key}{}", complaint(e))).at(Place::of(name, text, at)))
}

fn complaint(e: &toml::de::Error) -> String {
    e.message().trim().replace('\n', ", ")
}

fn start(e: &toml::de::Error) -> usize {
    e.span().map_or(0, |span| span.start)
}

/// The names of all settings.
fn keys() -> Vec<String> {
    let flags = Settings::augment_args(Command::new("keys"));
    let names = flags.get_arguments().filter_map(|flag| flag.get_long().map(str::to_owned));
    names.chain(["shape".to_owned()]).collect()
}

/// Reads the settings in a table of the file called `name`. Its places are not looked for.
pub(super) fn settings(
    name: &str,
    text: &str,
    document: Spanned<DeTable<'_>>,
    audience: Audience,
) -> Written {
    let span = document.span();
    let known = keys();
    let is_known = |key: &str| known.iter().any(|k| k == key);
    let (mut usable, mut wrong) = (DeTable::new(), Vec::new());
    for (key, value) in document.into_inner() {
        match audience.refuses(key.get_ref()) {
            None if is_known(key.get_ref()) => drop(usable.insert(key, value)),
            why => wrong.push((key.span().start, Wrong::Key(key.into_inner().into_owned(), why))),
        }
    }
    let mut usable = Spanned::new(span, usable);
    let mut settings = deserialize(&usable);
    let mut unusable = BTreeSet::new();
    if settings.is_err() {
        let bad = bad_values::<Settings>(name, text, &usable);
        for (key, errors) in bad {
            usable.get_mut().remove(key.as_str());
            unusable.insert(key);
            wrong.extend(errors.into_iter().map(|(at, error)| (at, Wrong::Value(error))));
        }
        settings = deserialize(&usable);
    }
    let settings = settings.unwrap_or_else(|e| {
        let (at, error) = placed(name, text, &usable, &e);
        wrong.push((at, Wrong::Value(error)));
        Settings::default()
    });
    // The table is sorted by key; its reader wants to go through it from the top.
    wrong.sort_by_key(|&(offset, _)| offset);
    let mut errors = ConfigErrors::default();
    for (offset, wrong) in wrong {
        if let Wrong::Key(key, Some(_)) = &wrong {
            unusable.insert(key.clone());
        }
        errors.add(|| match wrong {
            Wrong::Value(error) => error,
            Wrong::Key(key, why) => foreign(&key, why, &known).at(Place::of(name, text, offset)),
        });
    }
    Written { settings, unusable, places: Places::default(), errors }
}

/// What is wrong at a place.
enum Wrong {
    /// A key that is not known, or not for this command, and why.
    Key(String, Option<&'static str>),
    Value(ConfigError),
}

fn foreign(key: &str, why: Option<&'static str>, known: &[String]) -> ConfigError {
    match why {
        Some(why) if known.iter().any(|k| k == key) => {
            ConfigError::new(format!("`{key}` cannot be used here")).hint(why)
        }
        _ => unknown(key, known),
    }
}

/// The keys of `document` whose values cannot be read, each with its errors by place: of a list those of each
/// element.
fn bad_values<'t, T: Deserialize<'t>>(
    name: &str,
    text: &str,
    document: &Spanned<DeTable<'t>>,
) -> Vec<(String, Vec<(usize, ConfigError)>)> {
    let alone = |key: &Spanned<_>, value: Spanned<DeValue<'t>>| {
        let table = Spanned::new(document.span(), DeTable::from_iter([(key.clone(), value)]));
        deserialize::<T>(&table).err().map(|e| placed(name, text, &table, &e))
    };
    let mut bad = Vec::new();
    for (key, value) in document.get_ref() {
        let Some(first) = alone(key, value.clone()) else { continue };
        let mut errors = Vec::new();
        if let DeValue::Array(all) = value.get_ref() {
            let elements = all.iter().filter_map(|element| {
                let mut array = DeArray::new();
                array.push(element.clone());
                alone(key, Spanned::new(value.span(), DeValue::Array(array)))
            });
            // Each is looked for in the text, and no more than these are told.
            errors.extend(elements.take(MOST_TOLD + 1));
        }
        if errors.is_empty() {
            errors.push(first);
        }
        bad.push((key.get_ref().to_string(), errors));
    }
    bad
}

fn unknown(key: &str, known: &[String]) -> ConfigError {
    let error = ConfigError::new(format!("unknown key `{key}`"));
    match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`tidegate proxy --help` lists the keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match parse("t.toml", text, Audience::Either) {
            Ok(written) => written.errors.to_string(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn an_unknown_key_has_a_place_and_the_nearest_name() {
        assert_eq!(
            error("listen = \":1\"\n\nroutng = \"x\"\n"),
            "t.toml:3:1: unknown key `routng`; did you mean `routing`?"
        );
        assert_eq!(
            error("sma_window = 3"),
            "t.toml:1:1: unknown key `sma_window`; did you mean `sma-window`?"
        );
        assert_eq!(
            error("[proxy]"),
            "t.toml:1:2: unknown key `proxy`; `tidegate proxy --help` lists the keys"
        );
    }

    #[test]
    fn a_wrong_value_has_a_place_wherever_its_setting_is_kept() {
        assert_eq!(
            error("listen = \":1\"\neject-for = \"x\"\n  health-rise =  0"),
            "t.toml:2:13: `eject-for`: `x` is not a duration; write it like 250ms, 10s, 1.5s, 2m or 1h\n\
             t.toml:3:18: `health-rise`: `0` is not a whole number from 1 to 1000000"
        );
        let told = error("sma-window = 0\nhealth-rise = \"2\"\nzzzz = 1");
        let places: Vec<_> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["t.toml:1:14", "t.toml:2:15", "t.toml:3:1"], "{told}");
    }

    #[test]
    fn what_a_file_holds_is_told_in_one_line() {
        assert!(error("\"a\\nb\\u001b[1m\" = 1").contains("unknown key `a\\nb\\u{1b}[1m`"));
        assert!(error("routing = \"a\\u001b\"").contains("unknown routing mode `a\\u{1b}`"));
    }

    #[test]
    fn all_errors_are_told_from_the_top() {
        let text = "zzzz = 1\nrouting = \"x\"\naaaa = 1\nbackend = [\"a\", \"b/c\", \"d\", \"e?f\"]\ncsv = true\nlisten = \":1\"";
        let told = error(text);
        let places: Vec<_> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(
            places,
            ["t.toml:1:1", "t.toml:2:11", "t.toml:3:1", "t.toml:4:17", "t.toml:4:29", "t.toml:5:7"]
        );
        let written = parse("t.toml", text, Audience::Either).unwrap();
        assert_eq!(written.settings.listen.map(|at| at.port()), Some(1));
        assert_eq!(
            written.unusable.iter().map(String::as_str).collect::<Vec<_>>(),
            ["backend", "csv", "routing"]
        );
        let told = error("a = \nb = 1\nc = \"\nd = = 1\n");
        let places: Vec<_> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["t.toml:1:5", "t.toml:3:6", "t.toml:4:5"], "{told}");
    }

    #[test]
    fn of_a_great_many_errors_the_first_are_told_at_once() {
        let many: String = (0..90_000).map(|n| format!("k{n}=1\n")).collect();
        let told = error(&many);
        assert!(told.starts_with("t.toml:1:1: unknown key `k0`"), "{told}");
        assert_eq!(told.lines().count(), 51);
        assert!(told.ends_with("and 89950 more errors, of which these were the first"), "{told}");
        let long = error(&format!("{} = 1", "k".repeat(1_000_000)));
        assert!(long.len() < 1_000, "{}", long.len());
    }

    #[test]
    fn a_file_names_no_other_file() {
        assert!(error("config = 1").contains("unknown key"));
    }

    #[test]
    fn a_bad_value_has_a_place_and_its_key() {
        for (text, expected) in [
            ("routing = \"x\"", "t.toml:1:11: `routing`: unknown routing mode `x`; expected one of "),
            ("\n routing = 5", "t.toml:2:12: `routing`: invalid type: integer `5`, expected a routing mode"),
            ("sma-window = \"3\"", "t.toml:1:14: `sma-window`: invalid type: string \"3\", expected a whole"),
            ("sma-window = 0", "t.toml:1:14: `sma-window`: `0` is not a whole number from 1"),
            ("ewma-alpha = 1.5", "t.toml:1:14: `ewma-alpha`: `1.5` is not a number above 0"),
            ("ewma-alpha = nan", "t.toml:1:14: `ewma-alpha`: `NaN` is not"),
            ("idle-timeout = 10", "t.toml:1:16: `idle-timeout`: `10` needs a unit: 10s or 10ms"),
            ("idle-timeout = \"10\"", "t.toml:1:16: `idle-timeout`: `10` needs a unit"),
            (
                "backend = [\n\"a\",\n\"ftp://b\"]",
                "t.toml:3:1: `backend`: bad backend URL `ftp://b`: the scheme",
            ),
            ("backend = [1]", "t.toml:1:12: `backend`: invalid type: integer `1`, expected a backend's URL"),
            ("backend = 1", "t.toml:1:11: `backend`: invalid type: integer `1`, expected a backend's URL"),
            ("csv = true", "t.toml:1:7: `csv`: invalid type: boolean `true`, expected a path or \"off\""),
            ("csv = {}", "t.toml:1:7: `csv`: invalid type: map, expected a path"),
            ("csv = 1979-05-27", "t.toml:1:7: `csv`: invalid type: "),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected), "{text}\n{error}\n{expected}");
        }
    }

    #[test]
    fn what_is_not_toml_has_a_place_and_one_line() {
        for (text, place) in [
            ("listen 5", "t.toml:1:"),
            ("a = 1\nb = \"", "t.toml:2:"),
            ("csv = \"off\"\ncsv = \"off\"", "t.toml:2:1"),
        ] {
            let error = error(text);
            assert!(
                error.starts_with(place) && error.contains("not TOML") && !error.contains('\n'),
                "{error}"
            );
        }
    }

    #[test]
    fn backends_are_a_list_or_a_string_and_may_be_none_or_the_same() {
        let backends = |text| parse("t", text, Audience::Proxy).unwrap().settings.backend.unwrap().len();
        assert_eq!(backends("backend = []"), 0);
        assert_eq!(backends("backend = \"a:1,b:2\""), 2);
        assert_eq!(backends("backend = [\"a:1\", \"a:1\"]"), 2);
    }

    #[test]
    fn a_key_of_the_other_command_has_a_place() {
        let errors = |text, audience| parse("t", text, audience).unwrap().errors;
        let error = errors("csv = \"off\"\nbackend = []", Audience::Testbed).to_string();
        assert_eq!(
            error,
            "t:2:1: `backend` cannot be used here; the testbed starts its own backends; see --backend-listen"
        );
        assert!(errors("backend-listen = \":1,:2,:3\"", Audience::Proxy).iter().count() == 1);
        assert!(errors("backend-listen = \":1,:2,:3\"", Audience::Testbed).iter().count() == 0);
    }

    #[test]
    fn a_switch_may_be_a_boolean() {
        let keepalive =
            |text| parse("t", text, Audience::Either).unwrap().settings.client_keepalive.unwrap().0;
        assert!(!keepalive("client-keepalive = false") && keepalive("client-keepalive = \"on\""));
    }
}
