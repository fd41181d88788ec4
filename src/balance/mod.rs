//! Choosing a backend.
//!
//! Here: routing modes, estimates of latency, the choice. Pure: no clock, no sockets. Not here: connections to
//! backends (`proxy/pool.rs`). The proxy calls it inline. Floor 1.

use std::fmt;
use std::str::FromStr;

/// A backend's position in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u16);

/// How the backend of a request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingMode {
    /// Strict rotation.
    #[default]
    RoundRobin,
    /// The lowest mean of the last N latencies.
    AdaptiveSma,
    /// The lowest exponentially weighted mean latency.
    AdaptiveEwma,
}

impl RoutingMode {
    /// All modes, in the order in which help and reports list them.
    pub const ALL: [RoutingMode; 3] =
        [RoutingMode::RoundRobin, RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma];

    /// The mode's name in options, files, rows and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RoutingMode::RoundRobin => "round-robin",
            RoutingMode::AdaptiveSma => "adaptive_sma",
            RoutingMode::AdaptiveEwma => "adaptive_ewma",
        }
    }
}

impl fmt::Display for RoutingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RoutingMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        RoutingMode::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            let names = RoutingMode::ALL.map(RoutingMode::name).join(", ");
            format!("unknown routing mode `{name}`; expected one of {names}")
        })
    }
}
