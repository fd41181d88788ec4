//! The latencies of a simulated backend, as an option.
//!
//! Here: `--profile` as a value like any other. Not here: its form and use (`testbed/profile.rs`). Floor 5.

use super::values::Value;
use crate::testbed::Profile;

impl Value for Profile {
    const EXPECTED: &'static str = "milliseconds such as \"10,15,400x3\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
