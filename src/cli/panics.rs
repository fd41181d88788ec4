//! What becomes of a panic: a fault of ours, which is told and ends the program in order.
//!
//! Here: the hook that tells of it by way of the log, which holds nobody up; [`caught`], for what must be tidied up behind
//! it; [`happened`], for the exit code. A helper's thread that panics must not leave a program behind that looks whole:
//! the program is told to stop as by SIGTERM, so that what is in flight is finished and a supervisor starts it anew. Not
//! here: what is built to unwind and what to abort (`Cargo.toml`); where it aborts, it is told first. Floor 5.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Signal, getpid, kill_process};

use super::CliError;
use crate::telemetry::logger;

/// Whether there has been one.
static HAPPENED: AtomicBool = AtomicBool::new(false);

/// From now on panics are told in the log, and one on another thread than `main` stops the program.
pub(super) fn watch() {
    set_hook(Box::new(tell));
}

/// Whether any thread has panicked.
pub(super) fn happened() -> bool {
    HAPPENED.load(Ordering::Acquire)
}

/// What `f` returns.
///
/// # Errors
/// [`CliError::Panicked`] when it panicked; what it owned is dropped then.
pub(super) fn caught<R>(f: impl FnOnce() -> Result<R, CliError>) -> Result<R, CliError> {
    // What was shared with it is only read from here on: counts, figures, files.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(CliError::Panicked))
}

fn tell(panic: &PanicHookInfo<'_>) {
    let current = thread::current();
    let name = current.name().unwrap_or("without a name");
    let why = panic.payload_as_str().unwrap_or("for a reason that is no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what = format!("the thread `{name}` panicked at {place}: {why}");
    if log::log_enabled!(log::Level::Error) {
        log::error!("{what}");
    } else {
        logger::complain(&format!("tidegate: {}", super::one_line(&what)));
    }
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        trace.to_string().lines().for_each(logger::complain);
    }
    if cfg!(panic = "abort") {
        // What is not written when this returns never is.
        return logger::flush(super::LAST_WORDS);
    }
    let first = !HAPPENED.swap(true, Ordering::AcqRel);
    // The second signal would end it at once.
    if first
        && name != "main"
        && let Err(e) = kill_process(getpid(), Signal::TERM)
    {
        log::error!("the program goes on without that thread: {e}");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::balance::RoutingMode;
    use crate::cli::start::network_with_signals;
    use crate::net::{Event, Net, Wake};
    use crate::record::{Averages, Mode, Record};
    use crate::telemetry::{Roster, Telemetry, TelemetryOptions};
    use crate::time::WallTime;

    /// Set for the process in which the hook may be installed.
    const ALONE: &str = "TIDEGATE_TEST_ALONE";

    #[test]
    fn a_panic_of_a_helper_is_told_and_stops_the_program() {
        let own = "cli::panics::tests::in_a_process_of_its_own";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args([own, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("the thread `helper` panicked at src/cli/panics.rs:"), "{said}");
        assert!(said.contains(": it happens\n"), "{said}");
    }

    #[test]
    fn in_a_process_of_its_own() {
        if std::env::var_os(ALONE).is_none() {
            return;
        }
        watch();
        let mut net = network_with_signals().unwrap();
        let helper = thread::Builder::new().name("helper".to_owned());
        assert!(helper.spawn(|| panic!("it happens")).unwrap().join().is_err());
        let mut events = Vec::new();
        while events.is_empty() {
            let now = net.now();
            net.poll(&mut events, now, None).unwrap();
        }
        assert_eq!(events, [Event::Woken(Wake::StopSignal)]);
        assert!(happened());
        logger::flush(std::time::Duration::from_secs(10));
    }

    #[test]
    fn what_was_recorded_before_a_panic_of_the_loop_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("rows.csv");
        let roster = Roster::first(&[("http://localhost:8081", "localhost:8081")], &[]);
        let options = TelemetryOptions { roster, csv: Some(csv.clone()), trace: None };
        let (mut recorder, telemetry) = Telemetry::start(options).unwrap();
        let ended: Result<(), _> = caught(|| {
            recorder.push(Record {
                ended: WallTime::default(),
                latency_ns: 1,
                backend: None,
                status: 200,
                mode: Mode::Routing(RoutingMode::RoundRobin),
                failed: false,
                reused: false,
                connect_us: 0,
                averages: Averages::UNMEASURED,
            });
            let _held = recorder;
            panic!("it happens")
        });
        assert!(matches!(ended, Err(CliError::Panicked)));
        assert_eq!(telemetry.stop(std::time::Duration::from_secs(60)).rows_written, 1);
        assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 2);
    }
}
