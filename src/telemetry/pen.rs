//! Lines to a file that may refuse them, or be taken away.
//!
//! Here: opening a file to append whole lines ([`Target`]), [`Pen`], which writes blocks of them and knows what became of
//! each, and [`write_down`], the life of a writer thread. Not here: what the lines say (`csv.rs`, `trace.rs`), who waits
//! for whom (`collector.rs`, `lane.rs`). Floor 2.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, never, select};
use memchr::{memchr, memchr_iter};
use rustix::fs::{OFlags, fcntl_setfl};

use super::collector::COMPLAINT;
use super::counts::{Lines, Pace};
use super::roster::{Block, Roster};
use super::{Output, give_back};

/// A file to write lines to, and how it is opened again.
pub(super) struct Target<W> {
    pub(super) kind: Output,
    pub(super) path: PathBuf,
    pub(super) out: W,
    pub(super) open: fn(&Path, Output) -> io::Result<W>,
}

impl Target<File> {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub(super) fn open(path: &Path, kind: Output) -> io::Result<Target<File>> {
        Ok(Target { kind, path: path.to_owned(), out: open(path, kind)?, open })
    }
}

/// Opens `path` to append lines: a new or empty file gets its header, one that a crash left in the middle of a line
/// a line end. Does not wait for somebody to read a pipe.
///
/// # Errors
///
/// What the kernel says on opening, or on writing those bytes; of a pipe that nobody reads, that there is no such device.
pub(super) fn open(path: &Path, kind: Output) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits() as i32;
    let mut file = OpenOptions::new().append(true).create(true).custom_flags(at_once).open(path)?;
    if file.metadata()?.len() == 0 {
        file.write_all(kind.header())?;
    } else if !ends_in_newline(path) {
        file.write_all(b"\n")?;
    }
    // From here on a thread of its own writes, which may wait for who reads slowly.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

/// Says no for a file that cannot be read: an empty line harms no reader, two lines in one do.
fn ends_in_newline(path: &Path) -> bool {
    let last_byte = || -> io::Result<u8> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last_byte().is_ok_and(|byte| byte == b'\n')
}

/// Who writes items of one kind down.
pub(super) trait Scribe<T>: Sized {
    /// Adds an item; writes if enough is gathered. Never fails: what is refused is counted.
    fn write(&mut self, item: &T);
    /// Writes what is gathered.
    fn flush(&mut self);
    /// What is added from now on means these.
    fn knowing(self, roster: &Arc<Roster>) -> Self;
    /// Goes on in the file that has the path now; what is gathered goes to the old one.
    fn reopened(self) -> Self;
}

/// A writer thread: writes until the queue is closed and empty. Items wait in memory only while more of them are queued,
/// and never more than a block.
pub(super) fn write_down<T, S: Scribe<T>>(
    mut scribe: S,
    items: &Receiver<Block<T>>,
    mut reopen: Receiver<()>,
    back: &Sender<Vec<T>>,
) {
    loop {
        select! {
            recv(items) -> block => {
                let Ok(block) = block else { return };
                let queued = items.try_iter().take(items.len());
                for block in std::iter::once(block).chain(queued) {
                    scribe = scribe.knowing(&block.roster);
                    block.items.iter().for_each(|item| scribe.write(item));
                    give_back(back, block.items);
                }
                scribe.flush();
            }
            recv(reopen) -> asked => match asked {
                Ok(()) => scribe = scribe.reopened(),
                // Who could ask is gone.
                Err(_) => reopen = never(),
            }
        }
    }
}

/// Writes blocks of whole rows and knows which of them arrived. To the outside it takes everything: a row that the
/// writer refuses is counted and gone, and the next block is tried again.
pub(super) struct Pen<W> {
    out: W,
    open: fn(&Path, Output) -> io::Result<W>,
    kind: Output,
    /// The rest of a row whose beginning is in the file: it must come next, or two rows become one line.
    torn: Vec<u8>,
    lines: Arc<Lines>,
    path: PathBuf,
    complaint: Pace,
}

impl<W: Write> Pen<W> {
    /// Writes to `target`, and counts in `lines`.
    pub(super) fn new(target: Target<W>, lines: Arc<Lines>) -> Pen<W> {
        let Target { kind, path, out, open } = target;
        Pen { out, open, kind, torn: Vec::new(), lines, path, complaint: Pace::new(COMPLAINT) }
    }

    /// Goes on in the file that has the path now. If that cannot be had, it goes on in the old one.
    pub(super) fn reopen(&mut self) {
        // What is torn belongs to the old file.
        let _ = self.flush();
        let reopened = (self.open)(&self.path, self.kind);
        let (kind, path) = (self.kind.name(), self.path.display());
        match reopened {
            Ok(out) => {
                log::info!("{kind} {path} is open again");
                self.out = out;
                if !std::mem::take(&mut self.torn).is_empty() {
                    self.lines.dropped.add(1);
                }
            }
            Err(e) => log::error!("cannot open {kind} {path} again: {e}; lines go on to the old one"),
        }
    }

    /// What it writes to.
    #[cfg(test)]
    pub(super) fn out(&self) -> &W {
        &self.out
    }

    /// Writes `block` after what is torn. Returns how many of its bytes were taken, and why not all.
    fn put(&mut self, block: &[u8]) -> (usize, io::Result<()>) {
        let (mended, outcome) = write_most(&mut self.out, &self.torn);
        self.torn.drain(..mended);
        if outcome.is_err() {
            return (0, outcome);
        }
        if mended > 0 {
            self.lines.written.add(1);
        }
        write_most(&mut self.out, block)
    }

    /// Counts the rows of `block`, of which `taken` bytes are in the file, and keeps the rest of a torn one.
    fn account(&mut self, block: &[u8], taken: usize) {
        let (inside, outside) = block.split_at(taken);
        self.lines.written.add(memchr_iter(b'\n', inside).count());
        let mut lost = outside;
        if inside.last().is_some_and(|&byte| byte != b'\n') {
            let end = memchr(b'\n', outside).map_or(outside.len(), |newline| newline + 1);
            self.torn.extend_from_slice(&outside[..end]);
            lost = &outside[end..];
        }
        self.lines.dropped.add(memchr_iter(b'\n', lost).count());
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complaint.pass() {
            log::warn!(
                "cannot write to {} {}: {error}; {} lines dropped so far",
                self.kind.name(),
                self.path.display(),
                self.lines.dropped.get()
            );
        }
    }
}

impl<W: Write> Write for Pen<W> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let (taken, outcome) = self.put(block);
        self.account(block, taken);
        if let Err(error) = outcome {
            self.complain(&error);
        }
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Without a block, so that a row torn by the last write of all is mended too.
        let (_, outcome) = self.put(&[]);
        if let Err(error) = outcome.and_then(|()| self.out.flush()) {
            self.complain(&error);
        }
        Ok(())
    }
}

impl<W> Drop for Pen<W> {
    fn drop(&mut self) {
        if !self.torn.is_empty() {
            self.lines.dropped.add(1);
        }
    }
}

/// As `write_all`, but tells how far it came.
fn write_most(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match out.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => taken += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}
