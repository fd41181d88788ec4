//! A system for an experiment in virtual time.
//!
//! Here: [`Stage`]: any load in front of the proxy, with the servers of one kind behind it, on one virtual network, until the
//! load has its answers; the very code that production runs. Not here: what must hold inside the proxy (`proxy/check.rs`),
//! clients that misbehave (`mod.rs`). `batching.rs` and the laboratory (`lab/`) use it. Floor 4.

use std::sync::Arc;
use std::time::Duration;

use super::actor::{Actor, Acts, check_turn, nothing_left, stop, wait};
use super::address;
use super::judge::Judge;
use super::steering::Steering;
use crate::load::{self, Generator, Tally, Workload};
use crate::net::{Fabric, Net, VirtualNet, Weather};
use crate::proxy::{self, Backend, Proxy};
use crate::record::Record;
use crate::server::{Server, Service};
use crate::telemetry::{BatchingState, Tap, tap};
use crate::testbed::{self, BackendOptions, ClassifierOptions, SimulatedBackend, SimulatedClassifier};
use crate::time::Instant;

/// What is behind the proxy.
#[derive(Clone, Debug)]
pub enum Servers {
    /// Backends, each with its name in rows.
    Backends(Vec<(String, BackendOptions)>),
    /// Classifiers, for which the proxy batches.
    Classifiers(Vec<ClassifierOptions>),
}

/// What a stage is made of.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// The seed of the network; equal plans give equal runs.
    pub seed: u64,
    /// How the links behave.
    pub weather: Weather,
    /// What the proxy is told; the stage puts its servers in the place of those in it.
    pub proxy: proxy::Options,
    /// What is behind the proxy.
    pub servers: Servers,
    /// What the load does; the stage puts the proxy's address into it.
    pub load: load::Plan,
    /// Whether somebody drains servers and changes strategies meanwhile, and the proxy is judged after each turn.
    pub steered: bool,
}

/// What came of it.
pub struct StageOutcome<W> {
    /// What the load counted.
    pub tally: Tally,
    /// What it was.
    pub workload: W,
    /// The proxy's records, in order.
    pub records: Vec<Record>,
    /// What telemetry was told of batching last.
    pub batching: Option<BatchingState>,
    /// Equal for equal runs.
    pub digest: u64,
    /// Whether it was ended before its time.
    pub interrupted: bool,
}

/// A system under way.
pub struct Stage<W: Workload> {
    house: House,
    load: Actor<Generator<VirtualNet, W>>,
}

/// All but the load.
struct House {
    fabric: Fabric,
    proxy: Actor<Proxy<VirtualNet>>,
    servers: Vec<Box<dyn Acts>>,
    tap: Tap,
    records: Vec<Record>,
    limit: Instant,
    /// Turns of the proxy since it was checked last.
    unchecked: usize,
    steered: Option<(Steering, Judge)>,
}

/// With so many requests in flight the proxy is checked after every turn, with twice as many after every other.
const FLIGHTS_A_CHECK: usize = 64;

/// Steps between two questions whether to go on.
const STEPS_A_QUESTION: u64 = 10_000;

const START: &str = "a fresh network has room";

impl<W: Workload> Stage<W> {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: StagePlan, workload: W) -> Stage<W> {
        let fabric = Fabric::new(plan.seed, plan.weather);
        let (servers, known) = serve(&fabric, plan.servers);
        let mut options = plan.proxy;
        match &mut options.batching {
            Some(batching) => batching.classifiers = known,
            None => options.backends = known,
        }
        let net = fabric.net();
        let listener = net.listen(address(80)).expect(START);
        let (recorder, tap) = tap(options.roster());
        let (drain, health) = (options.drain_timeout, options.health);
        let budgets = (options.retry_budget, options.hedge_budget);
        let steering = plan.steered.then(|| Steering::new(&fabric, &net, &options));
        let mut proxy = Proxy::new(options, listener, recorder);
        let steered = steering.map(|(steering, orders)| {
            proxy.obeys(orders);
            (steering, Judge::new(health, budgets, &proxy))
        });
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, proxy);
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(START);

        let load = load::Plan { address: address(80), ..plan.load };
        let limit = Instant::ZERO + load.duration + load.timeout * 2 + drain * 2;
        let generator = Generator::new(load, workload, Arc::default());
        let mut load = Actor::new(fabric.net(), load::TICK_SHIFT, generator);
        load.reactor.begin(|turn| load.handler.open(turn));
        let (records, unchecked) = (Vec::new(), 0);
        Stage { house: House { fabric, proxy, servers, tap, records, limit, unchecked, steered }, load }
    }

    /// Runs until the load is over; then everything stops, and nothing may be left. `go_on` is asked now and then, with the
    /// virtual time that has passed, whether to.
    ///
    /// # Errors
    /// The first violation, with the virtual time.
    pub fn run(self, mut go_on: impl FnMut(Duration) -> bool) -> Result<StageOutcome<W>, String> {
        let Stage { mut house, mut load } = self;
        let mut steps = 0;
        while !load.has_stopped() {
            house.step(Some(&mut load)).map_err(|what| house.place(&what))?;
            steps += 1;
            if steps % STEPS_A_QUESTION == 0 && !go_on(house.fabric.now() - Instant::ZERO) {
                load.stop();
            }
        }
        let interrupted = load.handler.interrupted();
        // Its connections end here.
        let (tally, workload) = load.handler.finish();
        house.drain().map_err(|what| house.place(&what))?;
        let House { fabric, proxy, mut servers, tap, records, .. } = house;
        drop(proxy);
        stop(&fabric, servers.iter_mut().map(|server| server.as_mut() as &mut dyn Acts).collect())?;
        // Those that were overloaded stop with work undone.
        drop(servers);
        nothing_left(&fabric)?;
        let digest = fabric.digest();
        Ok(StageOutcome { tally, workload, records, batching: tap.batching(), digest, interrupted })
    }
}

impl House {
    fn place(&self, what: &str) -> String {
        format!("{:?} of virtual time: {what}", self.fabric.now() - Instant::ZERO)
    }

    /// Lets everyone act who has something to do now; if nobody has, moves on to when somebody will.
    fn step(&mut self, load: Option<&mut dyn Acts>) -> Result<(), String> {
        let now = self.fabric.now();
        if now > self.limit {
            return Err("it does not end".to_owned());
        }
        let mut acted = self.proxy.act(now)?;
        if acted {
            self.check(now)?;
            let records = &mut self.records;
            self.tap.take(|record| records.push(record));
        }
        if let Some((steering, _)) = &mut self.steered {
            acted |= steering.act(now)?;
        }
        for server in &mut self.servers {
            acted |= server.act(now)?;
        }
        let mut load = load;
        if let Some(load) = &mut load {
            acted |= load.act(now)?;
        }
        if acted {
            return Ok(());
        }
        self.check_quiet()?;
        let servers = self.servers.iter().map(|server| &**server);
        let steering = self.steered.iter().map(|(steering, _)| steering as &dyn Acts);
        let all = servers.chain(steering).chain([&self.proxy as &dyn Acts]).chain(load.as_deref());
        wait(&self.fabric, all)
    }

    /// Looks for what must not be: often while little is in flight, and rarely while much is, as each look is at all of it.
    fn check(&mut self, now: Instant) -> Result<(), String> {
        if let Some((steering, judge)) = &mut self.steered {
            judge.judge(&self.proxy.handler, steering.drained(), now)?;
        }
        self.unchecked += 1;
        if self.unchecked * FLIGHTS_A_CHECK < self.proxy.handler.in_flight() {
            return Ok(());
        }
        self.unchecked = 0;
        check_turn(&self.proxy)
    }

    fn check_quiet(&mut self) -> Result<(), String> {
        if self.unchecked > 0 { Ok(()) } else { self.proxy.handler.check_quiet() }
    }

    /// Stops the proxy, and lets it come to its end.
    fn drain(&mut self) -> Result<(), String> {
        if let Some((steering, _)) = &mut self.steered {
            steering.stop();
        }
        self.proxy.stop();
        while !self.proxy.has_stopped() {
            self.step(None)?;
        }
        let records = &mut self.records;
        self.tap.take(|record| records.push(record));
        let (begun, recorded) = (self.proxy.handler.begun(), self.records.len() as u64);
        if begun != recorded {
            return Err(format!("{begun} requests begun, {recorded} recorded"));
        }
        self.proxy.handler.check_drained()
    }
}

/// Starts the servers; returns them, and how the proxy knows them.
fn serve(fabric: &Fabric, servers: Servers) -> (Vec<Box<dyn Acts>>, Vec<Backend>) {
    match servers {
        Servers::Backends(backends) => (81..)
            .zip(backends)
            .map(|(port, (name, options))| {
                let (net, listener) = listen(fabric, port);
                let backend = SimulatedBackend::new(options, listener, address(port), Arc::default());
                (started(net, backend), known(name, port))
            })
            .unzip(),
        Servers::Classifiers(classifiers) => (81..)
            .zip(classifiers)
            .map(|(port, options)| {
                let (net, listener) = listen(fabric, port);
                let classifier = SimulatedClassifier::new(options, listener, Arc::default());
                let name =
                    if port == 81 { "classifier".to_owned() } else { format!("classifier{}", port - 80) };
                (started(net, classifier), known(name, port))
            })
            .unzip(),
    }
}

fn listen(fabric: &Fabric, port: u16) -> (VirtualNet, <VirtualNet as Net>::Listener) {
    let net = fabric.net();
    let listener = net.listen(address(port)).expect(START);
    (net, listener)
}

fn started<S: Service + 'static>(net: VirtualNet, server: Server<VirtualNet, S>) -> Box<dyn Acts>
where
    S::Asked: 'static,
    S::Answer: 'static,
{
    let mut actor = Actor::new(net, testbed::TICK_SHIFT, server);
    actor.reactor.begin(|turn| actor.handler.open(turn)).expect(START);
    Box::new(actor)
}

fn known(name: String, port: u16) -> Backend {
    Backend { authority: name.clone(), url: name, addresses: vec![address(port)] }
}
