//! Points in time as plain numbers.
//!
//! Here: [`Instant`] (monotonic) and [`WallTime`] (civil), with checked arithmetic; spans as text. Not here: any clock. The
//! only maker of either is a `Net` (`net/`), so that the same code runs in real and in virtual time.
//! Everyone uses it. Floor 0.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A monotonic point in time: nanoseconds since the `Net` that made it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment the clock began.
    pub const ZERO: Instant = Instant(0);
    /// A deadline that is not reached.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The point `nanos` nanoseconds after the clock began.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the clock began.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Nanoseconds from `earlier` to here; zero if `earlier` is later.
    pub const fn nanos_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    /// Saturates at [`Instant::NEVER`], so that an unlimited timeout needs no case of its own.
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// The time from `earlier` to here; zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }
}

/// A civil point in time: nanoseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(u64);

impl WallTime {
    /// The point `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> WallTime {
        WallTime(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Microseconds past the whole second, 0 to 999,999.
    pub const fn subsec_micros(self) -> u32 {
        (self.0 % 1_000_000_000 / 1_000) as u32
    }
}

/// More than a year is a slip of the unit, and would come near the end of the clock's range.
/// The longest span that [`parse_span`] reads.
pub const LONGEST_SPAN: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads a span such as `250ms`, `1.5s`, `2m` or `1h`: a decimal number and a unit (ns, us or µs, ms, s, m, h), a year at most.
///
/// # Errors
/// A sentence that shows the text and says what is wrong with it.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is not a duration; write it like 250ms, 10s, 1.5s, 2m or 1h");
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| (1..=18).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(malformed());
    }
    let unit_ns: u128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(format!("`{text}` needs a unit: {text}s or {text}ms, for instance")),
        _ => return Err(malformed()),
    };
    let parts = |digits: &str| digits.parse::<u128>().map_err(|_| malformed());
    let nanos = parts(whole)? * unit_ns + parts(fraction)? * unit_ns / 10_u128.pow(fraction.len() as u32);
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(span) if span <= LONGEST_SPAN => Ok(span),
        _ => Err(format!("`{text}` is longer than a year")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let t = Instant::from_nanos(5);
        assert_eq!(t - Instant::from_nanos(7), Duration::ZERO);
        assert_eq!(t + Duration::MAX, Instant::NEVER);
        assert_eq!(Instant::NEVER + Duration::from_secs(1), Instant::NEVER);
        assert_eq!((t + Duration::from_nanos(3)).nanos_since(t), 3);
    }

    #[test]
    fn wall_time_splits_into_seconds_and_micros() {
        let t = WallTime::from_nanos(1_700_000_000_679_379_999);
        assert_eq!((t.as_secs(), t.subsec_micros()), (1_700_000_000, 679_379));
    }
}
