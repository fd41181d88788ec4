//! Simulated servers: backends and a classifier.
//!
//! Here: [`SimulatedServer`], which lets clients in and stops when it is told to, and its two kinds,
//! [`SimulatedBackend`] and [`SimulatedClassifier`]. Not here: what one connection does (`connection.rs`), what is
//! answered and when (`service.rs`), a thread for it (`run.rs`). `cli/`, `world/` and tests start them. Floor 3.

mod answering;
mod backend;
mod classifier;
mod connection;
mod fault;
mod outage;
mod profile;
mod run;
mod service;
mod service_time;
mod workers;

#[cfg(test)]
mod backend_tests;
#[cfg(test)]
mod classifier_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod rig;

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
use outage::Outage;

pub use backend::{BackendOptions, Greetings};
pub use classifier::{Classifications, ClassifierOptions};
pub use fault::{Fault, FaultKind};
pub use profile::{Draws, Millis, Profile};
pub use run::{RunningServer, spawn, spawn_classifier};
pub use service::{Response, Service};
pub use service_time::{Costs, ServiceTime};

/// The grain of a simulated server's deadlines: 2^16 ns, 66 µs.
pub const TICK_SHIFT: u32 = 16;

/// A request comes in one piece, mostly.
const INPUT_BLOCK_BYTES: usize = 16 * 1024;

/// How long what waits may take to be answered and sent after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

const LISTENER: u8 = 0;
const CONNECTION: u8 = 1;
const DOOR: Token = Token::new(LISTENER, SlotId::new(0, 0));

type Turn<'a, N> = crate::reactor::Turn<'a, N, Timer>;

/// What a deadline of a simulated server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An answer is due on this connection.
    Due(SlotId),
    /// A connection has been silent for too long in mid-head, or after our last word.
    Connection(SlotId),
    /// Accepting again after the process ran out of descriptors.
    Accept,
    /// The end of stopping.
    Stop,
    /// An outage may begin or end.
    Outage,
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
pub struct SimulatedServer<N: Net, S: Service> {
    service: S,
    outage: Option<Outage>,
    door: Door<N::Listener>,
    connections: Slots<Connection<N::Stream, S>>,
    buffers: BufferPool,
    input: Box<[u8]>,
    output: Vec<u8>,
    date: HttpDate,
    phase: Phase,
    control: Arc<Control>,
}

/// A server that answers any request with 200 and a line of text, after the next latency of its profile. Any number
/// of requests wait at once: it sleeps, it does not queue.
pub type SimulatedBackend<N> = SimulatedServer<N, Greetings>;

/// A server that tells which texts are code, and takes the time of a model server for it.
pub type SimulatedClassifier<N> = SimulatedServer<N, Classifications>;

impl<N: Net> SimulatedBackend<N> {
    /// A backend that will accept from `listener`.
    pub fn new(options: BackendOptions, listener: N::Listener, control: Arc<Control>) -> SimulatedBackend<N> {
        SimulatedServer::serving(Greetings::new(options), listener, control)
    }

    /// A backend that may also vanish, when its faults say so: it will accept from `listener`, which listens on `address`, where it
    /// comes back.
    pub fn vanishing(
        options: BackendOptions,
        listener: N::Listener,
        address: SocketAddr,
        control: Arc<Control>,
    ) -> SimulatedBackend<N> {
        let refusals = options.faults.iter().filter(|fault| fault.kind == FaultKind::Refuse);
        let outages: Vec<_> = refusals.cloned().collect();
        let mut backend = SimulatedBackend::new(options, listener, control);
        backend.outage = (!outages.is_empty()).then(|| Outage::new(outages, address));
        backend
    }
}

impl<N: Net> SimulatedClassifier<N> {
    /// A classifier that will accept from `listener`.
    pub fn new(
        options: ClassifierOptions,
        listener: N::Listener,
        control: Arc<Control>,
    ) -> SimulatedClassifier<N> {
        SimulatedServer::serving(Classifications::new(options), listener, control)
    }
}

impl<N: Net, S: Service> SimulatedServer<N, S> {
    fn serving(service: S, listener: N::Listener, control: Arc<Control>) -> SimulatedServer<N, S> {
        SimulatedServer {
            service,
            outage: None,
            door: Door::new(listener),
            connections: Slots::default(),
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
        self.begin_outages(turn);
        Ok(())
    }

    /// Whether a second stop signal ended the run before everything was answered.
    pub fn forced(&self) -> bool {
        self.phase == Phase::Forced
    }

    fn accept(&mut self, turn: &mut Turn<'_, N>) {
        for _ in 0..ACCEPT_BATCH {
            match self.door.accept(turn.net) {
                Accepted::Client(stream, _) => self.admit(turn, Connection::new(stream)),
                Accepted::Lost => {}
                Accepted::Nobody => return,
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
        }
    }

    /// Accepts no more, closes what rests, answers what waits.
    fn stop(&mut self, turn: &mut Turn<'_, N>) {
        if self.phase != Phase::Serving {
            return;
        }
        self.phase = Phase::Stopping;
        self.door.shut();
        let resting: Vec<_> = self.connections.iter().filter(|(_, c)| c.rests()).map(|(id, _)| id).collect();
        resting.into_iter().for_each(|id| self.close(turn, id));
        let limit = turn.now() + STOP_LIMIT;
        turn.timers.insert(limit, Timer::Stop);
    }
}

impl<N: Net, S: Service> Handler<N> for SimulatedServer<N, S> {
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
            Timer::Outage => self.outage_due(turn),
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
            Wake::Waker => {}
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
