//! The terminal that a bar is drawn on.
//!
//! Here: [`Terminal`], which draws by way of the log's thread, so that a terminal that is held (Ctrl-S) or gone holds up no
//! experiment. Not here: what is drawn (`progress.rs`). Floor 5.

use std::fmt::Write;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use crate::telemetry::logger;
use crate::telemetry::standard::StandardStream;

/// The width of a terminal that does not tell it.
const WIDTH: u16 = 80;

/// The standard error; what is drawn is gathered until it is flushed.
#[derive(Debug, Default)]
pub(super) struct Terminal(Mutex<String>);

impl Terminal {
    fn drawing(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor (ECMA-48 §8.3.17 to 8.3.22).
    fn move_cursor(&self, n: usize, to: char) -> io::Result<()> {
        if n > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.drawing(), "\x1b[{n}{to}");
        }
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        StandardStream::Error.columns().unwrap_or(WIDTH)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.drawing().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawing());
        if !drawn.is_empty() {
            logger::draw(drawn.into_bytes());
        }
        Ok(())
    }
}
