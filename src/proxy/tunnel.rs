//! Tunnels: two connections whose bytes go both ways, untouched (RFC 9110 §7.8, RFC 6455).
//!
//! Here: how an exchange becomes one, relaying, half-closes. Not here: whether a 101 is one that was asked for
//! (`response.rs`), what follows from events (`rules.rs`), how exchanges end (`exchange.rs`). Floor 3.

use std::io;
use std::net::Shutdown;

use super::client::{Client, ClientState};
use super::exchange::{Owner, RequestSide, ResponseSide};
use super::rules::{self, Event, TunnelStep};
use super::upstream::{Upstream, UpstreamState};
use super::{CLIENT, ClientId, ExchangeId, Proxy, Timer, Turn, UPSTREAM, UpstreamId};
use crate::buffer::{Buffer, BufferPool};
use crate::h1::response::ResponseHead;
use crate::h1::rewrite;
use crate::net::{Net, Readiness, Stream, Token, flush, send};
use crate::time::Instant;

/// How many reads one direction gets before others have their turn.
const READS_PER_TURN: usize = 4;

/// One direction of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Bytes may come.
    Open,
    /// Its source has ended, and the receiver has been told; or that takes no more.
    Ended,
}

/// What is known of a tunnel beside its two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tunnel {
    /// Nanoseconds from the first sending of the request to the 101.
    pub(super) latency_ns: u64,
    pub(super) to_upstream: Direction,
    pub(super) to_client: Direction,
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Upstream,
}

/// What relaying needs of a connection.
pub(super) struct Half<'a, S> {
    pub(super) stream: &'a mut S,
    pub(super) readable: &'a mut bool,
    pub(super) read_closed: &'a mut bool,
    pub(super) unsent: &'a mut Option<Buffer>,
}

/// Where a direction stands after its share of the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relayed {
    /// Its source has nothing more to read, or its receiver has no room.
    Rests,
    /// Its share of the turn is used up.
    More,
    /// The source's connection is lost.
    Lost,
}

impl<S: Stream> Half<'_, S> {
    /// An event has come. What broke the connection is told by reading it, after the bytes that came before.
    fn note(&mut self, readiness: Readiness) {
        *self.readable |= readiness.readable || readiness.read_closed || readiness.broken;
        *self.read_closed |= readiness.read_closed || readiness.broken;
    }

    /// It takes no more bytes; what it has said before may still be read.
    fn lost_for_writing(&mut self, direction: &mut Direction, buffers: &mut BufferPool) {
        self.unsent.take().into_iter().for_each(|b| buffers.put(b));
        (*self.readable, *self.read_closed) = (true, true);
        *direction = Direction::Ended;
    }

    /// Sends what waits for it.
    fn flush(&mut self, direction: &mut Direction, buffers: &mut BufferPool) {
        if flush(self.stream, self.unsent, buffers).is_err() {
            self.lost_for_writing(direction, buffers);
        }
    }

    /// Sends `bytes` behind what waits.
    fn send(&mut self, bytes: &[u8], direction: &mut Direction, buffers: &mut BufferPool) {
        if send(self.stream, self.unsent, buffers, [bytes, &[], &[], &[]]).is_err() {
            self.lost_for_writing(direction, buffers);
        }
    }

    /// Passes on what can be read from `self`, as long as `to` takes it: what it does not take is one block at most.
    /// Returns how many bytes that were.
    fn relay(
        &mut self,
        to: &mut Half<'_, S>,
        direction: &mut Direction,
        input: &mut [u8],
        buffers: &mut BufferPool,
    ) -> (Relayed, u64) {
        let mut moved = 0;
        for _ in 0..READS_PER_TURN {
            if *direction != Direction::Open || to.unsent.is_some() || !*self.readable {
                return (Relayed::Rests, moved);
            }
            match self.stream.read(input) {
                // Nothing waits for the receiver, so it has been handed all that came before. If it cannot be told, its
                // connection is lost, which reading will tell.
                Ok(0) => {
                    let _ = to.stream.shutdown(Shutdown::Write);
                    (*self.readable, *direction) = (false, Direction::Ended);
                }
                Ok(n) => {
                    moved += n as u64;
                    // As elsewhere: a short read has drained the socket, unless its end is still to be read.
                    *self.readable = n == input.len() || *self.read_closed;
                    to.send(&input[..n], direction, buffers);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => *self.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (Relayed::Lost, moved),
            }
        }
        (Relayed::More, moved)
    }
}

impl<N: Net> Proxy<N> {
    /// The backend has granted the upgrade. `rest`: what came behind its head.
    #[cold]
    pub(super) fn begin_tunnel(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        head: &ResponseHead<'_, '_>,
        rest: &[u8],
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let (Owner::Client(client_id), Some(upstream_id)) = (exchange.owner, exchange.upstream) else {
            return;
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return };
        self.head.clear();
        let told = self.tracer.told(id, self.servers.target(exchange.backend), now);
        rewrite::switching(head, told.as_ref(), &mut self.head);
        self.tracer.gave_out(id, || self.head.len() + rest.len());
        let sent =
            send(&mut client.stream, &mut client.unsent, &mut self.buffers, [&self.head, rest, &[], &[]]);
        if sent.is_err() {
            return self.client_gone(turn, client_id);
        }
        let mut tunnel = Tunnel {
            latency_ns: now.nanos_since(exchange.begun),
            to_upstream: Direction::Open,
            to_client: Direction::Open,
        };
        // A client should wait for the 101 (RFC 6455 §4.1). What it sent too early was kept back until now: had the
        // backend declined, it would have been the next request.
        if let Some(early) = client.pending.take() {
            self.tracer.took_in(id, early.len());
            upstream.half().send(early.as_slice(), &mut tunnel.to_upstream, &mut self.buffers);
            self.buffers.put(early);
        }
        client.state = ClientState::Tunnel(id);
        upstream.state = UpstreamState::Tunnel(id);
        upstream.deadline.clear();
        client.deadline.set(turn.timers, now + self.options.tunnel_idle_timeout, Timer::Client(client_id));
        let (flight, latency_ns) =
            (std::mem::take(&mut exchange.flight), now.nanos_since(exchange.attempted));
        self.servers.opened(exchange.backend, flight, latency_ns, now);
        exchange.request = RequestSide::Done;
        exchange.response = ResponseSide::Tunnel(tunnel);
        self.counters.tunnels_opened += 1;
        self.counters.tunnels_open += 1;
        turn.again(Token::new(CLIENT, client_id));
        turn.again(Token::new(UPSTREAM, upstream_id));
    }

    /// Something may have changed on one of a tunnel's connections.
    #[inline(never)]
    pub(super) fn tunnel_ready(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        side: Side,
        readiness: Readiness,
        input: &mut [u8],
    ) {
        let Some((client_id, upstream_id, mut tunnel)) = self.tunnel(id) else { return };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return };
        let before = (tunnel, client.condition(), upstream.condition());
        let (mut near, mut far) = (client.half(), upstream.half());
        let (half, direction) = match side {
            Side::Client => (&mut near, &mut tunnel.to_client),
            Side::Upstream => (&mut far, &mut tunnel.to_upstream),
        };
        half.note(readiness);
        if readiness.writable || readiness.broken {
            half.flush(direction, &mut self.buffers);
        }
        let (up, sent) = near.relay(&mut far, &mut tunnel.to_upstream, input, &mut self.buffers);
        let (down, received) = far.relay(&mut near, &mut tunnel.to_client, input, &mut self.buffers);
        let changed = before != (tunnel, client.condition(), upstream.condition());
        if let Some(exchange) = self.exchanges.get_mut(id) {
            exchange.response = ResponseSide::Tunnel(tunnel);
        }
        self.tracer.took_in(id, sent as usize);
        self.tracer.gave_out(id, || received as usize);
        if sent + received > 0 || changed {
            self.settle_tunnel(turn, client_id, upstream_id, tunnel);
        }
        match rules::tunnel(tunnel.to_upstream, tunnel.to_client, up == Relayed::Lost, down == Relayed::Lost)
        {
            TunnelStep::ClientLost => self.client_gone(turn, client_id),
            TunnelStep::UpstreamLost => self.happened(turn, id, Event::UpstreamReset),
            TunnelStep::Over => self.end_tunnel(turn, id),
            TunnelStep::GoOn => {
                let more = [(up, Token::new(CLIENT, client_id)), (down, Token::new(UPSTREAM, upstream_id))];
                more.into_iter()
                    .filter(|(relayed, _)| *relayed == Relayed::More)
                    .for_each(|(_, t)| turn.again(t));
            }
        }
    }

    /// Bytes have moved, or a side has ended. Once one has, the other is to come to its end as a body is.
    fn settle_tunnel(
        &mut self,
        turn: &mut Turn<'_, N>,
        client: ClientId,
        upstream: UpstreamId,
        tunnel: Tunnel,
    ) {
        let upstream_closed = self.upstreams.get(upstream).is_some_and(|u| u.read_closed);
        let Some(entry) = self.clients.get_mut(client) else { return };
        let both = tunnel.to_upstream == Direction::Open && tunnel.to_client == Direction::Open;
        let limit = match both && !entry.read_closed && !upstream_closed {
            true => self.options.tunnel_idle_timeout,
            false => self.options.body_timeout.min(self.options.tunnel_idle_timeout),
        };
        entry.deadline.set(turn.timers, turn.net.now() + limit, Timer::Client(client));
    }

    /// The two connections and the state of a tunnel, if the exchange has become one.
    fn tunnel(&self, id: ExchangeId) -> Option<(ClientId, UpstreamId, Tunnel)> {
        let exchange = self.exchanges.get(id)?;
        match (exchange.owner, exchange.upstream, exchange.response) {
            (Owner::Client(client), Some(upstream), ResponseSide::Tunnel(tunnel)) => {
                Some((client, upstream, tunnel))
            }
            _ => None,
        }
    }

    /// Whether a side of a tunnel is to be read now.
    pub(super) fn tunnel_wants(&self, id: ExchangeId, side: Side) -> bool {
        let Some((client, upstream, tunnel)) = self.tunnel(id) else { return false };
        match side {
            Side::Client => {
                tunnel.to_upstream == Direction::Open
                    && self.upstreams.get(upstream).is_some_and(|u| u.unsent.is_none())
            }
            Side::Upstream => {
                tunnel.to_client == Direction::Open
                    && self.clients.get(client).is_some_and(|c| c.unsent.is_none())
            }
        }
    }
}

impl<S> Client<S> {
    fn half(&mut self) -> Half<'_, S> {
        let Client { stream, readable, read_closed, unsent, .. } = self;
        Half { stream, readable, read_closed, unsent }
    }

    /// Whether its end has come, and how many bytes wait for it.
    fn condition(&self) -> (bool, Option<usize>) {
        (self.read_closed, self.unsent.as_ref().map(Buffer::len))
    }
}

impl<S> Upstream<S> {
    fn half(&mut self) -> Half<'_, S> {
        let Upstream { stream, readable, read_closed, unsent, .. } = self;
        Half { stream, readable, read_closed, unsent }
    }

    /// Whether its end has come, and how many bytes wait for it.
    fn condition(&self) -> (bool, Option<usize>) {
        (self.read_closed, self.unsent.as_ref().map(Buffer::len))
    }
}
