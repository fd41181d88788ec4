//! How long simulated servers take, as options.
//!
//! Here: `--profile` and `--service-time` as values like any other. Not here: their forms and use
//! (`testbed/profile.rs`, `testbed/service_time.rs`). Floor 5.

use super::values::Value;
use crate::testbed::{Profile, ServiceTime};

impl Value for Profile {
    const EXPECTED: &'static str = "milliseconds such as \"10,15,400x3\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for ServiceTime {
    const EXPECTED: &'static str = "a service time such as \"maxlen^2\" or \"affine:20,0.05\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
