//! What the proxy is told.
//!
//! Here: [`Options`] as plain values. Not here: flags, files, defaults by origin (`config/`). Floor 3.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::{BatchOptions, StatusSet};
use crate::balance::{BalanceOptions, HealthOptions, RoutingGoal, RoutingMode};
use crate::h1::request::RequestLimits;
use crate::h1::response::LineEnds;
use crate::telemetry::Roster;

/// Whether upstream connections are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionMode {
    /// Upstream connections are kept and used again, newest first.
    #[default]
    Persistent,
    /// Each request opens its own upstream connection, says `Connection: close`, and closes it afterwards.
    NonPersistent,
}

impl ConnectionMode {
    /// Both modes.
    pub const ALL: [ConnectionMode; 2] = [ConnectionMode::Persistent, ConnectionMode::NonPersistent];

    /// The mode's name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            ConnectionMode::Persistent => "persistent",
            ConnectionMode::NonPersistent => "non-persistent",
        }
    }
}

impl fmt::Display for ConnectionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ConnectionMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        ConnectionMode::ALL
            .into_iter()
            .find(|m| m.name() == name)
            .ok_or_else(|| format!("unknown connection mode `{name}`; expected persistent or non-persistent"))
    }
}

/// Whom a kept upstream connection may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// Any client's next request.
    #[default]
    Always,
    /// The same, but no client's first: that one goes on a new connection. As HAProxy's `http-reuse safe`.
    Safe,
    /// The client that it was opened for, and no other; no second batch.
    Never,
}

impl Reuse {
    /// All choices.
    pub const ALL: [Reuse; 3] = [Reuse::Always, Reuse::Safe, Reuse::Never];

    /// The name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            Reuse::Always => "always",
            Reuse::Safe => "safe",
            Reuse::Never => "never",
        }
    }
}

/// What it means that a client closes its sending side while its request is in flight: TCP does not tell whether it
/// has left or waits for the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfClose {
    /// It gets its response. If it has left, that shows only when it answers bytes with a reset.
    #[default]
    Answer,
    /// It has left: the request is cancelled.
    Cancel,
}

impl HalfClose {
    /// Both meanings.
    pub const ALL: [HalfClose; 2] = [HalfClose::Answer, HalfClose::Cancel];

    /// The name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            HalfClose::Answer => "answer",
            HalfClose::Cancel => "cancel",
        }
    }
}

/// A server to choose from, its name resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The URL as configured, for rows and logs: `http://localhost:8081`.
    pub url: String,
    /// `host:port`, for a request that came without `Host` (HTTP/1.0).
    pub authority: String,
    /// Where to connect: tried in this order until one answers, and that one first from then on. Not empty.
    pub addresses: Vec<SocketAddr>,
}

/// All that the proxy is told, apart from its listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The servers to choose from, in configuration order; with none each request is answered 503.
    pub backends: Vec<Backend>,
    /// Whether upstream connections are kept.
    pub connections: ConnectionMode,
    /// Whom a kept upstream connection may serve.
    pub reuse: Reuse,
    /// How the backend of a request is chosen.
    pub routing: RoutingMode,
    /// N of `adaptive_sma`: how many latencies the mean is over; at least 1.
    pub sma_window: usize,
    /// α of `adaptive_ewma`, above 0 and at most 1.
    pub ewma_alpha: f64,
    /// How old the last latency of a backend may be in `adaptive_sma` and `adaptive_ewma` before a request probes it.
    pub reprobe_after: Option<Duration>,
    /// What `adaptive` strives for.
    pub routing_goal: RoutingGoal,
    /// How many further copies `adaptive` may send of a request that may be sent more than once, on the average; 0 for none.
    pub hedge_budget: f64,
    /// What the paths begin with on which every request may be sent more than once, whatever its method.
    pub repeatable: Vec<String>,
    /// How long to wait for a response head; with interim heads at most three times as long.
    pub upstream_timeout: Duration,
    /// How long a response may stand still after its head.
    pub stream_idle_timeout: Duration,
    /// How long a connection to a backend may take to open.
    pub connect_timeout: Duration,
    /// How long a client may take from the first to the last byte of a request head.
    pub header_timeout: Duration,
    /// How long a client's body may make no progress, in either direction, and how long a backend may take no bytes of one.
    pub body_timeout: Duration,
    /// How many bytes a second a request body has to bring after its first ten seconds, while it is its client's turn; 0: any
    /// rate will do.
    pub min_data_rate: u64,
    /// How long a client's connection may rest between requests.
    pub idle_timeout: Duration,
    /// How long an upstream connection may rest in the pool.
    pub pool_idle_timeout: Duration,
    /// How long a tunnel may rest, without a byte in either direction.
    pub tunnel_idle_timeout: Duration,
    /// How long requests in flight may take to finish after a stop signal.
    pub drain_timeout: Duration,
    /// Whether a client's connection is kept after an exchange.
    pub client_keepalive: bool,
    /// What a client's half-close means; one that waits for a batch has left in any case.
    pub half_close: HalfClose,
    /// How the lines of a backend's response heads may end.
    pub line_ends: LineEnds,
    /// Batching, with a classifier.
    pub batching: Option<BatchOptions>,
    /// Whether requests have names: `X-Request-Id`, taken over or made, sent to the backend and returned.
    pub request_ids: bool,
    /// What names made here begin with: a number drawn at random for this run.
    pub run: u64,
    /// Whether responses say which backend answered and where the time went.
    pub explain: bool,
    /// Whether a trace of each exchange is recorded.
    pub trace: bool,
    /// How much is taken and kept.
    pub limits: Limits,
    /// When backends are ejected, and how they come back.
    pub health: HealthOptions,
    /// How the health of backends is checked; not at all without.
    pub checks: Option<CheckOptions>,
    /// The same for classifiers.
    pub classifier_checks: Option<CheckOptions>,
    /// Which statuses of answers count as failures of backends, towards ejection.
    pub eject_on: Option<StatusSet>,
    /// An idempotent request goes to another backend after an answer of which statuses.
    pub retry_on: Option<StatusSet>,
    /// How many requests may go to another backend after a failure, as a share of all.
    pub retry_budget: f64,
}

/// How servers are asked whether they work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// The target of the GET requests; a status from 200 to 399 is a pass.
    pub path: String,
    /// From one check to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// After how many passes in a row a server that is down is up.
    pub rise: u32,
    /// After how many failures in a row a server is down.
    pub fall: u32,
}

/// How many upstream connections may rest in the pool of one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolLimit {
    /// With those in use, as many as were in use at once in the last 60 s: one that a request opened for itself alone
    /// takes the place of an older one.
    #[default]
    Auto,
    /// So many; [`usize::MAX`] where there is no limit.
    Most(usize),
}

/// How much is taken from clients, and how many connections are kept. Each is at least 1, and the largest value of its type
/// where there is no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// How large a request may be.
    pub request: RequestLimits,
    /// What one read of a client takes at most, bytes: so much of further requests may wait in memory while one is in
    /// flight.
    pub pipelined_bytes: usize,
    /// How many requests a client's connection serves.
    pub requests_per_connection: u32,
    /// How many client connections may be open at once: the one that has been idle longest gives way to a further one,
    /// which waits in the listen backlog while none is.
    pub connections: usize,
    /// How many of them may come from one address.
    pub connections_per_client: usize,
    /// How many upstream connections may rest in the pool of one backend.
    pub pool_per_backend: PoolLimit,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request: RequestLimits::default(),
            pipelined_bytes: 64 * 1024,
            requests_per_connection: u32::MAX,
            connections: usize::MAX,
            connections_per_client: usize::MAX,
            pool_per_backend: PoolLimit::Auto,
        }
    }
}

impl Options {
    /// What those who choose are told.
    pub(super) fn balance(&self) -> BalanceOptions {
        BalanceOptions {
            sma_window: self.sma_window,
            ewma_alpha: self.ewma_alpha,
            reprobe_after: self.reprobe_after,
            goal: self.routing_goal,
            hedge_budget: self.hedge_budget,
            health: self.health,
            seed: self.run,
        }
    }

    /// All servers in the order of their ids at the start: the backends, then the classifiers.
    pub fn servers(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter().chain(self.classifiers())
    }

    /// The classifiers, if there is batching.
    pub fn classifiers(&self) -> &[Backend] {
        self.batching.as_ref().map_or(&[], |batching| &batching.classifiers)
    }

    /// Who telemetry is told there is at the start.
    pub fn roster(&self) -> Roster {
        let named = |servers: &'_ [Backend]| -> Vec<(String, String)> {
            servers.iter().map(|server| (server.url.clone(), server.authority.clone())).collect()
        };
        let (backends, classifiers) = (named(&self.backends), named(self.classifiers()));
        Roster::first(&backends, &classifiers)
    }
}
