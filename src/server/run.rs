//! A server on a thread of its own.
//!
//! Here: starting and stopping it. Not here: what it does (`mod.rs`). Floor 2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use super::{Control, Server, Service};
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
            log::error!("the server on {} failed: {e}", self.address);
        }
    }
}

/// Starts on a thread the server that `make` makes, behind `listener`. `waker` wakes `net`, and `tick_shift` is the
/// grain of its deadlines, as for [`Reactor::new`].
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn<S: Service + Send + 'static>(
    (net, waker): (OsNet, Waker),
    tick_shift: u32,
    listener: mio::net::TcpListener,
    make: impl FnOnce(mio::net::TcpListener, Arc<Control>) -> Server<OsNet, S>,
) -> io::Result<RunningServer>
where
    S::Asked: Send,
    S::Answer: Send,
{
    let address = listener.local_addr()?;
    let control = Arc::new(Control::default());
    let mut server = make(listener, Arc::clone(&control));
    let mut reactor = Reactor::new(net, tick_shift);
    reactor.begin(|turn| server.open(turn))?;
    let builder = std::thread::Builder::new().name(server.service.name());
    let thread = builder.spawn(move || reactor.run(&mut server))?;
    Ok(RunningServer { address, control, waker, thread: Some(thread) })
}
