//! The standard streams as the kernel has them.
//!
//! Here: [`StandardStream`], which writes to one of them without the lock of the standard library, so that who waits in a
//! write keeps nobody else waiting, and which says of each write what became of it. Not here: who writes what
//! (`logger.rs`, `cli/`). Floor 2.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetwinsize;

/// One of the two streams that a program writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// What was asked for.
    Output,
    /// The log and complaints.
    Error,
}

impl StandardStream {
    /// Whether a person sees it.
    pub fn is_terminal(self) -> bool {
        self.with(|stream| stream.is_terminal())
    }

    /// How many characters a line of the terminal has, if it is one and tells.
    pub fn columns(self) -> Option<u16> {
        self.with(|stream| tcgetwinsize(stream)).ok().map(|size| size.ws_col).filter(|&columns| columns > 0)
    }

    fn with<R>(self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        match self {
            StandardStream::Output => f(io::stdout().as_fd()),
            StandardStream::Error => f(io::stderr().as_fd()),
        }
    }
}

impl Write for StandardStream {
    /// Waits as long as the stream takes nothing, also if it is not a blocking one: whoever shares it may have made it so.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|stream| {
            loop {
                match rustix::io::write(stream, bytes) {
                    Err(rustix::io::Errno::AGAIN) => {
                        // Interrupted or not, the next write tells.
                        let _ = poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None);
                    }
                    written => return Ok(written?),
                }
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
