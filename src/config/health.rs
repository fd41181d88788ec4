//! The kinds of values that health settings have.
//!
//! Here: shares in percent, targets of checks. Not here: what happens to a backend (`balance/`).
//! Floor 5.

use super::values::Value;
use crate::balance::AllOut;
use crate::proxy::StatusSet;

/// A share, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl Percent {
    /// Of 1.
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl Value for Percent {
    const EXPECTED: &'static str = "a share such as \"20%\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%').map(str::parse) {
            Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok(Percent(percent)),
            _ => Err(format!("`{text}` is not a share from 0% to 100%")),
        }
    }

    fn show(&self) -> String {
        format!("{}%", self.0)
    }
}

/// Error statuses, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses(pub Option<StatusSet>);

impl Value for Statuses {
    const EXPECTED: &'static str = "statuses such as \"502,503\", \"5xx\" or \"none\"";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Statuses(None));
        }
        let mut set = StatusSet::default();
        for word in text.split(',').map(str::trim) {
            match (word, word.parse()) {
                ("4xx", _) => (400..500).for_each(|status| set.insert(status)),
                ("5xx", _) => (500..600).for_each(|status| set.insert(status)),
                (_, Ok(status)) if StatusSet::is_possible(status) => set.insert(status),
                _ => return Err(format!("`{word}` is neither a status from 400 to 599, 4xx, 5xx nor none")),
            }
        }
        Ok(Statuses(Some(set)))
    }

    fn show(&self) -> String {
        let Some(set) = self.0 else { return "none".to_owned() };
        let mut words = Vec::new();
        for (class, name) in [(400..500, "4xx"), (500..600, "5xx")] {
            match class.clone().all(|status| set.contains(status)) {
                true => words.push(name.to_owned()),
                false => words.extend(set.iter().filter(|s| class.contains(s)).map(|s| s.to_string())),
            }
        }
        words.join(",")
    }
}

/// What a check asks for, or no checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPath(pub Option<String>);

impl Value for CheckPath {
    const EXPECTED: &'static str = "a path such as \"/healthz\", or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(CheckPath(None)),
            _ if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') => {
                Ok(CheckPath(Some(text.to_owned())))
            }
            _ => Err(format!("`{text}` is not a path like /healthz, nor off")),
        }
    }

    fn show(&self) -> String {
        self.0.clone().unwrap_or("off".to_owned())
    }
}

impl Value for AllOut {
    const EXPECTED: &'static str = "\"fail\" or \"any\"";

    fn parse(text: &str) -> Result<Self, String> {
        let named = AllOut::ALL.into_iter().find(|rule| rule.name() == text);
        named.ok_or_else(|| format!("`{text}` is neither fail nor any"))
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_shown_alike() {
        for text in ["0%", "20%", "33.3%", "100%"] {
            assert_eq!(Percent::parse(text).map(|p| p.show()), Ok(text.to_owned()));
        }
        for text in ["20", "0.2", "-1%", "101%", "%", "NaN%"] {
            assert!(Percent::parse(text).is_err(), "{text}");
        }
        for text in ["none", "5xx", "502,503", "429,5xx", "4xx,599"] {
            assert_eq!(Statuses::parse(text).map(|s| s.show()), Ok(text.to_owned()));
        }
        assert_eq!(Statuses::parse("503, 502,5xx").map(|s| s.show()), Ok("5xx".to_owned()));
        for text in ["", "399", "600", "2xx", "502,none", "502;503", "off"] {
            assert!(Statuses::parse(text).is_err(), "{text}");
        }
        assert_eq!(CheckPath::parse("/a?b=c"), Ok(CheckPath(Some("/a?b=c".to_owned()))));
        for text in ["", "healthz", "/a b", "/a\r\nX: y", "/ü"] {
            assert!(CheckPath::parse(text).is_err(), "{text}");
        }
    }
}
