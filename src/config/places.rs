//! Where in a file its settings are.
//!
//! Here: [`Places`], found again when something is wrong with a setting that was read well. Not here: reading them
//! (`file.rs`). Floor 5.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::diagnose::Place;

/// The places of a file's keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    file: String,
    text: String,
    spots: BTreeMap<String, Spot>,
}

/// The offsets of a setting.
#[derive(Clone, Debug)]
struct Spot {
    value: usize,
    /// Of each element of a list.
    elements: Vec<usize>,
}

impl Places {
    /// Those of the keys of `table` that are `known`, in `text` of the file called `file`.
    pub(super) fn of(file: &str, text: &str, table: &DeTable<'_>, known: impl Fn(&str) -> bool) -> Places {
        let spots = table.iter().filter(|(key, _)| known(key.get_ref())).map(|(key, value)| {
            let elements = match value.get_ref() {
                DeValue::Array(all) => all.iter().map(|one| one.span().start).collect(),
                _ => Vec::new(),
            };
            (key.get_ref().to_string(), Spot { value: value.span().start, elements })
        });
        Places { file: file.to_owned(), text: text.to_owned(), spots: spots.collect() }
    }

    /// Where the value of `key` begins, or that element of its list.
    pub(super) fn find(&self, key: &str, element: Option<usize>) -> Option<Place> {
        let spot = self.spots.get(key)?;
        let element = element.and_then(|element| spot.elements.get(element));
        Some(Place::of(&self.file, &self.text, *element.unwrap_or(&spot.value)))
    }
}
