//! A request on its way: selection, reuse or connect, send.
//!
//! The hot path, to be read from top to bottom. Here: everything between a complete request head and the connection that it
//! goes out on, and the rest of its body. Not here: reading it (`client.rs`), a connection that has served before (`reuse.rs`), a new
//! one (`connect.rs`), and what comes back (`upstream.rs`). Floor 3.

use super::client::{After, ClientState};
use super::exchange::{Course, Exchange, Owner, RequestSide, ResponseSide};
use super::failure::Failure;
use super::kind::{self, MAX_REPLAY_BYTES, RequestKind};
use super::rules::Event;
use super::slow_clients::SendTime;
use super::{ClientId, ConnectionMode, ExchangeId, Proxy, Turn, UPSTREAM};
use crate::balance::{BackendId, Choice};
use crate::h1::body::BodyReader;
use crate::h1::coding::{ChunkLine, Coding, parts};
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::h1::request::RequestHead;
use crate::h1::rewrite::{self, RequestContext};
use crate::h1::{BodyLength, Version};
use crate::net::{Net, Token, send};
use crate::record::{Averages, Mode, Record};
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
    /// It has credentials for the connection that it comes on.
    logs_in: bool,
    /// It goes where its client is known by a login.
    is_bound: bool,
    /// Its client's connection has had none before.
    is_first: bool,
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
        let logs_in = head.logs_in();
        let bound = if self.private.is_empty() { None } else { self.logged_in_at(id) };
        let repeatable = self.servers.balance.hedges()
            && kind.may_have_copies()
            && !logs_in
            && bound.is_none()
            && kind::is_kept_whole(head);
        let choice = match bound {
            None if repeatable => self.servers.balance.select_repeatable(now),
            None => self.servers.balance.select(now),
            bound => bound,
        };
        let keep = self.serves_another(id, now);
        self.head.clear();
        let request_id = self.tracer.identify(head);
        let mut is_first = true;
        if let (Some(choice), Some(client)) = (choice, self.clients.get(id)) {
            is_first = client.requests == 0;
            self.servers.tell(choice);
            let context = RequestContext {
                client: client.address.as_bytes(),
                authority: &self.servers.target(choice.backend).authority,
                close: self.options.connections == ConnectionMode::NonPersistent,
                via: &self.via,
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
            logs_in,
            is_bound: bound.is_some(),
            is_first,
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
                client.send_time = SendTime::of_body(&self.options);
            }
            self.set_request(exchange, RequestSide::Body { reader, coding });
        }
        let data = &rest[piece.data.clone()];
        let line = ChunkLine::new(coding, data.len());
        // An idempotent request that is not kept for another sending must not meet a connection that the backend has
        // just closed.
        let is_short = done && self.head.len() + line.as_bytes().len() + data.len() <= MAX_REPLAY_BYTES;
        let keeps = is_short && plan.kind.is_idempotent() && !plan.logs_in;
        let may_reuse = self.options.connections == ConnectionMode::Persistent
            && (is_short || !plan.kind.is_idempotent() || plan.is_bound);
        let from = self.source(client, plan.logs_in, plan.is_first);
        if plan.repeatable && is_short {
            self.enter(turn, exchange, choice, plan.now);
            self.shadow(turn, exchange, choice, data, plan.now);
        }
        if !(may_reuse
            && self.send_reused(
                turn,
                (exchange, choice.backend),
                from,
                plan.now,
                coding,
                &line,
                data,
                done,
                keeps,
            ))
        {
            let request = self.buffers.gather(&parts(&self.head, coding, &line, data, done));
            let attempt = self.servers.target(choice.backend).attempt();
            self.connect(turn, exchange, request, attempt);
        } else if plan.logs_in {
            self.has_login(exchange);
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
            logs_in: plan.logs_in,
            course: Course::Fresh,
            is_heard: false,
            replay: None,
        });
        self.tracer.begin(id);
        self.begun += 1;
        self.arm_flush(turn, plan.now);
        if let Some(client) = self.clients.get_mut(client) {
            client.state = ClientState::Busy(id);
            client.requests = client.requests.saturating_add(1);
            client.deadline.clear();
        }
        id
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
        client.send_time.gain(piece.consumed, &self.options, turn.now());
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
        self.request_moved(turn, id, now);
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
