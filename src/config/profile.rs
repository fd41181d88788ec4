//! The latencies of a simulated backend, as an option.
//!
//! Here: reading `10,15,20,400x3` and the defaults of A, B and C. Not here: using them (`testbed/`). Floor 5.

use std::time::Duration;

use super::values::Value;

/// Latencies, used one a request, round and round. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(pub Vec<Duration>);

impl Profile {
    /// The most steps a cycle may have.
    const LONGEST: usize = 1_000_000;

    /// The cycle of the backend called `id`.
    pub fn of(id: char) -> Profile {
        let ms: [u64; 9] = match id {
            'B' => [200; 9],
            'C' => [250; 9],
            _ => [10, 15, 20, 400, 400, 400, 10, 15, 20],
        };
        Profile(ms.map(Duration::from_millis).to_vec())
    }
}

impl Value for Profile {
    const EXPECTED: &'static str = "milliseconds such as \"10,15,400x3\"";

    fn parse(text: &str) -> Result<Self, String> {
        let bad = |part: &str| {
            format!(
                "bad profile `{text}`: `{part}` is not a number of milliseconds, or such as 400x3 for three in a row"
            )
        };
        let mut steps = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (ms, times) = part.split_once('x').unwrap_or((part, "1"));
            let ms: u32 = ms.parse().map_err(|_| bad(part))?;
            let times: usize = times.parse().ok().filter(|&times| times > 0).ok_or_else(|| bad(part))?;
            if times > Profile::LONGEST - steps.len() {
                return Err(format!("bad profile `{text}`: it has more than {} steps", Profile::LONGEST));
            }
            steps.resize(steps.len() + times, Duration::from_millis(ms.into()));
        }
        Ok(Profile(steps))
    }

    fn show(&self) -> String {
        self.0.iter().map(|step| step.as_millis().to_string()).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_spelled_out() {
        assert_eq!(Profile::parse("10,15,20,400x3,10,15,20"), Ok(Profile::of('A')));
        assert_eq!(Profile::parse("200x9"), Ok(Profile::of('B')));
        assert_eq!(Profile::parse("250x9"), Ok(Profile::of('C')));
        assert_eq!(Profile::parse("0").unwrap().0, [Duration::ZERO]);
    }

    #[test]
    fn the_bad_part_is_named() {
        for (text, part) in
            [("", "``"), ("10,,20", "``"), ("10,x3", "`x3`"), ("10x0", "`10x0`"), ("-1", "`-1`")]
        {
            assert!(Profile::parse(text).unwrap_err().contains(part), "{text}");
        }
        assert!(Profile::parse("1x1000001").unwrap_err().contains("more than"));
        assert!(Profile::parse("1,1x1000000").unwrap_err().contains("more than"));
    }
}
