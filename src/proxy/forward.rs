//! A request on its way: selection, pool, connect or reuse, send.
//!
//! The hot path, to be read from top to bottom. Here: everything between a complete request head and its first bytes
//! on an upstream connection, and the rest of its body. Not here: reading it (`client.rs`) and what comes back
//! (`upstream.rs`). Floor 3.

use std::io;
use std::net::SocketAddr;

use super::client::{After, ClientState};
use super::exchange::{Course, Exchange, Owner, RequestSide, ResponseSide};
use super::failure::Failure;
use super::kind::{self, MAX_REPLAY_BYTES, RequestKind};
use super::rules::Event;
use super::target::Attempt;
use super::trace::{STALE_CONNECTION, reach};
use super::upstream::{Upstream, UpstreamState};
use super::{ClientId, ConnectionMode, ExchangeId, Proxy, Timer, Turn, UPSTREAM, UpstreamId};
use crate::balance::{BackendId, Choice};
use crate::buffer::Buffer;
use crate::h1::body::BodyReader;
use crate::h1::coding::{ChunkLine, Coding, parts};
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::h1::request::RequestHead;
use crate::h1::rewrite::{self, RequestContext};
use crate::h1::{BodyLength, Version};
use crate::net::{Connect, Net, Token, is_exhaustion, send};
use crate::record::{Averages, Mode, Record};
use crate::telemetry::console::{self, ConnectionEvent};
use crate::time::Instant;

/// What is left of a request head once the head to be forwarded is written.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) len: usize,
    choice: Option<Choice>,
    body: BodyLength,
    kind: RequestKind,
    /// It may be sent more than once, and is if that is worth it.
    repeatable: bool,
    expects_continue: bool,
    version: Version,
    persistence: Persistence,
    now: Instant,
}

impl<N: Net> Proxy<N> {
    /// Chooses the backend and writes the head that it gets.
    pub(super) fn plan(&mut self, turn: &mut Turn<'_, N>, id: ClientId, head: &RequestHead<'_, '_>) -> Plan {
        let now = turn.now();
        let kind = RequestKind::of(head, &self.options.repeatable);
        let repeatable = self.servers.balance.hedges() && kind.may_have_copies() && kind::is_kept_whole(head);
        let choice = match repeatable {
            true => self.servers.balance.select_repeatable(now),
            false => self.servers.balance.select(now),
        };
        let keep = self.serves_another(id, now);
        self.head.clear();
        let request_id = self.tracer.identify(head);
        if let (Some(choice), Some(client)) = (choice, self.clients.get(id)) {
            self.servers.tell(choice);
            let context = RequestContext {
                client: client.address.as_bytes(),
                authority: &self.servers.target(choice.backend).authority,
                close: self.options.connections == ConnectionMode::NonPersistent,
                request_id,
            };
            rewrite::request(head, &context, &mut self.head);
        }
        if self.tracer.is_on() {
            self.trace_choice(turn, id, head, choice, now);
        }
        Plan {
            len: head.len,
            choice,
            body: head.body,
            kind,
            repeatable,
            expects_continue: head.expects_continue(),
            version: head.version,
            persistence: if keep { head.persistence } else { Persistence::Close },
            now,
        }
    }

    /// Sends the request whose head is written, with what has come of its body in `rest`. Returns how many bytes of
    /// `rest` were body.
    pub(super) fn forward(
        &mut self,
        turn: &mut Turn<'_, N>,
        client: ClientId,
        plan: Plan,
        rest: &mut [u8],
    ) -> usize {
        let Some(choice) = plan.choice else {
            self.no_backend(turn, client, &plan);
            return if plan.body == BodyLength::None { 0 } else { rest.len() };
        };
        let mut reader = BodyReader::new(plan.body);
        let piece = match reader.read(rest) {
            Ok(piece) => piece,
            Err(violation) => {
                self.refuse(turn, client, violation, plan.kind == RequestKind::Head);
                return rest.len();
            }
        };
        let coding = if plan.body == BodyLength::Chunked { Coding::Chunked } else { Coding::Identity };
        let done = reader.is_done();
        let exchange = self.begin(turn, client, &plan, choice.backend);
        self.tracer.took_in(exchange, piece.consumed);
        if !done {
            if let Some(client) = self.clients.get_mut(client) {
                let most = self.options.limits.request.body_bytes;
                client.body_room = most.saturating_sub(piece.data.len() as u64);
            }
            self.set_request(exchange, RequestSide::Body { reader, coding });
        }
        let data = &rest[piece.data.clone()];
        let line = ChunkLine::new(coding, data.len());
        // An idempotent request that is not kept for another sending must not meet a connection that the backend has
        // just closed.
        let whole = self.head.len() + line.as_bytes().len() + data.len();
        let may_reuse = self.options.connections == ConnectionMode::Persistent
            && (!plan.kind.is_idempotent() || (done && whole <= MAX_REPLAY_BYTES));
        if plan.repeatable && done && whole <= MAX_REPLAY_BYTES {
            self.enter(turn, exchange, choice, plan.now);
            self.shadow(turn, exchange, choice, data, plan.now);
        }
        if !(may_reuse && self.send_reused(turn, exchange, plan.now, coding, &line, data, done)) {
            let request = self.buffers.gather(&parts(&self.head, coding, &line, data, done));
            let attempt = self.servers.target(choice.backend).attempt();
            self.connect(turn, exchange, request, attempt);
        }
        piece.consumed
    }

    fn begin(
        &mut self,
        turn: &mut Turn<'_, N>,
        client: ClientId,
        plan: &Plan,
        backend: BackendId,
    ) -> ExchangeId {
        let flight = self.servers.started(backend, plan.now);
        let id = self.exchanges.insert(Exchange {
            owner: Owner::Client(client),
            upstream: None,
            backend,
            flight,
            mode: self.servers.balance.mode(),
            begun: plan.now,
            attempted: plan.now,
            request: RequestSide::Done,
            response: ResponseSide::Pending,
            version: plan.version,
            kind: plan.kind,
            persistence: plan.persistence,
            awaits_continue: plan.expects_continue,
            course: Course::Fresh,
            replay: None,
        });
        self.tracer.begin(id);
        self.begun += 1;
        self.arm_flush(turn, plan.now);
        if let Some(client) = self.clients.get_mut(client) {
            client.state = ClientState::Busy(id);
            client.deadline.clear();
        }
        id
    }

    /// Sends on the newest idle connection that still takes it; `false` if there is none.
    #[allow(clippy::too_many_arguments, reason = "the parts of one message, borrowed from different places")]
    pub(super) fn send_reused(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        now: Instant,
        coding: Coding,
        line: &ChunkLine,
        data: &[u8],
        done: bool,
    ) -> bool {
        let Some((backend, idempotent)) = self.exchanges.get(id).map(|e| (e.backend, e.kind.is_idempotent()))
        else {
            return true;
        };
        while let Some(upstream_id) = self.servers.pool(backend).take() {
            let Some(upstream) = self.upstreams.get_mut(upstream_id) else { continue };
            let message = parts(&self.head, coding, line, data, done);
            let sent = send(&mut upstream.stream, &mut upstream.unsent, &mut self.buffers, message);
            if let Err(broken) = sent {
                self.counters.connections_stale += 1;
                self.close_upstream(turn, upstream_id);
                if broken.taken > 0 && !idempotent {
                    self.happened(turn, id, Event::UpstreamReset);
                    return true;
                }
                self.trace_retry(turn, id, backend, STALE_CONNECTION);
                continue;
            }
            self.counters.connections_reused += 1;
            console::connection(ConnectionEvent::Reused, self.servers.url(backend));
            upstream.state = UpstreamState::Carrying(id);
            upstream.reused = true;
            self.tracer.note(id, |trace| {
                trace.reused = true;
                reach(&mut trace.phases.connected, turn.now());
            });
            let Some(exchange) = self.exchanges.get_mut(id) else { return true };
            exchange.upstream = Some(upstream_id);
            exchange.course = Course::Reused;
            if idempotent {
                exchange.replay = Some(match data.is_empty() && coding == Coding::Identity {
                    true => self.buffers.keep(&mut self.head),
                    false => self.buffers.gather(&message),
                });
            }
            self.settle_deadlines(turn, id, now);
            return true;
        }
        false
    }

    /// Opens a connection to the exchange's backend; `request` goes out when it stands.
    pub(super) fn connect(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        request: Buffer,
        mut attempt: Attempt,
    ) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return self.buffers.put(request) };
        if exchange.course == Course::Reused {
            exchange.course = Course::Fresh;
        }
        let backend = exchange.backend;
        let mut failed = Event::Refused;
        while let Some(address) = self.servers.target(backend).address(attempt) {
            match self.open_upstream(turn, id, address, attempt) {
                Ok((upstream_id, next)) => {
                    let limit = turn.now() + self.options.connect_timeout;
                    if let Some(upstream) = self.upstreams.get_mut(upstream_id) {
                        upstream.unsent = Some(request);
                        upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
                    }
                    if next == Connect::TryNow {
                        self.connected(turn, upstream_id, id, attempt);
                    }
                    return;
                }
                Err(e) if is_ours(&e) => {
                    let (now, url) = (turn.now(), self.servers.url(backend));
                    self.told.error(now, || format!("no socket to {url} can be had: {e} ({})", advice(&e)));
                    failed = Event::NoSocket;
                    break;
                }
                Err(_) => attempt = attempt.next(),
            }
        }
        self.never_sent(turn, id, request, failed);
    }

    /// No connection came about for this request.
    pub(super) fn never_sent(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        request: Buffer,
        event: Event,
    ) {
        match self.exchanges.get_mut(id) {
            Some(exchange) => exchange.replay = Some(request),
            None => self.buffers.put(request),
        }
        self.happened(turn, id, event);
    }

    /// Begins to connect.
    fn open_upstream(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        address: SocketAddr,
        attempt: Attempt,
    ) -> io::Result<(UpstreamId, Connect)> {
        let exchange = self.exchanges.get(id).ok_or(io::ErrorKind::NotFound)?;
        let backend = exchange.backend;
        // Copies are not worth another's connection.
        let insists = !matches!(exchange.owner, Owner::Copy(_) | Owner::Nobody);
        let (stream, next) = self.open_socket(turn, address, insists)?;
        let upstream_id = self.upstreams.insert(Upstream::connecting(stream, backend, id, attempt));
        let upstream = self.upstreams.get_mut(upstream_id).ok_or(io::ErrorKind::NotFound)?;
        if let Err(e) = turn.net.register(&mut upstream.stream, Token::new(UPSTREAM, upstream_id)) {
            self.upstreams.remove(upstream_id);
            return Err(e);
        }
        if let Some(exchange) = self.exchanges.get_mut(id) {
            exchange.upstream = Some(upstream_id);
        }
        self.counters.connections_opened += 1;
        console::connection(ConnectionEvent::Opened, self.servers.url(backend));
        Ok((upstream_id, next))
    }

    /// Further bytes of a request body. Returns how many of them belong to it.
    pub(super) fn body_bytes(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, bytes: &mut [u8]) -> usize {
        let Some(exchange) = self.exchanges.get_mut(id) else { return bytes.len() };
        let RequestSide::Body { reader, coding } = &mut exchange.request else { return 0 };
        let Owner::Client(client) = exchange.owner else { return 0 };
        let Some(client) = self.clients.get_mut(client) else { return 0 };
        let Ok(piece) = reader.read(bytes) else {
            self.happened(turn, id, Event::RequestBodyMalformed);
            return bytes.len();
        };
        let Some(left) = client.body_room.checked_sub(piece.data.len() as u64) else {
            self.happened(turn, id, Event::RequestBodyTooLarge);
            return bytes.len();
        };
        client.body_room = left;
        let (done, coding) = (reader.is_done(), *coding);
        exchange.awaits_continue = false;
        self.tracer.took_in(id, piece.consumed);
        let Some(upstream_id) = exchange.upstream else { return bytes.len() };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return bytes.len() };
        let data = &bytes[piece.data];
        let line = ChunkLine::new(coding, data.len());
        let message = parts(&[], coding, &line, data, done);
        let sent = send(&mut upstream.stream, &mut upstream.unsent, &mut self.buffers, message);
        if done {
            exchange.request = RequestSide::Done;
        }
        if sent.is_err() {
            exchange.request = RequestSide::Abandoned;
            upstream.lost_for_writing(&mut self.buffers);
            turn.again(Token::new(UPSTREAM, upstream_id));
        }
        let now = turn.now();
        self.settle_deadlines(turn, id, now);
        piece.consumed
    }

    pub(super) fn set_request(&mut self, id: ExchangeId, request: RequestSide) {
        if let Some(exchange) = self.exchanges.get_mut(id) {
            exchange.request = request;
        }
    }

    /// There is nothing to choose from. Beside a classifier that may be meant so: then there is no such path.
    fn no_backend(&mut self, turn: &mut Turn<'_, N>, client: ClientId, plan: &Plan) {
        let nowhere = self.options.backends.is_empty() && self.options.batching.is_some();
        let failure = if nowhere { Failure::NoRoute } else { Failure::NoBackend };
        let row = failure.consequence();
        let record = Record {
            ended: turn.net.wall(plan.now),
            latency_ns: 1,
            backend: None,
            status: row.status,
            mode: Mode::Routing(self.servers.balance.mode()),
            failed: false,
            reused: false,
            connect_us: 0,
            averages: Averages::UNMEASURED,
        };
        self.recorder.push(record);
        self.arm_flush(turn, plan.now);
        let (id, trace) = (self.tracer.id(), self.tracer.draft().copied());
        let fields = self.tracer.reply_lines(id.as_ref(), trace.as_ref(), None, turn.now());
        let keep = plan.persistence == Persistence::KeepAlive && plan.body == BodyLength::None;
        let reply = Reply {
            status: row.status,
            reason: row.reason,
            fields: &fields,
            detail: row.detail,
            to_head: plan.kind == RequestKind::Head,
            version: plan.version,
            persistence: if keep { Persistence::KeepAlive } else { Persistence::Close },
        };
        self.reply(turn, client, &reply, if keep { After::KeepAlive } else { After::Linger });
        self.trace_unsent(turn, record, failure.name());
    }
}

/// Whether the error says that this machine has run out of something, rather than that the backend is not there.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, StorageFull};
    // epoll_ctl(2) says ENOSPC when the user watches too many descriptors.
    is_exhaustion(error) || matches!(error.kind(), AddrNotAvailable | StorageFull)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "no free local port: use --connections persistent, more of --source-address or a wider net.ipv4.ip_local_port_range"
        }
        _ => "raise the descriptor limit or lower --max-connections",
    }
}
