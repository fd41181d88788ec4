//! The log on the standard error.
//!
//! Here: [`start`], from then on the macros of the crate `log` write lines as the crate `simple_logger` does; each is
//! formatted where it is logged and written by a thread of its own, so that no line ever holds up or ends whoever logs
//! it. Not here: the queue between them (`line_queue.rs`), what is logged (everybody), the level (the door). The door
//! starts and flushes it. Floor 2.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::line_queue::LineQueue;
use super::standard::StandardStream;
use crate::net::wall_clock;
use crate::time::WallTime;

/// The most bytes of a line; what is longer is cut.
const LINE_BYTES: usize = 8 * 1024;

/// Where it is told what was lost.
const OWN_TARGET: &str = "tidegate::telemetry::logger";

/// Modules that say more than anybody wants to know: mio tells of every registration at level trace, which would drown our
/// own lines; those that render pictures warn of bars of no height and boxes of no width.
const QUIET: [(&str, Level); 4] =
    [("mio", Level::Warn), ("usvg", Level::Error), ("tiny_skia", Level::Error), ("resvg", Level::Error)];

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// What the macros of `log` call.
struct Logger {
    queue: LineQueue,
}

/// Writes the log to the standard error from now on, as far as `level` asks for it. A second call only sets the level.
///
/// # Errors
/// When the system gives no thread.
pub fn start(level: LevelFilter) -> io::Result<()> {
    if LOGGER.get().is_none() {
        let logger = Logger { queue: LineQueue::start("log", StandardStream::Error, notice)? };
        // Whoever comes second logs by the logger of the first.
        let _ = log::set_logger(LOGGER.get_or_init(|| logger));
    }
    log::set_max_level(level);
    Ok(())
}

/// A line for the standard error that is no line of the log: a complaint, or how far something has come. Before the log
/// is started it is written at once, as everybody does who has nothing else to do.
pub fn complain(line: &str) {
    draw(format!("{line}\n").into_bytes());
}

/// The same with bytes as they are, which may steer a terminal.
pub fn draw(bytes: Vec<u8>) {
    match LOGGER.get() {
        Some(logger) => logger.queue.push(bytes),
        // There is nobody left to tell of an error.
        None => drop(StandardStream::Error.write_all(&bytes)),
    }
}

/// Waits until all that was logged is written, for `limit` at most.
pub fn flush(limit: Duration) {
    if let Some(logger) = LOGGER.get() {
        logger.queue.flush(limit);
    }
}

/// How many lines of the log were lost so far: nobody read them, or the standard error refused them.
pub fn lines_dropped() -> u64 {
    LOGGER.get().map_or(0, |logger| logger.queue.lost())
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let quiet = QUIET.iter().find(|(module, _)| metadata.target().starts_with(module));
        quiet.is_none_or(|&(_, least)| metadata.level() <= least)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(wall_clock(), zone(), record.level(), record.target(), *record.args());
            self.queue.push(line);
        }
    }

    fn flush(&self) {}
}

fn zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(TimeZone::system)
}

/// The line that tells of so many lost ones.
fn notice(lost: u64) -> Vec<u8> {
    let lines = if lost == 1 { "line is" } else { "lines are" };
    let what = format_args!("{lost} {lines} missing here: the log could not be written, or not as fast");
    line(wall_clock(), zone(), Level::Warn, OWN_TARGET, what)
}

/// `2025-05-09T20:04:04.679+02:00 INFO  [tidegate::cli::proxy] the proxy listens on 127.0.0.1:9090`
fn line(time: WallTime, zone: &TimeZone, level: Level, target: &str, args: fmt::Arguments<'_>) -> Vec<u8> {
    let timestamp = i64::try_from(time.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
    let timestamp = timestamp.unwrap_or_default();
    let offset = zone.to_offset(timestamp);
    let local = offset.to_datetime(timestamp);
    let (sign, minutes) = (if offset.seconds() < 0 { '-' } else { '+' }, offset.seconds().abs() / 60);
    let mut line = Line::default();
    // A line takes everything.
    let _ = write!(
        line,
        "{local}.{:03}{sign}{:02}:{:02} {level:<5} [{target}] {args}",
        time.subsec_micros() / 1000,
        minutes / 60,
        minutes % 60
    );
    line.end()
}

/// One line, whatever is written to it: what is too long is cut, what would break it or steer a terminal is escaped.
#[derive(Default)]
struct Line {
    text: String,
    cut: usize,
}

impl Line {
    fn end(mut self) -> Vec<u8> {
        if self.cut > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.text, " ... and {} bytes more", self.cut);
        }
        self.text.push('\n');
        self.text.into_bytes()
    }

    fn push(&mut self, c: char) {
        match self.text.len() + c.len_utf8() <= LINE_BYTES && self.cut == 0 {
            true => self.text.push(c),
            false => self.cut += c.len_utf8(),
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c.is_control() {
                true => c.escape_default().for_each(|c| self.push(c)),
                false => self.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(zone: &str, level: Level, args: fmt::Arguments<'_>) -> String {
        // 2025-05-09T18:04:04.679Z, in summer.
        let time = WallTime::from_nanos(1_746_813_844_679_900_000);
        let zone = TimeZone::get(zone).unwrap();
        String::from_utf8(line(time, &zone, level, "tidegate::a", args)).unwrap()
    }

    #[test]
    fn a_line_has_local_time_with_offset_level_module_and_message() {
        let in_berlin = logged("Europe/Berlin", Level::Info, format_args!("{} of {}", 1, 2));
        assert_eq!(in_berlin, "2025-05-09T20:04:04.679+02:00 INFO  [tidegate::a] 1 of 2\n");
        let at_sea = logged("America/St_Johns", Level::Error, format_args!("x"));
        assert_eq!(at_sea, "2025-05-09T15:34:04.679-02:30 ERROR [tidegate::a] x\n");
        assert_eq!(logged("UTC", Level::Debug, format_args!("")).len(), 51);
    }

    #[test]
    fn a_message_stays_one_line_and_is_cut() {
        let broken = logged("UTC", Level::Warn, format_args!("a\nb\u{1b}[1m\té"));
        assert!(broken.ends_with("] a\\nb\\u{1b}[1m\\té\n"), "{broken}");
        let long = logged("UTC", Level::Warn, format_args!("{:x<20000}|", ""));
        assert!(
            long.ends_with("x ... and 11859 bytes more\n") && long.len() < LINE_BYTES + 50,
            "{}",
            long.len()
        );
        assert_eq!(long.matches('\n').count(), 1);
    }

    #[test]
    fn what_others_chatter_is_left_out() {
        let logger = Logger { queue: LineQueue::start("log", io::sink(), notice).unwrap() };
        let enabled =
            |target, level| logger.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(enabled("tidegate::proxy", Level::Trace) && enabled("mio::poll", Level::Warn));
        assert!(!enabled("mio::poll", Level::Info) && !enabled("usvg::parser", Level::Warn));
    }
}
