//! A whole system in one thread and virtual time.
//!
//! Here: [`World`]: the proxy, simulated backends and clients on one virtual network, stepped until done and checked
//! after every step. The very code that production runs, from one seed. Not here: the network (`net/virtual_net/`)
//! and what must hold inside the proxy (`proxy/check.rs`). Tests and `make sim` run it. Floor 4.

mod actor;
mod backyard;
mod batching;
mod clients;
mod front;
mod judge;
mod ledger;
mod manners;
mod plan;
mod reloads;
mod requests;
mod stage;
mod stalls;
mod steering;
mod stress;
mod tunnels;
mod unruly;
mod witness;
mod yard;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::balance::{Availability, RoutingMode};
use crate::h1::request::Target;
use crate::net::{Fabric, VirtualNet, Wake, Weather};
use crate::proxy::{self, Proxy};
use crate::record::Record;
use crate::server::{Control, Limits, Server};
use crate::telemetry::{Tap, tap};
use crate::testbed::{self, BackendOptions, Greetings};
use crate::time::Instant;

use actor::{Actor, Acts, check_turn, close_down, wait};
use clients::Clients;
use judge::Judge;
use ledger::{Ledger, Repeats};
use reloads::Reloads;
use stalls::Standstills;
use steering::Steering;
use unruly::UnrulyBackend;
use witness::Witness;

pub use actor::LongestTurn;
pub use batching::{BatchingOutcome, BatchingPlan, BatchingWorld};
pub use clients::{Behaviour, Seen};
pub use front::Played;
pub use plan::{Outcome, Plan, usual_batching, usual_options};
pub use stage::{Servers, Stage, StageOutcome, StagePlan};
pub use stalls::Stalls;
pub use stress::{
    Deceit, LookUps, Rows, Script, StressOutcome, StressPlan, StressWorld, UserGroup, UserKind,
};

/// No unruly answer is longer.
const LARGEST_ANSWER: usize = 100_000;

/// What checks ask for.
const CHECK_PATH: &str = "/check";

const START: &str = "a fresh network has room";

/// A system under way.
pub struct World {
    fabric: Fabric,
    proxy: Actor<Proxy<VirtualNet>>,
    backends: Vec<Actor<Server<VirtualNet, Witness>>>,
    unruly: Vec<Actor<UnrulyBackend>>,
    clients: Actor<Clients>,
    reloads: Option<Reloads>,
    steering: Option<Steering>,
    standstills: Standstills,
    judge: Judge,
    ledger: Ledger,
    tap: Tap,
    records: Vec<Record>,
    steps: u64,
    end: Instant,
    /// Within this time in calm weather these backends are to be usable.
    recovery: (Duration, Vec<usize>),
    capacity: usize,
    traced: bool,
}

impl World {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: &Plan) -> World {
        let fabric = Fabric::new(plan.seed, plan.weather.clone());
        let servers = plan.backends.len() + plan.unruly;
        let ledger = Ledger::new(Repeats {
            stale: plan.connections == proxy::ConnectionMode::Persistent || plan.reloads.is_some(),
            reloads: plan.reloads.is_some(),
            hedges: plan.hedge_budget > 0.0
                && (plan.routing == RoutingMode::Adaptive || plan.steered || plan.reloads.is_some()),
            elsewhere: plan.retry_budget > 0.0,
            certain: plan.weather.resets == 0.0 && plan.options().retry_on.is_none(),
        });
        let backends =
            plan.backends.iter().enumerate().map(|(i, options)| witnessed(&fabric, &ledger, i, options));
        let backends = backends.collect();
        let unruly =
            (plan.backends.len()..servers).map(|i| unruly_backend(&fabric, &ledger, i, plan)).collect();
        let net = fabric.net();
        net.limit_descriptors(plan.descriptors);
        let listener = net.listen(address(80)).expect(START);
        let options = plan.options();
        let (recorder, tap) = tap(options.roster());
        let steering = plan.steered.then(|| Steering::new(&fabric, &net, &options));
        let reloads = plan.reloads.map(|every| Reloads::new(plan.seed, every, options.clone()));
        let mut proxy = Proxy::new(options, listener, recorder);
        let steering = steering.map(|(steering, orders)| {
            proxy.obeys(orders);
            steering
        });
        let judge = Judge::new(plan.health, (plan.retry_budget, plan.hedge_budget), &proxy);
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, proxy);
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(START);
        let clients = Clients::new(fabric.clone(), address(80), plan);
        let mut clients = Actor::new(fabric.net(), testbed::TICK_SHIFT, clients);
        clients.reactor.begin(|turn| clients.handler.start(turn, plan.users));
        World {
            proxy,
            backends,
            unruly,
            clients,
            reloads,
            steering,
            standstills: Standstills::new(plan.stalls, &fabric),
            judge,
            ledger,
            tap,
            records: Vec::new(),
            steps: 0,
            end: Instant::ZERO + plan.duration,
            recovery: plan.recovery(),
            capacity: plan.weather.capacity,
            traced: plan.is_traced(),
            fabric,
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
        let (counters, repeated) = (*self.proxy.handler.counters(), self.ledger.repeated());
        let ejections = self.proxy.handler.standing().map(|(_, ejected)| ejected).sum();
        let World { fabric, proxy, mut backends, mut unruly, records, steps, .. } = self;
        drop(proxy);
        let servers = backends.iter_mut().map(|b| b as &mut dyn Acts);
        close_down(&fabric, servers.chain(unruly.iter_mut().map(|b| b as &mut dyn Acts)).collect())?;
        Ok(Outcome { seen, records, counters, repeated, ejections, steps, digest })
    }

    fn place(&self, what: &str) -> String {
        format!("step {}, {:?} of virtual time: {what}", self.steps, self.fabric.now() - Instant::ZERO)
    }

    fn run_to_end(&mut self) -> Result<(), String> {
        while self.fabric.now() < self.end {
            self.step()?;
        }
        self.clients.handler.stop();
        self.standstills.end();
        self.steering.iter_mut().for_each(Steering::stop);
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
        self.recover()?;
        self.proxy.reactor.net().wake(Wake::StopSignal);
        while !self.proxy.stopped {
            self.step()?;
            if self.fabric.now() > limit {
                return Err("the proxy does not stop".to_owned());
            }
        }
        self.check_end()
    }

    /// In calm weather and with nothing else to do, checks bring every backend back that does well.
    fn recover(&mut self) -> Result<(), String> {
        let (within, well) = std::mem::take(&mut self.recovery);
        let until = self.fabric.now() + within;
        while self.fabric.now() < until {
            self.step()?;
        }
        let standing: Vec<_> = self.proxy.handler.standing().collect();
        match well.into_iter().find(|&index| standing[index].0 != Availability::Usable) {
            Some(index) => {
                Err(format!("backend {index} does well, and is still {}", standing[index].0.name()))
            }
            None => Ok(()),
        }
    }

    fn check_end(&mut self) -> Result<(), String> {
        self.take_records();
        let of_exchanges = self.records.iter().filter(|record| record.backend.is_some()).count() as u64;
        let begun = self.proxy.handler.begun();
        if begun != of_exchanges {
            return Err(format!("{begun} exchanges begun, {of_exchanges} recorded"));
        }
        if let Some(record) = self.records.iter().find(|r| r.backend.is_none() && r.status != 503) {
            return Err(format!("a record without a backend: {record:?}"));
        }
        let (recorded, asked) = (self.records.len() as u64, self.clients.handler.seen.sent);
        if recorded > asked {
            return Err(format!("{asked} requests, {recorded} recorded"));
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
        self.judge.reload(&self.proxy.handler, now);
        self.steering.iter_mut().for_each(Steering::forget);
        check_turn(&self.proxy)
    }

    /// Lets everyone act who has something to do now; if nobody has, moves on to when somebody will.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        let now = self.fabric.now();
        let stalled = self.standstills.is_stalled(&self.fabric, self.proxy.reactor.network());
        if !stalled {
            self.reload(now)?;
        }
        let mut acted = !stalled && self.proxy.act(now)?;
        if acted {
            self.check_proxy(now)?;
            self.take_records();
        }
        if let Some(steering) = &mut self.steering {
            acted |= steering.act(now)?;
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
        if let Some(violation) =
            self.clients.handler.seen.violation.take().or_else(|| self.ledger.violation())
        {
            return Err(violation);
        }
        if acted {
            return Ok(());
        }
        let servers = self.backends.iter().map(|b| b as &dyn Acts);
        let servers = servers.chain(self.unruly.iter().map(|b| b as &dyn Acts));
        let steering = self.steering.iter().map(|steering| steering as &dyn Acts);
        let alarm = self.standstills.alarm(stalled);
        let others = servers.chain(steering).chain([&self.clients as &dyn Acts, &alarm]);
        if stalled {
            return wait(&self.fabric, others);
        }
        self.proxy.handler.check_quiet()?;
        wait(&self.fabric, others.chain([&self.proxy as &dyn Acts]))
    }

    /// The proxy has had a turn.
    fn check_proxy(&mut self, now: Instant) -> Result<(), String> {
        check_turn(&self.proxy)?;
        let drained = self.steering.as_ref().map(Steering::drained).unwrap_or_default();
        self.judge.judge(&self.proxy.handler, drained, now)
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

/// Where the server number `index` is.
fn address_of(index: usize) -> SocketAddr {
    address(81 + index as u16)
}

/// A well-behaved backend, which notes what comes.
fn witnessed(
    fabric: &Fabric,
    ledger: &Ledger,
    index: usize,
    options: &BackendOptions,
) -> Actor<Server<VirtualNet, Witness>> {
    let (net, at) = (fabric.net(), address_of(index));
    let listener = net.listen(at).expect(START);
    let witness =
        Witness { greetings: Greetings::new(options.clone()), ledger: ledger.clone(), backend: index };
    let vanishes = witness.greetings.vanishes();
    let server = Server::serving(witness, Limits::default(), listener, Arc::new(Control::default()));
    let server = if vanishes { server.vanishing(at) } else { server };
    let mut actor = Actor::new(net, testbed::TICK_SHIFT, server);
    actor.reactor.begin(|turn| actor.handler.open(turn)).expect(START);
    actor
}

fn unruly_backend(fabric: &Fabric, ledger: &Ledger, index: usize, plan: &Plan) -> Actor<UnrulyBackend> {
    let whole_segments = plan.weather.short_writes == 0.0
        && plan.weather.split_segments == 0.0
        && plan.weather.capacity >= LARGEST_ANSWER;
    let net = fabric.net();
    let listener = net.listen(address_of(index)).expect(START);
    let backend = UnrulyBackend::new(fabric.clone(), ledger.clone(), listener, index, whole_segments);
    let mut actor = Actor::new(net, testbed::TICK_SHIFT, backend);
    actor.reactor.begin(|turn| actor.handler.open(turn, plan.outages)).expect(START);
    actor
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
