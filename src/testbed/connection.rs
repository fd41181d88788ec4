//! One connection of a simulated backend.
//!
//! Here: reading requests, waiting, answering in order. Not here: the table of connections (`mod.rs`). Floor 3.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{CONNECTION, Millis, Phase, SimulatedBackend, Timer, Turn};
use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::reply::{CONTINUE, Reply};
use crate::h1::request::{RequestHead, field_space};
use crate::h1::{HeadError, Version};
use crate::net::{Net, Readiness, Stream, Token, flush, send};
use crate::slots::SlotId;
use crate::wheel::TimerId;

/// How many reads or pipelined requests one connection gets before the others have their turn.
const STEPS_PER_TURN: usize = 8;

/// How long a request may take to come: its head, and then its body.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// How long a peer may take to receive our last word.
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// How long a peer may take to notice that we have said our last.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum State {
    /// Between requests; what is pending has not been looked at.
    Idle,
    /// Part of a head is pending.
    Head,
    Answering(Answer),
    /// We have said all and pass over what still comes.
    Lingering,
}

/// An answer on its way.
#[derive(Debug)]
struct Answer {
    body: BodyReader,
    /// The timer; none once it is due.
    waits: Option<TimerId>,
    latency: Duration,
    to_head: bool,
    version: Version,
    persistence: Persistence,
}

pub(super) struct Connection<S> {
    pub(super) stream: S,
    state: State,
    readable: bool,
    read_closed: bool,
    pending: Option<Buffer>,
    unsent: Option<Buffer>,
    deadline: Deadline,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S) -> Connection<S> {
        Connection {
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
            State::Answering(_) | State::Lingering => false,
        };
        between && self.unsent.is_none() && !self.readable
    }
}

impl<N: Net> SimulatedBackend<N> {
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
            if connection.unsent.is_some() {
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
                State::Head | State::Lingering => true,
                State::Answering(answer) => !answer.body.is_done(),
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
        let consumed = match &mut connection.state {
            State::Lingering => return,
            State::Answering(answer) => match answer.body.read(bytes) {
                Ok(piece) => {
                    if answer.body.is_done() {
                        connection.deadline.clear();
                    }
                    self.answer_if_due(turn, id);
                    Some(piece.consumed)
                }
                Err(_) => {
                    return self.refuse(turn, id, HeadError::Malformed("the chunked body is malformed"));
                }
            },
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
                    connection.deadline.set(turn.timers, now + REQUEST_LIMIT, Timer::Connection(id));
                }
                return None;
            }
            Err(error) => {
                self.refuse(turn, id, error);
                return Some(bytes.len());
            }
        };
        let latency = self.profile.step(self.arrived);
        self.arrived += 1;
        let answer = Answer {
            body: BodyReader::new(head.body),
            waits: Some(turn.timers.insert(now + latency, Timer::Due(id))),
            latency,
            to_head: head.is_head(),
            version: head.version,
            persistence: head.persistence,
        };
        let (len, expects_continue) = (head.len, head.expects_continue());
        let connection = self.connections.get_mut(id)?;
        connection.state = State::Answering(answer);
        Some(len + self.begin_body(turn, id, &mut bytes[len..], expects_continue))
    }

    /// Reads what has come of the body with the head; returns how many bytes of `rest` it was.
    fn begin_body(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: SlotId,
        rest: &mut [u8],
        expects_continue: bool,
    ) -> usize {
        let Some(connection) = self.connections.get_mut(id) else { return 0 };
        let State::Answering(answer) = &mut connection.state else { return 0 };
        let Ok(piece) = answer.body.read(rest) else {
            self.refuse(turn, id, HeadError::Malformed("the chunked body is malformed"));
            return rest.len();
        };
        if answer.body.is_done() {
            connection.deadline.clear();
            return piece.consumed;
        }
        connection.deadline.set(turn.timers, turn.net.now() + REQUEST_LIMIT, Timer::Connection(id));
        if expects_continue {
            let parts = [CONTINUE, &[], &[], &[]];
            if send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts).is_err() {
                // The next read tells that the peer has gone.
                connection.readable = true;
            }
        }
        piece.consumed
    }

    /// The latency has passed.
    pub(super) fn due(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let State::Answering(answer) = &mut connection.state {
            answer.waits = None;
        }
        self.answer_if_due(turn, id);
    }

    /// Answers if the latency has passed and the request has been read whole.
    fn answer_if_due(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let State::Answering(answer) = &connection.state else { return };
        if answer.waits.is_some() || !answer.body.is_done() {
            return;
        }
        let keep = answer.persistence == Persistence::KeepAlive && self.phase == Phase::Serving;
        let date = self.date.at(turn.net.wall(turn.net.now()));
        write_answer(&mut self.output, self.id, answer, keep, date);
        connection.state = State::Idle;
        self.control.answered.fetch_add(1, Ordering::Relaxed);
        let parts = [&self.output[..], &[], &[], &[]];
        if send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts).is_err() {
            return self.close(turn, id);
        }
        if !keep {
            self.finish(turn, id);
        } else if connection.readable || connection.pending.is_some() {
            turn.again(Token::new(CONNECTION, id));
        }
    }

    fn refuse(&mut self, turn: &mut Turn<'_, N>, id: SlotId, error: HeadError) {
        let detail = error.to_string();
        let reply = Reply {
            status: error.status(),
            reason: None,
            detail: &detail,
            to_head: false,
            version: Version::Http11,
            persistence: Persistence::Close,
        };
        self.output.clear();
        reply.write(self.date.at(turn.net.wall(turn.net.now())), &mut self.output);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let State::Answering(Answer { waits: Some(timer), .. }) = &connection.state {
            turn.timers.remove(*timer);
        }
        connection.readable = true;
        let parts = [&self.output[..], &[], &[], &[]];
        match send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts) {
            Ok(()) => self.finish(turn, id),
            Err(_) => self.close(turn, id),
        }
    }

    /// Our last word on this connection is said, or waits to be sent.
    fn finish(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.state = State::Lingering;
        let pending = connection.pending.take();
        let more = connection.readable || pending.is_some();
        pending.into_iter().for_each(|b| self.buffers.put(b));
        if connection.unsent.is_some() {
            let limit = turn.net.now() + SEND_LIMIT;
            return connection.deadline.set(turn.timers, limit, Timer::Connection(id));
        }
        if more { self.linger(turn, id) } else { self.close(turn, id) }
    }

    /// All is sent, but the peer may still be sending. It is heard out for a while: a close would reset the
    /// connection and could take our answer with it.
    fn linger(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.stream.shutdown(Shutdown::Write).is_err() {
            return self.close(turn, id);
        }
        let limit = turn.net.now() + LINGER;
        connection.deadline.set(turn.timers, limit, Timer::Connection(id));
        turn.again(Token::new(CONNECTION, id));
    }

    pub(super) fn connection_expired(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.deadline.has_passed(turn.timers, now, Timer::Connection(id)) {
            self.close(turn, id);
        }
    }

    pub(super) fn close(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        if let State::Answering(Answer { waits: Some(timer), .. }) = connection.state {
            turn.timers.remove(timer);
        }
        connection.deadline.disarm(turn.timers);
        connection.pending.into_iter().chain(connection.unsent).for_each(|b| self.buffers.put(b));
    }
}

/// Puts the answer into `out`, in place of what is there.
fn write_answer(out: &mut Vec<u8>, id: char, answer: &Answer, keep: bool, date: &str) {
    // The length stands before the text, so that is written twice: into room that is there, instead of a String.
    let text = |out: &mut Vec<u8>| {
        let start = out.len();
        // Writing to a Vec cannot fail.
        let _ = writeln!(out, "Hello from {id} – simulated {}ms", Millis(answer.latency));
        out.len() - start
    };
    let length = text(out);
    out.clear();
    let connection = match (keep, answer.version) {
        (false, _) => "Connection: close\r\n",
        (true, Version::Http10) => "Connection: keep-alive\r\n",
        (true, Version::Http11) => "",
    };
    let _ = write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nDate: {date}\r\n{connection}\r\n"
    );
    if !answer.to_head {
        text(out);
    }
}
