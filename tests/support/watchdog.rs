//! Ends a run of a seed that does not come to its end.
//!
//! Calls on the network are counted, so a turn that goes on making some ends by itself. One that makes none, or that waits for
//! something, can only be seen from outside: by a clock, and from another thread. Nothing of it is in the program.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Far longer than any seed takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `run`; if it has not ended after SEED_SECONDS (300), says so of `what` and ends the process.
pub(crate) fn watched<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let limit = std::env::var("SEED_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = limit.map_or(LIMIT, Duration::from_secs);
    let (ended, end) = sync_channel::<()>(1);
    let told = format!("{what} has not ended after {limit:?}: a turn that makes no call, or waits\n");
    let watcher = std::thread::spawn(move || {
        if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            // Past what the harness of tests keeps back: nobody would see that.
            let _ = std::io::stderr().write_all(told.as_bytes());
            std::process::abort();
        }
    });
    let result = run();
    drop(ended);
    watcher.join().expect("it ends at once");
    result
}
