//! The users of a world under stress.
//!
//! Here: [`Users`], who connect and ask in groups, each over and over in the way of its group, and who judge that each answer is
//! its own and comes in time. Not here: what they send and get as bytes (`users/`). Floor 4.

mod answers;
mod classifying;
mod requests;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::plan::{StressOutcome, StressPlan, UserGroup};
use crate::h1::body::BodyReader;
use crate::net::{Fabric, Net, Readiness, Token, VirtualNet, Wake};
use crate::reactor::{Flow, Handler};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

type Turn<'a> = crate::reactor::Turn<'a, VirtualNet, Timer>;
type Stream = <VirtualNet as Net>::Stream;

/// How long a user waits after a connection was lost.
const PAUSE: Duration = Duration::from_millis(5);

/// From one look at who still waits to the next.
const LOOK: Duration = Duration::from_millis(100);

/// What a slow reader takes at once.
const SIP: usize = 100;

/// What a deadline of the users is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// A user connects.
    Start(usize),
    /// A connection's next request.
    Next(SlotId),
    /// The body of the request with this number.
    Body(SlotId, u64),
    /// One more byte is sent or a few are read.
    Drop(SlotId),
    /// Who has waited for too long?
    Look,
}

struct User {
    group: usize,
    host: Ipv4Addr,
    /// Since when it wants the answer that it has not got.
    since: Option<Instant>,
    /// It begins no request before.
    rests_until: Instant,
}

struct Asked {
    serial: u64,
    sent: Instant,
}

struct Connection {
    stream: Stream,
    user: usize,
    out: VecDeque<u8>,
    asked: Option<Asked>,
    input: Vec<u8>,
    /// An answer under way: its body, its status, and what its bytes are.
    answer: Option<(BodyReader, u16, u8)>,
    /// The numbers of the requests before, where backends answer twice.
    before: Vec<u64>,
    /// The body that is to follow later, and its length.
    body_due: usize,
    /// What has come of its body, where it tells results.
    results: Vec<u8>,
    /// The answer was the last on this connection.
    last: bool,
    answers: u64,
    readable: bool,
    /// It has something to do before it reads on.
    sips: bool,
}

/// All users.
pub(super) struct Users {
    fabric: Fabric,
    proxy: SocketAddr,
    groups: Vec<UserGroup>,
    users: Vec<User>,
    connections: Slots<Connection>,
    /// How long anything takes from here to the proxy, at most.
    delay: Duration,
    stopping: bool,
    /// When the proxy was told to stop.
    proxy_stops: Option<Instant>,
    /// When the proxy had noticed that a backend answers twice.
    noticed: Option<Instant>,
    serial: u64,
    /// What they have seen.
    pub(super) seen: StressOutcome,
    /// The first thing that must not happen.
    pub(super) violation: Option<String>,
}

impl Users {
    /// Users of the proxy at `proxy`, as planned.
    pub(super) fn new(fabric: Fabric, proxy: SocketAddr, plan: &StressPlan) -> Users {
        let mut users = Vec::new();
        for (group, of) in plan.groups.iter().enumerate() {
            let host = |n: usize| Ipv4Addr::new(10, of.first_host, (n >> 8) as u8, n as u8);
            let user =
                |n: usize| User { group, host: host(n % of.hosts), since: None, rests_until: Instant::ZERO };
            users.extend((0..of.users).map(user));
        }
        Users {
            fabric,
            proxy,
            groups: plan.groups.clone(),
            users,
            connections: Slots::default(),
            delay: plan.weather.delay.1,
            stopping: false,
            proxy_stops: None,
            noticed: None,
            serial: 0,
            seen: StressOutcome::default(),
            violation: None,
        }
    }

    /// Lets them begin.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now();
        for (number, user) in self.users.iter().enumerate() {
            let within = self.groups[user.group].begin_within.as_micros() as u64;
            let at = now + Duration::from_micros(self.fabric.draw(within.max(1)));
            turn.timers.insert(at, Timer::Start(number));
        }
        turn.timers.insert(now + LOOK, Timer::Look);
    }

    /// No new requests from now on, and who only fills places leaves.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let leaves = |connection: &Connection| {
            let kind = self.groups[self.users[connection.user].group].kind;
            connection.asked.is_none() || !kind.asks()
        };
        let leaving: Vec<_> = self.connections.iter().filter(|(_, c)| leaves(c)).map(|(id, _)| id).collect();
        leaving.into_iter().for_each(|id| drop(self.connections.remove(id)));
    }

    /// The proxy is told to stop now.
    pub(super) fn proxy_stops(&mut self, now: Instant) {
        self.proxy_stops = Some(now);
    }

    /// The proxy has noticed by now that a backend answers twice.
    pub(super) fn proxy_noticed(&mut self, now: Instant) {
        self.noticed.get_or_insert(now);
    }

    /// Whether every connection is closed.
    pub(super) fn is_done(&self) -> bool {
        self.connections.is_empty()
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    fn group(&self, user: usize) -> &UserGroup {
        &self.groups[self.users[user].group]
    }

    fn connect(&mut self, turn: &mut Turn<'_>, user: usize) {
        if self.stopping {
            return;
        }
        let now = turn.now();
        turn.net.come_from(self.users[user].host);
        let Ok((stream, _)) = turn.net.connect(self.proxy) else {
            turn.timers.insert(now + PAUSE, Timer::Start(user));
            return;
        };
        let id = self.connections.insert(Connection {
            stream,
            user,
            out: VecDeque::new(),
            asked: None,
            input: Vec::new(),
            answer: None,
            before: Vec::new(),
            body_due: 0,
            results: Vec::new(),
            last: false,
            answers: 0,
            readable: false,
            sips: false,
        });
        self.begin(turn, id);
        if let Some(connection) = self.connections.get_mut(id) {
            let registered = turn.net.register(&mut connection.stream, Token::new(0, id));
            assert!(registered.is_ok(), "a virtual stream can always be registered");
        }
    }

    fn write(&mut self, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        while !connection.out.is_empty() {
            let (front, _) = connection.out.as_slices();
            match connection.stream.write(front) {
                Ok(n) => drop(connection.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // What was answered before is still to be read.
                Err(_) => return connection.out.clear(),
            }
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let mut block = [0; 16 * 1024];
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if !connection.readable {
                return;
            }
            let most = if connection.sips { SIP } else { block.len() };
            match connection.stream.read(&mut block[..most]) {
                Ok(0) => return self.ended(turn, id),
                Ok(n) => connection.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(_) => return self.ended(turn, id),
            }
            if connection.sips {
                connection.readable = false;
                connection.input.clear();
                return;
            }
            self.take_answers(turn, id);
        }
    }

    /// The proxy has closed the connection, or it is lost.
    fn ended(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.connections.get(id) else { return };
        let group = self.group(connection.user);
        let asked = connection.asked.as_ref().filter(|_| group.served_within.is_some());
        if let Some(Asked { serial, sent }) = asked {
            let (waited, answers) = (turn.net.now() - *sent, connection.answers);
            // What had come to the proxy before it was told to stop is answered; what came later it need not take.
            let owed = match self.proxy_stops {
                Some(at) => answers > 0 && *sent + self.delay < at,
                None => !group.may_be_cut,
            };
            let what = format!("request {serial} was cut after {waited:?}, behind {answers} answers");
            self.seen.cut += 1;
            if owed {
                self.violate(what);
            }
        }
        self.close(turn, id, PAUSE);
    }

    fn close(&mut self, turn: &mut Turn<'_>, id: SlotId, pause: Duration) {
        let Some(connection) = self.connections.remove(id) else { return };
        let at = self.users[connection.user].rests_until.max(turn.now() + pause);
        turn.timers.insert(at, Timer::Start(connection.user));
    }

    /// Who has waited for too long?
    fn look(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now();
        for (number, user) in self.users.iter().enumerate() {
            let Some((since, within)) = user.since.zip(self.groups[user.group].served_within) else {
                continue;
            };
            if now - since > within && self.proxy_stops.is_none() {
                let what = format!("user {number} of group {} waits since {since:?}", user.group);
                return self.violate(what);
            }
        }
        if !self.stopping {
            turn.timers.insert(now + LOOK, Timer::Look);
        }
    }
}

impl Handler<VirtualNet> for Users {
    type Timer = Timer;

    fn ready(&mut self, turn: &mut Turn<'_>, token: Token, readiness: Readiness) {
        let Some(connection) = self.connections.get_mut(token.slot) else { return };
        let reads = readiness.readable || readiness.read_closed || readiness.broken;
        connection.readable |= reads && (!connection.sips || readiness.broken);
        self.write(token.slot);
        self.read(turn, token.slot);
    }

    fn expired(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Start(user) => self.connect(turn, user),
            Timer::Next(id) if self.stopping => drop(self.connections.remove(id)),
            Timer::Next(id) => self.begin(turn, id),
            Timer::Body(id, serial) => self.send_body(id, serial),
            Timer::Drop(id) => self.drip(turn, id),
            Timer::Look => self.look(turn),
        }
    }

    fn woken(&mut self, _turn: &mut Turn<'_>, _wake: Wake) {}

    fn turn_ended(&mut self, _turn: &mut Turn<'_>) -> Flow {
        Flow::Continue
    }
}
