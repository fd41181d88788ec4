//! A generator and a scripted server on one virtual network.
//!
//! Here: [`Rig`], which steps both in virtual time, and [`Reaction`], what the server may do with a request. Floor 3.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::BufferPool;
use crate::h1::BodyLength;
use crate::h1::request::{RequestHead, field_space};
use crate::load::{Control, Generator, Plan, TICK_SHIFT, Tally, Workload};
use crate::net::{
    Accepted, Door, Fabric, Net, Readiness, Stream, Token, VirtualListener, VirtualNet, VirtualStream, Wake,
    Weather, flush, send,
};
use crate::reactor::{Flow, Handler, Reactor};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

const DOOR: Token = Token::new(0, SlotId::new(0, 0));

/// Where the server listens.
pub(super) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

/// What the server does with a request.
pub(super) enum Reaction {
    /// Sends this after so long; then closes, or not.
    Send(Duration, Vec<u8>, Then),
    /// Says nothing.
    Silence,
}

/// What follows what was sent.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    Keep,
    Close,
    Reset,
    /// Closes after so long, if nothing more has come.
    CloseIdle(Duration),
}

/// `text` as an answer, after so long.
pub(super) fn answer(after: Duration, text: &str) -> Reaction {
    let wire = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    Reaction::Send(after, wire.into_bytes(), Then::Keep)
}

struct Connection {
    stream: VirtualStream,
    received: Vec<u8>,
    waiting: Option<(Vec<u8>, Then)>,
    unsent: Option<crate::buffer::Buffer>,
}

/// Which request it is, when it came, and its bytes.
pub(super) type Script = Box<dyn FnMut(u64, Instant, &str) -> Reaction>;

struct Server {
    door: Door<VirtualListener>,
    connections: Slots<Connection>,
    buffers: BufferPool,
    script: Script,
    arrived: u64,
    /// Reacts to heads and does not read bodies.
    early: bool,
}

type Turn<'a> = crate::reactor::Turn<'a, VirtualNet, SlotId>;

impl Server {
    fn serve(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let mut block = [0; 4096];
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if self.early && connection.waiting.is_some() {
                return;
            }
            match connection.stream.read(&mut block) {
                Ok(0) => return drop(self.connections.remove(id)),
                Ok(n) => connection.received.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return drop(self.connections.remove(id)),
            }
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(len) = request_len(&connection.received, self.early) else { return };
        assert!(connection.waiting.is_none(), "the next request before the answer to the last");
        let request: Vec<u8> = connection.received.drain(..len).collect();
        let now = turn.net.now();
        self.arrived += 1;
        match (self.script)(self.arrived - 1, now, std::str::from_utf8(&request).unwrap()) {
            Reaction::Silence => {}
            Reaction::Send(after, wire, then) => {
                connection.waiting = Some((wire, then));
                turn.timers.insert(now + after, id);
            }
        }
    }
}

/// How long the request is that has come whole; without its body if that is not waited for.
fn request_len(bytes: &[u8], early: bool) -> Option<usize> {
    let mut space = field_space();
    let head = RequestHead::parse(bytes, &mut space).expect("the generator sends proper requests")?;
    let body = match head.body {
        BodyLength::Exact(n) if !early => n as usize,
        _ => 0,
    };
    (bytes.len() >= head.len + body).then_some(head.len + body)
}

impl Handler<VirtualNet> for Server {
    type Timer = SlotId;

    fn ready(&mut self, turn: &mut Turn<'_>, token: Token, _readiness: Readiness) {
        if token.role == 0 {
            self.door.knocked();
            while let Accepted::Client(stream, _) = self.door.accept(turn.net) {
                let connection = Connection { stream, received: Vec::new(), waiting: None, unsent: None };
                let id = self.connections.insert(connection);
                let stream = &mut self.connections.get_mut(id).unwrap().stream;
                turn.net.register(stream, Token::new(1, id)).unwrap();
            }
            return;
        }
        if let Some(connection) = self.connections.get_mut(token.slot) {
            let _ = flush(&mut connection.stream, &mut connection.unsent, &mut self.buffers);
        }
        self.serve(turn, token.slot);
    }

    fn expired(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some((wire, then)) = connection.waiting.take() else { return };
        let _ =
            send(&mut connection.stream, &mut connection.unsent, &mut self.buffers, [&wire, &[], &[], &[]]);
        match then {
            Then::Keep => return,
            Then::CloseIdle(rest) => {
                connection.waiting = Some((Vec::new(), Then::Close));
                let later = turn.now() + rest;
                turn.timers.insert(later, id);
                return;
            }
            Then::Reset => connection.stream.reset_on_close(),
            Then::Close => {}
        }
        self.connections.remove(id);
    }

    fn woken(&mut self, _turn: &mut Turn<'_>, _wake: Wake) {}

    fn turn_ended(&mut self, _turn: &mut Turn<'_>) -> Flow {
        Flow::Continue
    }
}

/// Both, under way.
pub(super) struct Rig<W> {
    fabric: Fabric,
    server: (Reactor<VirtualNet, SlotId>, Server),
    load: (Reactor<VirtualNet, crate::load::Timer>, Generator<VirtualNet, W>),
}

impl<W: Workload> Rig<W> {
    pub(super) fn new(seed: u64, weather: Weather, plan: Plan, workload: W, script: Script) -> Rig<W> {
        let fabric = Fabric::new(seed, weather);
        let net = fabric.net();
        let door = Door::new(net.listen(ADDRESS).unwrap());
        let mut server = Server {
            door,
            connections: Slots::default(),
            buffers: BufferPool::default(),
            script,
            arrived: 0,
            early: false,
        };
        let mut reactor = Reactor::new(net, TICK_SHIFT);
        reactor.begin(|turn| server.door.register(turn.net, DOOR)).unwrap();
        let mut generator = Generator::new(plan, workload, Arc::new(Control::default()));
        let mut load = Reactor::new(fabric.net(), TICK_SHIFT);
        load.begin(|turn| generator.open(turn));
        Rig { fabric, server: (reactor, server), load: (load, generator) }
    }

    /// Lets the server react to heads, and read no bodies.
    pub(super) fn early(mut self) -> Rig<W> {
        self.server.1.early = true;
        self
    }

    /// Changes the weather from now on.
    pub(super) fn set_weather(&self, weather: Weather) {
        self.fabric.set_weather(weather);
    }

    /// Runs until `until`; whether the generator has ended by then.
    pub(super) fn run_until(&mut self, until: Instant) -> bool {
        loop {
            let now = self.fabric.now();
            let mut acted = false;
            if acts(&mut self.server.0, now) {
                self.server.0.turn(&mut self.server.1).unwrap();
                acted = true;
            }
            if acts(&mut self.load.0, now) {
                if self.load.0.turn(&mut self.load.1).unwrap() == Flow::Stop {
                    return true;
                }
                acted = true;
            }
            if acted {
                continue;
            }
            let deadlines =
                [self.server.0.next_deadline(), self.load.0.next_deadline(), self.fabric.next_at()];
            let next = deadlines.into_iter().flatten().min().expect("the generator's end, at least");
            if next > until {
                self.fabric.advance(until);
                return false;
            }
            self.fabric.advance(next.max(now));
        }
    }

    /// Runs to the end; returns what was counted, and a digest of all that happened.
    pub(super) fn run(mut self) -> (Tally, W, u64) {
        assert!(self.run_until(Instant::NEVER));
        let lent = self.load.1.buffers.lent();
        assert!(self.load.1.tally().cut > 0 || lent == 0, "{lent} buffers are lent at rest");
        let digest = self.fabric.digest();
        let (tally, workload) = self.load.1.finish();
        (tally, workload, digest)
    }

    /// The signal that Ctrl-C sends.
    pub(super) fn interrupt(&mut self) {
        self.load.0.net().wake(Wake::StopSignal);
    }
}

fn acts<T: Copy>(reactor: &mut Reactor<VirtualNet, T>, now: Instant) -> bool {
    reactor.net().has_events() || reactor.next_deadline().is_some_and(|at| at <= now)
}
