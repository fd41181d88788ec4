//! How long a simulated backend takes.
//!
//! Here: cycles of latencies, those of A, B and C, and reading and writing them as `10,15,20,400x3`. Not here: waiting
//! (`mod.rs`). Floor 3.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Latencies, used one a request in order of arrival, round and round. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    steps: Vec<Duration>,
}

impl Profile {
    /// The most steps a cycle may have.
    const LONGEST: usize = 1_000_000;

    /// The cycle of the backend called `id`; any but B and C behaves as A.
    pub fn of(id: char) -> Profile {
        let ms: [u64; 9] = match id {
            'B' => [200; 9],
            'C' => [250; 9],
            _ => [10, 15, 20, 400, 400, 400, 10, 15, 20],
        };
        Profile { steps: ms.map(Duration::from_millis).to_vec() }
    }

    /// The latency of the `n`-th request, from 0.
    pub fn step(&self, n: u64) -> Duration {
        self.steps[(n % self.steps.len() as u64) as usize]
    }
}

/// A latency as it stands in profiles and answers: milliseconds, with decimals where it has some.
#[derive(Clone, Copy, Debug)]
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_micros() as f64 / 1e3)
    }
}

impl FromStr for Profile {
    type Err = String;

    /// Reads milliseconds, with decimals down to a microsecond, with commas between; `400x3` stands for three in a
    /// row.
    ///
    /// # Errors
    /// A sentence that says which part of the text is wrong, and how.
    fn from_str(text: &str) -> Result<Profile, String> {
        let mut steps = Vec::new();
        for (i, part) in text.split(',').map(str::trim).enumerate() {
            let place = format!("bad profile `{text}`: part {}, `{part}`,", i + 1);
            let bad =
                || format!("{place} is not a number of milliseconds, or such as 400x3 for three in a row");
            let (ms, times) = part.split_once('x').unwrap_or((part, "1"));
            let ms: f64 = ms.parse().map_err(|_| bad())?;
            let micros = (ms * 1e3).round();
            if !(0.0..=3.6e9).contains(&micros) {
                return Err(format!("{place} is not between 0 ms and an hour"));
            }
            let times: usize = times.parse().ok().filter(|&times| times > 0).ok_or_else(bad)?;
            if times > Profile::LONGEST - steps.len() {
                return Err(format!("{place} makes it more than {} steps long", Profile::LONGEST));
            }
            steps.resize(steps.len() + times, Duration::from_micros(micros as u64));
        }
        Ok(Profile { steps })
    }
}

impl fmt::Display for Profile {
    /// As it can be read again, equal steps in a row taken together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, run) in self.steps.chunk_by(|a, b| a == b).enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}", Millis(run[0]))?;
            if run.len() > 1 {
                write!(f, "x{}", run.len())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetitions_stand_for_steps_in_a_row() {
        assert_eq!("10,15,20,400x3,10,15,20".parse(), Ok(Profile::of('A')));
        assert_eq!("200x9".parse(), Ok(Profile::of('B')));
        assert_eq!(" 250x8 , 250.0 ".parse(), Ok(Profile::of('C')));
        let tiny: Profile = "0,0.25".parse().unwrap();
        let steps = [0, 1, 2].map(|n| tiny.step(n));
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
        ] {
            assert!(bad(text).contains(part), "{text}");
        }
        for text in ["-1", "NaN", "inf"] {
            assert!(bad(text).contains("not between"), "{text}");
        }
        assert!(bad("1x1000001").contains("more than"));
        assert!(bad("1,1x1000000").contains("more than"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(micros in prop::collection::vec(prop_oneof![0..3u64, 0..=3_600_000_000u64], 1..20)) {
            let profile = Profile { steps: micros.into_iter().map(Duration::from_micros).collect() };
            prop_assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }
}
