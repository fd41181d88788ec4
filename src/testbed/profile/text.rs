//! Profiles as text.
//!
//! Here: reading and writing them as `10,15,20,400x3` or `lognormal:50,0.5`. Not here: what they mean (`mod.rs`). Floor 3.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{LONGEST, Profile};

/// The most steps a cycle may have.
const MOST_STEPS: usize = 1_000_000;

/// The largest sigma: e times as long and more is far enough.
const MOST_SIGMA: f64 = 10.0;

/// A latency as it stands in profiles and answers: milliseconds, with decimals where it has some.
#[derive(Clone, Copy, Debug)]
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_micros() as f64 / 1e3)
    }
}

/// Milliseconds with decimals down to a microsecond.
fn millis(text: &str) -> Result<Duration, String> {
    let ms: f64 =
        text.trim().parse().map_err(|_| format!("`{}` is not a number of milliseconds", text.trim()))?;
    let micros = (ms * 1e3).round();
    if !(0.0..=LONGEST.as_micros() as f64).contains(&micros) {
        return Err(format!("`{}` is not between 0 ms and an hour", text.trim()));
    }
    Ok(Duration::from_micros(micros as u64))
}

impl FromStr for Profile {
    type Err = String;

    /// Reads milliseconds, with decimals down to a microsecond, with commas between, where `400x3` stands for three in a
    /// row; or `constant:MS`, `uniform:MS-MS`, `exponential:MEAN`, `lognormal:MEDIAN,SIGMA`, `percentiles:0=MS,50=MS,…,100=MS`.
    ///
    /// # Errors
    /// A sentence that says which part of the text is wrong, and how.
    fn from_str(text: &str) -> Result<Profile, String> {
        let bad = |why: String| format!("bad profile `{text}`: {why}");
        let Some((kind, rest)) = text.split_once(':') else { return cycle(text).map_err(bad) };
        match kind.trim() {
            "constant" => millis(rest).map(Profile::Constant),
            "uniform" => uniform(rest),
            "exponential" => millis(rest).map(Profile::Exponential),
            "lognormal" => log_normal(rest),
            "percentiles" => percentiles(rest),
            other => {
                Err(format!("`{other}` is none of constant, uniform, exponential, lognormal, percentiles"))
            }
        }
        .map_err(bad)
    }
}

fn cycle(text: &str) -> Result<Profile, String> {
    let mut steps = Vec::new();
    for (i, part) in text.split(',').map(str::trim).enumerate() {
        let place = format!("part {}, `{part}`,", i + 1);
        let bad = || format!("{place} is not a number of milliseconds, or such as 400x3 for three in a row");
        let (ms, times) = part.split_once('x').unwrap_or((part, "1"));
        let time = match ms.parse::<f64>() {
            Ok(_) => millis(ms).map_err(|_| format!("{place} is not between 0 ms and an hour"))?,
            Err(_) => return Err(bad()),
        };
        let times: usize = times.parse().ok().filter(|&times| times > 0).ok_or_else(bad)?;
        if times > MOST_STEPS - steps.len() {
            return Err(format!("{place} makes it more than {MOST_STEPS} steps long"));
        }
        steps.resize(steps.len() + times, time);
    }
    Ok(Profile::Cycle(steps))
}

fn uniform(text: &str) -> Result<Profile, String> {
    let ends = text.split_once('-').ok_or_else(|| format!("`{text}` is not such as 20-80"))?;
    let (least, most) = (millis(ends.0)?, millis(ends.1)?);
    if least > most {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(Profile::Uniform(least, most))
}

fn log_normal(text: &str) -> Result<Profile, String> {
    let (median, sigma) =
        text.split_once(',').ok_or_else(|| format!("`{text}` is not MEDIAN,SIGMA such as 50,0.5"))?;
    let read = sigma.trim().parse().ok().filter(|sigma| (0.0..=MOST_SIGMA).contains(sigma));
    let sigma = read.ok_or_else(|| format!("the sigma `{}` is not from 0 to {MOST_SIGMA}", sigma.trim()))?;
    Ok(Profile::LogNormal { median: millis(median)?, sigma })
}

fn percentiles(text: &str) -> Result<Profile, String> {
    let mut points: Vec<(f64, Duration)> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (share, ms) = part.split_once('=').ok_or_else(|| format!("`{part}` is not such as 95=80"))?;
        let share: f64 =
            share.trim().parse().map_err(|_| format!("`{}` is not a percentage", share.trim()))?;
        let time = millis(ms)?;
        if points.last().is_some_and(|(before, until)| *before >= share || *until > time) {
            return Err(format!("`{part}` does not lie above what stands before it"));
        }
        points.push((share, time));
    }
    match (points.first(), points.last()) {
        (Some((0.0, _)), Some((100.0, _))) if points.len() > 1 => Ok(Profile::Percentiles(points)),
        _ => Err("percentiles go from 0=MS to 100=MS".to_owned()),
    }
}

impl fmt::Display for Profile {
    /// As it can be read again, equal steps in a row taken together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Profile::Cycle(steps) => {
                for (i, run) in steps.chunk_by(|a, b| a == b).enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}", Millis(run[0]))?;
                    if run.len() > 1 {
                        write!(f, "x{}", run.len())?;
                    }
                }
                Ok(())
            }
            Profile::Constant(time) => write!(f, "constant:{}", Millis(*time)),
            Profile::Uniform(least, most) => write!(f, "uniform:{}-{}", Millis(*least), Millis(*most)),
            Profile::Exponential(mean) => write!(f, "exponential:{}", Millis(*mean)),
            Profile::LogNormal { median, sigma } => write!(f, "lognormal:{},{sigma}", Millis(*median)),
            Profile::Percentiles(points) => {
                f.write_str("percentiles:")?;
                for (i, (share, time)) in points.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{share}={}", Millis(*time))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Draws;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetitions_stand_for_steps_in_a_row() {
        assert_eq!("10,15,20,400x3,10,15,20".parse(), Ok(Profile::of('A')));
        assert_eq!("200x9".parse(), Ok(Profile::of('B')));
        assert_eq!(" 250x8 , 250.0 ".parse(), Ok(Profile::of('C')));
        let tiny: Profile = "0,0.25".parse().unwrap();
        let steps = [0, 1, 2].map(|n| tiny.step(n, Draws::new(0, 0)));
        assert_eq!(steps, [Duration::ZERO, Duration::from_micros(250), Duration::ZERO]);
        assert_eq!(Profile::of('Z'), Profile::of('A'));
        assert_eq!(Profile::of('A').to_string(), "10,15,20,400x3,10,15,20");
        assert_eq!(tiny.to_string(), "0,0.25");
    }

    #[test]
    fn the_bad_part_is_named() {
        let bad = |text: &str| text.parse::<Profile>().unwrap_err();
        for (text, part) in [
            ("", "part 1, ``"),
            ("10,,20", "part 2, ``"),
            ("10,x3", "part 2, `x3`"),
            ("9,9,1x0", "part 3, `1x0`"),
            ("1e9", "part 1, `1e9`"),
            ("normal:5", "`normal` is none of"),
            ("constant:x", "`x` is not a number of milliseconds"),
            ("constant:-1", "`-1` is not between"),
            ("uniform:5", "`5` is not such as 20-80"),
            ("uniform:80-20", "`80-20` ends before it begins"),
            ("lognormal:50", "`50` is not MEDIAN,SIGMA"),
            ("lognormal:50,x", "the sigma `x`"),
            ("lognormal:50,-1", "the sigma `-1`"),
            ("percentiles:0=1", "from 0=MS to 100=MS"),
            ("percentiles:10=1,100=2", "from 0=MS to 100=MS"),
            ("percentiles:0=1,50,100=2", "`50` is not such as 95=80"),
            ("percentiles:0=1,50=9,40=10,100=20", "`40=10` does not lie above"),
            ("percentiles:0=5,100=4", "`100=4` does not lie above"),
        ] {
            assert!(bad(text).contains(part), "{text}: {}", bad(text));
        }
        for text in ["-1", "NaN", "inf"] {
            assert!(bad(text).contains("not between"), "{text}");
        }
        assert!(bad("1x1000001").contains("more than"));
        assert!(bad("1,1x1000000").contains("more than"));
    }

    fn any_profile() -> impl Strategy<Value = Profile> {
        let time = || prop_oneof![0..3u64, 0..=3_600_000_000u64].prop_map(Duration::from_micros);
        let two = (time(), time()).prop_map(|(a, b)| Profile::Uniform(a.min(b), a.max(b)));
        let log_normal =
            (time(), 0.0..10.0f64).prop_map(|(median, sigma)| Profile::LogNormal { median, sigma });
        let percentiles = (time(), time(), 0.1..99.9f64).prop_map(|(a, b, share)| {
            let (low, high) = (a.min(b), a.max(b));
            Profile::Percentiles(vec![(0.0, low), (share, low), (100.0, high)])
        });
        let cycle = prop::collection::vec(time(), 1..20).prop_map(Profile::Cycle);
        prop_oneof![
            cycle,
            time().prop_map(Profile::Constant),
            time().prop_map(Profile::Exponential),
            two,
            log_normal,
            percentiles
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(profile in any_profile()) {
            prop_assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }
}
