//! Lines on their way to a standard stream that may refuse them, or take none for ever.
//!
//! Here: [`LineQueue`], the side of whoever has a line: bounded in lines and in bytes, it drops and counts what has no
//! room and never waits; `QueueWriter`, the side of the thread that writes, which may wait as long as it likes. Not
//! here: what the lines say (`logger.rs`, `cli/clients.rs`), files with a name (`pen.rs`). Floor 2.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, after, bounded, select};
use memchr::memchr_iter;

use super::counts::Pace;

/// How many lines may wait. A turn of the loop at level debug has some thousands.
const LINES: usize = 8192;

/// How many bytes they may have together.
const BYTES: usize = 1024 * 1024;

/// So many bytes go to the kernel at once, and a line more.
const CHUNK: usize = 64 * 1024;

/// Least time between two notices of lost lines, and between two tries of one that cannot be written.
const NOTICE: Duration = Duration::from_secs(1);

enum Message {
    /// A line with its end.
    Line(Box<[u8]>),
    /// Answered when all before it is written or lost.
    Flush(Sender<()>),
}

/// What both sides know.
#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
    closed: AtomicBool,
}

/// Takes lines from any thread.
#[derive(Clone, Debug)]
pub struct LineQueue {
    messages: Sender<Message>,
    shared: Arc<Shared>,
}

impl LineQueue {
    /// Starts a thread `name` that writes to `out` what is pushed here; `notice` is the line that tells of so many lost ones.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<W: Write + Send + 'static>(
        name: &str,
        out: W,
        notice: fn(u64) -> Vec<u8>,
    ) -> io::Result<LineQueue> {
        let (queue, writer) = LineQueue::new(LINES, out, notice);
        Builder::new().name(name.to_owned()).spawn(move || writer.run())?;
        Ok(queue)
    }

    fn new<W: Write>(lines: usize, out: W, notice: fn(u64) -> Vec<u8>) -> (LineQueue, QueueWriter<W>) {
        let (messages, incoming) = bounded(lines);
        let shared = Arc::new(Shared::default());
        let queue = LineQueue { messages, shared: Arc::clone(&shared) };
        let (notice_pace, told) = (Pace::new(NOTICE), 0);
        (queue, QueueWriter { incoming, shared, out, torn: false, notice, notice_pace, told })
    }

    /// Takes a line with its end. What has no room is lost and counted. Never waits.
    pub fn push(&self, line: Vec<u8>) {
        let bytes = line.len();
        // Relaxed: a bound and a statistic. The channel orders what it carries.
        let before = self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let line = Message::Line(line.into_boxed_slice());
        if before + bytes > BYTES || self.messages.try_send(line).is_err() {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost so far: there was no room for them, or the stream refused them.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Whether nobody reads the stream any more, as a write has told.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    /// Waits until all that was pushed is written or lost, for `limit` at most. Tells whether that came to pass.
    pub fn flush(&self, limit: Duration) -> bool {
        let limit = after(limit);
        let (done, flushed) = bounded(1);
        select! {
            send(self.messages, Message::Flush(done)) -> sent => if sent.is_err() { return false },
            recv(limit) -> _ => return false,
        }
        select! {
            recv(flushed) -> done => done.is_ok(),
            recv(limit) -> _ => false,
        }
    }
}

/// Writes the lines of a queue.
struct QueueWriter<W> {
    incoming: Receiver<Message>,
    shared: Arc<Shared>,
    out: W,
    /// Whether the stream ends within a line.
    torn: bool,
    notice: fn(u64) -> Vec<u8>,
    notice_pace: Pace,
    /// Of how many lost lines the stream tells.
    told: u64,
}

impl<W: Write> QueueWriter<W> {
    /// Writes until the last queue is gone.
    fn run(mut self) {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            let lost = self.lost() > self.told;
            let message = if lost { self.incoming.recv_timeout(NOTICE) } else { self.received() };
            let flushed = match message {
                Ok(message) => self.gather(message, &mut chunk),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.write(&chunk);
            chunk.clear();
            if self.lost() > self.told && (self.incoming.is_empty() || self.notice_pace.open()) {
                self.tell();
            }
            if let Some(flushed) = flushed {
                // Who asked may have stopped waiting.
                let _ = flushed.try_send(());
            }
        }
    }

    fn received(&self) -> Result<Message, RecvTimeoutError> {
        self.incoming.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// Adds to `chunk` what waits, until that is enough or somebody wants to know that it is written.
    fn gather(&self, first: Message, chunk: &mut Vec<u8>) -> Option<Sender<()>> {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Flush(flushed) => return Some(flushed),
                Message::Line(line) => {
                    self.shared.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    chunk.extend_from_slice(&line);
                }
            }
            next = if chunk.len() < CHUNK { self.incoming.try_recv().ok() } else { None };
        }
        None
    }

    /// Tells of what was lost. A notice that is refused is tried again later.
    fn tell(&mut self) {
        let lost = self.lost();
        let notice = (self.notice)(lost - self.told);
        self.notice_pace.close();
        let (written, refused) = self.put(&notice);
        if refused.is_none() && written == notice.len() {
            self.told = lost;
        }
    }

    /// Writes whole lines; those that are refused are counted.
    fn write(&mut self, lines: &[u8]) {
        let (written, refused) = self.put(lines);
        if let Some(error) = refused {
            let lost = memchr_iter(b'\n', &lines[written..]).count();
            self.shared.lost.fetch_add(lost as u64, Ordering::Relaxed);
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.shared.closed.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Writes what the stream takes of these lines, after the end of one that it took in part only.
    fn put(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn && !lines.is_empty() {
            if let Err(error) = self.out.write_all(b"\n") {
                return (0, Some(error));
            }
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            let refused = match self.out.write(&lines[written..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    written += n;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            self.torn = written > 0 && lines[written - 1] != b'\n';
            return (written, Some(refused));
        }
        (written, None)
    }

    fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
#[path = "line_queue_tests.rs"]
mod tests;
