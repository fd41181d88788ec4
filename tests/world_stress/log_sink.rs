//! A log that refuses each line, or takes none for ever.
//!
//! The lines go through the queue that the program's log goes through. Whoever runs beside logs nothing.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};
use tidegate::telemetry::line_queue::LineQueue;

/// Where the lines go.
struct Sink {
    refusing: LineQueue,
    blocked: LineQueue,
}

static SINK: OnceLock<Sink> = OnceLock::new();

thread_local! {
    static LOGS: Cell<Option<bool>> = const { Cell::new(None) };
}

struct Refusing;

impl Write for Refusing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Blocked;

impl Write for Blocked {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        loop {
            std::thread::park();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        LOGS.get().is_some()
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(blocked) = LOGS.get() {
            let queue = if blocked { &self.blocked } else { &self.refusing };
            queue.push(format!("{} {}\n", record.level(), record.args()).into_bytes());
        }
    }

    fn flush(&self) {}
}

fn sink() -> &'static Sink {
    let start = || {
        let notice = |lost| format!("{lost} lines are missing\n").into_bytes();
        Sink {
            refusing: LineQueue::start("refusing", Refusing, notice).expect("a thread"),
            blocked: LineQueue::start("blocked", Blocked, notice).expect("a thread"),
        }
    };
    SINK.get_or_init(start)
}

/// Runs `run` while all that this thread logs goes to one of them. A log that somebody watches stays as it is.
pub(crate) fn logging_into<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    if log::set_logger(sink()).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    LOGS.set(Some(seed.is_multiple_of(2)));
    let result = run();
    LOGS.set(None);
    result
}

/// How many lines are lost.
pub(crate) fn lost() -> u64 {
    sink().refusing.lost() + sink().blocked.lost()
}
