//! What is wrong with a configuration, and where.
//!
//! Here: [`ConfigError`], one line of the form `file:line:col: what; hint`, and the nearest known name. Not here:
//! the checks themselves. Whoever reads settings makes these; `cli/` prints them. Floor 5.

use std::fmt::{self, Write};
use std::io;

/// A place in a file, counted from 1; columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte of `text`.
    pub fn of(file: &str, text: &str, offset: usize) -> Place {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, if it stands in a file.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error that is in no file.
    pub fn new(what: impl Into<String>) -> ConfigError {
        ConfigError { place: None, what: what.into(), hint: None }
    }

    /// The same, at a place of a file.
    pub fn at(mut self, place: Place) -> ConfigError {
        self.place = Some(place);
        self
    }

    /// The same, with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> ConfigError {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column }) = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        in_one_line(&self.what, f)?;
        let Some(hint) = &self.hint else { return Ok(()) };
        f.write_str("; ")?;
        in_one_line(hint, f)
    }
}

/// The most characters of a sentence.
const MOST_CHARACTERS: usize = 500;

/// Names and values of a file may hold anything; a terminal must not obey them, nor a line end in them, and they may be as
/// long as the file.
fn in_one_line(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut characters = text.chars();
    characters.by_ref().take(MOST_CHARACTERS).try_for_each(|c| match c.is_control() {
        true => write!(f, "{}", c.escape_debug()),
        false => f.write_char(c),
    })?;
    if characters.next().is_some() { f.write_str(" …") } else { Ok(()) }
}

impl std::error::Error for ConfigError {}

/// The longest name that is compared with those that are known: none is nearly as long.
const LONGEST_NAME: usize = 60;

/// The known name that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let name = name.to_lowercase().replace('_', "-");
    let farthest = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|&(distance, _)| distance <= farthest)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `Address already in use (os error 98)` as the second half of a sentence.
pub fn reason(e: &io::Error) -> String {
    let full = e.to_string();
    let bare = full.split(" (os error").next().unwrap_or(&full);
    let mut letters = bare.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\n# größe\nbé = 2\n";
        let at = |offset| {
            let place = Place::of("f", text, offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(text.find("bé").unwrap()), (3, 1));
        assert_eq!(at(text.find(" = 2").unwrap()), (3, 3));
        assert_eq!(at(usize::MAX), (4, 1));
    }

    #[test]
    fn a_reason_can_end_a_sentence() {
        assert_eq!(reason(&io::Error::from_raw_os_error(98)), "address already in use");
        assert_eq!(reason(&io::Error::other("Odd")), "odd");
    }

    #[test]
    fn the_nearest_name_is_near_or_none() {
        let known = ["routing", "listen", "sma-window"];
        assert_eq!(nearest("routng", known), Some("routing"));
        assert_eq!(nearest("SMA_window", known), Some("sma-window"));
        assert_eq!(nearest("colour", known), None);
    }
}
