//! The clients of a virtual world.
//!
//! Here: [`Clients`], a handler that plays many users at once, each sending its next request when the last is answered,
//! and judges what comes back: whole, and for the right request. Not here: the network they use (`net/virtual_net/`). Floor 4.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::letter;
use crate::h1::BodyLength;
use crate::h1::body::BodyReader;
use crate::h1::request::field_space;
use crate::h1::response::ResponseHead;
use crate::net::{Fabric, Net, Readiness, Token, VirtualNet, Wake};
use crate::reactor::{Flow, Handler};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

type Turn<'a> = crate::reactor::Turn<'a, VirtualNet, Timer>;
type Stream = <VirtualNet as Net>::Stream;

/// Nothing may take longer than all timeouts of the proxy together.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a user waits after a connection was lost.
const PAUSE: Duration = Duration::from_millis(5);

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// GET after GET, as wrk.
    Plain,
    /// All that a proxy must bear: bodies, pipelines, slow readers and senders, users who leave.
    Mixed,
}

/// What a deadline of the clients is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// A user begins anew.
    Start(usize),
    /// A connection's patience is over.
    Patience(SlotId),
    /// More of a slow request, or of a slow reading, on this connection.
    Continue(SlotId),
}

/// One request on its way.
struct Asked {
    serial: u64,
    to_head: bool,
    sent: Instant,
}

/// An answer whose head has come.
struct Answer {
    reader: BodyReader,
    status: u16,
    /// What its body consists of, if that is known.
    letter: Option<u8>,
}

struct Connection {
    stream: Stream,
    user: usize,
    /// Not yet sent.
    out: VecDeque<u8>,
    /// How many bytes at a time, if it sends slowly.
    dribble: Option<usize>,
    /// Reads only when told to.
    slow_reader: bool,
    asked: VecDeque<Asked>,
    input: Vec<u8>,
    body: Option<Answer>,
    readable: bool,
    /// Leaves when this many bytes of the request are sent.
    leaves: bool,
}

/// What the users have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers by status class: 2xx, 4xx, 5xx.
    pub answers: [u64; 3],
    /// Requests sent whole.
    pub sent: u64,
    /// Connections that ended before the answer.
    pub cut: u64,
    /// Latencies of 2xx answers, in nanoseconds.
    pub latencies_ns: Vec<u64>,
    /// The first thing that must not happen.
    pub violation: Option<String>,
}

/// Many users.
pub(super) struct Clients {
    fabric: Fabric,
    proxy: SocketAddr,
    behaviour: Behaviour,
    connections: Slots<Connection>,
    stopping: bool,
    /// Requests written so far: each carries its number.
    serial: u64,
    /// What they have seen.
    pub(super) seen: Seen,
}

impl Clients {
    /// Users of the proxy at `proxy`.
    pub(super) fn new(fabric: Fabric, proxy: SocketAddr, behaviour: Behaviour) -> Clients {
        Clients {
            fabric,
            proxy,
            behaviour,
            connections: Slots::default(),
            stopping: false,
            serial: 0,
            seen: Seen::default(),
        }
    }

    /// Lets `users` begin.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>, users: usize) {
        (0..users).for_each(|user| self.connect(turn, user));
    }

    /// No new requests from now on.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether every connection is closed.
    pub(super) fn is_done(&self) -> bool {
        self.connections.is_empty()
    }

    fn violate(&mut self, what: String) {
        self.seen.violation.get_or_insert(what);
    }

    fn connect(&mut self, turn: &mut Turn<'_>, user: usize) {
        if self.stopping {
            return;
        }
        let Ok((stream, _)) = turn.net.connect(self.proxy) else {
            let later = turn.now() + PAUSE;
            turn.timers.insert(later, Timer::Start(user));
            return;
        };
        let mixed = self.behaviour == Behaviour::Mixed;
        let id = self.connections.insert(Connection {
            stream,
            user,
            out: VecDeque::new(),
            dribble: (mixed && self.fabric.draw(8) == 0).then(|| 1 + self.fabric.draw(400) as usize),
            slow_reader: mixed && self.fabric.draw(8) == 0,
            asked: VecDeque::new(),
            input: Vec::new(),
            body: None,
            readable: false,
            leaves: false,
        });
        self.ask(turn, id);
        if let Some(connection) = self.connections.get_mut(id) {
            let registered = turn.net.register(&mut connection.stream, Token::new(0, id));
            assert!(registered.is_ok(), "a virtual stream can always be registered");
        }
    }

    /// Writes the next request, or several, into the connection's output.
    fn ask(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let now = turn.now();
        let draw = |below| if self.behaviour == Behaviour::Plain { 0 } else { self.fabric.draw(below) };
        let (kind, pipelined, size) = (draw(12), 1 + draw(6) / 4, draw(40_000) as usize);
        let leaves = draw(25) == 24;
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.leaves = leaves;
        for _ in 0..pipelined {
            self.serial += 1;
            write_request(&mut connection.out, kind, self.serial, size);
            connection.asked.push_back(Asked { serial: self.serial, to_head: kind == 8, sent: now });
            self.seen.sent += 1;
            if kind == 11 {
                break;
            }
        }
        turn.timers.insert(now + PATIENCE, Timer::Patience(id));
    }

    fn progress(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        self.write(turn, id);
        self.read(turn, id);
    }

    fn write(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            let (front, _) = connection.out.as_slices();
            let n = connection.dribble.unwrap_or(usize::MAX).min(front.len());
            if n == 0 {
                return;
            }
            match connection.stream.write(&front[..n]) {
                Ok(n) => drop(connection.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // What was answered before is still to be read.
                Err(_) => return connection.out.clear(),
            }
            if connection.leaves && (connection.out.is_empty() || connection.dribble.is_some()) {
                return self.close(turn, id);
            }
            if connection.dribble.is_some() {
                let later = turn.net.now() + Duration::from_millis(3);
                turn.timers.insert(later, Timer::Continue(id));
                return;
            }
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let mut block = [0; 4096];
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if !connection.readable {
                return;
            }
            match connection.stream.read(&mut block) {
                Ok(0) => return self.ended(turn, id),
                Ok(n) => connection.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(_) => return self.ended(turn, id),
            }
            self.take_answers(turn, id);
            let Some(connection) = self.connections.get_mut(id) else { return };
            if connection.slow_reader {
                let later = turn.net.now() + Duration::from_millis(20);
                turn.timers.insert(later, Timer::Continue(id));
                return;
            }
        }
    }

    fn take_answers(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if let Some(mut answer) = connection.body.take() {
                let Ok(piece) = answer.reader.read(&mut connection.input) else {
                    return self.violate(format!("connection {id:?}: malformed body"));
                };
                if answer.letter.is_some_and(|own| connection.input[piece.data].iter().any(|&b| b != own)) {
                    return self.violate(format!("connection {id:?}: bytes of another body"));
                }
                connection.input.drain(..piece.consumed);
                if !answer.reader.is_done() {
                    connection.body = Some(answer);
                    return;
                }
                self.answered(turn, id, answer.status);
                continue;
            }
            if connection.input.is_empty() {
                return;
            }
            let Some(asked) = connection.asked.front() else {
                let extra = connection.input.escape_ascii().to_string();
                return self.violate(format!("connection {id:?}: an answer to no request: {extra}"));
            };
            let mut space = field_space();
            match ResponseHead::parse(&connection.input, asked.to_head, &mut space) {
                Ok(None) => return,
                Ok(Some(head)) => {
                    let (len, status, body) = (head.len, head.status, head.body);
                    let serial = head.fields.iter().find(|f| f.name == "X-Serial").map(|f| f.value.to_vec());
                    let own = asked.serial.to_string().into_bytes();
                    if serial.as_ref().is_some_and(|answered| *answered != own) {
                        return self.violate(format!("connection {id:?}: the answer to another request"));
                    }
                    let letter = serial.map(|_| letter(asked.serial));
                    if body == BodyLength::UntilClose {
                        return self.violate(format!("connection {id:?}: an answer without length"));
                    }
                    connection.input.drain(..len);
                    if status >= 200 {
                        let reader = BodyReader::new(body);
                        connection.body = Some(Answer { reader, status, letter });
                    }
                }
                Err(e) => return self.violate(format!("connection {id:?}: malformed answer: {e}")),
            }
        }
    }

    fn answered(&mut self, turn: &mut Turn<'_>, id: SlotId, status: u16) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(asked) = connection.asked.pop_front() else { return };
        match status {
            200..300 => {
                self.seen.answers[0] += 1;
                self.seen.latencies_ns.push(now.nanos_since(asked.sent));
            }
            400..500 => self.seen.answers[1] += 1,
            _ => self.seen.answers[2] += 1,
        }
        if !connection.asked.is_empty() {
            return;
        }
        if self.stopping {
            return self.close(turn, id);
        }
        self.ask(turn, id);
        self.write(turn, id);
    }

    fn ended(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        if self.connections.get(id).is_some_and(|c| !c.asked.is_empty()) {
            self.seen.cut += 1;
        }
        self.close(turn, id);
    }

    fn close(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.connections.remove(id) else { return };
        let later = turn.now() + PAUSE;
        turn.timers.insert(later, Timer::Start(connection.user));
    }
}

/// Writes a request of one of twelve kinds. Its number is in the target, and its body consists of the number's letter.
fn write_request(out: &mut VecDeque<u8>, kind: u64, serial: u64, size: usize) {
    let method = match kind {
        8 => "HEAD",
        9 => "POST",
        10 => "PUT",
        _ => "GET",
    };
    let fields = match kind {
        9 => format!("Content-Length: {size}\r\n"),
        10 => "Transfer-Encoding: chunked\r\n".to_owned(),
        11 => "Connection: close\r\n".to_owned(),
        _ => String::new(),
    };
    out.extend(format!("{method} /{serial} HTTP/1.1\r\nHost: w\r\n{fields}\r\n").as_bytes());
    let fill = |n: usize| std::iter::repeat_n(letter(serial), n);
    match kind {
        9 => out.extend(fill(size)),
        10 => {
            for chunk in [1, size / 3 + 1, 7] {
                out.extend(format!("{chunk:x}\r\n").as_bytes());
                out.extend(fill(chunk));
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n\r\n");
        }
        _ => {}
    }
}

impl Handler<VirtualNet> for Clients {
    type Timer = Timer;

    fn ready(&mut self, turn: &mut Turn<'_>, token: Token, readiness: Readiness) {
        let Some(connection) = self.connections.get_mut(token.slot) else { return };
        connection.readable |= readiness.readable || readiness.read_closed || readiness.broken;
        self.progress(turn, token.slot);
    }

    fn expired(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Start(user) => self.connect(turn, user),
            Timer::Continue(id) => self.progress(turn, id),
            Timer::Patience(id) => {
                let now = turn.now();
                let waits =
                    |c: &Connection| c.asked.front().is_some_and(|asked| now - asked.sent >= PATIENCE);
                if self.connections.get(id).is_some_and(waits) {
                    self.violate(format!("connection {id:?}: no answer for {PATIENCE:?}"));
                }
            }
        }
    }

    fn woken(&mut self, _turn: &mut Turn<'_>, _wake: Wake) {}

    fn turn_ended(&mut self, _turn: &mut Turn<'_>) -> Flow {
        Flow::Continue
    }
}
