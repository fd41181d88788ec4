//! Civil time as people read it.
//!
//! Here: [`CivilClock`], local time in ISO 8601 with microseconds. Not here: reading a clock (`net/`). Rows (`csv.rs`) and
//! pages (`admin/`) use it. Floor 2.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::time::WallTime;

/// Formats timestamps; asks the time zone once for each second, not for each row.
pub struct CivilClock {
    zone: TimeZone,
    second: Option<u64>,
    /// `2025-05-09T20:04:04.679379`
    text: [u8; 26],
}

impl CivilClock {
    /// A clock that shows the time of this zone.
    pub fn new(zone: TimeZone) -> CivilClock {
        CivilClock { zone, second: None, text: [b'0'; 26] }
    }

    /// The local time `YYYY-MM-DDTHH:MM:SS.ffffff`.
    pub fn format(&mut self, time: WallTime) -> &[u8; 26] {
        if self.second != Some(time.as_secs()) {
            self.second = Some(time.as_secs());
            let text = self.local_second(time.as_secs());
            self.text[..20].copy_from_slice(&text);
        }
        let mut micros = time.subsec_micros();
        for digit in self.text[20..].iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        &self.text
    }

    fn local_second(&self, second: u64) -> [u8; 20] {
        // 64 bits of nanoseconds end in the year 2554, well within jiff's calendar.
        let timestamp = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
        let local = self.zone.to_datetime(timestamp.unwrap_or_default());
        let mut text = [0; 20];
        let _ = write!(
            text.as_mut_slice(),
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        );
        text
    }
}
