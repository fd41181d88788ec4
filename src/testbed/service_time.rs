//! How long a simulated classifier takes.
//!
//! Here: the models of a model server's time, and reading and writing them as `affine:20,0.05`. Not here: waiting
//! (`connection.rs`), workers that are taken (`workers.rs`). Floor 3.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The time that one request takes by the lengths of its sequences, in Unicode characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceTime {
    /// `maxlen^2`: the square of the longest length, in microseconds.
    #[default]
    LongestSquared,
    /// `affine:C0,C1`: C0 and C1 for each character of all sequences, as if nothing were padded.
    Affine(Costs),
    /// `padded:C0,C1`: C0 and C1 for each character when all sequences are padded to the longest.
    Padded(Costs),
}

/// C0 and C1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    request_ns: u64,
    character_ns: u64,
}

impl Costs {
    /// An hour.
    const MOST_NS: f64 = 3.6e12;

    fn time(self, characters: u64) -> Duration {
        Duration::from_nanos(self.request_ns.saturating_add(self.character_ns.saturating_mul(characters)))
    }
}

impl ServiceTime {
    /// The time for sequences of these lengths.
    pub fn of(self, lengths: impl IntoIterator<Item = usize>) -> Duration {
        let (mut number, mut sum, mut longest) = (0_u64, 0_u64, 0_u64);
        for length in lengths {
            number += 1;
            sum += length as u64;
            longest = longest.max(length as u64);
        }
        match self {
            ServiceTime::LongestSquared => Duration::from_micros(longest.saturating_mul(longest)),
            ServiceTime::Affine(costs) => costs.time(sum),
            ServiceTime::Padded(costs) => costs.time(number.saturating_mul(longest)),
        }
    }
}

impl FromStr for ServiceTime {
    type Err = String;

    /// Reads a model; C0 and C1 are milliseconds with decimals down to a nanosecond.
    ///
    /// # Errors
    /// A sentence that says which part of the text is wrong, and how.
    fn from_str(text: &str) -> Result<ServiceTime, String> {
        let (model, costs) = match text.split_once(':') {
            None if text == "maxlen^2" => return Ok(ServiceTime::LongestSquared),
            Some((model @ ("affine" | "padded"), costs)) => (model, costs),
            _ => {
                return Err(format!(
                    "unknown service time `{text}`; expected maxlen^2, affine:C0,C1 or padded:C0,C1"
                ));
            }
        };
        let Some((c0, c1)) = costs.split_once(',') else {
            return Err(format!(
                "bad service time `{text}`: {model} needs two numbers, such as {model}:20,0.05"
            ));
        };
        let nanos = |name: &str, ms: &str| {
            let place = format!("bad service time `{text}`: {name}, `{ms}`,");
            let ms: f64 =
                ms.trim().parse().map_err(|_| format!("{place} is not a number of milliseconds"))?;
            let ns = (ms * 1e6).round();
            if !(0.0..=Costs::MOST_NS).contains(&ns) {
                return Err(format!("{place} is not between 0 ms and an hour"));
            }
            Ok(ns as u64)
        };
        let costs = Costs { request_ns: nanos("C0", c0)?, character_ns: nanos("C1", c1)? };
        Ok(if model == "affine" { ServiceTime::Affine(costs) } else { ServiceTime::Padded(costs) })
    }
}

impl fmt::Display for ServiceTime {
    /// As it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, costs) = match self {
            ServiceTime::LongestSquared => return f.write_str("maxlen^2"),
            ServiceTime::Affine(costs) => ("affine", costs),
            ServiceTime::Padded(costs) => ("padded", costs),
        };
        write!(f, "{model}:{},{}", costs.request_ns as f64 / 1e6, costs.character_ns as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(model: &str, lengths: &[usize]) -> f64 {
        let time = model.parse::<ServiceTime>().unwrap().of(lengths.iter().copied());
        time.as_nanos() as f64 / 1e3
    }

    #[test]
    fn each_model_counts_what_it_says() {
        let lengths = [5, 12, 3];
        assert_eq!(micros("maxlen^2", &lengths), 144.0);
        assert_eq!(micros("affine:20,0.05", &lengths), 20_000.0 + 50.0 * 20.0);
        assert_eq!(micros("padded:20,0.05", &lengths), 20_000.0 + 50.0 * 36.0);
        assert_eq!(micros("maxlen^2", &[0]), 0.0);
        assert_eq!(micros("affine:0,0", &lengths), 0.0);
        assert_eq!(micros("padded:0, 0.0005", &lengths), 18.0);
        assert_eq!(ServiceTime::default().to_string(), "maxlen^2");
    }

    #[test]
    fn no_length_is_too_much_to_reckon_with() {
        for model in ["maxlen^2", "affine:3600000,3600000", "padded:3600000,3600000"] {
            assert!(micros(model, &[usize::MAX >> 1, 1]) > 1e15, "{model}");
        }
    }

    #[test]
    fn the_bad_part_is_named() {
        for (text, part) in [
            ("", "unknown service time ``"),
            ("maxlen", "expected maxlen^2, affine:C0,C1 or padded:C0,C1"),
            ("maxlen^2:1,1", "unknown"),
            ("linear:1,2", "unknown"),
            ("affine", "unknown"),
            ("affine:20", "affine needs two numbers, such as affine:20,0.05"),
            ("padded:", "padded needs two numbers"),
            ("affine:x,1", "C0, `x`, is not a number"),
            ("affine:1,", "C1, ``, is not a number"),
            ("padded:1,2,3", "C1, `2,3`, is not a number"),
            ("affine:-1,0", "C0, `-1`, is not between"),
            ("affine:0,NaN", "C1, `NaN`, is not between"),
            ("affine:0,3600000.1", "C1, `3600000.1`, is not between"),
        ] {
            let error = text.parse::<ServiceTime>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(
            request_ns in prop_oneof![0..2000u64, 0..=3_600_000_000_000u64],
            character_ns in 0..=3_600_000_000_000u64,
            padded in any::<bool>(),
        ) {
            let costs = Costs { request_ns, character_ns };
            let model = if padded { ServiceTime::Padded(costs) } else { ServiceTime::Affine(costs) };
            prop_assert_eq!(model.to_string().parse(), Ok(model));
        }
    }
}
