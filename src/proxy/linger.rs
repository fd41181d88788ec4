//! Hearing a client out after our last word (RFC 9112 §9.6).
//!
//! Here: how long what still comes is passed over, so that the client can read its answer, and who of those that are heard out
//! gives its place to others. Not here: which answers are the last (`rules.rs`), reading (`client.rs`). Floor 3.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::time::Duration;

use super::client::ClientState;
use super::{CLIENT, ClientId, Proxy, Timer, Turn};
use crate::net::{Net, Stream, Token};

/// How long a client may be silent that is heard out. In all it has `--body-timeout`.
const SILENCE: Duration = Duration::from_secs(2);

/// The clients that are heard out.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    /// In order of beginning. Those that have gone stay until they come first or are too many.
    queue: VecDeque<ClientId>,
    count: usize,
}

impl Lingering {
    /// How many they are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// One of them has gone.
    pub(super) fn gone(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}

impl<N: Net> Proxy<N> {
    /// We say no more, and pass over what still comes: a close would reset the connection and could take our answer with it.
    pub(super) fn linger(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.stream.shutdown(Shutdown::Write).is_err() {
            return self.close_client(turn, id);
        }
        client.state = ClientState::Lingering;
        client.pending.take().into_iter().for_each(|b| self.buffers.put(b));
        let now = turn.net.now();
        client.heard_until = now + self.options.body_timeout;
        let limit = client.heard_until.min(now + SILENCE);
        client.deadline.set(turn.timers, limit, Timer::Client(id));
        // Its end may have been read before.
        client.readable |= client.read_closed;
        if client.readable {
            turn.again(Token::new(CLIENT, id));
        }
        let (clients, lingering) = (&self.clients, &mut self.lingering);
        lingering.count += 1;
        if lingering.queue.len() > 2 * lingering.count {
            lingering.queue.retain(|&other| {
                other != id && clients.get(other).is_some_and(|c| c.state == ClientState::Lingering)
            });
        }
        lingering.queue.push_back(id);
        self.knock(turn);
    }

    /// Bytes of a client that is heard out have come. While the proxy stops that is no reason to wait longer.
    pub(super) fn pass_over(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        if self.is_draining() {
            return;
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.state == ClientState::Lingering {
            let limit = client.heard_until.min(turn.net.now() + SILENCE);
            client.deadline.set(turn.timers, limit, Timer::Client(id));
        }
    }

    /// The client that has been heard out longest: the first to give way.
    pub(super) fn longest_lingering(&mut self) -> Option<ClientId> {
        while let Some(&first) = self.lingering.queue.front() {
            if self.clients.get(first).is_some_and(|client| client.state == ClientState::Lingering) {
                return Some(first);
            }
            self.lingering.queue.pop_front();
        }
        None
    }
}
