//! The proxy on a thread of its own.
//!
//! Here: starting and stopping it beside other things in one process, as experiments do. Not here: what it does (`mod.rs`);
//! the program's own proxy runs on the main thread (`cli/proxy.rs`). Floor 3.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{Options, Proxy, TICK_SHIFT};
use crate::net::{OsNet, Waker};
use crate::reactor::Reactor;
use crate::telemetry::Recorder;

/// A proxy that runs until it is stopped.
#[derive(Debug)]
pub struct RunningProxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<io::Result<()>>,
}

impl RunningProxy {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets it answer what is in flight, up to its drain limit, and waits for its end; every record is handed over then.
    ///
    /// # Errors
    /// What ended its loop before, if anything did.
    pub fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        self.waker.wake()?;
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the proxy's thread panicked")))
    }
}

/// Starts a proxy on a thread, behind `listener`.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn(
    listener: mio::net::TcpListener,
    options: Options,
    recorder: Recorder,
) -> io::Result<RunningProxy> {
    let address = listener.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let net = OsNet::new()?;
    let waker = net.waker()?;
    let mut proxy = Proxy::new(options, listener, recorder).stopped_by(Arc::clone(&stop));
    let mut reactor = Reactor::new(net, TICK_SHIFT);
    reactor.begin(|turn| proxy.open(turn))?;
    let builder = std::thread::Builder::new().name("proxy".to_owned());
    let thread = builder.spawn(move || reactor.run(&mut proxy))?;
    Ok(RunningProxy { address, stop, waker, thread })
}
