//! The response on its way back.
//!
//! Here: what arrives on an upstream connection that carries an exchange, and what its loss means. Not here: the
//! connection itself (`upstream.rs`) and how the exchange ends (`exchange.rs`). Floor 3.

use super::batching::Gathered;
use super::client::After;
use super::exchange::{Owner, RequestSide, ResponseBody, ResponseSide};
use super::failure::Failure;
use super::kind::RequestKind;
use super::rules::Event;
use super::trace::reach;
use super::{ConnectionMode, ExchangeId, Proxy, Turn, UpstreamId};
use crate::h1::body::BodyReader;
use crate::h1::coding::{ChunkLine, Coding, parts};
use crate::h1::persistence::Persistence;
use crate::h1::request::field_space;
use crate::h1::response::ResponseHead;
use crate::h1::rewrite::{self, ResponseContext};
use crate::h1::{BodyLength, Version, Violation};
use crate::net::{Net, send};
use crate::time::Instant;

/// An answer that nobody waits for is not read if it is longer, or has no end that is told.
const MOST_SAMPLED_BYTES: u64 = 1 << 20;

/// What became of bytes that arrived on an upstream connection.
enum Fed {
    /// They are used up and the exchange goes on.
    All,
    /// From here on they are an incomplete head.
    Partial(usize),
    /// The exchange is over.
    Over,
}

impl<N: Net> Proxy<N> {
    pub(super) fn upstream_bytes(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: UpstreamId,
        exchange: ExchangeId,
        bytes: &mut [u8],
        now: Instant,
    ) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        self.tracer.note(exchange, |trace| reach(&mut trace.phases.first_byte, now));
        let (fed, buffer) = match upstream.pending.take() {
            Some(mut head) => {
                head.push(bytes);
                (self.response_bytes(turn, exchange, head.as_mut_slice(), now), Some(head))
            }
            None => (self.response_bytes(turn, exchange, bytes, now), None),
        };
        let upstream = self.upstreams.get_mut(id);
        match (fed, buffer, upstream) {
            (Fed::Partial(from), Some(mut head), Some(upstream)) => {
                head.consume(from);
                upstream.pending = Some(head);
            }
            (Fed::Partial(from), None, Some(upstream)) => {
                upstream.pending = Some(self.buffers.copy(&bytes[from..]));
            }
            (_, head, _) => head.into_iter().for_each(|b| self.buffers.put(b)),
        }
    }

    /// Takes interim heads, the final head and body bytes as they come.
    fn response_bytes(
        &mut self,
        turn: &mut Turn<'_, N>,
        mut id: ExchangeId,
        bytes: &mut [u8],
        now: Instant,
    ) -> Fed {
        let mut at = 0;
        loop {
            let Some(exchange) = self.exchanges.get_mut(id) else { return Fed::Over };
            // The backend has read the request: it is never sent again, unless its answer may be of a status that asks for that.
            exchange.is_heard = true;
            if self.options.retry_on.is_none() || !exchange.response.is_pending() {
                exchange.replay.take().into_iter().for_each(|b| self.buffers.put(b));
            }
            if let ResponseSide::Body(body) = exchange.response {
                self.head.clear();
                return self.relay_body(turn, id, body, &mut bytes[at..], now);
            }
            let (line_ends, to_head) = (self.options.line_ends, exchange.kind == RequestKind::Head);
            let mut space = field_space();
            let (len, body) = match ResponseHead::parse_with(line_ends, &bytes[at..], to_head, &mut space) {
                Ok(None) => return Fed::Partial(at),
                Ok(Some(head)) if head.status < 200 && head.status != 101 => {
                    at += head.len;
                    if !self.interim_head(turn, id, &head, now) {
                        return Fed::Over;
                    }
                    continue;
                }
                Ok(Some(head)) if head.status >= 200 => {
                    if self.options.retry_on.is_some() {
                        if self.retries_status(turn, id, head.status, now) {
                            return Fed::Over;
                        }
                        self.forget_request(id);
                    }
                    if !self.races.is_unused() {
                        let Some(known) = self.answered(turn, id, head.status, now) else {
                            return Fed::Over;
                        };
                        id = known;
                    }
                    (head.len, self.begin_response(turn, id, &head, now))
                }
                Ok(Some(head)) if exchange.kind == RequestKind::WebSocket && head.switches_to_websocket() => {
                    self.forget_request(id);
                    self.begin_tunnel(turn, id, &head, &bytes[at + head.len..], now);
                    return Fed::Over;
                }
                // A 101 that nobody asked for, or to another protocol, is malformed too.
                judged => {
                    let violation = judged.err().unwrap_or(Violation::UnaskedSwitch);
                    self.answer_malformed(turn, id, Event::ResponseHeadMalformed, violation);
                    return Fed::Over;
                }
            };
            let Some(body) = body else { return Fed::Over };
            return self.relay_body(turn, id, body, &mut bytes[at + len..], now);
        }
    }

    /// The request of an exchange is not sent again.
    #[cold]
    pub(super) fn forget_request(&mut self, id: ExchangeId) {
        let replay = self.exchanges.get_mut(id).and_then(|exchange| exchange.replay.take());
        replay.into_iter().for_each(|b| self.buffers.put(b));
    }

    /// 1xx: passed on, except to HTTP/1.0, which knows none (RFC 9110 §15.2). `false` if the client has gone.
    pub(super) fn pass_interim(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        head: &ResponseHead<'_, '_>,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(id) else { return false };
        if exchange.version == Version::Http10 {
            return true;
        }
        let Owner::Client(client_id) = exchange.owner else { return true };
        let Some(client) = self.clients.get_mut(client_id) else { return false };
        self.head.clear();
        rewrite::interim(head, &mut self.head);
        let parts = [&self.head[..], &[], &[], &[]];
        self.tracer.gave_out(id, || self.head.len());
        let sent = send(&mut client.stream, &mut client.unsent, &mut self.buffers, parts);
        if sent.is_err() {
            self.client_gone(turn, client_id);
        }
        sent.is_ok()
    }

    /// Writes the head for the client and settles how the body goes on and what follows.
    fn begin_response(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        head: &ResponseHead<'_, '_>,
        now: Instant,
    ) -> Option<ResponseBody> {
        if head.asks_for_login() {
            self.has_login(id);
        }
        let exchange = self.exchanges.get(id)?;
        if let Owner::Batch(call) = exchange.owner {
            let content_type = head.fields.iter().find(|f| f.name.eq_ignore_ascii_case("content-type"));
            self.gather_head(call, content_type.map(|f| f.value));
            return Some(self.not_passed_on(head));
        }
        if exchange.owner == Owner::Nobody {
            let is_long = match head.body {
                BodyLength::Exact(length) => length > MOST_SAMPLED_BYTES,
                BodyLength::UntilClose => true,
                BodyLength::None | BodyLength::Chunked => false,
            };
            if is_long {
                self.end_sample(turn, id);
                return None;
            }
            return Some(self.not_passed_on(head));
        }
        let closing = match exchange.owner {
            Owner::Client(client) => self.is_draining() || self.is_crowded_out(client, now),
            Owner::Copy(_) | Owner::Batch(_) | Owner::Nobody => false,
        };
        let coding = Coding::of(head.body, exchange.version);
        let unframed =
            coding == Coding::Identity && matches!(head.body, BodyLength::Chunked | BodyLength::UntilClose);
        let request_done = exchange.request == RequestSide::Done;
        let keep = exchange.persistence == Persistence::KeepAlive && request_done && !unframed && !closing;
        let persistence = if keep { Persistence::KeepAlive } else { Persistence::Close };
        let date = self.date.at(turn.net.wall(now));
        let told = self.tracer.told(id, self.servers.target(exchange.backend), now);
        let context = ResponseContext { version: exchange.version, coding, persistence, date, told };
        self.head.clear();
        rewrite::response(head, &context, &mut self.head);
        Some(ResponseBody {
            reader: BodyReader::new(head.body),
            coding,
            status: head.status,
            ends_at_close: unframed,
            keep_upstream: self.keeps_upstream(head.persistence),
            after: match (keep, request_done) {
                (true, _) => After::KeepAlive,
                (false, true) => After::Close,
                (false, false) => After::Linger,
            },
        })
    }

    /// The answer to a batch is not passed on, but read whole, and so is one that nobody waits for.
    fn not_passed_on(&self, head: &ResponseHead<'_, '_>) -> ResponseBody {
        ResponseBody {
            reader: BodyReader::new(head.body),
            coding: Coding::Identity,
            status: head.status,
            ends_at_close: false,
            // Whoever logs in there is not the one who asked.
            keep_upstream: self.keeps_upstream(head.persistence) && !head.asks_for_login(),
            after: After::Close,
        }
    }

    fn keeps_upstream(&self, persistence: Persistence) -> bool {
        persistence == Persistence::KeepAlive && self.options.connections == ConnectionMode::Persistent
    }

    /// Passes on what is in `self.head` and the body bytes behind it.
    fn relay_body(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        mut body: ResponseBody,
        bytes: &mut [u8],
        now: Instant,
    ) -> Fed {
        let piece = match body.reader.read(bytes) {
            Ok(piece) => piece,
            Err(violation) => {
                self.answer_malformed(turn, id, Event::ResponseBodyMalformed, violation);
                return Fed::Over;
            }
        };
        let Some(exchange) = self.exchanges.get_mut(id) else { return Fed::Over };
        exchange.response = ResponseSide::Body(body);
        let (surplus, data) = (piece.consumed < bytes.len(), &bytes[piece.data]);
        let client_id = match exchange.owner {
            Owner::Client(id) => id,
            Owner::Batch(call) => {
                match self.gather_answer(call, data) {
                    Gathered::Kept if body.reader.is_done() => self.complete(turn, id, surplus, now),
                    Gathered::Kept => return Fed::All,
                    Gathered::TooLarge => {
                        let (event, violation) = (Event::ResponseBodyMalformed, Violation::BodyTooLarge);
                        self.answer_malformed(turn, id, event, violation);
                    }
                    Gathered::NoRoom => self.fail(turn, id, Failure::NoRoom),
                }
                return Fed::Over;
            }
            Owner::Copy(_) | Owner::Nobody => {
                if body.reader.is_done() {
                    self.complete(turn, id, surplus, now);
                    return Fed::Over;
                }
                self.settle_deadlines(turn, id, now);
                return Fed::All;
            }
        };
        let Some(client) = self.clients.get_mut(client_id) else { return Fed::Over };
        let line = ChunkLine::new(body.coding, data.len());
        let message = parts(&self.head, body.coding, &line, data, body.reader.is_done());
        self.tracer.gave_out(id, || message.iter().map(|part| part.len()).sum());
        if send(&mut client.stream, &mut client.unsent, &mut self.buffers, message).is_err() {
            self.client_gone(turn, client_id);
            return Fed::Over;
        }
        if body.reader.is_done() {
            self.complete(turn, id, surplus, now);
            return Fed::Over;
        }
        // Only a whole head and the body's own bytes count as progress: heads, lines of chunks and trailers in drops are late all
        // the same.
        if !data.is_empty() || !self.head.is_empty() {
            self.settle_deadlines(turn, id, now);
        }
        Fed::All
    }

    /// The body has ended as its sender meant it to.
    pub(super) fn body_ended_by_close(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let ResponseSide::Body(mut body) = exchange.response else { return };
        let now = turn.now();
        body.reader = BodyReader::new(BodyLength::None);
        self.head.clear();
        self.relay_body(turn, id, body, &mut [], now);
    }
}
