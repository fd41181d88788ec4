//! Letting clients in.
//!
//! Here: bounded batches, limits on connections, the pause when descriptors run out. Not here: who gives way (`crowd.rs`), the
//! listener (`net/door.rs`) and what a client says (`client.rs`). Floor 3.

use std::io;

use super::client::Client;
use super::crowd::Room;
use super::{CLIENT, Proxy, Timer, Turn};
use crate::net::{ACCEPT_BATCH, ACCEPT_PAUSE, Accepted, Net, Token, is_exhaustion};

impl<N: Net> Proxy<N> {
    /// Takes what waits in the backlog, as far as there is room or an idle client gives way. Who comes in when all are
    /// busy waits in the backlog.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_, N>) {
        self.crowd.heard();
        for _ in 0..ACCEPT_BATCH {
            if !self.door.may_accept() {
                return;
            }
            let room = self.room();
            if room == Room::None {
                return;
            }
            match self.door.accept(turn.net) {
                Accepted::Client(stream, address) => {
                    let client = Client::new(stream, address, self.options.limits.requests_per_connection);
                    if !self.hosts.enter(&client.address) {
                        self.refuse_host(turn, &client);
                        continue;
                    }
                    if let Room::InsteadOf(idle) = room {
                        self.evict_client(turn, idle);
                    }
                    self.admit(turn, client);
                }
                Accepted::Lost => {}
                Accepted::Nobody => return self.crowd.dissolves(),
                Accepted::Exhausted(error) => {
                    if !self.make_way(turn) {
                        return self.pause_accepting(turn, &error);
                    }
                    self.door.resume();
                }
                Accepted::Failed(error) => return self.pause_accepting(turn, &error),
            }
        }
        self.knock(turn);
    }

    fn admit(&mut self, turn: &mut Turn<'_, N>, client: Client<N::Stream>) {
        let id = self.clients.insert(client);
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Err(e) = turn.net.register(&mut client.stream, Token::new(CLIENT, id)) {
            let now = turn.now();
            self.told.error(now, || format!("cannot watch a client's connection, closing it: {e}"));
            return self.close_client(turn, id);
        }
        self.counters.clients_accepted += 1;
        let now = turn.net.now();
        client.deadline.set(turn.timers, now + self.options.idle_timeout, Timer::Client(id));
        self.arm_flush(turn, now);
        if self.crowd.knows_all() {
            self.also_idle(turn, id);
        }
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
        let advice = match is_exhaustion(error) {
            true => "; raise the descriptor limit or lower --max-connections",
            false => "",
        };
        self.told.error(now, || format!("cannot accept, with {open} clients open: {error}{advice}"));
        turn.timers.insert(now + ACCEPT_PAUSE, Timer::Accept);
    }
}
