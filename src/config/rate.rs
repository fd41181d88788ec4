//! Rates of requests.
//!
//! Here: [`Rate`] and [`Spacing`], on the command line. Not here: what falls due when (`load/arrivals.rs`). Floor 5.

use super::values::{Form, Value};

/// Requests a second, above 0 and at most ten million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64);

impl Value for Rate {
    const EXPECTED: &'static str = "a number of requests a second, above 0 and at most 10000000";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            // A slower one than this might as well be none: its first request is a day away.
            Ok(rate) if (1e-5..=1e7).contains(&rate) => Ok(Rate(rate)),
            _ => Err(format!("`{text}` is not {}", Rate::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// How requests follow each other in an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// In equal steps.
    Even,
    /// Independently of each other.
    Poisson,
}

impl Value for Spacing {
    const EXPECTED: &'static str = "\"even\" or \"poisson\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "even" => Ok(Spacing::Even),
            "poisson" => Ok(Spacing::Poisson),
            _ => Err(format!("`{text}` is neither even nor poisson")),
        }
    }

    fn show(&self) -> String {
        match self {
            Spacing::Even => "even".to_owned(),
            Spacing::Poisson => "poisson".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_positive_number() {
        for text in ["0.5", "500", "10000000", "0.00001"] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!(Rate::parse(&rate.show()), Ok(rate));
        }
        for text in ["0", "-1", "NaN", "inf", "1e8", "", "5/s", "1e-9"] {
            assert!(Rate::parse(text).unwrap_err().contains(&format!("`{text}`")), "{text}");
        }
    }

    #[test]
    fn a_shown_spacing_reads_back() {
        for spacing in [Spacing::Even, Spacing::Poisson] {
            assert_eq!(Spacing::parse(&spacing.show()), Ok(spacing));
        }
    }
}
