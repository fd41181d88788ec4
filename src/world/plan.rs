//! What a world is made of, and what comes of it.
//!
//! Here: [`Plan`], [`Outcome`], and what the proxy of a world is told. Not here: the world itself (`mod.rs`). Floor 4.

use std::time::Duration;

use super::address;
use super::clients::{Behaviour, Seen};
use super::stalls::Stalls;
use crate::balance::{HealthOptions, RoutingGoal, RoutingMode};
use crate::batch::QueueOptions;
use crate::codec::{Shape, Shapes};
use crate::h1::response::LineEnds;
use crate::net::Weather;
use crate::proxy::{
    Backend, BatchOptions, CheckOptions, ConnectionMode, HalfClose, Limits, Options, Reuse, StatusSet,
};
use crate::record::Record;
use crate::telemetry::Counters;
use crate::testbed::BackendOptions;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// How the proxy chooses.
    pub routing: RoutingMode,
    /// Whether it keeps upstream connections.
    pub connections: ConnectionMode,
    /// Those that behave well, but for their faults.
    pub backends: Vec<BackendOptions>,
    /// How many more backends do all that a backend should not.
    pub unruly: usize,
    /// Whether those vanish at times, and come back.
    pub outages: bool,
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
    /// How many descriptors it has for connections.
    pub descriptors: usize,
    /// When it ejects backends.
    pub health: HealthOptions,
    /// How it checks them.
    pub checks: Option<CheckOptions>,
    /// Which share of the requests it may send to another backend.
    pub retry_budget: f64,
    /// How many further copies of a request it may send, on the average.
    pub hedge_budget: f64,
    /// How long it waits for a response, or for a request head; for a body three times as long.
    pub timeout: Duration,
    /// Whether somebody drains backends and changes modes meanwhile.
    pub steered: bool,
    /// When the proxy stands still.
    pub stalls: Option<Stalls>,
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
    /// How many requests came to a backend that were not new.
    pub repeated: u64,
    /// How often a backend was ejected.
    pub ejections: u64,
    /// How many events it took.
    pub steps: u64,
    /// Equal for equal runs.
    pub digest: u64,
}

impl Plan {
    /// What the proxy is told.
    pub(super) fn options(&self) -> Options {
        let servers = (81..).take(self.backends.len() + self.unruly).map(backend).collect();
        let mut options = Options {
            connections: self.connections,
            reuse: self.reuse(),
            routing: self.routing,
            half_close: self.half_close,
            explain: self.is_traced(),
            trace: self.is_traced(),
            run: self.seed,
            health: self.health,
            checks: self.checks.clone(),
            eject_on: self.statuses(3),
            retry_on: self.statuses(7),
            retry_budget: self.retry_budget,
            hedge_budget: self.hedge_budget,
            upstream_timeout: self.timeout,
            stream_idle_timeout: self.timeout * 2,
            header_timeout: self.timeout,
            body_timeout: self.timeout * 3,
            ..usual_options(servers)
        };
        options.limits.connections = self.max_clients;
        options
    }

    /// Where users do all that users do, it is one or the other; else as by default.
    fn reuse(&self) -> Reuse {
        match self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 {
            0 if self.behaviour == Behaviour::Mixed => Reuse::Safe,
            1 if self.behaviour == Behaviour::Mixed => Reuse::Never,
            _ => Reuse::Always,
        }
    }

    /// Where users do all that users do, now and then some statuses count as failures.
    fn statuses(&self, which: u32) -> Option<StatusSet> {
        let dice = self.seed.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(which * 9) >> 62;
        (dice == 0 && self.behaviour == Behaviour::Mixed).then(|| (500..600).collect())
    }

    /// How soon checks bring backends back in calm weather, and which: those that have no faults.
    pub(super) fn recovery(&self) -> (Duration, Vec<usize>) {
        match &self.checks {
            Some(checks) if self.reloads.is_none() => {
                let well = (0..self.backends.len()).filter(|&i| self.backends[i].faults.is_empty());
                (checks.interval * (checks.rise + 2) + checks.timeout, well.collect())
            }
            _ => (Duration::ZERO, Vec::new()),
        }
    }

    /// Whether the proxy has a place for every user, so that nobody has to make room.
    pub(super) fn has_room(&self) -> bool {
        self.max_clients > 2 * self.users
            && self.descriptors == usize::MAX
            && self.weather.accept_errors == 0.0
    }

    /// Every other world is one in which all is told.
    pub(super) const fn is_traced(&self) -> bool {
        self.seed.is_multiple_of(2)
    }
}

fn backend(port: u16) -> Backend {
    Backend {
        url: format!("http://backend:{port}"),
        authority: format!("backend:{port}"),
        addresses: vec![address(port)],
    }
}

/// What a proxy in a world is told of batching unless a plan says otherwise: the contract's shape alone.
pub fn usual_batching(queue: QueueOptions) -> BatchOptions {
    let shapes = Shapes::new(vec![Shape::classify()]);
    BatchOptions {
        classifiers: Vec::new(),
        queue,
        classifier_timeout: Duration::from_secs(60),
        queue_timeout: Duration::from_secs(60),
        queue_bytes: 64 << 20,
        strategy_from_any: false,
        shapes: shapes.expect("one shape"),
    }
}

/// What a proxy in a world is told unless a plan says otherwise: round robin over kept connections, round timeouts, a retry
/// budget, and neither checks nor ejections.
pub fn usual_options(backends: Vec<Backend>) -> Options {
    let seconds = Duration::from_secs;
    Options {
        backends,
        connections: ConnectionMode::Persistent,
        reuse: Reuse::Always,
        routing: RoutingMode::RoundRobin,
        sma_window: 3,
        ewma_alpha: 0.2,
        reprobe_after: None,
        routing_goal: RoutingGoal::P95,
        hedge_budget: 0.0,
        repeatable: Vec::new(),
        upstream_timeout: seconds(10),
        stream_idle_timeout: seconds(300),
        connect_timeout: seconds(2),
        header_timeout: seconds(10),
        body_timeout: seconds(30),
        min_data_rate: 100,
        idle_timeout: seconds(75),
        pool_idle_timeout: seconds(60),
        tunnel_idle_timeout: seconds(3600),
        drain_timeout: seconds(30),
        client_keepalive: true,
        half_close: HalfClose::Answer,
        line_ends: LineEnds::LfToo,
        batching: None,
        request_ids: true,
        run: 0,
        explain: false,
        trace: false,
        limits: Limits { connections_per_client: 9_999, ..Limits::default() },
        health: HealthOptions::OFF,
        checks: None,
        classifier_checks: None,
        eject_on: None,
        retry_on: None,
        retry_budget: 0.2,
    }
}
