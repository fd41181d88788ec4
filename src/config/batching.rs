//! The kinds of values that settings of batching have.
//!
//! Here: strategies, places in flight, waits that may be off, weights of customers. Not here: what they do (`batch/`,
//! `proxy/batching/`). Floor 5.

use std::time::Duration;

use super::values::{Count, Form, Period, Value};
use crate::batch::StrategyName;

impl Value for StrategyName {
    const EXPECTED: &'static str = "a strategy";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// How many batches may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// One; the strategy `adaptive` learns how many.
    Auto,
    /// This many.
    Exactly(usize),
}

impl InFlight {
    /// The number, if one was given.
    pub fn number(self) -> Option<usize> {
        match self {
            InFlight::Auto => None,
            InFlight::Exactly(n) => Some(n),
        }
    }
}

impl Value for InFlight {
    const EXPECTED: &'static str = "\"auto\" or a whole number from 1 to 1000000";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(InFlight::Auto),
            _ => Count::parse(text).map(|n| InFlight::Exactly(n.0)).map_err(|e| format!("{e}, nor auto")),
        }
    }

    fn show(&self) -> String {
        match self {
            InFlight::Auto => "auto".to_owned(),
            InFlight::Exactly(n) => n.to_string(),
        }
    }
}

/// A time span, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

impl Value for Limit {
    const EXPECTED: &'static str = "a duration such as \"10s\", or \"off\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Limit(None)),
            _ => Period::parse(text).map(|period| Limit(Some(period.0))),
        }
    }

    fn show(&self) -> String {
        self.0.map_or("off".to_owned(), |span| Period(span).show())
    }
}

/// Who may change the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyFrom {
    /// Clients on this machine.
    Loopback,
    /// Every client.
    Any,
}

impl Value for StrategyFrom {
    const EXPECTED: &'static str = "\"loopback\" or \"any\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(StrategyFrom::Loopback),
            "any" => Ok(StrategyFrom::Any),
            _ => Err(format!("`{text}` is neither loopback nor any")),
        }
    }

    fn show(&self) -> String {
        match self {
            StrategyFrom::Loopback => "loopback".to_owned(),
            StrategyFrom::Any => "any".to_owned(),
        }
    }
}

/// A customer and how much more it may have than others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerWeight {
    /// Trimmed and lower-case, as customers are told apart.
    pub customer: String,
    /// From 1 to 1000.
    pub weight: u32,
}

impl Value for CustomerWeight {
    const EXPECTED: &'static str = "a customer and its weight such as \"gold=4\"";

    fn parse(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("`{text}` is not {}; a weight is a whole number from 1 to 1000", Self::EXPECTED);
        let (name, weight) = text.rsplit_once('=').ok_or_else(malformed)?;
        let customer = name.trim().to_lowercase();
        match weight.trim().parse() {
            Ok(weight @ 1..=1000) if !customer.is_empty() => Ok(CustomerWeight { customer, weight }),
            _ => Err(malformed()),
        }
    }

    fn show(&self) -> String {
        format!("{}={}", self.customer, self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_shown() {
        for text in ["auto", "1", "64"] {
            assert_eq!(InFlight::parse(text).unwrap().show(), text);
        }
        for text in ["off", "2.5s"] {
            assert_eq!(Limit::parse(text).unwrap().show(), text);
        }
        for text in ["loopback", "any"] {
            assert_eq!(StrategyFrom::parse(text).unwrap().show(), text);
        }
        let weight = CustomerWeight::parse(" Gold = 4").unwrap();
        assert_eq!(
            (weight.customer.as_str(), weight.weight, weight.show()),
            ("gold", 4, "gold=4".to_owned())
        );
    }

    #[test]
    fn bad_values_say_what_is_expected() {
        for (error, expected) in [
            (InFlight::parse("0").unwrap_err(), "`0` is not a whole number from 1 to 1000000, nor auto"),
            (Limit::parse("5").unwrap_err(), "`5` needs a unit"),
            (StrategyFrom::parse("all").unwrap_err(), "`all` is neither loopback nor any"),
            (CustomerWeight::parse("gold").unwrap_err(), "`gold` is not a customer and its weight"),
            (CustomerWeight::parse("=2").unwrap_err(), "`=2` is not"),
            (CustomerWeight::parse("a=0").unwrap_err(), "`a=0` is not"),
        ] {
            assert!(error.starts_with(expected), "{error}\n{expected}");
        }
    }
}
