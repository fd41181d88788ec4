//! How a client's connection is left.
//!
//! Here: what becomes of it after a response, at its end, its loss or its silence. Not here: what follows from which
//! (`rules.rs`), hearing it out (`linger.rs`), reading (`client.rs`). Floor 3.

use super::client::{After, ClientState};
use super::idle_clients::A_WHILE;
use super::rules::{self, Conclusion, Departure};
use super::{CLIENT, ClientId, Proxy, Timer, Turn};
use crate::h1::Version;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::h1::request::begins_as_head;
use crate::net::{Net, Stream, Token};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Counts a request of the client: whether its connection may serve another one after it.
    #[inline(always)]
    pub(super) fn serves_another(&mut self, id: ClientId, now: Instant) -> bool {
        let keeps = self.options.client_keepalive && !self.is_draining() && !self.is_crowded_out(id, now);
        let Some(client) = self.clients.get_mut(id) else { return false };
        client.requests_left = client.requests_left.saturating_sub(1);
        keeps && client.requests_left > 0
    }

    /// The response has been handed over: what becomes of the connection?
    pub(super) fn conclude(&mut self, turn: &mut Turn<'_, N>, id: ClientId, after: After) {
        let now = turn.now();
        self.conclude_at(turn, id, after, now);
    }

    /// The same where the time is known.
    pub(super) fn conclude_at(&mut self, turn: &mut Turn<'_, N>, id: ClientId, after: After, now: Instant) {
        let idle_timeout = if self.is_draining() { A_WHILE } else { self.options.idle_timeout };
        let Some(client) = self.clients.get_mut(id) else { return };
        let unread = client.readable || client.pending.is_some();
        match rules::client_concluded(after, client.unsent.is_some(), unread) {
            Conclusion::Flush => {
                client.state = ClientState::Flushing(after);
                client.deadline.set(turn.timers, now + self.options.body_timeout, Timer::Client(id));
                // What waits there was not to be read so far. Who reads nothing before all is sent waits for that.
                if after == After::Linger && client.readable {
                    turn.again(Token::new(CLIENT, id));
                }
            }
            Conclusion::Idle => {
                client.state = ClientState::Idle;
                client.deadline.set(turn.timers, now + idle_timeout, Timer::Client(id));
                if unread {
                    turn.again(Token::new(CLIENT, id));
                }
                if self.idle_clients.is_tracked() {
                    self.also_idle(id, now);
                }
            }
            Conclusion::Close => self.close_client(turn, id),
            Conclusion::Linger => self.linger(turn, id),
        }
    }

    /// The client's connection is lost.
    pub(super) fn client_gone(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get(id) else { return };
        let departure = rules::client_lost(client.state);
        self.depart(turn, id, departure);
    }

    pub(super) fn depart(&mut self, turn: &mut Turn<'_, N>, id: ClientId, departure: Departure) {
        match departure {
            Departure::Close => self.close_client(turn, id),
            Departure::Nothing => {}
            Departure::CloseUnlessUnread => {
                self.close_if_idle(turn, id);
            }
            Departure::TellAndClose(exchange, event) => {
                self.happened(turn, exchange, event);
                self.close_client(turn, id);
            }
            Departure::Tell(exchange, event) => self.happened(turn, exchange, event),
            Departure::Abandon(ticket) => {
                self.ask_abandoned(turn, ticket);
                self.close_client(turn, id);
            }
            Departure::AskExpired(ticket) => self.ask_expired(turn, ticket),
            Departure::RequestTimeout => {
                let begun = self.clients.get(id).and_then(|client| client.pending.as_ref());
                let reply = Reply {
                    status: 408,
                    reason: None,
                    fields: "",
                    detail: "the request head did not arrive in time",
                    to_head: begun.is_some_and(|begun| begins_as_head(begun.as_slice())),
                    version: Version::Http11,
                    persistence: Persistence::Close,
                };
                self.reply(turn, id, &reply, After::Linger);
            }
        }
    }

    /// Closes an idle connection, but for one whose next request waits in the socket or in memory: it is read first.
    pub(super) fn close_if_idle(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.is_idle() || client.stream.has_unread() {
            client.readable = true;
            let limit = turn.net.now() + A_WHILE;
            client.deadline.set(turn.timers, limit, Timer::Client(id));
            turn.again(Token::new(CLIENT, id));
        } else {
            self.close_client(turn, id);
        }
    }

    /// Closes the connection; no exchange is in flight on it.
    pub(super) fn close_client(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(mut client) = self.clients.remove(id) else { return };
        self.has_read(turn, id);
        if client.state == ClientState::Lingering {
            self.lingering.gone();
        }
        if !self.private.is_empty() {
            self.close_own(turn, id);
        }
        self.hosts.leave(&client.address);
        client.deadline.disarm(turn.timers);
        client.pending.into_iter().chain(client.unsent).for_each(|b| self.buffers.put(b));
        self.tell_soon(turn);
        self.knock(turn);
    }

    pub(super) fn client_expired(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let now = turn.now();
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.deadline.has_passed(turn.timers, now, Timer::Client(id)) {
            return;
        }
        let departure = rules::client_expired(
            client.state,
            client.unsent.is_some(),
            client.send_time.is_short(&self.options),
        );
        self.depart(turn, id, departure);
    }
}
