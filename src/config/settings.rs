//! Every setting of the servers, under one name for flag, environment and file.
//!
//! Here: [`Settings`], with the help texts. Not here: those of health and retries (`upstream_health.rs`), what holds where nothing
//! is said (`effective.rs`) and what values look like (`values.rs`, `limits.rs`, `health.rs`). Floor 5.

use std::net::SocketAddr;

use clap::Args;
use log::LevelFilter;
use serde::Deserialize;

use super::admin::AdminTarget;
use super::batching::{CustomerWeight, InFlight, Limit, StrategyFrom};
use super::health::Percent;
use super::hedge::{Hedge, PathPrefix};
use super::limits::{BodyBytes, Cap, DataRate, FieldCount, HeadBytes, PipelinedBytes, PoolCap, TargetBytes};
use super::local::LocalAddress;
use super::memory::Memory;
use super::read;
use super::server::{self, Resolve, ServerEntry};
use super::upstream_health::UpstreamHealthSettings;
use super::values::{BackendListen, Count, FileTarget, Grace, Period, Switch, Weight, parse};
use crate::balance::{RoutingGoal, RoutingMode};
use crate::batch::StrategyName;
use crate::codec::Shape;
use crate::h1::request::TargetRule;
use crate::proxy::{ConnectionMode, HalfClose, Reuse};

/// What one origin says; `None` where it is silent. Each key has one name: `sma-window` in a file, `--sma-window`
/// as a flag, `TIDEGATE_SMA_WINDOW` in the environment.
// The sentences below are the help texts; `effective.rs` holds the defaults, and a test compares them.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Settings {
    /// Where clients connect [default: 0.0.0.0:9090]
    #[arg(long, value_name = "ADDR:PORT", env = "TIDEGATE_LISTEN", value_parser = parse::<SocketAddr>)]
    #[serde(deserialize_with = "read::one")]
    pub listen: Option<SocketAddr>,

    /// Let further processes listen on the same port, each with this on: on, off [default: off]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_REUSE_PORT", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub reuse_port: Option<Switch>,

    /// Where the dashboard, the admin API and the metrics are, or off; DASHBOARD_PORT sets the port alone
    /// [default: 127.0.0.1:5002 in the testbed, else off]
    #[arg(long, value_name = "ADDR:PORT|off", env = "TIDEGATE_ADMIN", value_parser = parse::<AdminTarget>)]
    #[serde(deserialize_with = "read::one")]
    pub admin: Option<AdminTarget>,

    /// A backend, repeatable or with commas; `host:port` means http; none where there is a classifier
    /// [default: http://localhost:8081,http://localhost:8082,http://localhost:8083]
    #[arg(long, value_name = "URL", env = "TIDEGATE_BACKEND", value_delimiter = ',', value_parser = parse::<ServerEntry>)]
    #[serde(deserialize_with = "server::list")]
    pub backend: Option<Vec<ServerEntry>>,

    /// An address of this machine to connect to backends from, repeatable or with commas; none: the system chooses
    /// [default: none]
    #[arg(long, value_name = "ADDR", env = "TIDEGATE_SOURCE_ADDRESS", value_delimiter = ',', value_parser = parse::<LocalAddress>)]
    #[serde(deserialize_with = "read::list")]
    pub source_address: Option<Vec<LocalAddress>>,

    /// Whether a name's addresses are ways to one backend, or a backend each: one, all [default: one]
    #[arg(long, value_name = "HOW", env = "TIDEGATE_RESOLVE", value_parser = parse::<Resolve>)]
    #[serde(deserialize_with = "read::one")]
    pub resolve: Option<Resolve>,

    /// How often names of backends are looked up again, or off [default: 30s]
    #[arg(long, value_name = "TIME|off", env = "TIDEGATE_RESOLVE_INTERVAL", value_parser = parse::<Limit>)]
    #[serde(deserialize_with = "read::one")]
    pub resolve_interval: Option<Limit>,

    /// Where the simulated backends A, B and C listen; port 0 takes a free one
    /// [default: 0.0.0.0:8081,0.0.0.0:8082,0.0.0.0:8083]
    #[arg(long, value_name = "ADDR,ADDR,ADDR", env = "TIDEGATE_BACKEND_LISTEN", value_parser = parse::<BackendListen>)]
    #[serde(deserialize_with = "read::one")]
    pub backend_listen: Option<BackendListen>,

    /// Where the simulated classifier listens; port 0 takes a free one [default: 0.0.0.0:8001]
    #[arg(long, value_name = "ADDR:PORT", env = "TIDEGATE_CLASSIFIER_LISTEN", value_parser = parse::<SocketAddr>)]
    #[serde(deserialize_with = "read::one")]
    pub classifier_listen: Option<SocketAddr>,

    /// A classifier, repeatable or with commas: requests for it are batched [default: none]
    #[arg(long, value_name = "URL", env = "TIDEGATE_CLASSIFIER", value_delimiter = ',', value_parser = parse::<ServerEntry>)]
    #[serde(deserialize_with = "server::list")]
    pub classifier: Option<Vec<ServerEntry>>,

    /// Longest time for a batch, from sending it to the whole answer [default: 10s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_CLASSIFIER_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub classifier_timeout: Option<Period>,

    /// Which requests go first: sjf, fair, fcfs, adaptive [default: sjf]
    #[arg(long, value_name = "NAME", env = "PROXY_STRATEGY", value_parser = parse::<StrategyName>)]
    #[serde(deserialize_with = "read::one")]
    pub strategy: Option<StrategyName>,

    /// Who may change the strategy while the proxy runs: loopback, any [default: loopback]
    #[arg(long, value_name = "WHO", env = "TIDEGATE_STRATEGY_FROM", value_parser = parse::<StrategyFrom>)]
    #[serde(deserialize_with = "read::one")]
    pub strategy_from: Option<StrategyFrom>,

    /// How many sequences a batch holds at most [default: 5]
    #[arg(long, value_name = "N", env = "TIDEGATE_BATCH_SIZE", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub batch_size: Option<Count>,

    /// How many batches may be in flight; auto is 1, but adaptive learns it [default: auto]
    #[arg(long, value_name = "N|auto", env = "TIDEGATE_BATCHES_IN_FLIGHT", value_parser = parse::<InFlight>)]
    #[serde(deserialize_with = "read::one")]
    pub batches_in_flight: Option<InFlight>,

    /// Let adaptive split a request by length: on, off [default: on]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_SPLIT", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub split: Option<Switch>,

    /// Send a batch that the classifier refuses again in halves: on, off [default: on]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_HALVE", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub halve: Option<Switch>,

    /// How many requests may wait to be batched [default: 10000]
    #[arg(long, value_name = "N", env = "TIDEGATE_QUEUE_LIMIT", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub queue_limit: Option<Count>,

    /// Bytes of bodies that come, wait or are in flight to be batched; beyond, 429 [default: 64MiB]
    #[arg(long, value_name = "BYTES", env = "TIDEGATE_QUEUE_BYTES", value_parser = parse::<Memory>)]
    #[serde(deserialize_with = "read::one")]
    pub queue_bytes: Option<Memory>,

    /// How long a request may wait to be batched [default: 30s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_QUEUE_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub queue_timeout: Option<Period>,

    /// In sjf, how long a request may wait before it goes first, or off [default: off]
    #[arg(long, value_name = "TIME|off", env = "TIDEGATE_SJF_MAX_WAIT", value_parser = parse::<Limit>)]
    #[serde(deserialize_with = "read::one")]
    pub sjf_max_wait: Option<Limit>,

    /// In fair and sjf, how much more a customer may have, repeatable or with commas [default: none]
    #[arg(long, value_name = "NAME=W", env = "TIDEGATE_CUSTOMER_WEIGHT", value_delimiter = ',', value_parser = parse::<CustomerWeight>)]
    #[serde(deserialize_with = "read::list")]
    pub customer_weight: Option<Vec<CustomerWeight>>,

    /// Further shapes of requests that are batched; only in a file, as `[[shape]]`.
    #[arg(skip)]
    pub shape: Option<Vec<Shape>>,

    /// Keep connections to backends, or open one for each request: persistent, non-persistent [default: persistent]
    #[arg(long, value_name = "MODE", env = "TIDEGATE_CONNECTIONS", value_parser = parse::<ConnectionMode>)]
    #[serde(deserialize_with = "read::one")]
    pub connections: Option<ConnectionMode>,

    /// Whom a kept connection to a backend may serve: always (any client's next request), safe (no client's first), never (its client
    /// alone) [default: always]
    #[arg(long, value_name = "WHOM", env = "TIDEGATE_REUSE", value_parser = parse::<Reuse>)]
    #[serde(deserialize_with = "read::one")]
    pub reuse: Option<Reuse>,

    /// How the backend is chosen: round-robin, adaptive_sma, adaptive_ewma, adaptive, least_requests, p2c_peak_ewma, prequal
    /// [default: round-robin]
    #[arg(long, value_name = "MODE", env = "TIDEGATE_ROUTING", value_parser = parse::<RoutingMode>)]
    #[serde(deserialize_with = "read::one")]
    pub routing: Option<RoutingMode>,

    /// What adaptive strives for: p95, or the mean alone [default: p95]
    #[arg(long, value_name = "GOAL", env = "TIDEGATE_ROUTING_GOAL", value_parser = parse::<RoutingGoal>)]
    #[serde(deserialize_with = "read::one")]
    pub routing_goal: Option<RoutingGoal>,

    /// In adaptive, send a further copy of an idempotent request whose answer is late, when that is worth it: auto, off
    /// [default: off]
    #[arg(long, value_name = "auto|off", env = "TIDEGATE_HEDGE", value_parser = parse::<Hedge>)]
    #[serde(deserialize_with = "read::one")]
    pub hedge: Option<Hedge>,

    /// Most further copies, as a share of the requests that may have some [default: 10%]
    #[arg(long, value_name = "SHARE", env = "TIDEGATE_HEDGE_BUDGET", value_parser = parse::<Percent>)]
    #[serde(deserialize_with = "read::one")]
    pub hedge_budget: Option<Percent>,

    /// Paths, by their beginnings, on which every request may be sent more than once, repeatable or with commas [default: none]
    #[arg(long, value_name = "PATH", env = "TIDEGATE_REPEATABLE", value_delimiter = ',', value_parser = parse::<PathPrefix>)]
    #[serde(deserialize_with = "read::list")]
    pub repeatable: Option<Vec<PathPrefix>>,

    /// How many latencies adaptive_sma averages [default: 3]
    #[arg(long, value_name = "N", env = "TIDEGATE_SMA_WINDOW", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub sma_window: Option<Count>,

    /// Weight of the newest latency in adaptive_ewma, above 0 and at most 1 [default: 0.2]
    #[arg(long, value_name = "ALPHA", env = "TIDEGATE_EWMA_ALPHA", value_parser = parse::<Weight>)]
    #[serde(deserialize_with = "read::one")]
    pub ewma_alpha: Option<Weight>,

    /// In adaptive_sma and adaptive_ewma, probe a backend whose last latency is so old, or off [default: off]
    #[arg(long, value_name = "TIME|off", env = "TIDEGATE_REPROBE_AFTER", value_parser = parse::<Limit>)]
    #[serde(deserialize_with = "read::one")]
    pub reprobe_after: Option<Limit>,

    /// Longest wait for a response head [default: 10s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_UPSTREAM_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub upstream_timeout: Option<Period>,

    /// How long a response may stand still after its head [default: 300s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_STREAM_IDLE_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub stream_idle_timeout: Option<Period>,

    /// Longest wait for a connection to a backend [default: 2s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_CONNECT_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub connect_timeout: Option<Period>,

    /// How long a client may take to send a request head [default: 10s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_HEADER_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub header_timeout: Option<Period>,

    /// How long a body may stand still [default: 30s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_BODY_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub body_timeout: Option<Period>,

    /// Bytes a second of a request body after its first 10 s, or off [default: 100]
    #[arg(long, value_name = "N|off", env = "TIDEGATE_MIN_DATA_RATE", value_parser = parse::<DataRate>)]
    #[serde(deserialize_with = "read::one")]
    pub min_data_rate: Option<DataRate>,

    /// How long a client's connection may rest between requests [default: 75s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_IDLE_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub idle_timeout: Option<Period>,

    /// How long a connection to a backend may rest [default: 60s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_POOL_IDLE_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub pool_idle_timeout: Option<Period>,

    /// How long a WebSocket tunnel may rest [default: 3600s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_TUNNEL_IDLE_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub tunnel_idle_timeout: Option<Period>,

    /// How long requests in flight may take after a stop signal [default: 30s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_DRAIN_TIMEOUT", value_parser = parse::<Grace>)]
    #[serde(deserialize_with = "read::one")]
    pub drain_timeout: Option<Grace>,

    /// Keep a client's connection after a response: on, off [default: on]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_CLIENT_KEEPALIVE", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub client_keepalive: Option<Switch>,

    /// A client that closes its sending side gets its answer, or has left: answer, cancel [default: answer]
    #[arg(long, value_name = "MEANING", env = "TIDEGATE_HALF_CLOSE", value_parser = parse::<HalfClose>)]
    #[serde(deserialize_with = "read::one")]
    pub half_close: Option<HalfClose>,

    /// Refuse response heads whose lines end in LF alone: on, off [default: off]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_STRICT_UPSTREAM", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub strict_upstream: Option<Switch>,

    /// Refuse request targets that are not ASCII, or pass them on as they come: strict, pass [default: strict]
    #[arg(long, value_name = "RULE", env = "TIDEGATE_TARGET_BYTES", value_parser = parse::<TargetRule>)]
    #[serde(deserialize_with = "read::one")]
    pub target_bytes: Option<TargetRule>,

    /// Longest request head, in bytes [default: 32768]
    #[arg(long, value_name = "BYTES", env = "TIDEGATE_MAX_HEAD_BYTES", value_parser = parse::<HeadBytes>)]
    #[serde(deserialize_with = "read::one")]
    pub max_head_bytes: Option<HeadBytes>,

    /// Most fields of a request head, up to 128 [default: 128]
    #[arg(long, value_name = "N", env = "TIDEGATE_MAX_HEADER_FIELDS", value_parser = parse::<FieldCount>)]
    #[serde(deserialize_with = "read::one")]
    pub max_header_fields: Option<FieldCount>,

    /// Longest request target, in bytes [default: 8192]
    #[arg(long, value_name = "BYTES", env = "TIDEGATE_MAX_TARGET_BYTES", value_parser = parse::<TargetBytes>)]
    #[serde(deserialize_with = "read::one")]
    pub max_target_bytes: Option<TargetBytes>,

    /// Longest request body, in bytes, or off [default: off]
    #[arg(long, value_name = "BYTES|off", env = "TIDEGATE_MAX_BODY_BYTES", value_parser = parse::<BodyBytes>)]
    #[serde(deserialize_with = "read::one")]
    pub max_body_bytes: Option<BodyBytes>,

    /// Bytes of further requests that a client may send ahead; the rest waits in its socket [default: 65536]
    #[arg(long, value_name = "BYTES", env = "TIDEGATE_MAX_PIPELINED_BYTES", value_parser = parse::<PipelinedBytes>)]
    #[serde(deserialize_with = "read::one")]
    pub max_pipelined_bytes: Option<PipelinedBytes>,

    /// How many requests a client's connection serves, or off [default: off]
    #[arg(long, value_name = "N|off", env = "TIDEGATE_MAX_REQUESTS_PER_CONNECTION", value_parser = parse::<Cap>)]
    #[serde(deserialize_with = "read::one")]
    pub max_requests_per_connection: Option<Cap>,

    /// How many client connections may be open at once; idle ones give way [default: half of the descriptor limit less 32]
    #[arg(long, value_name = "N", env = "TIDEGATE_MAX_CONNECTIONS", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub max_connections: Option<Count>,

    /// How many of them may come from one address, or off [default: off]
    #[arg(long, value_name = "N|off", env = "TIDEGATE_MAX_CONNECTIONS_PER_CLIENT", value_parser = parse::<Cap>)]
    #[serde(deserialize_with = "read::one")]
    pub max_connections_per_client: Option<Cap>,

    /// How many idle connections to each backend are kept; auto: as many as were in use at once lately [default: auto]
    #[arg(long, value_name = "N|auto|off", env = "TIDEGATE_MAX_POOL_PER_BACKEND", value_parser = parse::<PoolCap>)]
    #[serde(deserialize_with = "read::one")]
    pub max_pool_per_backend: Option<PoolCap>,

    /// What happens when a backend fails.
    #[command(flatten)]
    #[serde(flatten)]
    pub upstream_health: UpstreamHealthSettings,

    /// The file that gets a row for each request, or off [default: proxy_log.csv]
    #[arg(long, value_name = "PATH|off", env = "TIDEGATE_CSV", value_parser = parse::<FileTarget>)]
    #[serde(deserialize_with = "read::one")]
    pub csv: Option<FileTarget>,

    /// The file that gets all that is known of each request as a line of JSON, or off [default: off]
    #[arg(long, value_name = "PATH|off", env = "TIDEGATE_TRACE", value_parser = parse::<FileTarget>)]
    #[serde(deserialize_with = "read::one")]
    pub trace: Option<FileTarget>,

    /// Say in each response which backend answered and where the time went: on, off [default: off]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_EXPLAIN", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub explain: Option<Switch>,

    /// Name each request in X-Request-Id, for its backend and its client: on, off; on with --trace or --explain
    /// [default: off]
    #[arg(long, value_name = "ON|OFF", env = "TIDEGATE_REQUEST_ID", value_parser = parse::<Switch>)]
    #[serde(deserialize_with = "read::one")]
    pub request_id: Option<Switch>,

    /// What is told on stderr: error, warn, info, debug, trace, off [default: info]
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_LOG_LEVEL", value_parser = parse::<LevelFilter>)]
    #[serde(deserialize_with = "read::one")]
    pub log_level: Option<LevelFilter>,
}
