//! A simulated server on a thread of its own.
//!
//! Here: starting and stopping it. Not here: what it does (`mod.rs`). Floor 3.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use super::{
    ClassifierOptions, Control, Profile, Service, SimulatedBackend, SimulatedClassifier, SimulatedServer,
    TICK_SHIFT,
};
use crate::net::{OsNet, Waker};
use crate::reactor::Reactor;

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    control: Arc<Control>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RunningServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> u64 {
        self.control.answered.load(Ordering::Relaxed)
    }

    /// Lets it answer what waits, and waits for its end.
    ///
    /// # Errors
    /// What ended its loop before, if anything did.
    pub fn stop(mut self) -> io::Result<()> {
        self.join()
    }

    /// Leaves it running, because the program ends at once.
    pub fn abandon(mut self) {
        self.thread = None;
    }

    fn join(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.control.stop.store(true, Ordering::Release);
        self.waker.wake()?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the server's thread panicked")))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if let Err(e) = self.join() {
            log::error!("the simulated server on {} failed: {e}", self.address);
        }
    }
}

/// Starts the backend called `id` on a thread, behind `listener`.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn(listener: mio::net::TcpListener, id: char, profile: Profile) -> io::Result<RunningServer> {
    start(listener, |listener, control| SimulatedBackend::new(id, profile, listener, control))
}

/// Starts a classifier on a thread, behind `listener`.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn_classifier(
    listener: mio::net::TcpListener,
    options: ClassifierOptions,
) -> io::Result<RunningServer> {
    start(listener, |listener, control| SimulatedClassifier::new(options, listener, control))
}

fn start<S: Service + Send + 'static>(
    listener: mio::net::TcpListener,
    make: impl FnOnce(mio::net::TcpListener, Arc<Control>) -> SimulatedServer<OsNet, S>,
) -> io::Result<RunningServer>
where
    S::Asked: Send,
    S::Answer: Send,
{
    let address = listener.local_addr()?;
    let control = Arc::new(Control::default());
    let net = OsNet::new()?.with_fine_timer()?;
    let waker = net.waker()?;
    let mut server = make(listener, Arc::clone(&control));
    let mut reactor = Reactor::new(net, TICK_SHIFT);
    reactor.begin(|turn| server.open(turn))?;
    let builder = std::thread::Builder::new().name(server.service.name());
    let thread = builder.spawn(move || reactor.run(&mut server))?;
    Ok(RunningServer { address, control, waker, thread: Some(thread) })
}
