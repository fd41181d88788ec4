//! The settings in force.
//!
//! Here: the defaults, the order of origins (flag, environment, file, default), the step to the rooms' options. Not
//! here: reading any of them. Floor 5.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use log::LevelFilter;

use super::admin::AdminTarget;
use super::batching::{CustomerWeight, InFlight, Limit, StrategyFrom};
use super::health::{CheckPath, Percent, Statuses};
use super::hedge::{Hedge, PathPrefix};
use super::limits::{BodyBytes, Cap, DataRate, FieldCount, HeadBytes, PipelinedBytes, PoolCap, TargetBytes};
use super::local::LocalAddress;
use super::memory::Memory;
use super::names::Names;
use super::origin::{Origin, Sourced};
use super::server::{Resolve, ServerEntry};
use super::url::{BackendUrl, ResolveError};
use super::values::{BackendListen, Count, FileTarget, Grace, Period, Switch, Value, Weight};
use super::{Audience, Settings};
use crate::balance::{AllOut, RoutingGoal, RoutingMode};
use crate::batch::StrategyName;
use crate::codec::Shape;
use crate::h1::request::TargetRule;
use crate::proxy::{Backend, ConnectionMode, HalfClose, Options, PoolLimit, Reuse};

/// The ports of the simulated backends A, B and C.
const BACKEND_PORTS: [u16; 3] = [8081, 8082, 8083];

/// The port of the simulated classifier.
pub const CLASSIFIER_PORT: u16 = 8001;

/// Every setting with its value and who set it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of Settings, which says what they are")]
pub struct Effective {
    /// For whom.
    pub audience: Audience,
    pub listen: Sourced<SocketAddr>,
    pub reuse_port: Sourced<Switch>,
    pub admin: Sourced<AdminTarget>,
    pub backend: Sourced<Vec<ServerEntry>>,
    pub source_address: Sourced<Vec<LocalAddress>>,
    pub resolve: Sourced<Resolve>,
    pub resolve_interval: Sourced<Limit>,
    pub backend_listen: Sourced<BackendListen>,
    pub classifier_listen: Sourced<SocketAddr>,
    pub classifier: Sourced<Vec<ServerEntry>>,
    pub classifier_timeout: Sourced<Period>,
    pub strategy: Sourced<StrategyName>,
    pub strategy_from: Sourced<StrategyFrom>,
    pub batch_size: Sourced<Count>,
    pub batches_in_flight: Sourced<InFlight>,
    pub split: Sourced<Switch>,
    pub halve: Sourced<Switch>,
    pub queue_limit: Sourced<Count>,
    pub queue_bytes: Sourced<Memory>,
    pub queue_timeout: Sourced<Period>,
    pub sjf_max_wait: Sourced<Limit>,
    pub customer_weight: Sourced<Vec<CustomerWeight>>,
    pub shape: Sourced<Vec<Shape>>,
    pub connections: Sourced<ConnectionMode>,
    pub reuse: Sourced<Reuse>,
    pub routing: Sourced<RoutingMode>,
    pub routing_goal: Sourced<RoutingGoal>,
    pub hedge: Sourced<Hedge>,
    pub hedge_budget: Sourced<Percent>,
    pub repeatable: Sourced<Vec<PathPrefix>>,
    pub sma_window: Sourced<Count>,
    pub ewma_alpha: Sourced<Weight>,
    pub reprobe_after: Sourced<Limit>,
    pub upstream_timeout: Sourced<Period>,
    pub stream_idle_timeout: Sourced<Period>,
    pub connect_timeout: Sourced<Period>,
    pub header_timeout: Sourced<Period>,
    pub body_timeout: Sourced<Period>,
    pub min_data_rate: Sourced<DataRate>,
    pub idle_timeout: Sourced<Period>,
    pub pool_idle_timeout: Sourced<Period>,
    pub tunnel_idle_timeout: Sourced<Period>,
    pub drain_timeout: Sourced<Grace>,
    pub client_keepalive: Sourced<Switch>,
    pub half_close: Sourced<HalfClose>,
    pub strict_upstream: Sourced<Switch>,
    pub target_bytes: Sourced<TargetRule>,
    pub max_head_bytes: Sourced<HeadBytes>,
    pub max_header_fields: Sourced<FieldCount>,
    pub max_target_bytes: Sourced<TargetBytes>,
    pub max_body_bytes: Sourced<BodyBytes>,
    pub max_pipelined_bytes: Sourced<PipelinedBytes>,
    pub max_requests_per_connection: Sourced<Cap>,
    pub max_connections: Sourced<Count>,
    pub max_connections_per_client: Sourced<Cap>,
    pub max_pool_per_backend: Sourced<PoolCap>,
    pub health_check: Sourced<CheckPath>,
    pub classifier_health_check: Sourced<CheckPath>,
    pub health_interval: Sourced<Period>,
    pub health_timeout: Sourced<Period>,
    pub health_rise: Sourced<Count>,
    pub health_fall: Sourced<Count>,
    pub eject_after: Sourced<Cap>,
    pub eject_for: Sourced<Period>,
    pub eject_for_most: Sourced<Period>,
    pub eject_most: Sourced<Percent>,
    pub all_out: Sourced<AllOut>,
    pub slow_start: Sourced<Grace>,
    pub eject_on: Sourced<Statuses>,
    pub retry_on: Sourced<Statuses>,
    pub retry_budget: Sourced<Percent>,
    pub csv: Sourced<FileTarget>,
    pub trace: Sourced<FileTarget>,
    pub explain: Sourced<Switch>,
    pub request_id: Sourced<Switch>,
    pub log_level: Sourced<LevelFilter>,
}

/// What a proxy needs to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// What the handler is told.
    pub options: Options,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Whether other processes may listen there as well.
    pub reuse_port: bool,
    /// The addresses of this machine to connect from; with none, the system chooses.
    pub sources: Vec<IpAddr>,
    /// Where the admin listener is, if there is to be one.
    pub admin: Option<SocketAddr>,
    /// The file for the rows, if there is to be one.
    pub csv: Option<PathBuf>,
    /// The file for the traces, if there is to be one.
    pub trace: Option<PathBuf>,
    /// What is told on stderr.
    pub log_level: LevelFilter,
}

/// Who of the two that clap knows has set `key`.
pub(super) fn origin_of(matches: &ArgMatches, key: &str) -> Origin {
    match matches.value_source(&key.replace('-', "_")) {
        Some(ValueSource::EnvVariable) => Origin::Environment,
        _ => Origin::Flag,
    }
}

impl Effective {
    /// The strongest voice for each setting.
    #[allow(clippy::too_many_lines, reason = "a list: each setting has its line")]
    pub(super) fn merge(
        given: Settings,
        matches: &ArgMatches,
        file: Settings,
        audience: Audience,
        descriptors: u64,
    ) -> Effective {
        let seconds = |n| Period(Duration::from_secs(n));
        macro_rules! pick {
            ($key:ident, $default:expr) => {
                pick(matches, stringify!($key), given.$key, file.$key, || $default)
            };
            ($part:ident.$key:ident, $default:expr) => {
                pick(matches, stringify!($key), given.$part.$key, file.$part.$key, || $default)
            };
        }
        let (trace, explain) = (pick!(trace, FileTarget::Off), pick!(explain, Switch(false)));
        let needs_ids = explain.value.0 || trace.value != FileTarget::Off;
        let classifier = pick!(classifier, Vec::new());
        // Who names a classifier alone wants nothing else in front of.
        let usual_backends = |port| BackendUrl::local(port).into();
        let usual_backends = match classifier.value.as_slice() {
            [] => BACKEND_PORTS.map(usual_backends).to_vec(),
            [_, ..] => Vec::new(),
        };
        Effective {
            audience,
            listen: pick!(listen, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9090))),
            reuse_port: pick!(reuse_port, Switch(false)),
            admin: pick!(admin, AdminTarget::default_of(audience)),
            backend: pick!(backend, usual_backends),
            source_address: pick!(source_address, Vec::new()),
            resolve: pick!(resolve, Resolve::One),
            resolve_interval: pick!(resolve_interval, Limit(Some(Duration::from_secs(30)))),
            backend_listen: pick!(
                backend_listen,
                BackendListen(BACKEND_PORTS.map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
            ),
            classifier_listen: pick!(
                classifier_listen,
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLASSIFIER_PORT))
            ),
            classifier,
            classifier_timeout: pick!(classifier_timeout, seconds(10)),
            strategy: pick!(strategy, StrategyName::Sjf),
            strategy_from: pick!(strategy_from, StrategyFrom::Loopback),
            batch_size: pick!(batch_size, Count(5)),
            batches_in_flight: pick!(batches_in_flight, InFlight::Auto),
            split: pick!(split, Switch(true)),
            halve: pick!(halve, Switch(true)),
            queue_limit: pick!(queue_limit, Count(10_000)),
            queue_bytes: pick!(queue_bytes, Memory(64 << 20)),
            queue_timeout: pick!(queue_timeout, seconds(30)),
            sjf_max_wait: pick!(sjf_max_wait, Limit(None)),
            customer_weight: pick!(customer_weight, Vec::new()),
            shape: pick!(shape, Vec::new()),
            connections: pick!(connections, ConnectionMode::Persistent),
            reuse: pick!(reuse, Reuse::Always),
            routing: pick!(routing, RoutingMode::RoundRobin),
            routing_goal: pick!(routing_goal, RoutingGoal::P95),
            hedge: pick!(hedge, Hedge::Off),
            hedge_budget: pick!(hedge_budget, Percent(10.0)),
            repeatable: pick!(repeatable, Vec::new()),
            sma_window: pick!(sma_window, Count(3)),
            ewma_alpha: pick!(ewma_alpha, Weight(0.2)),
            reprobe_after: pick!(reprobe_after, Limit(None)),
            upstream_timeout: pick!(upstream_timeout, seconds(10)),
            stream_idle_timeout: pick!(stream_idle_timeout, seconds(300)),
            connect_timeout: pick!(connect_timeout, seconds(2)),
            header_timeout: pick!(header_timeout, seconds(10)),
            body_timeout: pick!(body_timeout, seconds(30)),
            min_data_rate: pick!(min_data_rate, DataRate(100)),
            idle_timeout: pick!(idle_timeout, seconds(75)),
            pool_idle_timeout: pick!(pool_idle_timeout, seconds(60)),
            tunnel_idle_timeout: pick!(tunnel_idle_timeout, seconds(3600)),
            drain_timeout: pick!(drain_timeout, Grace(Duration::from_secs(30))),
            client_keepalive: pick!(client_keepalive, Switch(true)),
            half_close: pick!(half_close, HalfClose::Answer),
            strict_upstream: pick!(strict_upstream, Switch(false)),
            target_bytes: pick!(target_bytes, TargetRule::Strict),
            max_head_bytes: pick!(max_head_bytes, HeadBytes::usual()),
            max_header_fields: pick!(max_header_fields, FieldCount::usual()),
            max_target_bytes: pick!(max_target_bytes, TargetBytes::usual()),
            max_body_bytes: pick!(max_body_bytes, BodyBytes(None)),
            max_pipelined_bytes: pick!(max_pipelined_bytes, PipelinedBytes::usual()),
            max_requests_per_connection: pick!(max_requests_per_connection, Cap(None)),
            max_connections: pick!(max_connections, most_connections(descriptors)),
            max_connections_per_client: pick!(max_connections_per_client, Cap(None)),
            max_pool_per_backend: pick!(max_pool_per_backend, PoolCap(PoolLimit::Auto)),
            health_check: pick!(upstream_health.health_check, CheckPath(None)),
            classifier_health_check: pick!(upstream_health.classifier_health_check, CheckPath(None)),
            health_interval: pick!(upstream_health.health_interval, seconds(5)),
            health_timeout: pick!(upstream_health.health_timeout, seconds(2)),
            health_rise: pick!(upstream_health.health_rise, Count(2)),
            health_fall: pick!(upstream_health.health_fall, Count(3)),
            eject_after: pick!(upstream_health.eject_after, Cap(Some(5))),
            eject_for: pick!(upstream_health.eject_for, seconds(1)),
            eject_for_most: pick!(upstream_health.eject_for_most, seconds(60)),
            eject_most: pick!(upstream_health.eject_most, Percent(70.0)),
            all_out: pick!(upstream_health.all_out, AllOut::Fail),
            slow_start: pick!(upstream_health.slow_start, Grace(Duration::from_secs(10))),
            eject_on: pick!(upstream_health.eject_on, Statuses(None)),
            retry_on: pick!(upstream_health.retry_on, Statuses(None)),
            retry_budget: pick!(upstream_health.retry_budget, Percent(20.0)),
            csv: pick!(csv, FileTarget::Path("proxy_log.csv".into())),
            request_id: pick!(request_id, Switch(needs_ids)),
            trace,
            explain,
            log_level: pick!(log_level, LevelFilter::Info),
        }
    }

    /// Each setting as a line of TOML with its origin as a comment.
    pub fn lines(&self) -> Vec<String> {
        let line = |(key, shown, origin): (String, String, Origin)| format!("{key} = {shown}  # {origin}");
        self.shown().into_iter().map(line).collect()
    }

    /// What is listened on, for whom, and by whose word: each by the key of its setting.
    pub(super) fn listeners(&self) -> Vec<(&'static str, &'static str, SocketAddr, Origin)> {
        let mut all = vec![("listen", "the proxy", self.listen.value, self.listen.origin)];
        if let Some(address) = self.admin.value.address() {
            all.push(("admin", "the dashboard", address, self.admin.origin));
        }
        if self.audience == Audience::Testbed {
            let BackendListen(addresses) = self.backend_listen.value;
            for (who, address) in
                ["the backend A", "the backend B", "the backend C"].into_iter().zip(addresses)
            {
                all.push(("backend-listen", who, address, self.backend_listen.origin));
            }
            let (address, origin) = (self.classifier_listen.value, self.classifier_listen.origin);
            all.push(("classifier-listen", "the classifier", address, origin));
        }
        all
    }

    /// What is allowed and may be a mistake.
    pub fn remarks(&self) -> Vec<String> {
        let (copies, routing) = (self.hedge.value.share(self.hedge_budget.value), self.routing.value);
        if copies == 0.0 || routing == RoutingMode::Adaptive {
            return Vec::new();
        }
        vec![format!("hedges are sent in routing mode adaptive alone, and this is {routing}")]
    }

    /// Each setting by its key, as TOML, with its origin. `backend` and `classifier` exclude the testbed's
    /// `backend-listen` and `classifier-listen`, so only those that count are among them.
    pub fn shown(&self) -> Vec<(String, String, Origin)> {
        let mut lines = Vec::new();
        let mut line = |key: &str, shown: String, origin: Origin| lines.push((key.to_owned(), shown, origin));
        macro_rules! show {
            ($($key:ident),*) => {
                $(line(&stringify!($key).replace('_', "-"), self.$key.value.to_toml(), self.$key.origin);)*
            };
        }
        show!(listen, reuse_port, admin);
        let list = |values: Vec<String>| format!("[{}]", values.join(", "));
        if self.audience != Audience::Testbed {
            let urls = |servers: &[ServerEntry]| list(servers.iter().map(Value::to_toml).collect());
            line("backend", urls(&self.backend.value), self.backend.origin);
            line("classifier", urls(&self.classifier.value), self.classifier.origin);
        } else {
            show!(backend_listen, classifier_listen);
        }
        let weights = self.customer_weight.value.iter().map(Value::to_toml).collect();
        line("customer-weight", list(weights), self.customer_weight.origin);
        // Only a file has any.
        if !self.shape.value.is_empty() {
            let shapes = self.shape.value.iter().map(shape_to_toml).collect();
            line("shape", list(shapes), self.shape.origin);
        }
        let sources = self.source_address.value.iter().map(Value::to_toml).collect();
        line("source-address", list(sources), self.source_address.origin);
        show!(resolve, resolve_interval);
        show!(classifier_timeout, strategy, strategy_from, batch_size, batches_in_flight, split, halve);
        show!(queue_limit, queue_bytes, queue_timeout, sjf_max_wait);
        show!(connections, reuse, routing, routing_goal, hedge, hedge_budget);
        let paths = self.repeatable.value.iter().map(Value::to_toml).collect();
        line("repeatable", list(paths), self.repeatable.origin);
        show!(sma_window, ewma_alpha, reprobe_after);
        show!(upstream_timeout, stream_idle_timeout, connect_timeout, header_timeout, body_timeout);
        show!(min_data_rate);
        show!(idle_timeout, pool_idle_timeout, tunnel_idle_timeout);
        show!(drain_timeout, client_keepalive, half_close, strict_upstream, target_bytes);
        show!(max_head_bytes, max_header_fields, max_target_bytes, max_body_bytes, max_pipelined_bytes);
        show!(max_requests_per_connection, max_connections, max_connections_per_client);
        show!(max_pool_per_backend);
        show!(
            health_check,
            classifier_health_check,
            health_interval,
            health_timeout,
            health_rise,
            health_fall
        );
        show!(eject_after, eject_for, eject_for_most, eject_most, eject_on, all_out, slow_start);
        show!(retry_budget, retry_on);
        show!(csv, trace, explain, request_id, log_level);
        lines
    }

    /// Looks up the names of the configured backends and classifiers; returns both.
    ///
    /// # Errors
    /// The first name without an address that none is known of either.
    pub fn look_up(&self, names: &mut Names) -> Result<(Vec<Backend>, Vec<Backend>), ResolveError> {
        let mut all = |entries: &[ServerEntry]| -> Result<Vec<Backend>, ResolveError> {
            let servers = entries.iter().map(|entry| entry.look_up(self.resolve.value, names));
            Ok(servers.collect::<Result<Vec<_>, _>>()?.concat())
        };
        Ok((all(&self.backend.value)?, all(&self.classifier.value)?))
    }
}

fn pick<T>(
    matches: &ArgMatches,
    key: &str,
    given: Option<T>,
    file: Option<T>,
    default: impl FnOnce() -> T,
) -> Sourced<T> {
    match (given, file) {
        (Some(value), _) => Sourced { value, origin: origin_of(matches, key) },
        (None, Some(value)) => Sourced { value, origin: Origin::File },
        (None, None) => Sourced { value: default(), origin: Origin::Default },
    }
}

fn shape_to_toml(shape: &Shape) -> String {
    toml::Value::try_from(shape).expect("strings, a list of them and a switch").to_string()
}

/// Each client may need a connection to a backend, and files and the machinery need some more (HAProxy reckons alike).
fn most_connections(descriptors: u64) -> Count {
    let most = usize::try_from(descriptors.saturating_sub(32) / 2).unwrap_or(usize::MAX);
    Count(most.clamp(1, Count::MOST))
}
