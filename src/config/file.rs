//! The configuration file.
//!
//! Here: TOML text to [`Settings`], each error with its place. Not here: merging (`config/effective.rs`). Floor 5.

use std::path::Path;

use clap::{Args, Command};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::bounded;
use super::diagnose::{ConfigError, Place, nearest};
use super::{Audience, Settings};

/// Reads the file.
pub(super) fn read(path: &Path, audience: Audience) -> Result<Settings, ConfigError> {
    parse(&path.display().to_string(), &text(path)?, audience)
}

fn text(path: &Path) -> Result<String, ConfigError> {
    bounded::text(path, "the configuration file")
}

fn parse(name: &str, text: &str, audience: Audience) -> Result<Settings, ConfigError> {
    settings(name, text, document(name, text)?, audience)
}

/// Where `key` stands in the file, if it does and the file can be read.
pub(super) fn place_of(path: &Path, key: &str) -> Option<Place> {
    let text = text(path).ok()?;
    let document = DeTable::parse(&text).ok()?;
    let offset = document.get_ref().keys().find(|name| name.get_ref() == key)?.span().start;
    Some(Place::of(&path.display().to_string(), &text, offset))
}

/// `text` as a table, whose spans are places in it.
pub(super) fn document<'t>(name: &str, text: &'t str) -> Result<Spanned<DeTable<'t>>, ConfigError> {
    DeTable::parse(text).map_err(|e| {
        ConfigError::new(format!("not TOML: {}", complaint(&e))).at(Place::of(name, text, start(&e)))
    })
}

/// Reads what `document` holds, a table of the file called `name`; an error names its place and its key.
pub(super) fn typed<'t, T: Deserialize<'t>>(
    name: &str,
    text: &str,
    document: Spanned<DeTable<'t>>,
) -> Result<T, ConfigError> {
    T::deserialize(toml::Deserializer::from(document.clone())).map_err(|e| {
        let at = start(&e);
        let table = document.get_ref();
        let key = table.iter().find(|(_, value)| value.span().contains(&at)).map(|(key, _)| key.get_ref());
        let key = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
        ConfigError::new(format!("{key}{}", complaint(&e))).at(Place::of(name, text, at))
    })
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

/// Reads the settings in a table of the file called `name`.
pub(super) fn settings(
    name: &str,
    text: &str,
    document: Spanned<DeTable<'_>>,
    audience: Audience,
) -> Result<Settings, ConfigError> {
    let place = |offset| Place::of(name, text, offset);
    let table = document.get_ref();
    let known = keys();
    let is_known = |key: &str| known.iter().any(|k| k == key);
    let strangers =
        table.keys().filter(|key| !is_known(key.get_ref()) || audience.refuses(key.get_ref()).is_some());
    // The table is sorted by key; the reader's first error is the one that stands first. Of many strangers only that one's
    // nearest name is looked for.
    if let Some(key) = strangers.min_by_key(|key| key.span().start) {
        let shown = key.get_ref().as_ref();
        let error = match audience.refuses(shown) {
            Some(why) if is_known(shown) => {
                ConfigError::new(format!("`{shown}` cannot be used here")).hint(why)
            }
            _ => unknown(shown, &known),
        };
        return Err(error.at(place(key.span().start)));
    }

    typed(name, text, document)
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
        parse("t.toml", text, Audience::Either).expect_err(text).to_string()
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
    fn what_a_file_holds_is_told_in_one_line() {
        assert!(error("\"a\\nb\\u001b[1m\" = 1").contains("unknown key `a\\nb\\u{1b}[1m`"));
        assert!(error("routing = \"a\\u001b\"").contains("unknown routing mode `a\\u{1b}`"));
    }

    #[test]
    fn of_several_errors_the_first_in_the_file_is_told() {
        assert!(error("zzzz = 1\naaaa = 1").starts_with("t.toml:1:1: unknown key `zzzz`"));
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
        let backends = |text| parse("t", text, Audience::Proxy).unwrap().backend.unwrap().len();
        assert_eq!(backends("backend = []"), 0);
        assert_eq!(backends("backend = \"a:1,b:2\""), 2);
        assert_eq!(backends("backend = [\"a:1\", \"a:1\"]"), 2);
    }

    #[test]
    fn a_key_of_the_other_command_has_a_place() {
        let error = parse("t", "csv = \"off\"\nbackend = []", Audience::Testbed).unwrap_err().to_string();
        assert_eq!(
            error,
            "t:2:1: `backend` cannot be used here; the testbed starts its own backends; see --backend-listen"
        );
        assert!(parse("t", "backend-listen = \":1,:2,:3\"", Audience::Proxy).is_err());
        assert!(parse("t", "backend-listen = \":1,:2,:3\"", Audience::Testbed).is_ok());
    }

    #[test]
    fn a_switch_may_be_a_boolean() {
        let keepalive = |text| parse("t", text, Audience::Either).unwrap().client_keepalive.unwrap().0;
        assert!(!keepalive("client-keepalive = false") && keepalive("client-keepalive = \"on\""));
    }
}
