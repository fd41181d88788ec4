//! A connection to a backend: connecting, idle, carrying.
//!
//! Here: the connection's states and when it is read. Not here: what it says (`response.rs`), choosing the backend and
//! sending (`forward.rs`), the order of reuse (`pool.rs`), the end (`closing.rs`). Floor 3.

use std::io::{self, Read};

use super::exchange::{Owner, RequestSide};
use super::private::BelongsTo;
use super::rules::{self, Event, Silence, UpstreamStep};
use super::target::Attempt;
use super::trace::reach;
use super::tunnel::Side;
use super::{CLIENT, ClientId, ExchangeId, Proxy, Reuse, Timer, Turn, UPSTREAM, UpstreamId};
use crate::balance::BackendId;
use crate::buffer::{Buffer, BufferPool};
use crate::deadline::Deadline;
use crate::net::{Net, Readiness, Stream, Token, flush};
use crate::time::Instant;

/// How many reads one upstream gets before the others have their turn.
const READS_PER_TURN: usize = 4;

/// What an upstream connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpstreamState {
    /// Opening for this exchange.
    Connecting { exchange: ExchangeId, attempt: Attempt },
    /// This exchange is on it.
    Carrying(ExchangeId),
    /// What it says goes to a client, and what the client says to it.
    Tunnel(ExchangeId),
    /// In the pool.
    Idle,
    /// At rest until this client's next request (`private.rs`).
    Kept(ClientId),
}

/// What a connection was to the exchange that it carried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    /// It had served one before.
    pub(super) reused: bool,
    /// If not, and it was opened: how many microseconds that took, at least 1.
    pub(super) connect_us: u32,
}

/// A connection to a backend.
pub(super) struct Upstream<S> {
    pub(super) stream: S,
    pub(super) backend: BackendId,
    pub(super) state: UpstreamState,
    /// It has served an exchange before.
    pub(super) reused: bool,
    /// How many exchanges it has carried, up to the next look at it (`unasked.rs`).
    pub(super) carried: u8,
    /// Whom it may serve.
    pub(super) belongs: BelongsTo,
    /// It may lead to an address that its backend has left.
    pub(super) outdated: bool,
    /// Microseconds from the beginning of the attempt until it took bytes; 0 before.
    connect_us: u32,
    /// Bytes may be waiting in the socket.
    pub(super) readable: bool,
    /// The backend sends no more.
    pub(super) read_closed: bool,
    /// Part of a response head.
    pub(super) pending: Option<Buffer>,
    /// Not yet taken by the socket.
    pub(super) unsent: Option<Buffer>,
    pub(super) deadline: Deadline,
}

/// What came of writing to a connection that may have opened.
enum FirstWrite {
    /// Nothing could be written yet.
    Nothing,
    Part,
    /// All of this was.
    All(Buffer),
    /// It has not opened, and this is still to be sent.
    Failed(io::Error, Buffer),
}

impl<S: Stream> Upstream<S> {
    pub(super) fn connecting(
        stream: S,
        backend: BackendId,
        exchange: ExchangeId,
        attempt: Attempt,
    ) -> Upstream<S> {
        Upstream {
            stream,
            backend,
            state: UpstreamState::Connecting { exchange, attempt },
            reused: false,
            carried: 0,
            belongs: BelongsTo::All,
            outdated: false,
            connect_us: 0,
            readable: false,
            read_closed: false,
            pending: None,
            unsent: None,
            deadline: Deadline::default(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, UpstreamState::Idle | UpstreamState::Kept(_))
    }

    /// What it is to the exchange that it carries.
    #[inline]
    pub(super) fn as_carried(&self) -> Carried {
        Carried { reused: self.reused, connect_us: if self.reused { 0 } else { self.connect_us } }
    }

    pub(super) fn is_connected(&self) -> bool {
        !matches!(self.state, UpstreamState::Connecting { .. })
    }

    /// Writes the request that waits.
    fn flush_first(&mut self, buffers: &mut BufferPool) -> FirstWrite {
        let Some(mut request) = self.unsent.take() else { return FirstWrite::Nothing };
        let mut sent = 0;
        while sent < request.len() {
            match self.stream.write(&request.as_slice()[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if sent == 0 && e.kind() != io::ErrorKind::WouldBlock => {
                    return FirstWrite::Failed(e, request);
                }
                Err(e) => {
                    request.consume(sent);
                    self.unsent = Some(request);
                    if e.kind() != io::ErrorKind::WouldBlock {
                        self.lost_for_writing(buffers);
                    }
                    return if sent == 0 { FirstWrite::Nothing } else { FirstWrite::Part };
                }
            }
        }
        FirstWrite::All(request)
    }

    /// The backend takes no more bytes. A response that it sent before may still be read.
    pub(super) fn lost_for_writing(&mut self, buffers: &mut BufferPool) {
        self.unsent.take().into_iter().for_each(|b| buffers.put(b));
        self.readable = true;
        self.read_closed = true;
    }
}

impl<N: Net> Proxy<N> {
    pub(super) fn upstream_ready(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: UpstreamId,
        readiness: Readiness,
        input: &mut [u8],
    ) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        // What broke the connection is told by reading it, after the bytes that came before.
        upstream.readable |= readiness.readable || readiness.read_closed || readiness.broken;
        upstream.read_closed |= readiness.read_closed || readiness.broken;
        let writable = readiness.writable || readiness.broken;
        match rules::upstream_ready(upstream.state, writable, upstream.unsent.is_some()) {
            UpstreamStep::Wait => {}
            UpstreamStep::TryFirstWrite(exchange, attempt) => self.connected(turn, id, exchange, attempt),
            UpstreamStep::CheckIdle => self.check_idle(turn, id, input),
            UpstreamStep::Tunnel(exchange) => {
                self.tunnel_ready(turn, exchange, Side::Upstream, readiness, input);
            }
            UpstreamStep::Relay => self.upstream_progress(turn, id, input),
            UpstreamStep::FlushAndRelay(exchange) => {
                self.flush_upstream(turn, id, exchange, input);
                self.upstream_progress(turn, id, input);
            }
        }
    }

    /// The attempt to connect has ended: the first write tells how.
    pub(super) fn connected(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: UpstreamId,
        exchange_id: ExchangeId,
        attempt: Attempt,
    ) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        let backend = upstream.backend;
        let mut whole = None;
        match upstream.flush_first(&mut self.buffers) {
            FirstWrite::Nothing => return,
            FirstWrite::Part => {}
            FirstWrite::All(request) => whole = Some(request),
            FirstWrite::Failed(error, request) => {
                log::debug!("connecting to {} failed: {error}", self.servers.url(backend));
                self.close_upstream(turn, id);
                return self.connect(turn, exchange_id, request, attempt.next());
            }
        }
        let now = turn.net.now();
        let Some(exchange) = self.exchanges.get_mut(exchange_id) else {
            return whole.into_iter().for_each(|request| self.buffers.put(request));
        };
        let connect_us = now.nanos_since(exchange.attempted) / 1_000;
        upstream.connect_us = u32::try_from(connect_us).unwrap_or(u32::MAX).max(1);
        upstream.state = UpstreamState::Carrying(exchange_id);
        self.tracer.note(exchange_id, |trace| reach(&mut trace.phases.connected, turn.now()));
        if upstream.readable {
            turn.again(Token::new(UPSTREAM, id));
        }
        let is_sent = whole.is_some();
        match whole {
            Some(request) if exchange.may_go_elsewhere(&request) => exchange.replay = Some(request),
            whole => whole.into_iter().for_each(|request| self.buffers.put(request)),
        }
        self.servers.targets[usize::from(backend.0)].connected(attempt);
        match (exchange.request, exchange.owner) {
            // As on a kept connection (`reuse.rs`).
            (RequestSide::Done, Owner::Client(_)) if is_sent && !self.tracer.is_on() => {
                let limit = now + self.options.upstream_timeout;
                upstream.deadline.set(turn.timers, limit, Timer::Upstream(id));
            }
            (request, owner) => {
                self.settle_deadlines(turn, exchange_id, now);
                if let (RequestSide::Body { .. }, Owner::Client(client)) = (request, owner) {
                    turn.again(Token::new(CLIENT, client));
                }
            }
        }
    }

    /// The backend takes bytes again.
    fn flush_upstream(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: UpstreamId,
        exchange: ExchangeId,
        input: &mut [u8],
    ) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        let unsent = |upstream: &Upstream<N::Stream>| upstream.unsent.as_ref().map(Buffer::len);
        let before = unsent(upstream);
        if flush(&mut upstream.stream, &mut upstream.unsent, &mut self.buffers).is_err() {
            upstream.lost_for_writing(&mut self.buffers);
            self.set_request(exchange, RequestSide::Abandoned);
        }
        if self.upstreams.get(id).and_then(unsent) == before {
            return;
        }
        let now = turn.now();
        self.request_moved(turn, exchange, now);
        self.resume_request(turn, exchange, input);
    }

    /// The upstream has room: reads on from the client, if a body is under way.
    fn resume_request(&mut self, turn: &mut Turn<'_, N>, exchange: ExchangeId, input: &mut [u8]) {
        let Some(exchange) = self.exchanges.get(exchange) else { return };
        if let (RequestSide::Body { .. }, Owner::Client(client)) = (exchange.request, exchange.owner) {
            self.client_progress(turn, client, input);
        }
    }

    /// The client has room: reads on from the upstream.
    pub(super) fn resume_response(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, input: &mut [u8]) {
        let Some(upstream) = self.exchanges.get(id).and_then(|e| e.upstream) else { return };
        let now = turn.now();
        self.settle_deadlines(turn, id, now);
        self.upstream_progress(turn, upstream, input);
    }

    /// An idle connection must say nothing. Whatever it says, even the end, it cannot be used again.
    fn check_idle(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId, input: &mut [u8]) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        if !upstream.readable {
            return;
        }
        let backend = upstream.backend;
        match upstream.stream.read(input) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => upstream.readable = false,
            read => {
                self.close_idle(turn, id);
                if let Ok(said @ 1..) = read {
                    self.spoke_unasked(turn, backend, &input[..said]);
                }
                self.tell_soon(turn);
            }
        }
    }

    /// Reads the response until nothing is left, the client has no room, or the turn's share is used up.
    pub(super) fn upstream_progress(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId, input: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            let Some(upstream) = self.upstreams.get_mut(id) else { return };
            let UpstreamState::Carrying(exchange_id) = upstream.state else { return };
            let Some(exchange) = self.exchanges.get(exchange_id) else { return };
            let full = match exchange.owner {
                Owner::Client(client) => self.clients.get(client).is_none_or(|c| c.unsent.is_some()),
                Owner::Batch(_) | Owner::Copy(_) | Owner::Nobody => false,
            };
            if !upstream.readable || full {
                return;
            }
            match upstream.stream.read(input) {
                Ok(0) => return self.happened(turn, exchange_id, Event::UpstreamClosed),
                Ok(n) => {
                    // As in `read_client`: a short read has drained the socket, unless its end is still to be read.
                    upstream.readable = n == input.len() || upstream.read_closed;
                    let now = turn.now();
                    self.upstream_bytes(turn, id, exchange_id, &mut input[..n], now);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => upstream.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.happened(turn, exchange_id, Event::UpstreamReset),
            }
        }
        turn.again(Token::new(UPSTREAM, id));
    }

    /// The exchange of `owner` on it is complete: it rests if it may be used again, which `keep` says of the exchange, else it
    /// is closed by the end of the turn.
    #[inline(always)]
    pub(super) fn release_upstream(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: Option<UpstreamId>,
        (owner, keep): (Owner, bool),
        now: Instant,
    ) -> Carried {
        let Some((id, upstream)) = id.and_then(|id| Some((id, self.upstreams.get_mut(id)?))) else {
            return Carried::default();
        };
        let carried = upstream.as_carried();
        let is_clean = !upstream.read_closed && upstream.unsent.is_none() && !upstream.readable;
        if !(keep && is_clean && !upstream.outdated && self.servers.keeps_connections(upstream.backend)) {
            self.close_soon(turn, id);
            return carried;
        }
        let (backend, limit) = (upstream.backend, self.options.limits.pool_per_backend);
        let pool = self.servers.pool(backend);
        if upstream.belongs == BelongsTo::All && self.options.reuse != Reuse::Never && pool.is_trusted(now) {
            if upstream.goes_on() {
                self.goes_on(turn, id);
                return carried;
            }
            upstream.state = UpstreamState::Idle;
            upstream.deadline.set(turn.timers, now + self.options.pool_idle_timeout, Timer::Upstream(id));
            pool.end_use();
            pool.put(id);
            if pool.is_over(limit) {
                self.close_oldest(turn, backend);
            }
        } else {
            self.keep_own(turn, id, owner, now);
        }
        carried
    }

    pub(super) fn upstream_expired(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) {
        let now = turn.now();
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        if !upstream.deadline.has_passed(turn.timers, now, Timer::Upstream(id)) {
            return;
        }
        let backend = upstream.backend;
        let next = match upstream.state {
            UpstreamState::Connecting { attempt, .. } if upstream.unsent.is_some() => {
                Some(attempt.next()).filter(|next| self.servers.target(backend).address(*next).is_some())
            }
            _ => None,
        };
        match rules::upstream_expired(upstream.state, next) {
            Silence::NextAddress(exchange, attempt) => {
                let Some(request) = upstream.unsent.take() else { return };
                self.close_upstream(turn, id);
                self.connect(turn, exchange, request, attempt);
            }
            Silence::Tell(exchange, event) => match upstream.unsent.take() {
                Some(request) if !upstream.is_connected() => self.never_sent(turn, exchange, request, event),
                unsent => {
                    upstream.unsent = unsent;
                    self.happened(turn, exchange, event);
                }
            },
            Silence::Close => {
                self.close_idle(turn, id);
                self.tell_soon(turn);
            }
        }
    }
}
