//! The proxy under stress: crowds at its limits, its own stalls, slow and odd peers.
//!
//! Here: [`StressWorld`]: users in groups, the proxy and scripted backends on one virtual network; the very code that production
//! runs. It is held to what `proxy/check.rs` says, and to three bounds: calls in a turn (`actor.rs`), the time until who is to be
//! served is served (`users.rs`), and what the proxy keeps (`checker.rs`). Not here: faults at random in small worlds (`world/mod.rs`).
//! Tests and `make sim` run it. Floor 4.

mod backend;
mod checker;
mod classifying;
mod names;
mod plan;
mod rows;
mod script;
mod users;

use std::sync::Arc;
use std::time::Duration;

use super::actor::{Actor, Acts, check_turn, close_down, wait};
use super::stalls::{Alarm, Standstills};
use super::{START, address};
use crate::net::{Fabric, VirtualNet, Wake, Weather};
use crate::proxy::{self, Backend, Proxy};
use crate::telemetry::tap;
use crate::testbed::{self, SimulatedClassifier};
use crate::time::Instant;

use backend::StressBackend;
use checker::Checker;
use names::Names;
use rows::RowSink;
use users::Users;

pub use names::LookUps;
pub use plan::{Deceit, Rows, StressOutcome, StressPlan, UserGroup, UserKind};
pub use script::Script;

/// With so many sockets the proxy is looked at after every turn, with twice as many after every other.
const SOCKETS_A_CHECK: usize = 64;

/// What came during a turn with so many calls is looked at in the next one.
const CALLS_A_BUSY_TURN: u32 = 500;

/// Where the first backend is.
const FIRST_PORT: u16 = 81;

/// Where the classifier is.
const CLASSIFIER_PORT: u16 = 79;

/// A proxy under stress.
pub struct StressWorld {
    fabric: Fabric,
    proxy: Actor<Proxy<VirtualNet>>,
    backends: Vec<Actor<StressBackend>>,
    classifier: Option<Actor<SimulatedClassifier<VirtualNet>>>,
    users: Actor<Users>,
    checker: Checker,
    rows: RowSink,
    plan: StressPlan,
    /// Turns of the proxy since it was looked at.
    unchecked: usize,
    names: Option<Names>,
    standstills: Standstills,
    steps: u64,
}

impl StressWorld {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: &StressPlan) -> StressWorld {
        let fabric = Fabric::new(plan.seed, plan.weather.clone());
        let ports = FIRST_PORT..FIRST_PORT + plan.backends as u16;
        let mut backends: Vec<_> = ports.clone().map(|port| backend(&fabric, port, plan)).collect();
        let net = fabric.net();
        net.limit_descriptors(plan.descriptors);
        let listener = net.listen(address(80)).expect(START);
        let mut options = plan.options.clone();
        options.backends = ports.clone().map(known).collect();
        if let Some(batching) = &mut options.batching {
            batching.classifiers = vec![known(CLASSIFIER_PORT)];
        }
        let is_odd = !plan.classifier_ways.is_empty();
        let classifier = (options.batching.is_some() && !is_odd).then(|| classifier(&fabric, plan));
        if is_odd {
            backends.push(backend(&fabric, CLASSIFIER_PORT, plan));
        }
        let names = plan.look_ups.map(|of| Names::new(of, ports, options.clone()));
        let (recorder, tap) = tap(options.roster());
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, Proxy::new(options, listener, recorder));
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(START);
        let users = Users::new(fabric.clone(), address(80), plan);
        let mut users = Actor::new(fabric.net(), testbed::TICK_SHIFT, users);
        users.reactor.begin(|turn| users.handler.start(turn));
        StressWorld {
            proxy,
            backends,
            classifier,
            users,
            checker: Checker::new(plan),
            rows: RowSink::new(tap, plan.rows),
            plan: plan.clone(),
            unchecked: 0,
            names,
            standstills: Standstills::new(plan.stalls, &fabric),
            steps: 0,
            fabric,
        }
    }

    /// Runs to the end: the users stop asking, the proxy is told to stop and drains, and nothing may be left; or the other way
    /// round.
    ///
    /// # Errors
    /// The first violation, with the step and the virtual time.
    pub fn run(mut self) -> Result<StressOutcome, String> {
        let ran = self.run_to_end();
        ran.map_err(|what| {
            let at = self.fabric.now() - Instant::ZERO;
            format!("step {}, {at:?} of virtual time: {what}", self.steps)
        })?;
        let begun = self.proxy.handler.begun();
        self.rows.take_all();
        let outcome = StressOutcome {
            counters: *self.proxy.handler.counters(),
            ejections: self.proxy.handler.standing().map(|(_, ejected)| ejected).sum(),
            stalls: self.standstills.count,
            longest_turn: self.proxy.longest,
            most_pooled: self.checker.most_pooled,
            most_bytes: self.checker.most_bytes,
            steps: self.steps,
            digest: self.fabric.digest(),
            ..self.users.handler.seen.clone()
        };
        let StressWorld { fabric, proxy, mut backends, mut classifier, users, mut rows, .. } = self;
        drop((proxy, users));
        let rows_lost = rows.check(begun)?;
        let outcome = StressOutcome { rows_lost, digest: outcome.digest ^ rows.digest(), ..outcome };
        let servers = backends.iter_mut().map(|b| b as &mut dyn Acts);
        close_down(&fabric, servers.chain(classifier.iter_mut().map(|c| c as &mut dyn Acts)).collect())?;
        Ok(outcome)
    }

    fn run_to_end(&mut self) -> Result<(), String> {
        let end = Instant::ZERO + self.plan.duration;
        while self.fabric.now() < end {
            self.step()?;
        }
        self.standstills.end();
        self.names = None;
        if self.plan.stops_under_load {
            self.stop_proxy()?;
            self.users.handler.stop();
        } else {
            self.users.handler.stop();
            let weather = Weather { capacity: self.plan.weather.capacity, ..Weather::CALM };
            self.fabric.set_weather(weather);
            let limit = self.fabric.now() + Duration::from_secs(300);
            while !(self.users.handler.is_done() && self.proxy.handler.in_flight() == 0) {
                self.step()?;
                if self.fabric.now() > limit {
                    let left = self.proxy.handler.in_flight();
                    return Err(format!("{left} exchanges still in flight after 300 s"));
                }
            }
            self.stop_proxy()?;
        }
        self.proxy.handler.check_drained()
    }

    /// Tells the proxy to stop, and sees that it does in time.
    fn stop_proxy(&mut self) -> Result<(), String> {
        let now = self.fabric.now();
        self.users.handler.proxy_stops(now);
        self.proxy.reactor.net().wake(Wake::StopSignal);
        let limit = now + self.plan.options.drain_timeout + Duration::from_secs(1);
        while !self.proxy.stopped {
            self.step()?;
            if self.fabric.now() > limit {
                return Err("the proxy does not stop".to_owned());
            }
        }
        Ok(())
    }

    /// Brings the proxy the addresses that were found.
    fn bring_addresses(&mut self, now: Instant) -> Result<(), String> {
        let found = self.names.as_mut().and_then(|names| names.found(now, &self.fabric));
        let Some(options) = found.filter(|_| !self.proxy.stopped) else { return Ok(()) };
        let Actor { reactor, handler, .. } = &mut self.proxy;
        let changed = reactor.begin(|turn| handler.change(turn, options));
        changed.map_err(|refused| format!("other addresses are refused: {refused}"))?;
        check_turn(&self.proxy)
    }

    /// Lets everyone act who has something to do now; if nobody has, moves on to when somebody will.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        let now = self.fabric.now();
        let stalled = self.standstills.is_stalled(&self.fabric, self.proxy.reactor.network());
        if !stalled {
            self.bring_addresses(now)?;
        }
        let mut acted = !stalled && self.proxy.act(now)?;
        if acted {
            let work = self.plan.work_a_call * self.proxy.reactor.network().calls() as u32;
            self.standstills.works_until(now + work);
            self.check_proxy()?;
        }
        for backend in &mut self.backends {
            acted |= backend.act(now)?;
            if let Some(violation) = backend.handler.violation.take() {
                return Err(violation);
            }
        }
        if let Some(classifier) = &mut self.classifier {
            acted |= classifier.act(now)?;
        }
        acted |= self.users.act(now)?;
        if let Some(violation) = self.users.handler.violation.take() {
            return Err(violation);
        }
        if acted {
            return Ok(());
        }
        let classifier = self.classifier.iter().map(|c| c as &dyn Acts);
        let others = self.backends.iter().map(|b| b as &dyn Acts).chain(classifier);
        let others = others.chain([&self.users as &dyn Acts]);
        let alarm = self.standstills.alarm(stalled);
        if stalled {
            return wait(&self.fabric, others.chain([&alarm as &dyn Acts]));
        }
        if self.unchecked == 0 {
            self.proxy.handler.check_quiet()?;
        }
        let names = Alarm(self.names.as_ref().map_or(Instant::NEVER, Names::due));
        wait(&self.fabric, others.chain([&self.proxy as &dyn Acts, &alarm, &names]))
    }

    /// The proxy has had a turn: looks at it, and the less often the more there is to look at.
    fn check_proxy(&mut self) -> Result<(), String> {
        self.rows.take(self.fabric.now());
        self.checker.note(&self.proxy.handler);
        if self.proxy.handler.counters().connections_unasked > 0 {
            self.users.handler.proxy_noticed(self.fabric.now());
        }
        self.unchecked += 1;
        if self.unchecked * SOCKETS_A_CHECK < self.proxy.handler.sockets() {
            return Ok(());
        }
        self.unchecked = 0;
        check_turn(&self.proxy)?;
        self.checker.check(&self.proxy.handler)
    }
}

fn known(port: u16) -> Backend {
    let authority = format!("backend:{port}");
    Backend { url: format!("http://{authority}"), authority, addresses: vec![address(port)] }
}

fn classifier(fabric: &Fabric, plan: &StressPlan) -> Actor<SimulatedClassifier<VirtualNet>> {
    let net = fabric.net();
    let listener = net.listen(address(CLASSIFIER_PORT)).expect(START);
    let classifier = SimulatedClassifier::new(plan.classifier.clone(), listener, Arc::default());
    let mut actor = Actor::new(net, testbed::TICK_SHIFT, classifier);
    actor.reactor.begin(|turn| actor.handler.open(turn)).expect(START);
    actor
}

fn backend(fabric: &Fabric, port: u16, plan: &StressPlan) -> Actor<StressBackend> {
    let net = fabric.net();
    let listener = net.listen(address(port)).expect(START);
    // To the proxy, its turn, and back.
    let heeded_after = plan.weather.delay.1 * 2 + plan.work_a_call * CALLS_A_BUSY_TURN;
    let mut backend = StressBackend::new(listener, heeded_after);
    if port == CLASSIFIER_PORT {
        backend = backend.classifying(fabric.clone(), plan.classifier_ways.clone());
    }
    let mut actor = Actor::new(net, testbed::TICK_SHIFT, backend);
    actor.reactor.begin(|turn| actor.handler.open(turn)).expect(START);
    actor
}
