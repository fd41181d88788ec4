//! The proxy: clients on one side, backends on the other, exchanges in between.
//!
//! Here: [`Proxy`], which holds the tables and routes each event to the file that knows what it means. Not here: any
//! decision. `client.rs` reads requests, `forward.rs` sends them on, `upstream.rs` and `response.rs` read
//! responses, `exchange.rs` ends exchanges; `cli/` starts it on a reactor. Floor 3.

mod address;
mod batching;
mod budget;
mod check;
mod client;
mod closing;
mod connect;
mod departure;
mod drain;
mod exchange;
mod failure;
mod final_recipient;
mod forward;
mod health;
mod idle_clients;
mod kind;
mod linger;
mod listen;
mod loops;
mod malformed;
mod obey;
mod options;
mod pool;
mod private;
mod race;
mod reload;
mod resident;
mod response;
mod retry;
mod reuse;
mod rules;
mod run;
mod seats;
mod servers;
mod slow_clients;
mod statuses;
mod target;
mod timeouts;
mod trace;
mod tunnel;
mod unasked;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::balance::BackendId;
use crate::buffer::BufferPool;
use crate::h1::HttpDate;
use crate::h1::via::Via;
use crate::net::{Door, Net, Readiness, Token, Wake};
use crate::reactor::{Flow, Handler};
use crate::remote::Orders;
use crate::slots::{SlotId, Slots};
use crate::telemetry::{Conduct, Counters, Recorder};
use crate::time::Instant;

use address::Hosts;
use batching::Batching;
use budget::Budget;
use client::Client;
use closing::CLOSED_TOGETHER;
use drain::Phase;
use exchange::Exchange;
use health::{Check, Findings};
use idle_clients::IdleClients;
use linger::Lingering;
use pool::Pool;
use private::PrivateConnections;
use race::Races;
use servers::Servers;
use slow_clients::SlowClients;
use trace::Tracer;
use upstream::Upstream;

pub use batching::BatchOptions;
pub use options::{Backend, CheckOptions, ConnectionMode, HalfClose, Limits, Options, PoolLimit, Reuse};
pub use reload::{Changed, Changes, Refused};
pub use resident::{Pooled, Resident};
pub use run::{RunningProxy, spawn};
pub use statuses::StatusSet;

/// What one read takes at most, and so about what may wait for a slow receiver.
///
/// Processor time a request as a multiple of that with 64 KiB, for bodies of 64 KiB and of 1 MiB (medians of interleaved rounds
/// on one processor, 100 clients, as many bytes a turn): 16 KiB 1.42 and 1.64, 32 KiB 1.19 and 0.94, 128 KiB 0.84 and 0.91,
/// 256 KiB 0.91 and 0.84. With four reads a turn, 128 KiB are 0.83 and 0.86. Much of it is that 64 KiB come in one
/// read with their head. More would pay for large bodies only, and each slow receiver may hold so much.
pub const INPUT_BLOCK_BYTES: usize = 128 * 1024;

/// How long records and gauges gather before telemetry gets them.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// The grain of the proxy's deadlines for [`crate::reactor::Reactor::new`]: 2^20 ns, about epoll's own.
pub const TICK_SHIFT: u32 = 20;

type Turn<'a, N> = crate::reactor::Turn<'a, N, Timer>;
type ClientId = SlotId;
type UpstreamId = SlotId;
type ExchangeId = SlotId;
type TicketId = SlotId;
type CallId = SlotId;
type CheckId = SlotId;

const LISTENER: u8 = 0;
const CLIENT: u8 = 1;
const UPSTREAM: u8 = 2;
const CHECK: u8 = 3;

/// The token of the one listener.
const DOOR: Token = Token::new(LISTENER, SlotId::new(0, 0));

/// What a deadline of the proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A client's connection.
    Client(SlotId),
    /// A connection to a backend.
    Upstream(SlotId),
    /// Accepting again, after the process ran out of descriptors or when an idle client may give way.
    Accept,
    /// Handing records to telemetry.
    Flush,
    /// Another copy of an exchange's request is to be thought of.
    Hedge(SlotId),
    /// The end of draining.
    Drain,
    /// The batching queue wants to be asked again.
    Batch,
    /// A server is to be checked.
    CheckDue(BackendId),
    /// A check under way.
    Check(SlotId),
}

/// The proxy, as a handler of a reactor.
pub struct Proxy<N: Net> {
    options: Options,
    door: Door<N::Listener>,
    clients: Slots<Client<N::Stream>>,
    hosts: Hosts,
    idle_clients: IdleClients,
    lingering: Lingering,
    slow_clients: SlowClients,
    upstreams: Slots<Upstream<N::Stream>>,
    private: PrivateConnections,
    /// Connections that have carried their exchange; closed before the turn ends.
    closing: Vec<N::Stream>,
    exchanges: Slots<Exchange>,
    servers: Servers,
    /// With a classifier.
    batching: Option<Box<Batching>>,
    buffers: BufferPool,
    /// The reactor's input block; moved out while an event is handled, so that heads may borrow from it.
    input: Box<[u8]>,
    /// The head being written.
    head: Vec<u8>,
    date: HttpDate,
    recorder: Recorder,
    flush_armed: bool,
    counters: Counters,
    phase: Phase,
    /// Exchanges since the start.
    begun: u64,
    /// Set by another thread, which wakes the reactor then: stop.
    stop: Option<Arc<AtomicBool>>,
    /// What another reactor asks.
    orders: Option<Orders<N::Waker>>,
    /// Who brings other options.
    changes: Option<Changes>,
    told: failure::Told,
    /// Of answers that are malformed.
    malformed: failure::Told,
    /// The same of requests that came back.
    turned_back: failure::Told,
    /// The same of what backends say unasked.
    unasked: failure::Told,
    /// What it calls itself towards servers.
    via: Via,
    budget: Budget,
    checks: Slots<Check<N::Stream>>,
    /// Of each server.
    findings: Vec<Findings>,
    tracer: Tracer,
    races: Races,
}

impl<N: Net> Proxy<N> {
    /// A proxy that will accept from `listener`. Finished exchanges go to `recorder`.
    pub fn new(options: Options, listener: N::Listener, recorder: Recorder) -> Proxy<N> {
        Proxy {
            door: Door::new(listener),
            clients: Slots::default(),
            idle_clients: IdleClients::default(),
            lingering: Lingering::default(),
            slow_clients: SlowClients::default(),
            hosts: Hosts::new(options.limits.connections_per_client),
            upstreams: Slots::default(),
            private: PrivateConnections::default(),
            closing: Vec::with_capacity(CLOSED_TOGETHER),
            exchanges: Slots::default(),
            servers: Servers::new(&options),
            batching: options.batching.clone().map(|b| Box::new(Batching::new(b))),
            buffers: BufferPool::default(),
            input: vec![0; INPUT_BLOCK_BYTES].into_boxed_slice(),
            head: Vec::new(),
            date: HttpDate::default(),
            recorder,
            flush_armed: false,
            counters: Counters::default(),
            phase: Phase::Serving,
            begun: 0,
            stop: None,
            orders: None,
            changes: None,
            told: failure::Told::default(),
            malformed: failure::Told::default(),
            turned_back: failure::Told::default(),
            unasked: failure::Told::default(),
            via: Via::new(options.run),
            budget: Budget::new(options.retry_budget),
            checks: Slots::default(),
            findings: options.servers().map(|_| Findings::default()).collect(),
            tracer: Tracer::new(&options),
            races: Races::default(),
            options,
        }
    }

    /// The same, which another thread stops: it sets `stop` and wakes the reactor.
    fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Proxy<N> {
        self.stop = Some(stop);
        self
    }

    /// Begins to accept. To be called once, before the reactor runs.
    ///
    /// # Errors
    /// When the listener cannot be registered.
    pub fn open(&mut self, turn: &mut Turn<'_, N>) -> std::io::Result<()> {
        self.flush_records(turn);
        self.begin_checks(turn);
        self.door.register(turn.net, DOOR)
    }

    /// Whether a second stop signal ended the run before everything was finished.
    pub fn forced(&self) -> bool {
        self.phase == Phase::Forced
    }

    /// Hands what is recorded to telemetry.
    fn flush_records(&mut self, turn: &Turn<'_, N>) {
        let now = turn.now();
        self.counters.turns = turn.times();
        if let Some(batching) = &self.batching {
            self.recorder.note_batching(batching.state(now));
        }
        self.budget.tick(now, self.begun);
        self.servers.pools.iter_mut().for_each(|pool| pool.tick(now));
        self.servers.tell_changes();
        self.idle_clients.forget_unwanted(now);
        self.counters.clients_open = self.clients.len() as u64;
        self.counters.connections_open = self.upstreams.len() as u64;
        let (routing, draining) = (self.servers.balance.mode(), self.is_draining());
        let connections = self.options.connections.name();
        self.recorder.note_conduct(Conduct { routing, connections, draining });
        self.recorder.flush(self.servers.gauges(), self.counters);
    }

    /// Makes sure that telemetry hears of what has changed.
    fn arm_flush(&mut self, turn: &mut Turn<'_, N>, now: Instant) {
        if !self.flush_armed {
            self.flush_armed = true;
            turn.timers.insert(now + FLUSH_INTERVAL, Timer::Flush);
        }
    }

    /// The same where nobody needed the time.
    fn tell_soon(&mut self, turn: &mut Turn<'_, N>) {
        if !self.flush_armed {
            let now = turn.now();
            self.arm_flush(turn, now);
        }
    }
}

impl<N: Net> Handler<N> for Proxy<N> {
    type Timer = Timer;

    /// A pooled connection that has spoken or ended must be known before a client's request of the same turn takes it.
    const FIRST: Option<u8> = Some(UPSTREAM);

    fn ready(&mut self, turn: &mut Turn<'_, N>, token: Token, readiness: Readiness) {
        let mut input = std::mem::take(&mut self.input);
        match token.role {
            LISTENER => {
                if readiness.readable {
                    self.door.knocked();
                }
                self.accept(turn);
            }
            CLIENT => self.client_ready(turn, token.slot, readiness, &mut input),
            CHECK => self.check_ready(turn, token.slot, readiness),
            _ => self.upstream_ready(turn, token.slot, readiness, &mut input),
        }
        self.input = input;
    }

    fn expired(&mut self, turn: &mut Turn<'_, N>, timer: Timer) {
        match timer {
            Timer::Client(id) => self.client_expired(turn, id),
            Timer::Upstream(id) => self.upstream_expired(turn, id),
            Timer::Accept => {
                self.idle_clients.timer_fired();
                self.door.resume();
                self.accept(turn);
            }
            Timer::Flush => {
                self.flush_armed = false;
                let now = turn.now();
                self.flush_records(turn);
                let waits = self.free_ids(turn);
                if waits || !self.exchanges.is_empty() {
                    self.arm_flush(turn, now);
                }
            }
            Timer::Hedge(id) => self.hedge_due(turn, id),
            Timer::Drain => self.cut_off(turn),
            Timer::Batch => self.batch_due(turn),
            Timer::CheckDue(server) => self.check_due(turn, server),
            Timer::Check(id) => self.check_expired(turn, id),
        }
    }

    fn woken(&mut self, turn: &mut Turn<'_, N>, wake: Wake) {
        match wake {
            Wake::StopSignal => self.stop(turn),
            Wake::Waker if self.stop.as_ref().is_some_and(|stop| stop.swap(false, Ordering::AcqRel)) => {
                self.stop(turn);
            }
            Wake::ReopenSignal => self.recorder.reopen(),
            Wake::Waker => {
                self.obey(turn);
                self.take_changes(turn);
            }
        }
    }

    fn turn_ended(&mut self, turn: &mut Turn<'_, N>) -> Flow {
        self.send_batches(turn);
        if !self.closing.is_empty() {
            self.close_waiting();
        }
        if self.recorder.is_full() {
            self.flush_records(turn);
        }
        self.drained(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    /// What a connection costs at rest, and an exchange in flight: growth must be meant.
    #[test]
    fn entries_stay_small() {
        type Socket = crate::net::OsStream;
        let sizes = [
            ("client", size_of::<Client<Socket>>(), 224),
            ("upstream", size_of::<Upstream<Socket>>(), 160),
            ("exchange", size_of::<Exchange>(), 136),
            ("record", size_of::<Record>(), 40),
        ];
        for (name, size, bound) in sizes {
            assert!(size <= bound, "{name}: {size} bytes, more than {bound}");
            assert!(size + 24 > bound, "{name}: {size} bytes now; lower the bound of {bound}");
        }
    }
}
