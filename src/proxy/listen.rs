//! Letting clients in.
//!
//! Here: bounded batches, limits on connections, the pause when descriptors run out. Not here: who gives way
//! (`idle_clients.rs`), the listener (`net/door.rs`) and what a client says (`client.rs`). Floor 3.

use std::io;

use super::client::Client;
use super::idle_clients::{A_WHILE, Capacity, Way};
use super::{CLIENT, Proxy, Timer, Turn};
use crate::net::{ACCEPT_BATCH, ACCEPT_PAUSE, Accepted, Net, Token, is_exhaustion};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Takes what waits in the backlog, as far as there is room or an idle client gives way. Who comes in when nobody does
    /// waits in the backlog.
    pub(super) fn accept(&mut self, turn: &mut Turn<'_, N>) {
        self.idle_clients.asked();
        let mut made_way = false;
        for _ in 0..ACCEPT_BATCH {
            if !self.door.may_accept() {
                return;
            }
            let now = turn.now();
            let capacity = self.capacity(now);
            if let Capacity::NotBefore(at) = capacity {
                return self.knock_at(turn, at);
            }
            match self.door.accept(turn.net) {
                Accepted::Client(stream, address) => {
                    made_way = false;
                    let limits = &self.options.limits;
                    let client = Client::new(stream, address, limits.requests_per_connection, now);
                    if !self.hosts.enter(&client.address) {
                        self.refuse_host(turn, &client);
                        continue;
                    }
                    if let Capacity::InsteadOf(idle) = capacity {
                        self.evict_client(turn, idle);
                    }
                    self.admit(turn, client, now);
                }
                Accepted::Lost => {}
                Accepted::Nobody => return,
                // What was closed for it did not help: it is others who use up the machine's descriptors.
                Accepted::Exhausted(error) if made_way => return self.pause_accepting(turn, &error),
                Accepted::Exhausted(error) => match self.make_way(turn, A_WHILE) {
                    Way::Made => {
                        made_way = true;
                        self.door.resume();
                    }
                    Way::NotBefore(at) => return self.knock_at(turn, at),
                    Way::None => match self.slowest_client(now) {
                        Some(slow) => {
                            self.evict_client(turn, slow);
                            made_way = true;
                            self.door.resume();
                        }
                        None => return self.pause_accepting(turn, &error),
                    },
                },
                Accepted::Failed(error) => return self.pause_accepting(turn, &error),
            }
        }
        self.knock(turn);
    }

    fn admit(&mut self, turn: &mut Turn<'_, N>, client: Client<N::Stream>, now: Instant) {
        let id = self.clients.insert(client);
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Err(e) = turn.net.register(&mut client.stream, Token::new(CLIENT, id)) {
            self.told.error(now, || format!("cannot watch a client's connection, closing it: {e}"));
            return self.close_client(turn, id);
        }
        self.counters.clients_accepted += 1;
        client.deadline.set(turn.timers, now + self.options.idle_timeout, Timer::Client(id));
        self.arm_flush(turn, now);
        if self.idle_clients.is_tracked() {
            self.also_idle(id, now);
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
        self.knock_at(turn, now + ACCEPT_PAUSE);
    }
}
