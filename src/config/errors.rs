//! All that is wrong with a configuration.
//!
//! Here: [`ConfigErrors`], which tells each thing once, and of very many the first. Not here: one of them (`diagnose.rs`).
//! Whoever reads or judges settings adds to them; `cli/` prints them. Floor 5.

use std::fmt;

use super::diagnose::ConfigError;

/// How many errors are told. The others are counted.
pub(super) const MOST_TOLD: usize = 50;

/// What is wrong, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    told: Vec<ConfigError>,
    /// How many are not told.
    more: usize,
}

impl ConfigErrors {
    /// One more; made only if it is told.
    pub(super) fn add(&mut self, error: impl FnOnce() -> ConfigError) {
        if self.told.len() == MOST_TOLD {
            self.more += 1;
            return;
        }
        let error = error();
        if !self.told.contains(&error) {
            self.told.push(error);
        }
    }

    /// These, too.
    pub(super) fn absorb(&mut self, others: ConfigErrors) {
        others.told.into_iter().for_each(|error| self.add(|| error));
        self.more += others.more;
    }

    /// What `result` holds, if nothing is wrong with that.
    pub(super) fn note<T, E: Into<ConfigErrors>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.absorb(e.into())).ok()
    }

    /// The same as they are read: from the top of the file, and those that have no place in it.
    pub(super) fn in_order(mut self) -> ConfigErrors {
        let place = |error: &ConfigError| error.place.as_ref().map(|place| (place.line, place.column));
        self.told.sort_by_key(|error| (error.place.is_none(), place(error)));
        self
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    /// These, if there are any.
    pub(super) fn or<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.told.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The same, where one that has no place has this one.
    pub(super) fn placed(mut self, place: &super::Place) -> ConfigErrors {
        self.told.iter_mut().for_each(|error| {
            error.place.get_or_insert_with(|| place.clone());
        });
        self
    }

    /// Those that are told.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.told.iter()
    }

    /// A line for each that is told, and one for the others.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.told.iter().map(ConfigError::to_string).collect();
        if self.more > 0 {
            lines.push(format!("and {} more errors, of which these were the first", self.more));
        }
        lines
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> ConfigErrors {
        ConfigErrors { told: vec![error], more: 0 }
    }
}

impl FromIterator<ConfigError> for ConfigErrors {
    fn from_iter<I: IntoIterator<Item = ConfigError>>(all: I) -> ConfigErrors {
        let mut errors = ConfigErrors::default();
        all.into_iter().for_each(|error| errors.add(|| error));
        errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_of_many_the_first() {
        let mut errors = ConfigErrors::default();
        assert_eq!(errors.clone().or(5), Ok(5));
        for _ in 0..2 {
            errors.add(|| ConfigError::new("a"));
        }
        assert_eq!(errors.to_string(), "a");
        (0..100).for_each(|n| errors.add(|| ConfigError::new(format!("b{n}"))));
        let mut others = ConfigErrors::default();
        (0..60).for_each(|n| others.add(|| ConfigError::new(format!("c{n}"))));
        errors.absorb(others);
        let lines = errors.lines();
        assert_eq!((lines.len(), lines[49].as_str()), (51, "b48"));
        assert_eq!(lines[50], "and 111 more errors, of which these were the first");
        assert_eq!(errors.clone().or(5), Err(errors));
    }
}
