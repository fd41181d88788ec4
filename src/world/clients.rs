//! The clients of a virtual world.
//!
//! Here: [`Clients`], a handler that plays many users at once, each sending its next request when the last is answered,
//! and judges what comes back: whole, and for the right request. Not here: the network they use (`net/virtual_net/`). Floor 4.

mod answers;
mod habits;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use super::plan::Plan;
use super::requests::write_request;
use super::tunnels::UserEnd;
use crate::h1::body::BodyReader;
use crate::net::{Fabric, Net, Readiness, Stream as _, Token, VirtualNet, Wake};
use crate::proxy::HalfClose;
use crate::reactor::{Flow, Handler};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

use habits::{Habits, Parting};

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
    /// GETs whose users leave before any answer, every other one with a reset.
    Leaving,
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
    /// The user leaves.
    Leave(SlotId),
}

/// One request on its way.
struct Asked {
    serial: u64,
    to_head: bool,
    /// It asks for a tunnel.
    tunnel: Option<UserEnd>,
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
    sent: usize,
    received: usize,
    habits: Habits,
    asked: VecDeque<Asked>,
    input: Vec<u8>,
    body: Option<Answer>,
    /// It has become one.
    tunnel: Option<UserEnd>,
    readable: bool,
    /// It has ended its side, and is to get an answer all the same.
    owed: bool,
}

/// What the users have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers by status class: 2xx, 4xx, 5xx.
    pub answers: [u64; 3],
    /// Requests sent whole.
    pub sent: u64,
    /// Tunnels through which all has come back.
    pub tunnels: u64,
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
    half_close: HalfClose,
    /// How long the proxy waits for anything.
    timeout: Duration,
    /// Nothing that is sent is lost.
    certain: bool,
    /// Nobody has to make room for others.
    roomy: bool,
    connections: Slots<Connection>,
    stopping: bool,
    /// Requests written so far: each carries its number.
    serial: u64,
    /// What they have seen.
    pub(super) seen: Seen,
}

impl Clients {
    /// Users of the proxy at `proxy`, as planned.
    pub(super) fn new(fabric: Fabric, proxy: SocketAddr, plan: &Plan) -> Clients {
        Clients {
            fabric,
            proxy,
            behaviour: plan.behaviour,
            half_close: plan.half_close,
            timeout: plan.timeout,
            certain: plan.weather.resets == 0.0 && !plan.outages,
            roomy: plan.has_room(),
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
        let habits = Habits::draw(&self.fabric, self.behaviour, self.timeout);
        let id = self.connections.insert(Connection {
            stream,
            user,
            out: VecDeque::new(),
            sent: 0,
            received: 0,
            habits,
            asked: VecDeque::new(),
            input: Vec::new(),
            body: None,
            tunnel: None,
            readable: false,
            owed: false,
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
        let draw = |below| if self.behaviour == Behaviour::Mixed { self.fabric.draw(below) } else { 0 };
        let (kind, pipelined, size) = (draw(14), 1 + draw(6) / 4, draw(40_000) as usize);
        let Some(connection) = self.connections.get_mut(id) else { return };
        // What goes through a tunnel has an end of its own.
        connection.habits.half_closes &= kind < 12;
        for _ in 0..pipelined {
            self.serial += 1;
            let tunnel = match kind {
                12.. => Some(UserEnd::ask(self.serial, size, &mut connection.out)),
                _ => {
                    write_request(&mut connection.out, kind, self.serial, size);
                    None
                }
            };
            connection.asked.push_back(Asked { serial: self.serial, to_head: kind == 8, tunnel, sent: now });
            self.seen.sent += 1;
            if kind >= 11 {
                break;
            }
        }
        if self.behaviour == Behaviour::Leaving {
            turn.timers.insert(now + PAUSE * 20, Timer::Leave(id));
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
            if connection.habits.leaves == Some(Parting::Sending(connection.sent)) {
                return self.leave(turn, id);
            }
            let (front, _) = connection.out.as_slices();
            let n = connection.may_send(front.len());
            if n == 0 {
                if connection.out.is_empty() && connection.habits.half_closes && !connection.owed {
                    connection.owed = connection.stream.shutdown(Shutdown::Write).is_ok();
                }
                if connection.tunnel.as_mut().is_some_and(UserEnd::ends_now) {
                    // A link that is lost tells so when it is read.
                    let _ = connection.stream.shutdown(Shutdown::Write);
                }
                return;
            }
            match connection.stream.write(&front[..n]) {
                Ok(n) => {
                    connection.sent += n;
                    drop(connection.out.drain(..n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // What was answered before is still to be read.
                Err(_) => return connection.out.clear(),
            }
            if connection.habits.dribble.is_some() {
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
            if !connection.readable || turn.net.now() < connection.habits.asleep_until {
                return;
            }
            match connection.stream.read(&mut block) {
                Ok(0) => return self.ended(turn, id),
                Ok(n) => {
                    connection.received += n;
                    connection.input.extend_from_slice(&block[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(_) => return self.ended(turn, id),
            }
            self.take_answers(turn, id);
            let Some(connection) = self.connections.get_mut(id) else { return };
            if connection.habits.leaves.is_some_and(|p| p.is_due(connection.received)) {
                return self.leave(turn, id);
            }
            if let Some(rest) = connection.rests() {
                let later = turn.net.now() + rest;
                connection.habits.asleep_until = later;
                turn.timers.insert(later, Timer::Continue(id));
                return;
            }
        }
    }

    /// Leaves, with a reset or in good order.
    fn leave(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        if self.fabric.draw(2) == 0
            && let Some(connection) = self.connections.get(id)
        {
            connection.stream.reset_on_close();
        }
        self.close(turn, id);
    }

    fn ended(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        if let Some(tunnel) = self.connections.get(id).and_then(|c| c.tunnel) {
            self.seen.tunnels += u64::from(tunnel.is_whole());
            tunnel.ended(self.certain).unwrap_or_else(|what| self.violate(what));
        }
        if let Some(connection) = self.connections.get(id).filter(|c| !c.asked.is_empty()) {
            self.seen.cut += 1;
            let owed = connection.owed && self.half_close == HalfClose::Answer && self.certain && self.roomy;
            // What was said is an answer, whole or not.
            if owed && connection.received == 0 {
                self.violate(format!("connection {id:?}: half-closed, and not answered"));
            }
        }
        self.close(turn, id);
    }

    fn close(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.connections.remove(id) else { return };
        let later = turn.now() + PAUSE;
        turn.timers.insert(later, Timer::Start(connection.user));
    }
}

impl Connection {
    /// How many of `waiting` bytes it sends now.
    fn may_send(&self, waiting: usize) -> usize {
        let mut most = self.habits.dribble.unwrap_or(usize::MAX).min(waiting);
        if let Some(Parting::Sending(end)) = self.habits.leaves {
            most = most.min(end.saturating_sub(self.sent));
        }
        if let Some(end) = self.habits.holds_back {
            most = most.min(end.saturating_sub(self.sent));
        }
        most
    }

    /// How long it reads no more now.
    fn rests(&mut self) -> Option<Duration> {
        if let Some((_, long)) = self.habits.nap.take_if(|(after, _)| self.received >= *after) {
            return Some(long);
        }
        self.habits.slow_reader.then_some(Duration::from_millis(20))
    }

    /// Whether another request may follow on it.
    fn goes_on(&self) -> bool {
        self.out.is_empty() && !self.habits.half_closes
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
            Timer::Leave(id) => {
                if let Some(connection) = self.connections.get(id)
                    && connection.asked.front().is_some_and(|asked| asked.serial % 2 == 0)
                {
                    connection.stream.reset_on_close();
                }
                self.close(turn, id);
            }
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
