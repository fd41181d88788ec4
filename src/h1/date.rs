//! The `Date` field (RFC 9110 §6.6.1, §5.6.7).
//!
//! Here: the current date as text, formatted once a second. Floor 1.

use crate::time::WallTime;

/// `Sun, 06 Nov 1994 08:49:37 GMT` of the current second.
#[derive(Debug, Default)]
pub struct HttpDate {
    second: Option<u64>,
    text: String,
}

impl HttpDate {
    /// The date at `wall`.
    #[inline]
    pub fn at(&mut self, wall: WallTime) -> &str {
        if self.second != Some(wall.as_secs()) {
            self.second = Some(wall.as_secs());
            self.text.clear();
            print(wall.as_secs(), &mut self.text);
        }
        &self.text
    }
}

#[cold]
fn print(second: u64, out: &mut String) {
    let at =
        i64::try_from(second).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or_default();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    // A String takes all that is written, and no date that a clock can show is out of the format's range.
    let _ = printer.print_timestamp_rfc9110(&at, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_second() {
        let mut date = HttpDate::default();
        let at = |s: u64| WallTime::from_nanos(s * 1_000_000_000 + 999_999_999);
        assert_eq!(date.at(at(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date.at(at(784_111_778)), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
