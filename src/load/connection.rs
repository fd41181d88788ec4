//! One connection of a generator.
//!
//! Here: sending a request on it, reading the answer, and what may go wrong on the way. Not here: when requests begin
//! (`generator.rs`), what an answer is (`answer.rs`). Floor 3.

use std::io::{self, Read};

use super::answer::{Answer, Answered};
use super::generator::{Generator, Timer, Turn};
use super::{Failure, MAX_KEPT_BODY_BYTES, RequestId, Sample, Workload};
use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::h1::persistence::Persistence;
use crate::net::{Broken, Connect, Net, Readiness, Token, flush, send};
use crate::slots::SlotId;
use crate::time::Instant;

/// How many reads one connection gets before the others have their turn.
const READS_PER_TURN: usize = 8;

enum State {
    Idle,
    Asking(Exchange),
}

/// A request on its way, and its answer.
struct Exchange {
    request: RequestId,
    due: Instant,
    sent: Instant,
    answer: Answer,
    /// What has come of the body, if bodies are kept.
    body: Option<Buffer>,
}

pub(super) struct Connection<S> {
    stream: S,
    source: usize,
    state: State,
    /// Something was sent: the attempt to connect has succeeded.
    connected: bool,
    readable: bool,
    read_closed: bool,
    /// A write failed: the peer has gone, though an answer may have come before.
    lost: bool,
    /// Part of a head.
    pending: Option<Buffer>,
    unsent: Option<Buffer>,
    deadline: Deadline,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamEnd {
    Closed,
    Error(io::ErrorKind),
}

impl<N: Net, W: Workload> Generator<N, W> {
    /// Sends `request` on a connection that is idle, or else on a new one.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_, N>, request: RequestId, due: Instant) {
        let now = turn.now();
        let (id, connect) = match self.sources[request.source].idle.pop() {
            Some(id) => (id, Connect::TryNow),
            None => match self.connect(turn, request.source) {
                Ok(connected) => connected,
                Err(e) => {
                    let failure = self.why_no_connection(e.kind(), &e);
                    let sample = Sample { request, due, sent: now, ended: now, outcome: Err(failure) };
                    return self.ended(turn, &sample, &[]);
                }
            },
        };
        self.output.clear();
        let to_head = self.workload.write(request, &mut self.output);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let answer = Answer::new(to_head);
        connection.state = State::Asking(Exchange { request, due, sent: now, answer, body: None });
        connection.deadline.set(turn.timers, now + self.plan.timeout, Timer::Connection(id));
        match connect {
            Connect::Wait => connection.unsent = Some(self.buffers.copy(&self.output)),
            Connect::TryNow => {
                let parts = [&self.output[..], &[], &[], &[]];
                match send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts) {
                    Ok(()) => {
                        let left = connection.unsent.as_ref().map_or(0, Buffer::len);
                        connection.connected |= left < self.output.len();
                    }
                    Err(Broken { taken, kind }) => {
                        connection.connected |= taken > 0;
                        self.write_failed(turn, id, kind);
                    }
                }
            }
        }
    }

    fn connect(&mut self, turn: &mut Turn<'_, N>, source: usize) -> io::Result<(SlotId, Connect)> {
        let (stream, connect) = turn.net.connect(self.plan.address)?;
        let id = self.connections.insert(Connection {
            stream,
            source,
            state: State::Idle,
            connected: false,
            readable: false,
            read_closed: false,
            lost: false,
            pending: None,
            unsent: None,
            deadline: Deadline::default(),
        });
        self.tally.connections += 1;
        let Some(connection) = self.connections.get_mut(id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(e) = turn.net.register(&mut connection.stream, Token::new(0, id)) {
            self.connections.remove(id);
            return Err(e);
        }
        self.sources[source].open += 1;
        Ok((id, connect))
    }

    fn why_no_connection(&mut self, kind: io::ErrorKind, error: &dyn std::fmt::Display) -> Failure {
        if kind == io::ErrorKind::ConnectionRefused {
            return Failure::Refused;
        }
        self.tally.connect_error.get_or_insert_with(|| error.to_string());
        Failure::Connect
    }

    fn write_failed(&mut self, turn: &mut Turn<'_, N>, id: SlotId, kind: io::ErrorKind) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.connected {
            return self.lost(turn, id, StreamEnd::Error(kind));
        }
        // An answer may have come before the peer went; the end is read behind it.
        connection.lost = true;
        connection.readable = true;
        connection.read_closed = true;
        turn.again(Token::new(0, id));
    }

    pub(super) fn connection_ready(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: SlotId,
        readiness: Readiness,
        input: &mut [u8],
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.read_closed |= readiness.read_closed || readiness.broken;
        connection.readable |= readiness.readable || connection.read_closed;
        if readiness.writable && connection.unsent.is_some() {
            self.send_rest(turn, id);
        }
        self.progress(turn, id, input);
    }

    fn send_rest(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let before = connection.unsent.as_ref().map_or(0, Buffer::len);
        let flushed = flush(&mut connection.stream, &mut connection.unsent, &mut self.buffers);
        let left = connection.unsent.as_ref().map_or(0, Buffer::len);
        match flushed {
            Err(e) => self.write_failed(turn, id, e.kind()),
            Ok(()) if left < before && !connection.connected => {
                connection.connected = true;
                if let State::Asking(exchange) = &mut connection.state {
                    exchange.sent = now;
                }
            }
            Ok(()) => {}
        }
    }

    /// Reads until nothing is left or the turn's share is used up.
    fn progress(&mut self, turn: &mut Turn<'_, N>, id: SlotId, input: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if !connection.readable {
                return;
            }
            match connection.stream.read(input) {
                Ok(0) => return self.lost(turn, id, StreamEnd::Closed),
                Ok(n) => {
                    connection.readable = n == input.len() || connection.read_closed;
                    self.tally.bytes_read += n as u64;
                    self.take(turn, id, &mut input[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => connection.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.lost(turn, id, StreamEnd::Error(e.kind())),
            }
        }
        turn.again(Token::new(0, id));
    }

    fn take(&mut self, turn: &mut Turn<'_, N>, id: SlotId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.pending.take() {
            None => self.take_whole(turn, id, bytes),
            Some(mut buffer) => {
                buffer.push(bytes);
                self.take_whole(turn, id, buffer.as_mut_slice());
                self.buffers.put(buffer);
            }
        }
    }

    /// Reads the answer on; keeps what is part of a head.
    fn take_whole(&mut self, turn: &mut Turn<'_, N>, id: SlotId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // A word that nobody asked for, such as 408 before the server closes.
        let State::Asking(exchange) = &mut connection.state else { return self.close(turn, id) };
        let (kept, buffers) = (&mut exchange.body, &mut self.buffers);
        let taken = exchange.answer.take(bytes, |data| {
            if W::KEEPS_BODIES {
                let kept = kept.get_or_insert_with(|| buffers.take(data.len()));
                let room = MAX_KEPT_BODY_BYTES - kept.len();
                kept.push(&data[..data.len().min(room)]);
            }
        });
        match taken.map(|taken| (taken.consumed, taken.complete)) {
            Ok((consumed, Some(answered))) if consumed == bytes.len() => self.complete(turn, id, answered),
            Ok((consumed, None)) if consumed == bytes.len() => {}
            Ok((consumed, None)) => connection.pending = Some(self.buffers.copy(&bytes[consumed..])),
            // Bytes behind the answer belong to no request.
            Ok((_, Some(_))) | Err(_) => self.fail(turn, id, Failure::Malformed),
        }
    }

    /// The answer has come whole.
    fn complete(&mut self, turn: &mut Turn<'_, N>, id: SlotId, answered: Answered) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let may_keep = connection.unsent.is_none() && !connection.lost;
        if answered.persistence == Persistence::KeepAlive && may_keep {
            connection.deadline.clear();
            let State::Asking(exchange) = std::mem::replace(&mut connection.state, State::Idle) else {
                return;
            };
            self.sources[connection.source].idle.push(id);
            return self.end_exchange(turn, exchange, Ok(answered.status));
        }
        self.close_with(turn, id, Ok(answered.status));
    }

    fn fail(&mut self, turn: &mut Turn<'_, N>, id: SlotId, failure: Failure) {
        self.close_with(turn, id, Err(failure));
    }

    /// The connection has ended by itself.
    fn lost(&mut self, turn: &mut Turn<'_, N>, id: SlotId, end: StreamEnd) {
        let Some(connection) = self.connections.get(id) else { return };
        let State::Asking(exchange) = &connection.state else { return self.close(turn, id) };
        let failure = match end {
            StreamEnd::Error(kind) if !connection.connected => {
                self.why_no_connection(kind, &io::Error::from(kind))
            }
            StreamEnd::Error(_) => Failure::Reset,
            StreamEnd::Closed => match exchange.answer.at_close() {
                Some(answered) => return self.complete(turn, id, answered),
                None if connection.lost => Failure::Reset,
                None if exchange.answer.has_begun() => Failure::ShortBody,
                None => Failure::Closed,
            },
        };
        self.fail(turn, id, failure);
    }

    pub(super) fn connection_expired(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.deadline.has_passed(turn.timers, now, Timer::Connection(id)) {
            self.fail(turn, id, Failure::Timeout);
        }
    }

    /// Closes a connection that carries no request.
    fn close(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get(id) else { return };
        self.sources[connection.source].idle.retain(|&idle| idle != id);
        self.close_with(turn, id, Err(Failure::Closed));
    }

    /// Closes the connection; a request that is on it ends so.
    fn close_with(&mut self, turn: &mut Turn<'_, N>, id: SlotId, outcome: Result<u16, Failure>) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        connection.deadline.disarm(turn.timers);
        connection.pending.into_iter().chain(connection.unsent).for_each(|b| self.buffers.put(b));
        self.sources[connection.source].open -= 1;
        drop(connection.stream);
        if let State::Asking(exchange) = connection.state {
            self.end_exchange(turn, exchange, outcome);
        }
    }

    fn end_exchange(&mut self, turn: &mut Turn<'_, N>, exchange: Exchange, outcome: Result<u16, Failure>) {
        let Exchange { request, due, sent, body, .. } = exchange;
        let sample = Sample { request, due, sent, ended: turn.now(), outcome };
        self.ended(turn, &sample, body.as_ref().map_or(&[], Buffer::as_slice));
        body.into_iter().for_each(|b| self.buffers.put(b));
    }
}
