//! The settings in force.
//!
//! Here: the defaults, the order of origins (flag, environment, file, default), the step to the rooms' options. Not
//! here: reading any of them. Floor 5.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use log::LevelFilter;

use super::origin::{Origin, Sourced};
use super::url::{BackendUrl, ResolveError};
use super::values::{BackendListen, Count, CsvTarget, Grace, Period, Switch, Value, Weight};
use super::{ConfigError, Settings};
use crate::balance::RoutingMode;
use crate::proxy::{Backend, ConnectionMode, Options};

/// The ports of the simulated backends A, B and C.
const BACKEND_PORTS: [u16; 3] = [8081, 8082, 8083];

/// Every setting with its value and who set it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of Settings, which says what they are")]
pub struct Effective {
    pub listen: Sourced<SocketAddr>,
    pub backend: Sourced<Vec<BackendUrl>>,
    pub backend_listen: Sourced<BackendListen>,
    pub connections: Sourced<ConnectionMode>,
    pub routing: Sourced<RoutingMode>,
    pub sma_window: Sourced<Count>,
    pub ewma_alpha: Sourced<Weight>,
    pub upstream_timeout: Sourced<Period>,
    pub connect_timeout: Sourced<Period>,
    pub header_timeout: Sourced<Period>,
    pub body_timeout: Sourced<Period>,
    pub idle_timeout: Sourced<Period>,
    pub pool_idle_timeout: Sourced<Period>,
    pub drain_timeout: Sourced<Grace>,
    pub client_keepalive: Sourced<Switch>,
    pub max_connections: Sourced<Count>,
    pub csv: Sourced<CsvTarget>,
    pub log_level: Sourced<LevelFilter>,
}

/// What a proxy needs to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// What the handler is told.
    pub options: Options,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The file for the rows, if there is to be one.
    pub csv: Option<PathBuf>,
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
    pub(super) fn merge(
        given: Settings,
        matches: &ArgMatches,
        file: Settings,
        descriptors: u64,
    ) -> Effective {
        let seconds = |n| Period(Duration::from_secs(n));
        macro_rules! pick {
            ($key:ident, $default:expr) => {
                pick(matches, stringify!($key), given.$key, file.$key, || $default)
            };
        }
        Effective {
            listen: pick!(listen, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9090))),
            backend: pick!(backend, BACKEND_PORTS.map(BackendUrl::local).to_vec()),
            backend_listen: pick!(
                backend_listen,
                BackendListen(BACKEND_PORTS.map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
            ),
            connections: pick!(connections, ConnectionMode::Persistent),
            routing: pick!(routing, RoutingMode::RoundRobin),
            sma_window: pick!(sma_window, Count(3)),
            ewma_alpha: pick!(ewma_alpha, Weight(0.2)),
            upstream_timeout: pick!(upstream_timeout, seconds(10)),
            connect_timeout: pick!(connect_timeout, seconds(2)),
            header_timeout: pick!(header_timeout, seconds(10)),
            body_timeout: pick!(body_timeout, seconds(30)),
            idle_timeout: pick!(idle_timeout, seconds(75)),
            pool_idle_timeout: pick!(pool_idle_timeout, seconds(60)),
            drain_timeout: pick!(drain_timeout, Grace(Duration::from_secs(30))),
            client_keepalive: pick!(client_keepalive, Switch(true)),
            max_connections: pick!(max_connections, most_connections(descriptors)),
            csv: pick!(csv, CsvTarget::Path("proxy_log.csv".into())),
            log_level: pick!(log_level, LevelFilter::Info),
        }
    }

    /// Each setting as a line of TOML with its origin as a comment. `backend` and `backend-listen` exclude each
    /// other, so only the one that counts is among them.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line =
            |key: &str, shown: String, origin: Origin| lines.push(format!("{key} = {shown}  # {origin}"));
        macro_rules! show {
            ($($key:ident),*) => {
                $(line(&stringify!($key).replace('_', "-"), self.$key.value.to_toml(), self.$key.origin);)*
            };
        }
        show!(listen);
        if self.backend_listen.origin == Origin::Default {
            let urls: Vec<_> = self.backend.value.iter().map(Value::to_toml).collect();
            line("backend", format!("[{}]", urls.join(", ")), self.backend.origin);
        } else {
            show!(backend_listen);
        }
        show!(connections, routing, sma_window, ewma_alpha, upstream_timeout, connect_timeout);
        show!(header_timeout, body_timeout, idle_timeout, pool_idle_timeout, drain_timeout);
        show!(client_keepalive, max_connections, csv, log_level);
        lines
    }

    /// Looks up the names of the configured backends.
    ///
    /// # Errors
    /// The first name without an address.
    pub fn resolve_backends(&self) -> Result<Vec<Backend>, ResolveError> {
        self.backend.value.iter().map(BackendUrl::resolve).collect()
    }

    /// What the proxy is told: these settings, with `backends` as looked up or as the testbed bound them.
    ///
    /// # Errors
    /// When there are more backends than a backend's id can count.
    pub fn into_options(self, backends: Vec<Backend>) -> Result<Setup, ConfigError> {
        if backends.len() > usize::from(u16::MAX) {
            return Err(ConfigError::new(format!("{} backends are too many", backends.len())));
        }
        let options = Options {
            backends,
            connections: self.connections.value,
            routing: self.routing.value,
            sma_window: self.sma_window.value.0,
            ewma_alpha: self.ewma_alpha.value.0,
            upstream_timeout: self.upstream_timeout.value.0,
            connect_timeout: self.connect_timeout.value.0,
            header_timeout: self.header_timeout.value.0,
            body_timeout: self.body_timeout.value.0,
            idle_timeout: self.idle_timeout.value.0,
            pool_idle_timeout: self.pool_idle_timeout.value.0,
            drain_timeout: self.drain_timeout.value.0,
            client_keepalive: self.client_keepalive.value.0,
            max_connections: self.max_connections.value.0,
        };
        let csv = self.csv.value.into_path();
        Ok(Setup { options, listen: self.listen.value, csv, log_level: self.log_level.value })
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

/// A fifth is left for connections to backends, for files and for the machinery.
fn most_connections(descriptors: u64) -> Count {
    let most = usize::try_from(descriptors / 5 * 4).unwrap_or(usize::MAX);
    Count(most.clamp(1, Count::MOST))
}
