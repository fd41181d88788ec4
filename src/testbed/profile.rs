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

    /// Reads milliseconds with commas between; `400x3` stands for three in a row.
    fn from_str(text: &str) -> Result<Profile, String> {
        let bad = |part: &str| {
            format!(
                "bad profile `{text}`: `{part}` is not a number of milliseconds, or such as 400x3 for three in a row"
            )
        };
        let mut steps = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (ms, times) = part.split_once('x').unwrap_or((part, "1"));
            let ms: f64 = ms.parse().map_err(|_| bad(part))?;
            let micros = (ms * 1e3).round();
            if !(0.0..=3.6e9).contains(&micros) {
                return Err(format!("bad profile `{text}`: `{part}` is not between 0 ms and an hour"));
            }
            let times: usize = times.parse().ok().filter(|&times| times > 0).ok_or_else(|| bad(part))?;
            if times > Profile::LONGEST - steps.len() {
                return Err(format!("bad profile `{text}`: it has more than {} steps", Profile::LONGEST));
            }
            steps.resize(steps.len() + times, Duration::from_micros(micros as u64));
        }
        Ok(Profile { steps })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|&step| Millis(step).to_string()).collect();
        f.write_str(&steps.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetitions_are_spelled_out() {
        assert_eq!("10,15,20,400x3,10,15,20".parse(), Ok(Profile::of('A')));
        assert_eq!("200x9".parse(), Ok(Profile::of('B')));
        assert_eq!(" 250x8 , 250.0 ".parse(), Ok(Profile::of('C')));
        let tiny: Profile = "0,0.25".parse().unwrap();
        let steps = [0, 1, 2].map(|n| tiny.step(n));
        assert_eq!(steps, [Duration::ZERO, Duration::from_micros(250), Duration::ZERO]);
        assert_eq!(Profile::of('Z'), Profile::of('A'));
    }

    #[test]
    fn the_bad_part_is_named() {
        let bad = |text: &str| text.parse::<Profile>().unwrap_err();
        for (text, part) in
            [("", "``"), ("10,,20", "``"), ("10,x3", "`x3`"), ("10x0", "`10x0`"), ("1e9", "`1e9`")]
        {
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
        fn what_is_shown_reads_back(micros in prop::collection::vec(0..4_000_000u64, 1..20)) {
            let profile = Profile { steps: micros.into_iter().map(Duration::from_micros).collect() };
            prop_assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }
}
