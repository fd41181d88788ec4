//! The kinds of values that limits have.
//!
//! Here: numbers within bounds, and numbers that may be off. Not here: what happens at a limit (`proxy/`). Floor 5.

use super::values::{Count, Form, Value};
use crate::h1::MAX_FIELDS;
use crate::h1::request::RequestLimits;
use crate::proxy::{INPUT_BLOCK_BYTES, Limits, PoolLimit};

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within<const LEAST: usize, const MOST: usize>(pub usize);

/// How long a request head may be: at most what memory for thousands of them allows.
pub type HeadBytes = Within<256, 1_048_576>;

/// How many fields a request head may have.
pub type FieldCount = Within<1, MAX_FIELDS>;

/// How long a request target may be.
pub type TargetBytes = Within<1, 1_048_576>;

/// How much of a client is read at once.
pub type PipelinedBytes = Within<256, INPUT_BLOCK_BYTES>;

impl HeadBytes {
    /// What holds unless told otherwise.
    pub fn usual() -> HeadBytes {
        Within(RequestLimits::default().head_bytes)
    }
}

impl FieldCount {
    /// What holds unless told otherwise.
    pub fn usual() -> FieldCount {
        Within(RequestLimits::default().fields)
    }
}

impl TargetBytes {
    /// What holds unless told otherwise.
    pub fn usual() -> TargetBytes {
        Within(RequestLimits::default().target_bytes)
    }
}

impl PipelinedBytes {
    /// What holds unless told otherwise.
    pub fn usual() -> PipelinedBytes {
        Within(Limits::default().pipelined_bytes)
    }
}

impl<const LEAST: usize, const MOST: usize> Value for Within<LEAST, MOST> {
    const EXPECTED: &'static str = "a whole number";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(n) if (LEAST..=MOST).contains(&n) => Ok(Within(n)),
            _ => Err(format!("`{text}` is not a whole number from {LEAST} to {MOST}")),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// How long a request body may be, in bytes; or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyBytes(pub Option<u64>);

impl Value for BodyBytes {
    const EXPECTED: &'static str = "a whole number of bytes, or \"off\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(BodyBytes(None)),
            _ => match text.parse() {
                Ok(bytes) => Ok(BodyBytes(Some(bytes))),
                Err(_) => Err(format!("`{text}` is not a whole number of bytes, nor off")),
            },
        }
    }

    fn show(&self) -> String {
        self.0.map_or("off".to_owned(), |bytes| bytes.to_string())
    }
}

/// A number of things, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap(pub Option<usize>);

impl Cap {
    /// The number; the largest one where there is no limit.
    pub(super) fn or_unlimited(self) -> usize {
        self.0.unwrap_or(usize::MAX)
    }
}

impl Value for Cap {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000, or \"off\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Cap(None)),
            _ => Count::parse(text).map(|n| Cap(Some(n.0))).map_err(|e| format!("{e}, nor off")),
        }
    }

    fn show(&self) -> String {
        self.0.map_or("off".to_owned(), |n| n.to_string())
    }
}

/// How many connections rest in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCap(pub PoolLimit);

impl Value for PoolCap {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000, \"auto\" or \"off\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(PoolCap(PoolLimit::Auto)),
            "off" => Ok(PoolCap(PoolLimit::Most(usize::MAX))),
            _ => match Count::parse(text) {
                Ok(n) => Ok(PoolCap(PoolLimit::Most(n.0))),
                Err(e) => Err(format!("{e}, nor auto or off")),
            },
        }
    }

    fn show(&self) -> String {
        match self.0 {
            PoolLimit::Auto => "auto".to_owned(),
            PoolLimit::Most(usize::MAX) => "off".to_owned(),
            PoolLimit::Most(n) => n.to_string(),
        }
    }
}

/// The least rate of a body in bytes a second; 0 where any will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRate(pub u64);

impl Value for DataRate {
    const EXPECTED: &'static str = "a whole number of bytes a second, or \"off\"";
    const FORM: Form = Form::Quantity;

    fn parse(text: &str) -> Result<Self, String> {
        let refused = |_| format!("`{text}` is not a whole number of bytes a second, nor off");
        if text == "off" { Ok(DataRate(0)) } else { text.parse().map(DataRate).map_err(refused) }
    }

    fn show(&self) -> String {
        if self.0 == 0 { "off".to_owned() } else { self.0.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_told() {
        assert_eq!(HeadBytes::parse("256"), Ok(Within(256)));
        assert_eq!(HeadBytes::parse("255").unwrap_err(), "`255` is not a whole number from 256 to 1048576");
        assert_eq!(FieldCount::parse("129").unwrap_err(), "`129` is not a whole number from 1 to 128");
        assert_eq!(TargetBytes::parse("8k").unwrap_err(), "`8k` is not a whole number from 1 to 1048576");
        assert_eq!(BodyBytes::parse("0"), Ok(BodyBytes(Some(0))));
        assert_eq!(BodyBytes::parse("-1").unwrap_err(), "`-1` is not a whole number of bytes, nor off");
        assert_eq!((Cap::parse("off"), Cap::parse("7")), (Ok(Cap(None)), Ok(Cap(Some(7)))));
        assert!(Cap::parse("0").unwrap_err().ends_with("from 1 to 1000000, nor off"));
        assert_eq!((DataRate::parse("off"), DataRate::parse("0")), (Ok(DataRate(0)), Ok(DataRate(0))));
        assert!(DataRate::parse("1.5").is_err());
        for text in ["auto", "off", "9"] {
            assert_eq!(PoolCap::parse(text).map(|cap| cap.show()), Ok(text.to_owned()));
        }
        assert!(PoolCap::parse("none").unwrap_err().ends_with("from 1 to 1000000, nor auto or off"));
    }
}
