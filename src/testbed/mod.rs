//! Simulated servers: backends and a classifier.
//!
//! Here: the two kinds of them, [`SimulatedBackend`] and [`SimulatedClassifier`], and threads for them. Not here: what
//! a connection does (`server/`). `cli/`, `world/` and tests start them. Floor 3.

mod backend;
mod classifier;
mod fault;
mod meter;
mod outage;
mod profile;
mod service_time;
mod workers;

#[cfg(test)]
mod backend_tests;
#[cfg(test)]
mod classifier_tests;
#[cfg(test)]
mod fault_tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::net::{Net, OsNet};
use crate::server::{self, Control, Limits, RunningServer, Server, Service};

pub use backend::{BackendOptions, Greetings};
pub use classifier::{Classifications, ClassifierOptions};
pub use fault::{Fault, FaultKind};
pub use meter::Meter;
pub use profile::{Draws, Millis, Profile};
pub use service_time::{Costs, ServiceTime};

/// The grain of a simulated server's deadlines: 2^16 ns, 66 µs.
pub const TICK_SHIFT: u32 = 16;

/// A server that answers any request with 200 and a line of text, after the next latency of its profile. Any number
/// of requests wait at once: it sleeps, it does not queue.
pub type SimulatedBackend<N> = Server<N, Greetings>;

/// A server that tells which texts are code, and takes the time of a model server for it.
pub type SimulatedClassifier<N> = Server<N, Classifications>;

impl<N: Net> SimulatedBackend<N> {
    /// A backend that will accept from `listener`, which listens on `address`: one that vanishes, as its faults may say, comes back
    /// there.
    pub fn new(
        options: BackendOptions,
        listener: N::Listener,
        address: SocketAddr,
        control: Arc<Control>,
    ) -> SimulatedBackend<N> {
        let greetings = Greetings::new(options);
        let vanishes = greetings.vanishes();
        let backend = Server::serving(greetings, Limits::default(), listener, control);
        if vanishes { backend.vanishing(address) } else { backend }
    }
}

impl<N: Net> SimulatedClassifier<N> {
    /// A classifier that will accept from `listener`.
    pub fn new(
        options: ClassifierOptions,
        listener: N::Listener,
        control: Arc<Control>,
    ) -> SimulatedClassifier<N> {
        Server::serving(Classifications::new(options), Limits::default(), listener, control)
    }
}

/// Starts a backend on a thread, behind `listener`.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub fn spawn(listener: mio::net::TcpListener, options: BackendOptions) -> io::Result<RunningServer> {
    let address = listener.local_addr()?;
    start(listener, |listener, control| SimulatedBackend::new(options, listener, address, control))
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
    make: impl FnOnce(mio::net::TcpListener, Arc<Control>) -> Server<OsNet, S>,
) -> io::Result<RunningServer>
where
    S::Asked: Send,
    S::Answer: Send,
{
    let net = OsNet::new()?.with_fine_timer()?;
    let waker = net.waker()?;
    server::spawn((net, waker), TICK_SHIFT, listener, make)
}
