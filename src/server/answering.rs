//! Answers on a connection, and its end.
//!
//! Here: from the whole request to its answer, refusals, the last word and the close. Not here: reading
//! (`connection.rs`), what is answered and when (`service.rs`). Floor 2.

use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::{Body, Connection, Form, State, Streaming, Waiting};
use super::{CONNECTION, DOOR, Phase, Response, Server, Service, Timer, Turn};
use crate::h1::Version;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Content;
use crate::net::{Net, Stream, Token, send};
use crate::slots::SlotId;

/// How long a peer may take to receive our last word.
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// How long a peer may take to notice that we have said our last.
const LINGER: Duration = Duration::from_secs(1);

impl<N: Net, S: Service> Server<N, S> {
    /// The request has come whole, `last` being the rest of its body.
    pub(super) fn arrived(&mut self, turn: &mut Turn<'_, N>, id: SlotId, last: &[u8]) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let State::Body(body) = std::mem::replace(&mut connection.state, State::Idle) else { return };
        connection.deadline.clear();
        let Body { asked, form, kept, .. } = body;
        let (answer, due) = match kept {
            None => self.service.request(asked, last, now),
            Some(mut whole) => {
                whole.push(last);
                let answer = self.service.request(asked, whole.as_slice(), now);
                self.buffers.put(whole);
                answer
            }
        };
        if due <= now {
            return self.answer(turn, id, form, &answer);
        }
        let timer = turn.timers.insert(due, Timer::Due(id));
        connection.since = now;
        connection.state = State::Waiting(Waiting { answer, form, timer });
    }

    /// The time has passed.
    pub(super) fn due(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match std::mem::replace(&mut connection.state, State::Idle) {
            State::Waiting(waiting) => self.answer(turn, id, waiting.form, &waiting.answer),
            State::Streaming(streaming) => self.go_on(turn, id, streaming.every),
            other => connection.state = other,
        }
    }

    /// Another thread has called: some of those that wait may have their answer now.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_, N>) {
        let waiting = |(id, connection): (SlotId, &Connection<N::Stream, S>)| {
            matches!(connection.state, State::Waiting(_)).then_some(id)
        };
        let ids: Vec<_> = self.connections.iter().filter_map(waiting).collect();
        for id in ids {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            let State::Waiting(waiting) = &mut connection.state else { continue };
            if self.service.settles(&mut waiting.answer) {
                turn.timers.remove(waiting.timer);
                self.due(turn, id);
            }
        }
    }

    /// The next piece of an answer that goes on. Who has not taken the last one yet does not get this one.
    fn go_on(&mut self, turn: &mut Turn<'_, N>, id: SlotId, every: Duration) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.unsent.is_none() {
            self.output.clear();
            self.service.more(turn.net.wall(now), &mut self.output);
            let parts = [&self.output[..], &[], &[], &[]];
            if send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts).is_err() {
                return self.close(turn, id);
            }
            match connection.unsent {
                None => {
                    connection.deadline.clear();
                    connection.since = now;
                }
                Some(_) => connection.deadline.set(turn.timers, now + SEND_LIMIT, Timer::Connection(id)),
            }
        }
        let timer = turn.timers.insert(now + every, Timer::Due(id));
        connection.state = State::Streaming(Streaming { every, timer });
    }

    fn answer(&mut self, turn: &mut Turn<'_, N>, id: SlotId, form: Form, answer: &S::Answer) {
        let may_stream = self.limits.streams == usize::MAX || self.may_stream();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Form { to_head, version, .. } = form;
        let now = turn.net.now();
        let wall = turn.net.wall(now);
        connection.since = now;
        let Some(Response { status, content_type, fields, body, every }) =
            self.service.response(answer, wall)
        else {
            connection.stream.reset_on_close();
            return self.close(turn, id);
        };
        if every.is_some() && !to_head && !may_stream {
            let detail =
                format!("{} event streams are open already; close one, or poll", self.limits.streams);
            return self.refuse(turn, id, 503, &detail, to_head);
        }
        let keep =
            form.persistence == Persistence::KeepAlive && self.phase == Phase::Serving && every.is_none();
        let persistence = if keep { Persistence::KeepAlive } else { Persistence::Close };
        let content = Content { status, content_type, body, fields, to_head, version, persistence };
        let date = self.date.at(wall);
        self.output.clear();
        match every {
            None => content.write(date, &mut self.output),
            Some(_) => content.write_open(date, &mut self.output),
        }
        self.control.answered.fetch_add(1, Ordering::Relaxed);
        let parts = [&self.output[..], &[], &[], &[]];
        if send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, parts).is_err() {
            return self.close(turn, id);
        }
        match every {
            Some(every) if !to_head && self.phase == Phase::Serving => {
                let timer = turn.timers.insert(now + every, Timer::Due(id));
                connection.state = State::Streaming(Streaming { every, timer });
                match connection.unsent {
                    None => connection.deadline.clear(),
                    Some(_) => connection.deadline.set(turn.timers, now + SEND_LIMIT, Timer::Connection(id)),
                }
            }
            _ if !keep => return self.finish(turn, id),
            _ => connection.deadline.set(turn.timers, now + self.limits.idle, Timer::Connection(id)),
        }
        if connection.readable || connection.pending.is_some() {
            turn.again(Token::new(CONNECTION, id));
        }
    }

    pub(super) fn refuse_body(&mut self, turn: &mut Turn<'_, N>, id: SlotId, to_head: bool) {
        let most = self.limits.body_bytes;
        self.refuse(turn, id, 413, &format!("a body has at most {most} bytes here"), to_head);
    }

    /// Answers at once, and for the last time: where the next request begins is not known.
    pub(super) fn refuse(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: SlotId,
        status: u16,
        detail: &str,
        to_head: bool,
    ) {
        let (content_type, body) = self.service.refusal(status, detail);
        let content = Content {
            status,
            content_type,
            body: body.as_bytes(),
            fields: "",
            to_head,
            version: Version::Http11,
            persistence: Persistence::Close,
        };
        self.output.clear();
        content.write(self.date.at(turn.net.wall(turn.net.now())), &mut self.output);
        let Some(connection) = self.connections.get_mut(id) else { return };
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
        connection.since = turn.net.now();
        let before = std::mem::replace(&mut connection.state, State::Lingering);
        let pending = connection.pending.take();
        let more = connection.readable || pending.is_some();
        pending.into_iter().chain(before.into_kept()).for_each(|b| self.buffers.put(b));
        if connection.unsent.is_some() {
            let limit = turn.net.now() + SEND_LIMIT;
            return connection.deadline.set(turn.timers, limit, Timer::Connection(id));
        }
        if more { self.linger(turn, id) } else { self.close(turn, id) }
    }

    /// All is sent, but the peer may still be sending. It is heard out for a while: a close would reset the
    /// connection and could take our answer with it.
    pub(super) fn linger(&mut self, turn: &mut Turn<'_, N>, id: SlotId) {
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
        match &connection.state {
            State::Waiting(Waiting { timer, .. }) | State::Streaming(Streaming { timer, .. }) => {
                turn.timers.remove(*timer);
            }
            State::Idle | State::Head | State::Body(_) | State::Lingering => {}
        }
        connection.deadline.disarm(turn.timers);
        let buffers =
            connection.pending.into_iter().chain(connection.unsent).chain(connection.state.into_kept());
        buffers.for_each(|b| self.buffers.put(b));
        // If others wait in the backlog, there is room for one.
        if self.door.may_accept() && self.connections.len() + 1 == self.limits.connections {
            turn.again(DOOR);
        }
    }
}
