//! A listener and what is known of it.
//!
//! Here: [`Door`], accepting under edge-triggered readiness. Not here: how many are let in and what becomes of them
//! (the handlers). Floor 2.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Net, Token};

/// How many connections to accept before other events get their turn.
pub const ACCEPT_BATCH: usize = 64;

/// How long accepting rests when the process has no descriptor left; the backlog holds who waits.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket; or none, once no more are let in.
pub struct Door<L> {
    listener: Option<L>,
    /// Connections may be waiting in the backlog.
    waiting: bool,
    paused: bool,
}

/// What [`Door::accept`] found.
pub enum Accepted<S> {
    /// A client and its address.
    Client(S, SocketAddr),
    /// Nobody waits, or the door is shut or paused.
    Nobody,
    /// The system gives no socket, and this is why. The door is paused: call [`Door::resume`] after
    /// [`ACCEPT_PAUSE`].
    Exhausted(io::Error),
}

impl<L> Door<L> {
    /// A door that nobody has knocked at yet.
    pub fn new(listener: L) -> Door<L> {
        Door { listener: Some(listener), waiting: false, paused: false }
    }

    /// Registers the listener.
    ///
    /// # Errors
    /// Those of the registration.
    pub fn register<N: Net<Listener = L>>(&mut self, net: &mut N, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Some(listener) => net.register_listener(listener, token),
            None => Ok(()),
        }
    }

    /// The listener was reported readable.
    pub fn knocked(&mut self) {
        self.waiting = true;
    }

    /// Whether a call of [`Door::accept`] may find somebody.
    pub fn may_accept(&self) -> bool {
        self.waiting && !self.paused && self.listener.is_some()
    }

    /// Whether no more are let in.
    pub fn is_shut(&self) -> bool {
        self.listener.is_none()
    }

    /// Takes one connection from the backlog.
    pub fn accept<N: Net<Listener = L>>(&mut self, net: &mut N) -> Accepted<N::Stream> {
        while self.may_accept() {
            let Some(listener) = &self.listener else { break };
            match net.accept(listener) {
                Ok((stream, address)) => return Accepted::Client(stream, address),
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock => self.waiting = false,
                    // The client left while it waited, or a signal came: the next one is not affected.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        self.paused = true;
                        return Accepted::Exhausted(e);
                    }
                },
            }
        }
        Accepted::Nobody
    }

    /// The pause is over.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Lets no more in; those in the backlog are refused by the kernel.
    pub fn shut(&mut self) {
        self.listener = None;
    }
}
