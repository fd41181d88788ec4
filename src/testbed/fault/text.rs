//! Faults as text.
//!
//! Here: reading and writing them as `slow:x10,from=20s,for=10s` or `stall,from=1s,for=500ms,every=5s`. Not here: what they
//! mean (`mod.rs`). Floor 3.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, FaultKind};
use crate::time::parse_span;

/// The largest factor, either way.
const MOST: f64 = 1e6;

impl FromStr for Fault {
    type Err = String;

    /// Reads `KIND[:HOW MUCH],from=TIME,for=TIME[,every=TIME]`: `stall`, `refuse`, `slow:x10`, `throttle:x10`, `reset:SHARE`,
    /// `error:SHARE[,after=TIME]`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    fn from_str(text: &str) -> Result<Fault, String> {
        read(text).map_err(|why| format!("bad fault `{text}`: {why}"))
    }
}

fn read(text: &str) -> Result<Fault, String> {
    let mut parts = text.split(',').map(str::trim);
    let (kind, measure) = match parts.next().unwrap_or_default().split_once(':') {
        Some((kind, measure)) => (kind.trim(), Some(measure.trim())),
        None => (text.split(',').next().unwrap_or_default().trim(), None),
    };
    let (mut from, mut lasts, mut every, mut after) = (None, None, None, None);
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not such as from=10s"))?;
        let place = match key.trim() {
            "from" => &mut from,
            "for" => &mut lasts,
            "every" => &mut every,
            "after" if kind == "error" => &mut after,
            other => return Err(format!("`{other}` is none of from, for, every{}", further(kind))),
        };
        if place.replace(parse_span(value.trim())?).is_some() {
            return Err(format!("`{}` twice", key.trim()));
        }
    }
    let kind = kind_of(kind, measure, after)?;
    let lasts = lasts.filter(|lasts| !lasts.is_zero()).ok_or("it needs for=TIME, above 0")?;
    if every.is_some_and(|every| every <= lasts) {
        return Err("it comes again before it has ended".to_owned());
    }
    Ok(Fault { kind, from: from.unwrap_or_default(), lasts, every })
}

fn further(kind: &str) -> &'static str {
    if kind == "error" { ", after" } else { "" }
}

fn kind_of(kind: &str, measure: Option<&str>, after: Option<Duration>) -> Result<FaultKind, String> {
    let share = || {
        let share = measure.and_then(|text| text.parse().ok()).filter(|share| (0.0..=1.0).contains(share));
        share.ok_or_else(|| format!("`{kind}` needs a share from 0 to 1, such as {kind}:0.2"))
    };
    let factor = |least: f64| {
        let factor = measure.and_then(|text| text.strip_prefix('x')).and_then(|text| text.parse().ok());
        let factor = factor.filter(|factor| (least..=MOST).contains(factor));
        factor.ok_or_else(|| format!("`{kind}` needs a factor, such as {kind}:x10"))
    };
    match (kind, measure) {
        ("stall", None) => Ok(FaultKind::Stall),
        ("refuse", None) => Ok(FaultKind::Refuse),
        ("stall" | "refuse", Some(measure)) => Err(format!("`{kind}` takes no `:{measure}`")),
        ("slow", _) => factor(1.0 / MOST).map(|factor| FaultKind::Slow { factor }),
        ("throttle", _) => factor(1.0).map(|factor| FaultKind::Throttle { factor }),
        ("error", _) => share().map(|share| FaultKind::Error { share, after }),
        ("reset", _) => share().map(|share| FaultKind::Reset { share }),
        (other, _) => Err(format!("`{other}` is none of stall, slow, throttle, error, reset, refuse")),
    }
}

impl fmt::Display for Fault {
    /// As it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Stall => f.write_str("stall")?,
            FaultKind::Refuse => f.write_str("refuse")?,
            FaultKind::Slow { factor } => write!(f, "slow:x{factor}")?,
            FaultKind::Throttle { factor } => write!(f, "throttle:x{factor}")?,
            FaultKind::Reset { share } => write!(f, "reset:{share}")?,
            FaultKind::Error { share, after: None } => write!(f, "error:{share}")?,
            FaultKind::Error { share, after: Some(after) } => write!(f, "error:{share},after={after:?}")?,
        }
        write!(f, ",from={:?},for={:?}", self.from, self.lasts)?;
        self.every.map_or(Ok(()), |every| write!(f, ",every={every:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fault_needs_its_measure_and_its_time() {
        let seconds = Duration::from_secs;
        let fault: Fault = " slow:x10 , from=20s, for=10s".parse().unwrap();
        let expected = Fault {
            kind: FaultKind::Slow { factor: 10.0 },
            from: seconds(20),
            lasts: seconds(10),
            every: None,
        };
        assert_eq!(fault, expected);
        assert_eq!(
            "error:0.2,for=10s,after=1ms".parse::<Fault>().unwrap().kind,
            FaultKind::Error { share: 0.2, after: Some(Duration::from_millis(1)) }
        );
        for (text, why) in [
            ("", "`` is none of stall"),
            ("slow,for=1s", "needs a factor"),
            ("slow:10,for=1s", "needs a factor"),
            ("slow:x0,for=1s", "needs a factor"),
            ("throttle:x0.5,for=1s", "`throttle` needs a factor, such as throttle:x10"),
            ("error,for=1s", "needs a share"),
            ("reset:1.5,for=1s", "needs a share"),
            ("stall:5,for=1s", "takes no `:5`"),
            ("stall", "it needs for=TIME"),
            ("stall,for=0s", "it needs for=TIME"),
            ("stall,for=5", "needs a unit"),
            ("stall,5s", "`5s` is not such as from=10s"),
            ("stall,at=5s", "`at` is none of from, for, every"),
            ("stall,after=5s", "`after` is none of from, for, every"),
            ("stall,for=1s,for=2s", "`for` twice"),
            ("stall,for=5s,every=5s", "comes again before it has ended"),
        ] {
            let error = text.parse::<Fault>().expect_err(text);
            assert!(
                error.starts_with(&format!("bad fault `{text}`: ")) && error.contains(why),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(
            kind in prop_oneof![
                Just(FaultKind::Stall),
                Just(FaultKind::Refuse),
                (0.001..1000.0f64).prop_map(|factor| FaultKind::Slow { factor }),
                (1.0..1000.0f64).prop_map(|factor| FaultKind::Throttle { factor }),
                (0.0..=1.0f64).prop_map(|share| FaultKind::Reset { share }),
                (0.0..=1.0f64, prop::option::of(0..5000u64)).prop_map(|(share, ms)| FaultKind::Error {
                    share, after: ms.map(Duration::from_millis),
                }),
            ],
            from in 0..100_000u64,
            lasts in 1..100_000u64,
            more in prop::option::of(1..100_000u64),
        ) {
            let ms = Duration::from_millis;
            let fault = Fault { kind, from: ms(from), lasts: ms(lasts), every: more.map(|more| ms(lasts + more)) };
            prop_assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }
}
