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
            if self.clients.len() >= self.options.max_connections {
                return;
            }
            match self.door.accept(turn.net) {
                Accepted::Client(stream, address) => self.admit(turn, Client::new(stream, address)),
                Accepted::Nobody => return,
                Accepted::Exhausted(error) => return self.pause_accepting(turn, &error),
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
        let now = turn.net.now();
        client.deadline.set(turn.timers, now + self.options.idle_timeout, Timer::Client(id));
        self.arm_flush(turn, now);
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
        if self.door.may_accept() && self.clients.len() + 1 == self.options.max_connections {
            turn.again(DOOR);
        }
    }
}
