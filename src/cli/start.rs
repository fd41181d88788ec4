//! What every server does before it serves.
//!
//! Here: the log, the network with its signals, the listeners. Not here: what runs on them (the commands' own
//! files, which call this). Floor 5.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use log::LevelFilter;
use rustix::rand::{GetRandomFlags, getrandom};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2, SIGXFSZ};
use signal_hook::flag::{register, register_conditional_shutdown};

use super::{CliError, Exit};
use crate::net::OsNet;
use crate::telemetry::logger;

/// A socket that clients can connect to already; they wait in its backlog.
pub(super) struct Bound {
    pub(super) listener: mio::net::TcpListener,
    /// The actual address, also when port 0 was asked for.
    pub(super) addr: SocketAddr,
}

/// Listens on `addr` for `who`, a server's name in the middle of a sentence.
pub(super) fn bind(addr: SocketAddr, who: &str) -> Result<Bound, CliError> {
    bound(OsNet::listen(addr), addr, who)
}

/// The same on a port that further processes may share.
pub(super) fn bind_shared(addr: SocketAddr, who: &str) -> Result<Bound, CliError> {
    let listener = OsNet::listen_shared(addr).map_err(|e| match e.kind() {
        kind @ io::ErrorKind::AddrInUse => {
            io::Error::new(kind, "a process of another user or without --reuse-port on has the port")
        }
        _ => e,
    });
    bound(listener, addr, who)
}

fn bound(
    listener: io::Result<mio::net::TcpListener>,
    addr: SocketAddr,
    who: &str,
) -> Result<Bound, CliError> {
    let failed = |source| CliError::Listen { addr, who: who.to_owned(), source };
    let listener = listener.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, addr })
}

/// The network of the thread that stops on signals. Made before anything listens, so that no signal is lost once
/// the program can be seen. For commands that have something to do on SIGHUP.
pub(super) fn network_with_signals() -> Result<OsNet, CliError> {
    network_watching(&[])
}

/// The same for commands that stop on SIGHUP too: there is nothing to read again, and the terminal is gone.
pub(super) fn network_with_signals_and_hangup() -> Result<OsNet, CliError> {
    network_watching(&[SIGHUP])
}

fn network_watching(further: &[i32]) -> Result<OsNet, CliError> {
    let failed = |source| CliError::System { what: "start the event loop".to_owned(), source };
    let mut net = OsNet::new().map_err(failed)?;
    net.watch_signals(further).map_err(failed)?;
    Ok(net)
}

/// Takes their sting out of signals that would end the process and mean nothing here: SIGUSR2, and SIGXFSZ, with which the
/// kernel answers a write beyond the largest file size; the write itself fails too, and that is dealt with. SIGPIPE is
/// ignored by the runtime before `main` (`tests/signals.rs` sees to it).
pub(super) fn disarm_signals() -> Result<(), CliError> {
    for signal in [SIGUSR2, SIGXFSZ] {
        register(signal, Arc::default()).map_err(|source| CliError::System {
            what: "take over SIGUSR2 and SIGXFSZ".to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// A number that tells this run from all others.
pub(super) fn draw_run() -> Result<u64, CliError> {
    let mut bytes = [0; 8];
    // Eight bytes come whole or not at all (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|errno| CliError::System {
        what: "draw a random number".to_owned(),
        source: errno.into(),
    })?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Lets a further signal end the process with 130 while nothing reads signals as readiness any more.
pub(super) fn next_signal_ends_at_once() -> Result<(), CliError> {
    let armed = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM, SIGQUIT] {
        register_conditional_shutdown(signal, Exit::SecondSignal as i32, Arc::clone(&armed))
            .map_err(|source| CliError::System { what: "watch for a second signal".to_owned(), source })?;
    }
    Ok(())
}

/// Writes the log to stderr from now on.
///
/// # Errors
/// When the system gives no thread for it.
pub(super) fn start_log(level: LevelFilter) -> Result<(), CliError> {
    logger::start(level)
        .map_err(|source| CliError::System { what: "start the thread `log`".to_owned(), source })
}
