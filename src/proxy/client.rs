//! A client's connection: reading request heads and bodies.
//!
//! Here: the connection's states and what arrives on it. Not here: how it is left (`departure.rs`), where a request goes
//! (`forward.rs`), how its response comes back (`upstream.rs`). Floor 3.

use std::io::{self, Read};
use std::net::SocketAddr;

use super::address::AddressText;
use super::exchange::RequestSide;
use super::rules::{self, Reading, Resumption};
use super::slow_clients::SendTime;
use super::tunnel::Side;
use super::{CLIENT, ClientId, ExchangeId, Proxy, TicketId, Timer, Turn};
use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::h1::request::{RequestHead, begins_as_head, field_space};
use crate::h1::{BodyLength, Version, Violation};
use crate::net::{Net, Readiness, Token, flush, send};
use crate::time::Instant;

/// How many reads or pipelined requests one client gets before the others have their turn.
const STEPS_PER_TURN: usize = 4;

/// What becomes of a client's connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    KeepAlive,
    /// It is closed.
    Close,
    /// It is closed, but the client may still be sending.
    Linger,
}

/// What a client's connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientState {
    /// Between requests. What is pending has not been looked at.
    Idle,
    /// Part of a head has arrived; it is pending.
    Head,
    /// An exchange is in flight.
    Busy(ExchangeId),
    /// Its bytes go to a backend, and a backend's to it.
    Tunnel(ExchangeId),
    /// It is we who answer: the body is being read, or the request waits for its batch.
    Asking(TicketId),
    /// The exchange is over, but not all of the response has been taken.
    Flushing(After),
    /// We have said all and pass over what still comes.
    Lingering,
}

/// A connection from the user.
pub(super) struct Client<S> {
    pub(super) stream: S,
    pub(super) address: AddressText,
    /// Since when it has its place.
    pub(super) entered: Instant,
    pub(super) state: ClientState,
    /// Bytes may be waiting in the socket.
    pub(super) readable: bool,
    /// The client sends no more.
    pub(super) read_closed: bool,
    /// How many requests it has sent that were not refused; 255 stands for more.
    pub(super) requests: u8,
    /// How many requests more this connection serves.
    pub(super) requests_left: u32,
    /// How many bytes more of the body that is coming are taken.
    pub(super) body_room: u64,
    /// Received, but not consumed: part of a head, or pipelined requests.
    pub(super) pending: Option<Buffer>,
    /// Not yet taken by the socket.
    pub(super) unsent: Option<Buffer>,
    pub(super) deadline: Deadline,
    /// What is left of the time for its body.
    pub(super) send_time: SendTime,
    /// How long it is heard out at most, once it is.
    pub(super) heard_until: Instant,
}

impl<S> Client<S> {
    /// A connection that serves `requests` of them, let in at `now`.
    pub(super) fn new(stream: S, address: SocketAddr, requests: u32, now: Instant) -> Client<S> {
        Client {
            stream,
            address: AddressText::new(address),
            entered: now,
            state: ClientState::Idle,
            readable: false,
            read_closed: false,
            requests: 0,
            requests_left: requests,
            body_room: 0,
            pending: None,
            unsent: None,
            deadline: Deadline::default(),
            send_time: SendTime::default(),
            heard_until: Instant::NEVER,
        }
    }

    /// Whether it is between requests and nothing of a next one is known.
    pub(super) fn is_idle(&self) -> bool {
        self.state == ClientState::Idle && self.pending.is_none()
    }
}

impl<N: Net> Proxy<N> {
    pub(super) fn client_ready(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ClientId,
        readiness: Readiness,
        input: &mut [u8],
    ) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if let ClientState::Tunnel(exchange) = client.state {
            return self.tunnel_ready(turn, exchange, Side::Client, readiness, input);
        }
        client.readable |= readiness.readable || readiness.read_closed;
        client.read_closed |= readiness.read_closed;
        if readiness.broken {
            return self.client_gone(turn, id);
        }
        if readiness.writable && client.unsent.is_some() {
            self.flush_client(turn, id, input);
        }
        self.client_progress(turn, id, input);
    }

    /// The client takes bytes again.
    fn flush_client(&mut self, turn: &mut Turn<'_, N>, id: ClientId, input: &mut [u8]) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let before = client.unsent.as_ref().map(Buffer::len);
        if flush(&mut client.stream, &mut client.unsent, &mut self.buffers).is_err() {
            return self.client_gone(turn, id);
        }
        if client.unsent.is_some() {
            if client.unsent.as_ref().map(Buffer::len) == before {
                return;
            }
            let limit = turn.net.now() + self.options.body_timeout;
            client.deadline.set(turn.timers, limit, Timer::Client(id));
            return;
        }
        let state = client.state;
        self.has_read(turn, id);
        match rules::client_flushed(state) {
            Resumption::Conclude(after) => self.conclude(turn, id, after),
            Resumption::ReadOn(exchange) => self.resume_response(turn, exchange, input),
            Resumption::Nothing => {}
        }
    }

    /// Does what can be done with what has arrived, until nothing is left or the turn's share is used up.
    pub(super) fn client_progress(&mut self, turn: &mut Turn<'_, N>, id: ClientId, input: &mut [u8]) {
        for _ in 0..STEPS_PER_TURN {
            let Some(client) = self.clients.get_mut(id) else { return };
            if client.state == ClientState::Idle
                && let Some(pipelined) = client.pending.take()
            {
                self.buffered_request(turn, id, pipelined);
                continue;
            }
            if !client.readable {
                return;
            }
            let (state, read_closed) = (client.state, client.read_closed);
            match rules::client_readable(state, self.may_gather(turn, state) || self.wants_body(state)) {
                Reading::NotNow => {
                    let meaning = self.options.half_close;
                    if let Some(departure) = rules::client_half_closed(state, meaning).filter(|_| read_closed)
                    {
                        self.depart(turn, id, departure);
                    }
                    return;
                }
                reading => self.read_client(turn, id, reading, input),
            }
        }
        turn.again(Token::new(CLIENT, id));
    }

    /// Reads once.
    ///
    /// A short read means that the socket is drained, and no second read is needed to be told so (epoll(7)), unless
    /// the client has closed its side: then the end of the stream is still to be read.
    fn read_client(&mut self, turn: &mut Turn<'_, N>, id: ClientId, reading: Reading, input: &mut [u8]) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let most = input.len().min(self.options.limits.pipelined_bytes);
        let input = &mut input[..most];
        match client.stream.read(input) {
            Ok(0) => {
                client.readable = false;
                let departure = rules::client_ended(client.state);
                self.depart(turn, id, departure);
            }
            Ok(n) => {
                client.readable = n == input.len() || client.read_closed;
                self.client_bytes(turn, id, reading, &mut input[..n]);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => client.readable = false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.client_gone(turn, id),
        }
    }

    fn client_bytes(&mut self, turn: &mut Turn<'_, N>, id: ClientId, reading: Reading, bytes: &mut [u8]) {
        let Some(client) = self.clients.get_mut(id) else { return };
        match reading {
            Reading::NotNow => {}
            Reading::Discard => self.pass_over(turn, id),
            Reading::Body(exchange) => {
                let consumed = self.body_bytes(turn, exchange, bytes);
                self.keep_pending(id, &bytes[consumed..]);
            }
            Reading::Ask(ticket) => {
                let consumed = self.ask_bytes(turn, ticket, bytes, turn.now());
                self.keep_pending(id, &bytes[consumed..]);
            }
            Reading::Head => match client.pending.take() {
                Some(mut head) => {
                    head.push(bytes);
                    // Without the end of a line nothing is complete, and a head in drops is not worth a look at each.
                    let ends_line = memchr::memchr(b'\n', bytes).is_some();
                    if ends_line || head.len() >= self.options.limits.request.head_bytes {
                        self.buffered_request(turn, id, head);
                    } else {
                        client.pending = Some(head);
                    }
                }
                None => match self.request_bytes(turn, id, bytes) {
                    Some(consumed) => self.keep_pending(id, &bytes[consumed..]),
                    None => {
                        self.keep_pending(id, bytes);
                        self.head_is_partial(turn, id);
                    }
                },
            },
        }
    }

    /// A request whose beginning waits in a buffer.
    fn buffered_request(&mut self, turn: &mut Turn<'_, N>, id: ClientId, mut buffer: Buffer) {
        let consumed = self.request_bytes(turn, id, buffer.as_mut_slice());
        buffer.consume(consumed.unwrap_or(0));
        match self.clients.get_mut(id) {
            Some(client) if !buffer.is_empty() && client.state != ClientState::Lingering => {
                client.pending = Some(buffer);
            }
            _ => self.buffers.put(buffer),
        }
        if consumed.is_none() {
            self.head_is_partial(turn, id);
        }
    }

    fn keep_pending(&mut self, id: ClientId, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !bytes.is_empty() && client.state != ClientState::Lingering {
            client.pending = Some(self.buffers.copy(bytes));
        }
    }

    fn head_is_partial(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.state == ClientState::Idle {
            client.state = ClientState::Head;
            self.tracer.head_begins(id, turn.net.now());
            let limit = turn.net.now() + self.options.header_timeout;
            // What begins with an empty line may be no head at all, and gains no time.
            let is_line = client.pending.as_ref().is_some_and(|head| head.as_slice().starts_with(b"\r"));
            let limit = if is_line { limit.min(client.deadline.at()) } else { limit };
            client.deadline.set(turn.timers, limit, Timer::Client(id));
        }
    }

    /// Lines before a request that are no part of one. Neither the wait for it nor that for its head gets any longer by them.
    #[cold]
    fn pass_empty_lines(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let now = turn.now();
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.state == ClientState::Head {
            client.state = ClientState::Idle;
            if self.idle_clients.is_tracked() {
                self.also_idle(id, now);
            }
        }
    }

    /// Takes one request from the start of `bytes`; returns how many of them belong to it, or `None` if its head is
    /// not complete.
    fn request_bytes(&mut self, turn: &mut Turn<'_, N>, id: ClientId, bytes: &mut [u8]) -> Option<usize> {
        let mut space = field_space();
        let plan = match &RequestHead::parse_within(&self.options.limits.request, bytes, &mut space) {
            // RFC 9112 §2.2: empty lines before a request are no part of it, and their sender owes us none.
            Ok(None) if bytes.chunks(2).all(|line| line == b"\r\n") => {
                self.pass_empty_lines(turn, id);
                return Some(bytes.len());
            }
            Ok(None) => return None,
            Ok(Some(head)) if self.via.is_in(head) => return Some(self.turn_back(turn, id, head)),
            Ok(Some(head)) => {
                if head.may_be_counted()
                    && let Some(consumed) = self.answer_as_recipient(turn, id, head)
                {
                    return Some(consumed);
                }
                if let Err(error) = self.judge_chunks(head) {
                    self.refuse(turn, id, error, head.is_head());
                    return Some(bytes.len());
                }
                match self.take_in(turn, id, head) {
                    Some(intake) => {
                        let (head, rest) = bytes.split_at_mut(intake.len);
                        return Some(head.len() + self.gather(turn, id, *intake, rest));
                    }
                    None => self.plan(turn, id, head),
                }
            }
            Err(error) => {
                self.refuse(turn, id, *error, begins_as_head(bytes));
                return Some(bytes.len());
            }
        };
        let (head, rest) = bytes.split_at_mut(plan.len);
        Some(head.len() + self.forward(turn, id, plan, rest))
    }

    /// Whether what came of a chunked body with its head is well-formed and within its limit: if not, no backend is
    /// chosen for it.
    fn judge_chunks(&mut self, head: &RequestHead<'_, '_>) -> Result<(), Violation> {
        if head.body != BodyLength::Chunked {
            return Ok(());
        }
        let mut copy = self.buffers.copy(head.rest());
        let read = BodyReader::new(BodyLength::Chunked).read(copy.as_mut_slice());
        self.buffers.put(copy);
        match read {
            Err(violation) => Err(violation),
            Ok(piece) if piece.data.len() as u64 > self.options.limits.request.body_bytes => {
                Err(Violation::BodyTooLarge)
            }
            Ok(_) => Ok(()),
        }
    }

    /// Answers a request that is never forwarded. Where the next one would begin is not known, so the connection
    /// closes.
    pub(super) fn refuse(&mut self, turn: &mut Turn<'_, N>, id: ClientId, error: Violation, to_head: bool) {
        log::debug!("refused a request with {}: {error}", error.status());
        let detail = error.to_string();
        let reply = Reply {
            status: error.status(),
            reason: (error == Violation::SecureTarget).then_some(error.name()),
            fields: "",
            detail: &detail,
            to_head,
            version: Version::Http11,
            persistence: Persistence::Close,
        };
        self.reply(turn, id, &reply, After::Linger);
    }

    /// Sends a response of our own and concludes.
    pub(super) fn reply(&mut self, turn: &mut Turn<'_, N>, id: ClientId, reply: &Reply<'_>, after: After) {
        let wall = turn.net.wall(turn.now());
        self.head.clear();
        reply.write(self.date.at(wall), &mut self.head);
        self.send_reply(turn, id, after);
    }

    /// Sends the response that is in `self.head` and concludes.
    pub(super) fn send_reply(&mut self, turn: &mut Turn<'_, N>, id: ClientId, after: After) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let parts = [&self.head[..], &[], &[], &[]];
        match send(&mut client.stream, &mut client.unsent, &mut self.buffers, parts) {
            Ok(()) => self.conclude(turn, id, after),
            Err(_) => self.close_client(turn, id),
        }
    }

    /// Whether bytes of a request body can be passed on now.
    pub(super) fn wants_body(&self, state: ClientState) -> bool {
        let exchange = match state {
            ClientState::Busy(exchange) => exchange,
            ClientState::Asking(ticket) => return self.reads_on(ticket),
            _ => return false,
        };
        let Some(exchange) = self.exchanges.get(exchange) else { return false };
        let upstream = exchange.upstream.and_then(|id| self.upstreams.get(id));
        matches!(exchange.request, RequestSide::Body { .. })
            && upstream.is_some_and(|u| u.is_connected() && u.unsent.is_none())
    }
}
