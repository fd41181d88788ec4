//! The kinds of values that settings of hedges have.
//!
//! Here: whether there are any, and which paths take them whatever the method. Not here: when a copy is worth it (`balance/`),
//! sending it (`proxy/`). Floor 5.

use super::health::Percent;
use super::values::Value;

/// Whether further copies are sent of requests whose answers are late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedge {
    /// Never.
    Off,
    /// When it is worth it, within the budget.
    Auto,
}

impl Hedge {
    /// How many copies a request may have, of 1, with this budget.
    pub fn share(self, budget: Percent) -> f64 {
        match self {
            Hedge::Off => 0.0,
            Hedge::Auto => budget.share(),
        }
    }
}

impl Value for Hedge {
    const EXPECTED: &'static str = "\"auto\" or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Hedge::Off),
            "auto" => Ok(Hedge::Auto),
            _ => Err(format!("`{text}` is neither auto nor off")),
        }
    }

    fn show(&self) -> String {
        match self {
            Hedge::Off => "off",
            Hedge::Auto => "auto",
        }
        .to_owned()
    }
}

/// What paths begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(pub String);

impl Value for PathPrefix {
    const EXPECTED: &'static str = "the beginning of a path, such as \"/search\"";

    fn parse(text: &str) -> Result<Self, String> {
        let is_path =
            text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
        match is_path {
            true => Ok(PathPrefix(text.to_owned())),
            false => Err(format!(
                "`{text}` is not the beginning of a path: it begins with / and has neither ? nor #"
            )),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}
