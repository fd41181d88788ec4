//! Letting clients in.
//!
//! Here: bounded batches, the limit on connections, the pause when descriptors run out. Not here: the listener
//! (`net/door.rs`) and what a client says (`client.rs`). Floor 3.

use std::io;

use super::client::Client;
use super::{CLIENT, DOOR, Proxy, Timer, Turn};
use crate::net::{ACCEPT_BATCH, ACCEPT_PAUSE, Accepted, Net, Token};

impl<N: Net> Proxy<N> {
    /// Takes what waits in the backlog, as far as there is room.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_, N>) {
        for _ in 0..ACCEPT_BATCH {
            if self.clients.len() >= self.options.limits.connections {
                return;
            }
            match self.door.accept(turn.net) {
                Accepted::Client(stream, address) => self
                    .admit(turn, Client::new(stream, address, self.options.limits.requests_per_connection)),
                Accepted::Nobody => return,
                Accepted::Exhausted(error) => return self.pause_accepting(turn, &error),
            }
        }
        turn.again(DOOR);
    }

    fn admit(&mut self, turn: &mut Turn<'_, N>, client: Client<N::Stream>) {
        if !self.hosts.enter(&client.address) {
            return self.refuse_host(turn, &client);
        }
        let id = self.clients.insert(client);
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Err(e) = turn.net.register(&mut client.stream, Token::new(CLIENT, id)) {
            let now = turn.now();
            self.told.error(now, || format!("cannot watch a client's connection, closing it: {e}"));
            return self.close_client(turn, id);
        }
        self.counters.clients_accepted += 1;
        let idle = turn.now() + self.options.idle_timeout;
        client.deadline.set(turn.timers, idle, Timer::Client(id));
    }

    /// One connection too many from one host. It gets no answer: that would have to wait for a request, in a place that the
    /// limit is to keep free.
    fn refuse_host(&mut self, turn: &Turn<'_, N>, client: &Client<N::Stream>) {
        self.counters.clients_refused += 1;
        let (now, most) = (turn.now(), self.options.limits.connections_per_client);
        self.told.error(now, || {
            let address = String::from_utf8_lossy(client.address.as_bytes());
            format!("closed a connection from {address}: it has {most} open already (--max-connections-per-client)")
        });
    }

    fn pause_accepting(&mut self, turn: &mut Turn<'_, N>, error: &io::Error) {
        let (now, open) = (turn.now(), self.clients.len());
        self.told.error(now, || {
            format!(
                "cannot accept, with {open} clients open: {error}; raise the descriptor limit or lower --max-connections"
            )
        });
        turn.timers.insert(now + ACCEPT_PAUSE, Timer::Accept);
    }

    /// A client has gone: if others wait in the backlog, there is room for one.
    pub(super) fn room_for_one(&mut self, turn: &mut Turn<'_, N>) {
        if self.door.may_accept() && self.clients.len() + 1 == self.options.limits.connections {
            turn.again(DOOR);
        }
    }
}
