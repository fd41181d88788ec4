//! The kinds of values that settings of the wire have.
//!
//! Here: which bytes a request target may have. Not here: judging them (`h1/`). Floor 5.

use super::values::Value;
use crate::h1::request::TargetRule;

impl Value for TargetRule {
    const EXPECTED: &'static str = "\"strict\" or \"pass\"";

    fn parse(text: &str) -> Result<Self, String> {
        let named = TargetRule::ALL.into_iter().find(|rule| rule.name() == text);
        named.ok_or_else(|| format!("`{text}` is neither strict nor pass"))
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}
