//! What a command was asked for, on the standard output.
//!
//! Here: [`say`], and [`OutputLines`] for who must not wait for its reader. Not here: complaints, which go to the log
//! (`telemetry/logger.rs`). All commands that print use it; nothing else may. Floor 5.

use std::io::{self, Write};
use std::time::Duration;

use super::CliError;
use crate::telemetry::line_queue::LineQueue;
use crate::telemetry::standard::StandardStream;

/// Writes to the standard output.
///
/// # Errors
/// [`CliError::ReaderGone`] if whoever read it, such as `head`, has read enough: the command is over then. Else what the
/// kernel says.
pub(super) fn say(text: &str) -> Result<(), CliError> {
    StandardStream::Output.write_all(text.as_bytes()).map_err(unsaid)
}

fn unsaid(source: io::Error) -> CliError {
    match source.kind() {
        io::ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::System { what: "write to the standard output".to_owned(), source },
    }
}

/// The standard output of who must not wait for its reader: lines that it does not take in time are counted and left out.
#[derive(Clone)]
pub(super) struct OutputLines(LineQueue);

impl OutputLines {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start() -> Result<OutputLines, CliError> {
        let queue = LineQueue::start("output", StandardStream::Output, left_out);
        let what = |source| CliError::System { what: "start the thread `output`".to_owned(), source };
        Ok(OutputLines(queue.map_err(what)?))
    }

    /// Writes a line, if there is room for it. Whether anybody reads the lines.
    pub(super) fn say(&self, line: String) -> bool {
        self.0.push(line.into_bytes());
        !self.0.is_closed()
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// [`CliError::ReaderGone`] if nobody reads it any more.
    pub(super) fn finish(self) -> Result<(), CliError> {
        self.0.flush(Duration::MAX);
        if self.0.is_closed() { Err(CliError::ReaderGone) } else { Ok(()) }
    }
}

fn left_out(lines: u64) -> Vec<u8> {
    let what = if lines == 1 { "line is" } else { "lines are" };
    format!("({lines} {what} left out here: they were not read as fast as they came)\n").into_bytes()
}
