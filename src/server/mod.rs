//! An HTTP/1.1 server for what we answer ourselves.
//!
//! Here: [`Server`], which lets clients in, reads their requests in order and stops when it is told to. What is
//! answered and when is a [`Service`]'s (`service.rs`): simulated servers (`testbed/`) and the pages and calls of
//! the admin listener (`admin/`). `connection.rs` reads, `answering.rs` answers, `places.rs` says who gives way to a
//! newcomer, `presence.rs` lets it vanish, `run.rs` gives it a thread. Not here: requests that are passed on (`proxy/`). Floor 2.

mod answering;
mod connection;
mod places;
mod presence;
#[cfg(test)]
pub(crate) mod rig;
mod run;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::buffer::BufferPool;
use crate::h1::HttpDate;
use crate::net::{ACCEPT_BATCH, ACCEPT_PAUSE, Accepted, Door, Net, Readiness, Token, Wake, is_exhaustion};
use crate::reactor::{Flow, Handler};
use crate::slots::{SlotId, Slots};

use connection::Connection;

pub use presence::Presence;
pub use run::{RunningServer, spawn};
pub use service::{Response, Service};

/// A request comes in one piece, mostly.
const INPUT_BLOCK_BYTES: usize = 16 * 1024;

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections may be open at once; further ones wait in the listen backlog. At least 1.
    pub connections: usize,
    /// Whether one of them gives way to a newcomer: who is idle or slow, for longest first.
    pub evicts: bool,
    /// How many answers that go on may be under way; further ones are refused.
    pub streams: usize,
    /// The largest body that is kept for the service, in bytes.
    pub body_bytes: usize,
    /// How long a request may take to come: its head, and then its body.
    pub request: Duration,
    /// How long a connection may rest between requests.
    pub idle: Duration,
    /// How long what waits may take to be answered and sent after a stop.
    pub stop: Duration,
}

impl Default for Limits {
    /// As a backend has them: whoever comes is let in and may stay.
    fn default() -> Limits {
        Limits {
            connections: usize::MAX,
            evicts: false,
            streams: usize::MAX,
            body_bytes: 1024 * 1024,
            request: Duration::from_secs(60),
            idle: Duration::MAX,
            stop: Duration::from_secs(30),
        }
    }
}

const LISTENER: u8 = 0;
const CONNECTION: u8 = 1;
const DOOR: Token = Token::new(LISTENER, SlotId::new(0, 0));

type Turn<'a, N> = crate::reactor::Turn<'a, N, Timer>;

/// What a deadline of a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An answer is due on this connection, or the next piece of one.
    Due(SlotId),
    /// A connection has been silent for too long in mid-head, or after our last word.
    Connection(SlotId),
    /// Accepting again after the process ran out of descriptors.
    Accept,
    /// Looking again whether one of those who have places gives way.
    Place,
    /// The end of stopping.
    Stop,
    /// It may have to go or to come back.
    Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
    /// The stop limit has passed.
    CutOff,
    /// A second signal came.
    Forced,
}

/// What others may know and ask of a server in another thread.
#[derive(Debug, Default)]
pub struct Control {
    /// Set, and the reactor woken: answer what waits and stop.
    pub stop: AtomicBool,
    /// Requests answered so far.
    pub answered: AtomicU64,
}

/// A server on a reactor: connections, and the service that says what is answered on them.
pub struct Server<N: Net, S: Service> {
    service: S,
    limits: Limits,
    /// If it may vanish.
    comes_back_at: Option<SocketAddr>,
    door: Door<N::Listener>,
    connections: Slots<Connection<N::Stream, S>>,
    /// [`Timer::Place`] is set.
    looks_again: bool,
    buffers: BufferPool,
    input: Box<[u8]>,
    output: Vec<u8>,
    date: HttpDate,
    phase: Phase,
    control: Arc<Control>,
}

impl<N: Net, S: Service> Server<N, S> {
    /// A server that will accept from `listener`.
    pub fn serving(service: S, limits: Limits, listener: N::Listener, control: Arc<Control>) -> Server<N, S> {
        Server {
            service,
            limits,
            comes_back_at: None,
            door: Door::new(listener),
            connections: Slots::default(),
            looks_again: false,
            buffers: BufferPool::default(),
            input: vec![0; INPUT_BLOCK_BYTES].into_boxed_slice(),
            output: Vec::with_capacity(1024),
            date: HttpDate::default(),
            phase: Phase::Serving,
            control,
        }
    }

    /// Begins to accept. To be called once, before the reactor runs.
    ///
    /// # Errors
    /// When the listener cannot be registered.
    pub fn open(&mut self, turn: &mut Turn<'_, N>) -> std::io::Result<()> {
        self.service.begun(turn.now());
        self.door.register(turn.net, DOOR)?;
        self.heed_presence(turn);
        Ok(())
    }

    /// Whether a second stop signal ended the run before everything was answered.
    pub fn forced(&self) -> bool {
        self.phase == Phase::Forced
    }

    /// How many connections it holds, and how many buffers they have.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.connections.len(), self.buffers.lent())
    }

    /// Whether its door is shut.
    #[cfg(test)]
    pub(crate) fn is_away(&self) -> bool {
        self.door.is_shut()
    }

    fn accept(&mut self, turn: &mut Turn<'_, N>) {
        for _ in 0..ACCEPT_BATCH {
            if !self.door.may_accept() || !self.has_place(turn) {
                return;
            }
            match self.door.accept(turn.net) {
                Accepted::Client(stream, _) => {
                    self.give_place(turn);
                    let now = turn.now();
                    self.admit(turn, Connection::new(stream, now));
                }
                Accepted::Lost => {}
                Accepted::Nobody => return,
                Accepted::Exhausted(_) if self.evict(turn) => self.door.resume(),
                Accepted::Exhausted(e) | Accepted::Failed(e) => {
                    let advice = if is_exhaustion(&e) { "; raise the descriptor limit" } else { "" };
                    log::error!("{}: cannot accept: {e}{advice}", self.service.name());
                    let resume = turn.now() + ACCEPT_PAUSE;
                    turn.timers.insert(resume, Timer::Accept);
                    return;
                }
            }
        }
        turn.again(DOOR);
    }

    fn admit(&mut self, turn: &mut Turn<'_, N>, connection: Connection<N::Stream, S>) {
        let id = self.connections.insert(connection);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Err(e) = turn.net.register(&mut connection.stream, Token::new(CONNECTION, id)) {
            log::error!("{}: cannot watch a connection, closing it: {e}", self.service.name());
            self.connections.remove(id);
            return;
        }
        let idle = turn.net.now() + self.limits.idle;
        connection.deadline.set(turn.timers, idle, Timer::Connection(id));
    }

    /// Accepts no more, closes what rests and what would go on for ever, answers what waits.
    fn stop(&mut self, turn: &mut Turn<'_, N>) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Stopping;
        self.door.shut();
        let resting = self.connections.iter().filter(|(_, c)| c.rests() || c.streams());
        let resting: Vec<_> = resting.map(|(id, _)| id).collect();
        resting.into_iter().for_each(|id| self.close(turn, id));
        let limit = turn.now() + self.limits.stop;
        turn.timers.insert(limit, Timer::Stop);
    }
}

impl<N: Net, S: Service> Handler<N> for Server<N, S> {
    type Timer = Timer;

    fn ready(&mut self, turn: &mut Turn<'_, N>, token: Token, readiness: Readiness) {
        if token.role == LISTENER {
            if readiness.readable {
                self.door.knocked();
            }
            return self.accept(turn);
        }
        let mut input = std::mem::take(&mut self.input);
        self.connection_ready(turn, token.slot, readiness, &mut input);
        self.input = input;
    }

    fn expired(&mut self, turn: &mut Turn<'_, N>, timer: Timer) {
        match timer {
            Timer::Due(id) => self.due(turn, id),
            Timer::Connection(id) => self.connection_expired(turn, id),
            Timer::Accept => {
                self.door.resume();
                self.accept(turn);
            }
            Timer::Place => {
                self.looks_again = false;
                self.accept(turn);
            }
            Timer::Presence => self.heed_presence(turn),
            Timer::Stop => {
                let (name, open) = (self.service.name(), self.connections.len());
                log::warn!("{name}: stopped with {open} connections open");
                self.phase = Phase::CutOff;
            }
        }
    }

    fn woken(&mut self, turn: &mut Turn<'_, N>, wake: Wake) {
        match wake {
            Wake::StopSignal if self.phase == Phase::Stopping => self.phase = Phase::Forced,
            Wake::StopSignal => self.stop(turn),
            Wake::Waker if self.control.stop.load(Ordering::Acquire) => self.stop(turn),
            Wake::Waker => self.settle(turn),
            Wake::ReopenSignal => {}
        }
    }

    fn turn_ended(&mut self, _turn: &mut Turn<'_, N>) -> Flow {
        match self.phase {
            Phase::Forced | Phase::CutOff => Flow::Stop,
            Phase::Stopping if self.connections.is_empty() => Flow::Stop,
            Phase::Stopping | Phase::Serving => Flow::Continue,
        }
    }
}
