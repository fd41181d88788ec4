//! The door: accepting clients.
//!
//! Here: bounded batches, the limit on connections, pausing when descriptors run out. Not here: what a client says
//! (`client.rs`). Floor 3.

use std::io;
use std::time::Duration;

use super::client::Client;
use super::{CLIENT, DOOR, Proxy, Timer, Turn};
use crate::net::{Net, Readiness, Token};

/// How many connections are accepted before other events get their turn.
const ACCEPT_BATCH: usize = 64;

/// How long accepting rests when the process has no descriptor left; the backlog holds who waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener and what is known of it.
pub(super) struct Door<L> {
    /// `None` once the proxy drains.
    listener: Option<L>,
    /// Connections may be waiting in the backlog.
    waiting: bool,
    /// A timer will try again.
    paused: bool,
}

impl<L> Door<L> {
    pub(super) fn new(listener: L) -> Door<L> {
        Door { listener: Some(listener), waiting: false, paused: false }
    }

    pub(super) fn register<N: Net<Listener = L>>(&mut self, turn: &mut Turn<'_, N>) -> io::Result<()> {
        match &mut self.listener {
            Some(listener) => turn.net.register_listener(listener, DOOR),
            None => Ok(()),
        }
    }

    /// No more connections; those in the backlog are refused by the kernel.
    pub(super) fn shut(&mut self) {
        self.listener = None;
    }
}

impl<N: Net> Proxy<N> {
    /// Takes what waits in the backlog.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_, N>, readiness: Readiness) {
        self.door.waiting |= readiness.readable;
        if self.door.paused && !readiness.readable {
            return;
        }
        self.door.paused = false;
        for _ in 0..ACCEPT_BATCH {
            if !self.door.waiting || self.clients.len() >= self.options.max_connections {
                return;
            }
            let Some(listener) = &self.door.listener else { return };
            match turn.net.accept(listener) {
                Ok((stream, address)) => self.admit(turn, Client::new(stream, address)),
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock => self.door.waiting = false,
                    // The client left while it waited, or a signal came: the next one is not affected.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => return self.pause_accepting(turn, &e),
                },
            }
        }
        turn.again(DOOR);
    }

    fn admit(&mut self, turn: &mut Turn<'_, N>, client: Client<N::Stream>) {
        let id = self.clients.insert(client);
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Err(e) = turn.net.register(&mut client.stream, Token::new(CLIENT, id)) {
            let now = turn.now();
            self.told.error(now, || format!("cannot watch a client's connection, closing it: {e}"));
            self.clients.remove(id);
            return;
        }
        self.counters.clients_accepted += 1;
        let idle = turn.now() + self.options.idle_timeout;
        client.deadline.set(turn.timers, idle, Timer::Client(id));
    }

    fn pause_accepting(&mut self, turn: &mut Turn<'_, N>, error: &io::Error) {
        let (now, open) = (turn.now(), self.clients.len());
        self.told.error(now, || {
            format!("cannot accept, with {open} clients open: {error}; raise the descriptor limit or lower --max-connections")
        });
        self.door.paused = true;
        turn.timers.insert(now + ACCEPT_PAUSE, Timer::Accept);
    }

    /// A client has gone: if others wait in the backlog, there is room for one.
    pub(super) fn room_for_one(&mut self, turn: &mut Turn<'_, N>) {
        if self.door.waiting && !self.door.paused && self.clients.len() + 1 == self.options.max_connections {
            turn.again(DOOR);
        }
    }
}
