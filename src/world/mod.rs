//! A whole system in one thread and virtual time.
//!
//! Here: [`World`]: the proxy, simulated backends and clients on one virtual network, stepped until done and checked
//! after every step. The very code that production runs, from one seed. Not here: the network (`net/virtual_net/`)
//! and what must hold inside the proxy (`proxy/check.rs`). Tests and `make sim` run it. Floor 4.

mod actor;
mod batching;
mod clients;
mod manners;
mod reloads;
mod requests;
mod stage;
mod tunnels;
mod unruly;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::balance::{HealthOptions, RoutingMode};
use crate::h1::request::Target;
use crate::net::{Fabric, VirtualNet, Wake, Weather};
use crate::proxy::{self, Backend, ConnectionMode, HalfClose, Limits, Options, Proxy};
use crate::record::Record;
use crate::server::Control;
use crate::telemetry::{Counters, Tap, tap};
use crate::testbed::{self, BackendOptions, Profile, SimulatedBackend};
use crate::time::Instant;

use actor::{Actor, Acts, close_down, wait};
use clients::Clients;
use reloads::Reloads;
use unruly::UnrulyBackend;

pub use batching::{BatchingOutcome, BatchingPlan, BatchingWorld};
pub use clients::{Behaviour, Seen};
pub use stage::{Servers, Stage, StageOutcome, StagePlan};

/// No unruly answer is longer.
const LARGEST_ANSWER: usize = 100_000;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// How the proxy chooses.
    pub routing: RoutingMode,
    /// Whether it keeps upstream connections.
    pub connections: ConnectionMode,
    /// One well-behaved backend each.
    pub profiles: Vec<Profile>,
    /// How many more backends do all that a backend should not.
    pub unruly: usize,
    /// How many users.
    pub users: usize,
    /// What they do.
    pub behaviour: Behaviour,
    /// What it means to the proxy that a user ends its side.
    pub half_close: HalfClose,
    /// How the links behave.
    pub weather: Weather,
    /// How many client connections the proxy has room for.
    pub max_clients: usize,
    /// How often the proxy gets other options, with other servers among those that there are; never without.
    pub reloads: Option<Duration>,
    /// How long the users keep asking.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the users have seen.
    pub seen: Seen,
    /// The proxy's records, in order.
    pub records: Vec<Record>,
    /// What the proxy has counted.
    pub counters: Counters,
    /// How many events it took.
    pub steps: u64,
    /// Equal for equal runs.
    pub digest: u64,
}

/// A system under way.
pub struct World {
    fabric: Fabric,
    proxy: Actor<Proxy<VirtualNet>>,
    backends: Vec<Actor<SimulatedBackend<VirtualNet>>>,
    unruly: Vec<Actor<UnrulyBackend>>,
    clients: Actor<Clients>,
    reloads: Option<Reloads>,
    tap: Tap,
    records: Vec<Record>,
    steps: u64,
    end: Instant,
    capacity: usize,
    traced: bool,
}

impl World {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: &Plan) -> World {
        let fabric = Fabric::new(plan.seed, plan.weather.clone());
        let start = "a fresh network has room";
        let backends: Vec<_> = (0u16..)
            .zip(&plan.profiles)
            .map(|(i, profile)| {
                let net = fabric.net();
                let listener = net.listen(address(81 + i)).expect(start);
                let id = char::from(b'A' + (i % 26) as u8);
                let backend = SimulatedBackend::new(
                    BackendOptions::plain(id, profile.clone()),
                    listener,
                    address(81 + i),
                    Arc::new(Control::default()),
                );
                let mut actor = Actor::new(net, testbed::TICK_SHIFT, backend);
                actor.reactor.begin(|turn| actor.handler.open(turn)).expect(start);
                actor
            })
            .collect();
        let whole_segments = plan.weather.short_writes == 0.0
            && plan.weather.split_segments == 0.0
            && plan.weather.capacity >= LARGEST_ANSWER;
        let unruly = (0u16..)
            .take(plan.unruly)
            .map(|i| {
                let net = fabric.net();
                let listener = net.listen(address(81 + plan.profiles.len() as u16 + i)).expect(start);
                let backend = UnrulyBackend::new(fabric.clone(), listener, whole_segments);
                let mut actor = Actor::new(net, testbed::TICK_SHIFT, backend);
                actor.reactor.begin(|turn| actor.handler.open(turn)).expect(start);
                actor
            })
            .collect();
        let net = fabric.net();
        let listener = net.listen(address(80)).expect(start);
        let servers = (81..).take(plan.profiles.len() + plan.unruly).map(backend).collect();
        // Every other world is one in which all is told.
        let traced = plan.seed.is_multiple_of(2);
        let told = Options { explain: traced, trace: traced, run: plan.seed, ..options(servers) };
        let (connections, routing, half_close) = (plan.connections, plan.routing, plan.half_close);
        let mut options = Options { connections, routing, half_close, ..told };
        options.limits.connections = plan.max_clients;
        let (recorder, tap) = tap(options.roster());
        let reloads = plan.reloads.map(|every| Reloads::new(plan.seed, every, options.clone()));
        let proxy = Proxy::new(options, listener, recorder);
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, proxy);
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(start);
        let clients = Clients::new(fabric.clone(), address(80), plan.behaviour, plan.weather.resets == 0.0);
        let mut clients = Actor::new(fabric.net(), testbed::TICK_SHIFT, clients);
        clients.reactor.begin(|turn| clients.handler.start(turn, plan.users));
        let end = Instant::ZERO + plan.duration;
        World {
            fabric,
            proxy,
            backends,
            unruly,
            clients,
            reloads,
            tap,
            records: Vec::new(),
            steps: 0,
            end,
            capacity: plan.weather.capacity,
            traced,
        }
    }

    /// Runs to the end: the users stop asking, the proxy is told to stop and drains, and nothing may be left.
    ///
    /// # Errors
    /// The first violation, with the step and the virtual time.
    pub fn run(mut self) -> Result<Outcome, String> {
        let ran = self.run_to_end();
        ran.map_err(|what| self.place(&what))?;
        let (seen, digest) = (self.clients.handler.seen.clone(), self.digest());
        let World { fabric, proxy, mut backends, mut unruly, tap, records, steps, .. } = self;
        let counters = tap.counters();
        drop(proxy);
        let servers = backends.iter_mut().map(|b| b as &mut dyn Acts);
        close_down(&fabric, servers.chain(unruly.iter_mut().map(|b| b as &mut dyn Acts)).collect())?;
        Ok(Outcome { seen, records, counters, steps, digest })
    }

    fn place(&self, what: &str) -> String {
        format!("step {}, {:?} of virtual time: {what}", self.steps, self.fabric.now() - Instant::ZERO)
    }

    fn run_to_end(&mut self) -> Result<(), String> {
        while self.fabric.now() < self.end {
            self.step()?;
        }
        self.clients.handler.stop();
        self.fabric.set_weather(Weather { capacity: self.capacity, ..Weather::CALM });
        let limit = self.fabric.now() + Duration::from_secs(300);
        while !(self.clients.handler.is_done() && self.proxy.handler.in_flight() == 0) {
            self.step()?;
            if self.fabric.now() > limit {
                return Err(format!(
                    "{} exchanges still in flight after 300 s",
                    self.proxy.handler.in_flight()
                ));
            }
        }
        self.proxy.reactor.net().wake(Wake::StopSignal);
        while !self.proxy.stopped {
            self.step()?;
            if self.fabric.now() > limit {
                return Err("the proxy does not stop".to_owned());
            }
        }
        self.take_records();
        let (begun, recorded) = (self.proxy.handler.begun(), self.records.len() as u64);
        // Without a backend there is a record, and no exchange.
        let sent = self.records.iter().filter(|record| record.backend.is_some()).count() as u64;
        if begun != sent {
            return Err(format!("{begun} exchanges begun, {sent} recorded"));
        }
        if self.tap.traces() != if self.traced { recorded } else { 0 } {
            return Err(format!("{recorded} exchanges recorded, {} traced", self.tap.traces()));
        }
        self.proxy.handler.check_drained()
    }

    /// Brings the proxy other options, if it is time for them.
    fn reload(&mut self, now: Instant) -> Result<(), String> {
        let other = self.reloads.as_mut().and_then(|reloads| reloads.next(now));
        let Some(options) = other.filter(|_| now < self.end) else { return Ok(()) };
        let Actor { reactor, handler, .. } = &mut self.proxy;
        let changed = reactor.begin(|turn| handler.change(turn, options));
        changed.map_err(|refused| format!("a reload is refused: {refused}"))?;
        self.proxy.handler.check()
    }

    /// Lets everyone act who has something to do now; if nobody has, moves on to when somebody will.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        let now = self.fabric.now();
        self.reload(now)?;
        let mut acted = self.proxy.act(now)?;
        if acted {
            self.proxy.handler.check()?;
            self.take_records();
        }
        for backend in &mut self.backends {
            acted |= backend.act(now)?;
        }
        for backend in &mut self.unruly {
            acted |= backend.act(now)?;
            if let Some(violation) = backend.handler.violation.take() {
                return Err(violation);
            }
        }
        acted |= self.clients.act(now)?;
        if let Some(violation) = self.clients.handler.seen.violation.take() {
            return Err(violation);
        }
        if acted {
            return Ok(());
        }
        self.proxy.handler.check_quiet()?;
        let servers = self.backends.iter().map(|b| b as &dyn Acts);
        let servers = servers.chain(self.unruly.iter().map(|b| b as &dyn Acts));
        wait(&self.fabric, servers.chain([&self.proxy as &dyn Acts, &self.clients]))
    }

    fn take_records(&mut self) {
        self.tap.take(|record| self.records.push(record));
    }

    /// The network's digest, with the proxy's records folded in.
    fn digest(&self) -> u64 {
        self.records.iter().fold(self.fabric.digest(), |digest, record| {
            let word = record.latency_ns ^ u64::from(record.status) << 48 ^ record.ended.as_nanos();
            (digest ^ word).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// What the body of request `serial` consists of, and of its answer.
fn letter(serial: u64) -> u8 {
    b'a' + (serial % 26) as u8
}

/// The number of a request.
fn serial_of(target: Target<'_>) -> Option<u64> {
    match target {
        Target::Origin(path) => path.strip_prefix('/')?.parse().ok(),
        _ => None,
    }
}

/// Where the server at `port` is: 80 the proxy, from 81 on those behind it.
fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn backend(port: u16) -> Backend {
    Backend {
        url: format!("http://backend:{port}"),
        authority: format!("backend:{port}"),
        addresses: vec![address(port)],
    }
}

/// The proxy's usual options.
fn options(backends: Vec<Backend>) -> Options {
    let seconds = Duration::from_secs;
    Options {
        backends,
        connections: ConnectionMode::Persistent,
        routing: RoutingMode::RoundRobin,
        sma_window: 3,
        ewma_alpha: 0.2,
        upstream_timeout: seconds(10),
        connect_timeout: seconds(2),
        header_timeout: seconds(10),
        body_timeout: seconds(30),
        idle_timeout: seconds(75),
        pool_idle_timeout: seconds(60),
        tunnel_idle_timeout: seconds(3600),
        drain_timeout: seconds(30),
        client_keepalive: true,
        half_close: HalfClose::Answer,
        batching: None,
        request_ids: true,
        run: 0,
        explain: false,
        trace: false,
        limits: Limits { connections_per_client: 9_999, ..Limits::default() },
        health: HealthOptions::OFF,
        checks: None,
        classifier_checks: None,
        retry_budget: 0.2,
    }
}
