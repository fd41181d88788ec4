//! One connection of a server.
//!
//! Here: its states, and reading requests in order. Not here: answers and the end (`answering.rs`), the table of
//! connections (`mod.rs`). Floor 2.

use std::io::{self, Read};
use std::time::Duration;

use super::{CONNECTION, Phase, Server, Service, Timer, Turn};
use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::reply::CONTINUE;
use crate::h1::request::{RequestHead, begins_as_head, field_space};
use crate::h1::{BodyLength, Version};
use crate::net::{Net, Readiness, Token, flush, send};
use crate::slots::SlotId;
use crate::time::Instant;
use crate::wheel::TimerId;

/// How many reads or pipelined requests one connection gets before the others have their turn.
const STEPS_PER_TURN: usize = 8;

pub(super) enum State<S: Service> {
    /// Between requests; what is pending has not been looked at.
    Idle,
    /// Part of a head is pending.
    Head,
    /// The head has come, the body is coming.
    Body(Body<S::Asked>),
    Waiting(Waiting<S::Answer>),
    /// The answer goes on.
    Streaming(Streaming),
    /// We have said all and pass over what still comes.
    Lingering,
}

impl<S: Service> State<S> {
    /// The buffer it holds, which is to go back to the pool.
    pub(super) fn into_kept(self) -> Option<Buffer> {
        match self {
            State::Body(body) => body.kept,
            State::Idle | State::Head | State::Waiting(_) | State::Streaming(_) | State::Lingering => None,
        }
    }
}

/// A request whose body is coming.
pub(super) struct Body<A> {
    pub(super) asked: A,
    pub(super) form: Form,
    reader: BodyReader,
    /// What came before the latest piece, if the service wants it.
    pub(super) kept: Option<Buffer>,
}

/// An answer that is not due yet.
pub(super) struct Waiting<A> {
    pub(super) answer: A,
    pub(super) form: Form,
    pub(super) timer: TimerId,
}

/// An answer that goes on.
#[derive(Clone, Copy)]
pub(super) struct Streaming {
    pub(super) every: Duration,
    /// Of the next piece.
    pub(super) timer: TimerId,
}

/// What the client and its request ask of the form of the answer.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) to_head: bool,
    pub(super) version: Version,
    pub(super) persistence: Persistence,
}

pub(super) struct Connection<T, S: Service> {
    pub(super) stream: T,
    pub(super) state: State<S>,
    pub(super) readable: bool,
    read_closed: bool,
    pub(super) pending: Option<Buffer>,
    pub(super) unsent: Option<Buffer>,
    pub(super) deadline: Deadline,
    /// When it became what it is: accepted, in mid-head, in mid-body, asked, answered.
    pub(super) since: Instant,
}

impl<T, S: Service> Connection<T, S> {
    pub(super) fn new(stream: T, now: Instant) -> Connection<T, S> {
        Connection {
            since: now,
            stream,
            state: State::Idle,
            readable: false,
            read_closed: false,
            pending: None,
            unsent: None,
            deadline: Deadline::default(),
        }
    }

    /// Whether nothing is owed on it. What is pending while idle may be a whole request.
    pub(super) fn rests(&self) -> bool {
        let between = match self.state {
            State::Idle => self.pending.is_none(),
            State::Head => true,
            State::Body(_) | State::Waiting(_) | State::Streaming(_) | State::Lingering => false,
        };
        between && self.unsent.is_none() && !self.readable
    }

    /// Whether what it is owed has no end.
    pub(super) fn streams(&self) -> bool {
        matches!(self.state, State::Streaming(_))
    }
}

impl<N: Net, S: Service> Server<N, S> {
    pub(super) fn connection_ready(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: SlotId,
        readiness: Readiness,
        input: &mut [u8],
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.readable |= readiness.readable || readiness.read_closed;
        connection.read_closed |= readiness.read_closed;
        let waited = connection.unsent.is_some();
        let flushed = flush(&mut connection.stream, &mut connection.unsent, &mut self.buffers);
        if readiness.broken || flushed.is_err() {
            return self.close(turn, id);
        }
        if waited && connection.unsent.is_none() && matches!(connection.state, State::Lingering) {
            return self.linger(turn, id);
        }
        self.progress(turn, id, input);
        // Who was still owed something when the stop came has it now.
        if self.phase != Phase::Serving && self.connections.get(id).is_some_and(Connection::rests) {
            self.close(turn, id);
        }
    }

    /// Reads and answers until nothing is left or the turn's share is used up.
    fn progress(&mut self, turn: &mut Turn<'_, N>, id: SlotId, input: &mut [u8]) {
        for _ in 0..STEPS_PER_TURN {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if connection.unsent.is_some() && !connection.streams() {
                return;
            }
            let wants = match &connection.state {
                State::Idle => match connection.pending.take() {
                    Some(pipelined) => {
                        self.take_buffered(turn, id, pipelined);
                        continue;
                    }
                    None => true,
                },
                State::Head | State::Body(_) | State::Streaming(_) | State::Lingering => true,
                State::Waiting(_) => false,
            };
            if !wants || !connection.readable {
                return;
            }
            match connection.stream.read(input) {
                // Who waits for an answer after its FIN still gets it: the end is read only between requests.
                Ok(0) => return self.close(turn, id),
                Ok(n) => {
                    connection.readable = n == input.len() || connection.read_closed;
                    self.take(turn, id, &mut input[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(turn, id),
            }
        }
        turn.again(Token::new(CONNECTION, id));
    }

    fn take(&mut self, turn: &mut Turn<'_, N>, id: SlotId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let consumed = match &connection.state {
            State::Streaming(_) | State::Lingering => return,
            State::Body(_) => Some(self.body(turn, id, bytes)),
            // Nothing is read in this state.
            State::Waiting(_) => None,
            State::Idle | State::Head => match connection.pending.take() {
                Some(mut head) => {
                    head.push(bytes);
                    return self.take_buffered(turn, id, head);
                }
                None => self.request(turn, id, bytes),
            },
        };
        let rest = &bytes[consumed.unwrap_or(0)..];
        if let Some(connection) = self.connections.get_mut(id)
            && !rest.is_empty()
        {
            connection.pending = Some(self.buffers.copy(rest));
        }
    }

    fn take_buffered(&mut self, turn: &mut Turn<'_, N>, id: SlotId, mut buffer: Buffer) {
        let consumed = self.request(turn, id, buffer.as_mut_slice());
        buffer.consume(consumed.unwrap_or(0));
        match self.connections.get_mut(id) {
            Some(connection) if !buffer.is_empty() => connection.pending = Some(buffer),
            _ => self.buffers.put(buffer),
        }
    }

    /// Takes one request from the start of `bytes`; returns how many of them it used, or `None` if its head is not
    /// complete.
    fn request(&mut self, turn: &mut Turn<'_, N>, id: SlotId, bytes: &mut [u8]) -> Option<usize> {
        let now = turn.now();
        let mut space = field_space();
        let head = match RequestHead::parse(bytes, &mut space) {
            Ok(Some(head)) => head,
            Ok(None) => {
                let connection = self.connections.get_mut(id)?;
                if matches!(connection.state, State::Idle) {
                    connection.state = State::Head;
                    connection.since = now;
                    connection.deadline.set(turn.timers, now + self.limits.request, Timer::Connection(id));
                }
                return None;
            }
            Err(error) => {
                self.refuse(turn, id, error.status(), &error.to_string(), begins_as_head(bytes));
                return Some(bytes.len());
            }
        };
        let asked = self.service.head(&head, now);
        let (len, length, expects_continue) = (head.len, head.body, head.expects_continue());
        let form = Form { to_head: head.is_head(), version: head.version, persistence: head.persistence };
        if S::wants_body(&asked)
            && matches!(length, BodyLength::Exact(n) if n > self.limits.body_bytes as u64)
        {
            self.refuse_body(turn, id, form.to_head);
            return Some(bytes.len());
        }
        let connection = self.connections.get_mut(id)?;
        connection.since = now;
        connection.state = State::Body(Body { asked, form, reader: BodyReader::new(length), kept: None });
        let consumed = self.body(turn, id, &mut bytes[len..]);
        self.await_body(turn, id, expects_continue);
        Some(len + consumed)
    }

    /// Gives the client time to send its body, if that has not come with the head.
    fn await_body(&mut self, turn: &mut Turn<'_, N>, id: SlotId, expects_continue: bool) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !matches!(connection.state, State::Body(_)) {
            return;
        }
        connection.deadline.set(turn.timers, turn.net.now() + self.limits.request, Timer::Connection(id));
        if expects_continue {
            let parts = [CONTINUE, &[], &[], &[]];
            if send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts).is_err() {
                // The next read tells that the peer has gone.
                connection.readable = true;
            }
        }
    }

    /// Takes what `bytes` hold of the body; returns how many of them that was.
    fn body(&mut self, turn: &mut Turn<'_, N>, id: SlotId, bytes: &mut [u8]) -> usize {
        let Some(connection) = self.connections.get_mut(id) else { return 0 };
        let State::Body(body) = &mut connection.state else { return 0 };
        let to_head = body.form.to_head;
        let Ok(piece) = body.reader.read(bytes) else {
            self.refuse(turn, id, 400, "the chunked body is malformed", to_head);
            return bytes.len();
        };
        let data = if S::wants_body(&body.asked) { &bytes[piece.data] } else { &[] };
        if body.kept.as_ref().map_or(0, Buffer::len) + data.len() > self.limits.body_bytes {
            self.refuse_body(turn, id, to_head);
            return bytes.len();
        }
        if body.reader.is_done() {
            self.arrived(turn, id, data);
        } else if let Some(kept) = &mut body.kept {
            kept.push(data);
        } else if !data.is_empty() {
            body.kept = Some(self.buffers.copy(data));
        }
        piece.consumed
    }
}
