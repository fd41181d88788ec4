//! A backend that answers as each request asks.
//!
//! Here: [`StressBackend`], which takes requests off its connections and writes what their scripts say, each piece in a write of
//! its own. Not here: what they say (`script.rs`). Floor 4.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::classifying::classified;
use super::script::Script;
use crate::h1::body::BodyReader;
use crate::h1::request::{RequestHead, field_space};
use crate::net::{Accepted, Fabric, Net, Readiness, Token, VirtualNet, Wake};
use crate::reactor::{Flow, Handler};
use crate::slots::SlotId;
use crate::time::Instant;
use crate::world::letter;
use crate::world::yard::{Event, Guest, Stream, Yard};

type Turn<'a> = crate::reactor::Turn<'a, VirtualNet, SlotId>;

/// The request that is being read.
struct Asked {
    serial: u64,
    script: Script,
    body: BodyReader,
    answered: bool,
    /// What has come of it, where that is to be classified.
    texts: Option<Vec<u8>>,
}

struct Connection {
    stream: Stream,
    readable: bool,
    input: Vec<u8>,
    asked: Option<Asked>,
    /// It reads nothing before.
    deaf_until: Instant,
    /// What is still to be written, and when.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// This answer is to be said once more before the next one.
    held: Option<Vec<u8>>,
    /// When something was said that nobody asked for, until a request comes.
    spoilt: Option<Instant>,
}

impl Guest for Connection {
    fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn note_readable(&mut self) {
        self.readable = true;
    }
}

/// A server that does what it is asked.
pub(super) struct StressBackend {
    yard: Yard<Connection>,
    /// What was said so long before a request came had been looked at when that was sent.
    heeded_after: Duration,
    /// It is a classifier, and answers in one of these ways, drawn by this fabric.
    classifies: Option<(Fabric, Vec<Script>)>,
    /// How many requests have come.
    pub(super) requests: u64,
    /// The first thing that must not happen.
    pub(super) violation: Option<String>,
}

impl StressBackend {
    /// Will accept from `listener`. What was said more than `heeded_after` before a request comes had been looked at when that
    /// was sent.
    pub(super) fn new(listener: <VirtualNet as Net>::Listener, heeded_after: Duration) -> StressBackend {
        StressBackend {
            yard: Yard::new(listener),
            heeded_after,
            classifies: None,
            requests: 0,
            violation: None,
        }
    }

    /// The same as a classifier that answers in one of `ways`.
    pub(super) fn classifying(self, fabric: Fabric, ways: Vec<Script>) -> StressBackend {
        StressBackend { classifies: Some((fabric, ways)), ..self }
    }

    /// Begins to accept.
    pub(super) fn open(&mut self, turn: &mut Turn<'_>) -> io::Result<()> {
        self.yard.open(turn.net)
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    fn accept(&mut self, turn: &mut Turn<'_>) {
        while let Accepted::Client(stream, _) = self.yard.door.accept(turn.net) {
            self.yard.admit(
                turn.net,
                Connection {
                    stream,
                    readable: false,
                    input: Vec::new(),
                    asked: None,
                    deaf_until: Instant::ZERO,
                    pieces: VecDeque::new(),
                    held: None,
                    spoilt: None,
                },
            );
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let mut block = [0; 16 * 1024];
        loop {
            let now = turn.net.now();
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            if !connection.readable || connection.deaf_until > now {
                return;
            }
            match connection.stream.read(&mut block) {
                Ok(n) if n > 0 => connection.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                _ => return drop(self.yard.connections.remove(id)),
            }
            self.take_requests(turn, id);
        }
    }

    fn take_requests(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let now = turn.net.now();
            if !self.take_head(turn, id, now) {
                return;
            }
            if self.is_early(id) {
                self.answer(turn, id, now);
            }
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            let Some(asked) = connection.asked.as_mut().filter(|_| connection.deaf_until <= now) else {
                return;
            };
            let serial = asked.serial;
            let Ok(piece) = asked.body.read(&mut connection.input) else {
                return self.violate(format!("request {serial}: the proxy sent a malformed body"));
            };
            let data = &connection.input[piece.data];
            match &mut asked.texts {
                Some(texts) => texts.extend_from_slice(data),
                None if data.iter().any(|&b| b != letter(serial)) => {
                    return self.violate(format!("request {serial}: bytes of another body"));
                }
                None => {}
            }
            connection.input.drain(..piece.consumed);
            if !asked.body.is_done() {
                return;
            }
            if !asked.answered {
                self.answer(turn, id, now);
            }
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            connection.asked = None;
        }
    }

    /// Whether the answer is due before the body.
    fn is_early(&self, id: SlotId) -> bool {
        let asked = self.yard.connections.get(id).and_then(|connection| connection.asked.as_ref());
        asked.is_some_and(|asked| asked.script == Script::Early && !asked.answered)
    }

    /// Reads a head unless one is read already; whether there is one.
    fn take_head(&mut self, turn: &mut Turn<'_>, id: SlotId, now: Instant) -> bool {
        let heeded_after = self.heeded_after;
        let Some(connection) = self.yard.connections.get_mut(id) else { return false };
        if connection.asked.is_some() {
            return true;
        }
        let mut space = field_space();
        let head = match RequestHead::parse(&connection.input, &mut space) {
            Ok(Some(head)) => head,
            Ok(None) => return false,
            Err(e) => {
                self.violate(format!("the proxy sent a malformed head: {e}"));
                return false;
            }
        };
        let way = self.classifies.as_ref().filter(|_| head.target.text() == Some("/classify"));
        let drawn = way.map(|(fabric, ways)| (0, ways[fabric.draw(ways.len() as u64) as usize]));
        let texts = drawn.is_some().then(Vec::new);
        let Some((serial, script)) = drawn.or_else(|| Script::of(head.target)) else {
            let what = format!("a request for {:?}", head.target);
            self.violate(what);
            return false;
        };
        let (len, body) = (head.len, BodyReader::new(head.body));
        connection.input.drain(..len);
        connection.deaf_until = now + script.reads_after();
        connection.asked = Some(Asked { serial, script, body, answered: false, texts });
        // What was said had come to the proxy before this request was sent. Else nobody can tell it from the answer.
        let spoilt = connection.spoilt.take().filter(|&at| now > at + heeded_after);
        if connection.deaf_until > now {
            turn.timers.insert(connection.deaf_until, id);
        }
        self.requests += 1;
        if let Some(at) = spoilt {
            let ago = now - at;
            self.violate(format!("request {serial} on a connection that has spoken unasked {ago:?} ago"));
        }
        true
    }

    fn answer(&mut self, turn: &mut Turn<'_>, id: SlotId, now: Instant) {
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        let Some(asked) = connection.asked.as_mut() else { return };
        asked.answered = true;
        let pieces = match &asked.texts {
            Some(texts) => classified(asked.script, texts),
            None => asked.script.pieces(asked.serial),
        };
        let held = pieces.first().filter(|_| asked.script == Script::TwiceHeld).map(|(_, said)| said.clone());
        if let Some(before) = std::mem::replace(&mut connection.held, held) {
            connection.pieces.push_back((now, before));
        }
        let mut at = connection.pieces.back().map_or(now, |&(at, _)| at.max(now));
        for (wait, bytes) in pieces {
            at = at + wait;
            connection.pieces.push_back((at, bytes));
            if at > now {
                turn.timers.insert(at, id);
            }
        }
        if let Script::Twice(_) = asked.script {
            connection.spoilt = Some(at);
        }
        self.write(turn, id);
    }

    /// Writes what is due, each piece by itself.
    fn write(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let now = turn.net.now();
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        while let Some((at, bytes)) = connection.pieces.front_mut()
            && *at <= now
        {
            if bytes.is_empty() {
                return drop(self.yard.connections.remove(id));
            }
            match connection.stream.write(bytes) {
                Ok(n) if n == bytes.len() => drop(connection.pieces.pop_front()),
                Ok(n) => drop(bytes.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return drop(self.yard.connections.remove(id)),
            }
        }
    }
}

impl Handler<VirtualNet> for StressBackend {
    type Timer = SlotId;

    fn ready(&mut self, turn: &mut Turn<'_>, token: Token, readiness: Readiness) {
        match self.yard.event(token, readiness) {
            Event::Knock => self.accept(turn),
            Event::Ready(id) => {
                self.write(turn, id);
                self.read(turn, id);
            }
        }
    }

    fn expired(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        self.write(turn, id);
        // What came with the head waits here.
        self.take_requests(turn, id);
        self.read(turn, id);
    }

    fn woken(&mut self, _turn: &mut Turn<'_>, wake: Wake) {
        self.yard.woken(wake);
    }

    fn turn_ended(&mut self, _turn: &mut Turn<'_>) -> Flow {
        self.yard.flow()
    }
}
