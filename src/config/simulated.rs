//! How long simulated servers take, as options.
//!
//! Here: `--profile`, `--fault` and `--service-time` as values like any other. Not here: their forms and use
//! (`testbed/profile/`, `testbed/fault/`, `testbed/service_time.rs`). Floor 5.

use super::values::Value;
use crate::testbed::{Fault, Profile, ServiceTime};

impl Value for Profile {
    const EXPECTED: &'static str = "a profile such as \"10,15,400x3\" or \"lognormal:50,0.5\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Fault {
    const EXPECTED: &'static str = "a fault such as \"slow:x10,from=20s,for=10s\"";

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
