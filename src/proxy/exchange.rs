//! Exchanges: a request with its response, and how they end.
//!
//! Here: what is known of an exchange in flight, and the two ways out of it, through which all ends go: complete and
//! failed. So in-flight counters, records, connections and buffers cannot drift. Not here: noticing the end
//! (`client.rs`, `upstream.rs`, `timeouts.rs`), and the end of a further copy that is of no use any more (`race.rs`). Floor 3.

use super::client::After;
use super::failure::Failure;
use super::kind::{MAX_REPLAY_BYTES, RequestKind};
use super::rules::{self, Effect, Ending, Event, Progress};
use super::timeouts::Interim;
use super::tunnel::Tunnel;
use super::upstream::Carried;
use super::{CallId, ClientId, ExchangeId, Proxy, Turn, UpstreamId};
use crate::balance::{BackendId, Flight, Outcome, RoutingMode};
use crate::buffer::Buffer;
use crate::h1::Version;
use crate::h1::body::BodyReader;
use crate::h1::coding::Coding;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::net::{Net, Stream};
use crate::record::{Mode, Record};
use crate::time::Instant;

/// The request on its way to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestSide {
    /// The head is sent; the body is coming.
    Body { reader: BodyReader, coding: Coding },
    /// All of it has been read from the client.
    Done,
    /// The backend takes no more of it; it may have responded already.
    Abandoned,
}

/// The response on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseSide {
    /// No head has come.
    Pending,
    /// Interim heads have come, and no final one.
    Interim(Interim),
    /// The head has gone to the client; the body is coming.
    Body(ResponseBody),
    /// A 101 has gone to the client; what follows is no longer HTTP.
    Tunnel(Tunnel),
}

/// What the response head has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseBody {
    pub(super) reader: BodyReader,
    pub(super) coding: Coding,
    pub(super) status: u16,
    /// The end of the client's connection is the end of the body.
    pub(super) ends_at_close: bool,
    pub(super) keep_upstream: bool,
    pub(super) after: After,
}

/// Whom the response is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The client whose request it is.
    Client(ClientId),
    /// The batch that several clients' requests share.
    Batch(CallId),
    /// Another exchange: this is a further copy of its request.
    Copy(ExchangeId),
    /// The selector alone, which learns from it how the backend does.
    Nobody,
}

/// Where a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// On a connection of its own.
    Fresh,
    /// On a connection that had served another.
    Reused,
    /// To a second backend, on a connection of its own.
    Elsewhere,
}

/// A request in flight.
pub(super) struct Exchange {
    pub(super) owner: Owner,
    /// The connection that carries it, once there is one.
    pub(super) upstream: Option<UpstreamId>,
    pub(super) backend: BackendId,
    /// The selector's note of the present attempt.
    pub(super) flight: Flight,
    pub(super) mode: RoutingMode,
    /// When it was first sent, or the first connection for it begun.
    pub(super) begun: Instant,
    /// The same of the present attempt.
    pub(super) attempted: Instant,
    pub(super) request: RequestSide,
    pub(super) response: ResponseSide,
    pub(super) version: Version,
    pub(super) kind: RequestKind,
    /// Whether the client's connection may be kept.
    pub(super) persistence: Persistence,
    /// The client sends its body only after a 100, or when it tires of waiting: it is not its turn.
    pub(super) awaits_continue: bool,
    /// The request has credentials for its connection: it is sent once, since the answer depends on where it stands there.
    pub(super) logs_in: bool,
    pub(super) course: Course,
    /// Bytes of an answer have come.
    pub(super) is_heard: bool,
    /// The whole request as it was sent, or as much of it as is there and was never sent, for one more sending.
    pub(super) replay: Option<Buffer>,
}

impl ResponseSide {
    /// Whether no final head has come.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(self, ResponseSide::Pending | ResponseSide::Interim(_))
    }
}

impl Exchange {
    /// A further copy is not sent to yet another backend: others are under way.
    fn is_movable(&self) -> bool {
        self.course == Course::Fresh && matches!(self.owner, Owner::Client(_) | Owner::Batch(_))
    }

    /// Its request is kept whole, and went to one backend alone, whose answer is not passed on.
    pub(super) fn may_answer_elsewhere(&self) -> bool {
        self.replay.is_some()
            && self.request == RequestSide::Done
            && self.response == ResponseSide::Pending
            && self.course != Course::Elsewhere
            && matches!(self.owner, Owner::Client(_) | Owner::Batch(_))
    }

    /// Whether the whole of it, sent as far as it has come, is to be kept for another backend.
    pub(super) fn may_go_elsewhere(&self, request: &Buffer) -> bool {
        self.kind.is_idempotent()
            && !self.logs_in
            && self.course == Course::Fresh
            && self.request == RequestSide::Done
            && request.len() <= MAX_REPLAY_BYTES
    }

    fn progress(&self) -> Progress {
        match self.response {
            ResponseSide::Pending if self.replay.is_none() || self.is_heard => Progress::Pending,
            ResponseSide::Pending if self.course == Course::Reused => Progress::Stale,
            ResponseSide::Pending if self.is_movable() => Progress::Movable,
            ResponseSide::Pending | ResponseSide::Interim(_) => Progress::Pending,
            ResponseSide::Body(body) if body.reader.ends_at_close() => Progress::UntilClose,
            ResponseSide::Body(_) => Progress::Framed,
            ResponseSide::Tunnel(_) => Progress::Tunnel,
        }
    }

    /// How long it took, for its record; of a tunnel, until it was one: the rest is its users' time.
    fn latency_ns(&self, now: Instant) -> u64 {
        match self.response {
            ResponseSide::Tunnel(tunnel) => tunnel.latency_ns,
            ResponseSide::Pending | ResponseSide::Interim(_) | ResponseSide::Body(_) => {
                now.nanos_since(self.begun)
            }
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Something other than progress has befallen the exchange: does what follows from it.
    pub(super) fn happened(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, event: Event) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if exchange.owner == Owner::Nobody && !exchange.response.is_pending() {
            return self.end_sample(turn, id);
        }
        let event = match (event, exchange.owner) {
            (Event::UpstreamExpired, Owner::Client(_)) if !exchange.response.is_pending() => {
                Event::StreamIdle
            }
            _ => event,
        };
        let mut progress = exchange.progress();
        let is_stale =
            progress == Progress::Stale && matches!(event, Event::UpstreamClosed | Event::UpstreamReset);
        if exchange.response.is_pending() && !is_stale && self.is_raced(id) {
            progress = Progress::Raced;
        }
        match rules::exchange(event, progress) {
            Effect::Complete => self.body_ended_by_close(turn, id),
            Effect::SendAgain => self.send_again(turn, id),
            Effect::SendElsewhere(failure) => self.send_elsewhere(turn, id, failure),
            Effect::DropAttempt(failure) => self.drop_attempt(turn, id, failure),
            Effect::EndTunnel => self.end_tunnel(turn, id),
            Effect::Fail(failure) => self.fail(turn, id, failure),
        }
    }

    /// The response has been passed on whole. `surplus`: the backend sent more than it said.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, surplus: bool, now: Instant) {
        let Some(mut exchange) = self.exchanges.remove(id) else { return };
        let ResponseSide::Body(body) = exchange.response else { return };
        let outcome = match exchange.attempted < turn.timers.stalls().until {
            // How long the answer took to be read is our doing.
            true => Outcome::Cancelled,
            false if body.status >= 400 => self.answered_with(turn, body.status, exchange.attempted, now),
            false => Outcome::Answered { latency_ns: now.nanos_since(exchange.attempted), error: false },
        };
        self.servers.finished(exchange.backend, std::mem::take(&mut exchange.flight), outcome, now);
        let keep = body.keep_upstream && exchange.request == RequestSide::Done && !surplus;
        let carried = self.release_upstream(turn, exchange.upstream, (exchange.owner, keep), now);
        if surplus {
            self.spoke_unasked(turn, exchange.backend, b"");
        }
        exchange.replay.take().into_iter().for_each(|b| self.buffers.put(b));
        let client = match exchange.owner {
            Owner::Client(client) => client,
            Owner::Batch(call) => {
                self.trace_members(call, id, Some(now));
                return self.batch_answered(turn, call, body.status, now);
            }
            Owner::Copy(_) | Owner::Nobody => return,
        };
        // A FIN alone may be a half-close, and its sender still gets the response. If it has left altogether, a reset
        // answers the response: at once where it is near.
        let left = self.clients.get(client).is_some_and(|c| c.read_closed && c.stream.is_lost());
        let status = if left { Failure::ClientGone.consequence().status } else { body.status };
        let record = self.record(turn, &exchange, status, false, carried, now);
        if self.tracer.logs() {
            self.trace_answered(turn, id, record, left, now);
        }
        let after = match exchange.request {
            RequestSide::Done => body.after,
            RequestSide::Body { .. } | RequestSide::Abandoned => After::Linger,
        };
        self.conclude_at(turn, client, after, now);
    }

    /// What an error status, of an attempt begun at `attempted`, says of the backend.
    #[cold]
    pub(super) fn answered_with(
        &self,
        turn: &Turn<'_, N>,
        status: u16,
        attempted: Instant,
        now: Instant,
    ) -> Outcome {
        let latency_ns = now.nanos_since(attempted);
        match self.options.eject_on.is_some_and(|statuses| statuses.contains(status)) {
            _ if attempted < turn.timers.stalls().until => Outcome::Cancelled,
            true => Outcome::Faulty { latency_ns },
            false => Outcome::Answered { latency_ns, error: status >= 500 },
        }
    }

    /// The exchange has failed: the upstream connection is closed, and the client is told if it still can be.
    pub(super) fn fail(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, failure: Failure) {
        let Some(mut exchange) = self.exchanges.remove(id) else { return };
        let (now, row) = (turn.now(), failure.consequence());
        log::debug!("{}: {}", self.servers.url(exchange.backend), row.detail);
        let elapsed_ns = now.nanos_since(exchange.attempted);
        self.counters.cancelled_forwarded += u64::from(failure == Failure::ClientGone);
        let outcome = if row.blames_backend { Outcome::Failed { elapsed_ns } } else { Outcome::Cancelled };
        self.servers.finished(exchange.backend, std::mem::take(&mut exchange.flight), outcome, now);
        let carried = self.give_up_upstream(turn, exchange.upstream);
        exchange.replay.take().into_iter().for_each(|b| self.buffers.put(b));
        let client = match exchange.owner {
            Owner::Client(client) => client,
            Owner::Batch(call) => {
                self.trace_members(call, id, None);
                return self.batch_failed(turn, call, failure, now);
            }
            Owner::Copy(of) => return self.races.forget(of, id),
            Owner::Nobody => return,
        };
        if !self.races.is_unused() {
            self.call_off(turn, id, false, now);
        }
        let status = match exchange.response {
            ResponseSide::Body(body) if failure != Failure::ClientGone => body.status,
            _ => row.status,
        };
        let record = self.record(turn, &exchange, status, row.blames_backend, carried, now);
        let (head_sent, ends_at_close) = match exchange.response {
            ResponseSide::Pending | ResponseSide::Interim(_) => (false, false),
            ResponseSide::Body(body) => (true, body.ends_at_close),
            ResponseSide::Tunnel(_) => (true, false),
        };
        let keep = exchange.persistence == Persistence::KeepAlive && !self.is_draining();
        let mut told = 0;
        match rules::ending(failure, exchange.request, head_sent, ends_at_close, keep) {
            Ending::Silence => {}
            Ending::Reply(after) => {
                let fields = self.failure_lines(turn, id, exchange.backend);
                self.reply_failure(turn, client, (&exchange, &fields), failure, after);
                told = self.head.len();
            }
            Ending::Close => self.conclude(turn, client, After::Close),
            Ending::Reset => {
                if let Some(client) = self.clients.get_mut(client) {
                    client.stream.reset_on_close();
                }
                self.close_client(turn, client);
            }
        }
        if self.tracer.logs() {
            self.trace_end(turn, id, record, told, Some(failure.name()));
        }
    }

    /// A tunnel has come to its end: both its connections are closed, the client's after what waits for it.
    #[cold]
    pub(super) fn end_tunnel(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId) {
        let Some(mut exchange) = self.exchanges.remove(id) else { return };
        let now = turn.now();
        self.counters.tunnels_open -= 1;
        let flight = std::mem::take(&mut exchange.flight);
        self.servers.finished(exchange.backend, flight, Outcome::Cancelled, now);
        let carried = self.give_up_upstream(turn, exchange.upstream);
        let record = self.record(turn, &exchange, 101, false, carried, now);
        if self.tracer.logs() {
            self.trace_end(turn, id, record, 0, None);
        }
        if let Owner::Client(client) = exchange.owner {
            self.conclude(turn, client, After::Close);
        }
    }

    fn reply_failure(
        &mut self,
        turn: &mut Turn<'_, N>,
        client: ClientId,
        (exchange, fields): (&Exchange, &str),
        failure: Failure,
        after: After,
    ) {
        let row = failure.consequence();
        let reply = Reply {
            status: row.status,
            reason: row.reason,
            fields,
            detail: row.detail,
            to_head: exchange.kind == RequestKind::Head,
            version: exchange.version,
            persistence: if after == After::KeepAlive { Persistence::KeepAlive } else { Persistence::Close },
        };
        self.reply(turn, client, &reply, after);
    }

    /// Notes the end of an exchange; returns what is noted.
    pub(super) fn record(
        &mut self,
        turn: &mut Turn<'_, N>,
        exchange: &Exchange,
        status: u16,
        failed: bool,
        carried: Carried,
        now: Instant,
    ) -> Record {
        let record = Record {
            ended: turn.net.wall(now),
            latency_ns: exchange.latency_ns(now).max(1),
            backend: Some(exchange.backend),
            status,
            mode: Mode::Routing(exchange.mode),
            failed,
            reused: carried.reused,
            connect_us: carried.connect_us,
            averages: self.servers.averages(exchange.backend),
        };
        self.recorder.push(record);
        self.arm_flush(turn, now);
        record
    }
}
