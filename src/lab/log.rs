//! Request logs.
//!
//! Here: reading the contract's CSV, plain or gzipped, ours or the earlier system's, into [`Log`], which holds 24 bytes
//! a row. Not here: reading traces (`trace_log.rs`), writing either (`telemetry/`), figures (`analyze.rs`). Called by `cli/report/`. Floor 4.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::trace_log;

/// The contract's columns, in the contract's order. Others may stand between them.
pub const COLUMNS: [&str; 5] = ["timestamp", "backend_url", "latency_ms", "status_code", "routing_mode"];

/// How many malformed rows a [`Log`] describes; the others it counts.
pub const DESCRIBED: usize = 10;

/// The status in a row of a request that got no answer, as rows of experiments have it.
pub const NO_ANSWER: u16 = 0;

/// The first bytes of a gzipped file (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An exchange, as a row tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// When it ended: microseconds since 1970 in whatever time zone the log was written in.
    pub ended_us: i64,
    /// Milliseconds.
    pub latency_ms: f64,
    /// Index into [`Log::backends`].
    pub backend: u16,
    /// Index into [`Log::modes`].
    pub mode: u16,
    /// The HTTP status that the client got, or [`NO_ANSWER`].
    pub status: u16,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// What a request log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The rows, as they stand in the file.
    pub rows: Vec<Row>,
    /// The backends' URLs, in order of appearance; `-` stands for none.
    pub backends: Vec<String>,
    /// The routing modes and batching strategies, in order of appearance.
    pub modes: Vec<String>,
    /// How many rows could not be used.
    pub malformed: u64,
    /// The first [`DESCRIBED`] of them.
    pub examples: Vec<Malformed>,
    /// That the file has no header, or ends in the middle, in words.
    pub remarks: Vec<String>,
}

impl Row {
    /// Whether it is an error: no answer, or a status of 400 and above.
    pub fn is_error(&self) -> bool {
        self.status == NO_ANSWER || self.status >= 400
    }
}

impl Log {
    /// The steps that latencies are written in: 1 if all are whole milliseconds, else 0, for none.
    pub fn resolution_ms(&self) -> f64 {
        let whole = self.rows.iter().all(|row| row.latency_ms.fract() == 0.0);
        if whole { 1.0 } else { 0.0 }
    }
}

/// A file that cannot be used as a request log.
#[derive(Debug)]
pub struct LogError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub why: Unusable,
}

/// Why a file cannot be used as a request log.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// Its first line is neither the header nor a row: these columns are missing.
    NoHeader(Vec<&'static str>),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Unusable::Io(e) => write!(f, "cannot read {path}: {e}"),
            Unusable::NoHeader(missing) => write!(
                f,
                "{path}:1: not a request log: no column {}; the first line must be `{}`, in any order",
                missing.join(", "),
                COLUMNS.join(",")
            ),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Unusable::Io(e) => Some(e),
            Unusable::NoHeader(_) => None,
        }
    }
}

/// Reads a file; whether it is gzipped is told by its first bytes, not by its name.
///
/// # Errors
/// When it cannot be opened, or its first line says that it is no request log. A row that cannot be used is no error.
pub fn read(path: &Path) -> Result<Log, LogError> {
    let failed = |why| LogError { path: path.to_owned(), why };
    let file = open(path).map_err(|e| failed(Unusable::Io(e)))?;
    let mut bytes = BufReader::with_capacity(1 << 16, file);
    let start = bytes.fill_buf().map_err(|e| failed(Unusable::Io(e)))?;
    let log =
        if start.starts_with(&GZIP_MAGIC) { read_from(MultiGzDecoder::new(bytes)) } else { read_from(bytes) };
    log.map_err(failed)
}

/// Opens a log. A pipe ends with its writer, and has none yet perhaps; a device may never end.
fn open(path: &Path) -> io::Result<File> {
    let kind = metadata(path)?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(io::Error::other("it is a device, and logs are files or pipes"));
    }
    File::open(path)
}

/// Reads a log that is not compressed; whether it is a CSV or a trace is told by its first byte.
///
/// # Errors
/// Those of [`read`].
pub fn read_from(bytes: impl Read) -> Result<Log, Unusable> {
    let mut bytes = BufReader::with_capacity(1 << 16, bytes);
    if bytes.fill_buf().map_err(Unusable::Io)?.first() == Some(&trace_log::FIRST_BYTE) {
        let mut builder = LogBuilder::default();
        trace_log::read(bytes, &mut builder);
        return Ok(builder.log);
    }
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(bytes);
    let mut builder = LogBuilder::default();
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => {}
        Ok(false) => return Ok(builder.log),
        Err(e) => return Err(Unusable::Io(e.into())),
    }
    let columns = match Columns::of(&record) {
        Ok(columns) => columns,
        Err(missing) => {
            let contract = Columns::contract();
            let first = contract.parse(&record).map_err(|_| Unusable::NoHeader(missing))?;
            builder.log.remarks.push("no header; the columns are taken in the contract's order".to_owned());
            builder.add(&first, 1);
            contract
        }
    };
    let mut line = 1;
    loop {
        let next = reader.read_byte_record(&mut record);
        let (before, reached) = (line, reader.position().line());
        match next {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => {
                let why = io::Error::from(e);
                builder.log.remarks.push(format!("cut short after line {before}: {why}"));
                break;
            }
        }
        line = record.position().map_or(reached, csv::Position::line);
        if Columns::of(&record).as_ref() == Ok(&columns) {
            continue; // Two logs in one file.
        }
        match columns.parse(&record) {
            Ok(fields) => builder.add(&fields, line),
            Err(why) => builder.reject(line, spanning(why, reached.saturating_sub(line))),
        }
    }
    Ok(builder.log)
}

/// A quote that is not closed swallows lines, which must not go unsaid.
fn spanning(why: String, lines: u64) -> String {
    if lines > 1 { format!("a quote opens that is closed {} lines further on", lines - 1) } else { why }
}

/// A row whose fields have been understood.
pub(super) struct Fields<'a> {
    pub(super) ended_us: i64,
    pub(super) url: &'a str,
    pub(super) latency_ms: f64,
    pub(super) status: u16,
    pub(super) mode: &'a str,
}

/// Where the contract's columns stand.
#[derive(Debug, PartialEq, Eq)]
struct Columns([usize; 5]);

impl Columns {
    fn contract() -> Columns {
        Columns([0, 1, 2, 3, 4])
    }

    /// Those of a header, or what is missing in it.
    fn of(header: &ByteRecord) -> Result<Columns, Vec<&'static str>> {
        let place = |name: &str| header.iter().position(|field| field.trim_ascii() == name.as_bytes());
        let places = COLUMNS.map(place);
        match places {
            [Some(a), Some(b), Some(c), Some(d), Some(e)] => Ok(Columns([a, b, c, d, e])),
            _ => {
                let named = COLUMNS.into_iter().zip(places);
                Err(named.filter(|(_, place)| place.is_none()).map(|(name, _)| name).collect())
            }
        }
    }

    /// The fields of a row, or what is wrong with it.
    fn parse<'a>(&self, record: &'a ByteRecord) -> Result<Fields<'a>, String> {
        let field = |column: usize| {
            let name = COLUMNS[column];
            let bytes = record
                .get(self.0[column])
                .ok_or_else(|| format!("{} fields, too few for a {name}", record.len()))?;
            std::str::from_utf8(bytes).map(str::trim).map_err(|_| format!("the {name} is not UTF-8"))
        };
        let [time, url, latency, status, mode] = [field(0)?, field(1)?, field(2)?, field(3)?, field(4)?];
        let ended_us = microseconds(time)
            .ok_or_else(|| format!("the timestamp {} is not like 2025-05-09T20:04:04.679379", shown(time)))?;
        if url.is_empty() {
            return Err("the backend_url is empty".to_owned());
        }
        let latency_ms = latency
            .parse()
            .ok()
            .filter(|ms: &f64| ms.is_finite() && *ms >= 0.0)
            .ok_or_else(|| format!("the latency_ms {} is not a number from 0", shown(latency)))?;
        let status = status
            .parse()
            .ok()
            .filter(|status| *status == NO_ANSWER || (100..=999).contains(status))
            .ok_or_else(|| format!("the status_code {} is not an HTTP status", shown(status)))?;
        if mode.is_empty() {
            return Err("the routing_mode is empty".to_owned());
        }
        Ok(Fields { ended_us, url, latency_ms, status, mode })
    }
}

/// What stood in a row, short enough for a message.
fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(40).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("`{}`", start.escape_debug())
}

/// The log has no zone, so its times are read as if they were UTC; only differences of them mean anything.
fn microseconds(text: &str) -> Option<i64> {
    let time: DateTime = text.parse().ok()?;
    Some(Offset::UTC.to_timestamp(time).ok()?.as_microsecond())
}

/// Collects rows; each URL and mode is kept once.
#[derive(Default)]
pub(super) struct LogBuilder {
    log: Log,
    backends: Names,
    modes: Names,
}

impl LogBuilder {
    pub(super) fn add(&mut self, fields: &Fields<'_>, line: u64) {
        let backend = self.backends.index(fields.url, &mut self.log.backends);
        let mode = self.modes.index(fields.mode, &mut self.log.modes);
        let (Some(backend), Some(mode)) = (backend, mode) else {
            return self.reject(line, format!("the log has more than {} different names", u16::MAX));
        };
        let Fields { ended_us, latency_ms, status, .. } = *fields;
        self.log.rows.push(Row { ended_us, latency_ms, backend, mode, status });
    }

    pub(super) fn remark(&mut self, remark: String) {
        self.log.remarks.push(remark);
    }

    pub(super) fn reject(&mut self, line: u64, why: String) {
        self.log.malformed += 1;
        if self.log.examples.len() < DESCRIBED {
            self.log.examples.push(Malformed { line, why });
        }
    }
}

/// Finds names that have been met.
#[derive(Default)]
struct Names {
    known: HashMap<String, u16>,
    last: Option<u16>,
}

impl Names {
    fn index(&mut self, name: &str, list: &mut Vec<String>) -> Option<u16> {
        if let Some(last) = self.last.filter(|&last| list[usize::from(last)] == name) {
            return Some(last);
        }
        let index = match self.known.get(name) {
            Some(&index) => index,
            None => {
                let index = u16::try_from(list.len()).ok()?;
                list.push(name.to_owned());
                self.known.insert(name.to_owned(), index);
                index
            }
        };
        self.last = Some(index);
        Some(index)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
