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
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use simple_logger::SimpleLogger;

use super::{CliError, Exit};
use crate::net::OsNet;

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
/// the program can be seen.
pub(super) fn network_with_signals() -> Result<OsNet, CliError> {
    let failed = |source| CliError::System { what: "start the event loop".to_owned(), source };
    let mut net = OsNet::new().map_err(failed)?;
    net.watch_signals().map_err(failed)?;
    Ok(net)
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
    for signal in [SIGINT, SIGTERM] {
        register_conditional_shutdown(signal, Exit::SecondSignal as i32, Arc::clone(&armed))
            .map_err(|source| CliError::System { what: "watch for a second signal".to_owned(), source })?;
    }
    Ok(())
}

/// Writes the log to stderr from now on.
pub(super) fn start_log(level: LevelFilter) {
    // mio tells of every registration at trace level, which would drown our own lines; those that render pictures warn of bars of
    // no height and boxes of no width.
    let (of_mio, of_drawing) = (LevelFilter::Warn, LevelFilter::Error);
    let logger = SimpleLogger::new()
        .with_level(LevelFilter::Trace)
        .with_module_level("mio", of_mio)
        .with_local_timestamps();
    let logger = ["usvg", "tiny_skia", "resvg"]
        .into_iter()
        .fold(logger, |logger, module| logger.with_module_level(module, of_drawing));
    if logger.init().is_err() {
        log::debug!("the log was started before");
    }
    // Judged before the logger is asked, and so it can change.
    log::set_max_level(level);
}
