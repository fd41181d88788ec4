//! The ways to choose, by name.
//!
//! Here: [`RoutingMode`], [`RoutingGoal`] and what a `Balance` is told beside them. Not here: the ways themselves.
//! Options, commands, rows and metrics speak of modes by these names. Floor 1.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::HealthOptions;

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
    /// The least cost of one more request, by what each backend takes under its load.
    Adaptive,
    /// The fewest requests in flight.
    LeastRequests,
    /// The lower of two drawn at random, by peak-sensitive mean latency times requests in flight.
    P2cPeakEwma,
    /// The lowest latency among those that are not hot.
    Prequal,
}

impl RoutingMode {
    /// All modes, in the order in which help and reports list them.
    pub const ALL: [RoutingMode; 7] = [
        RoutingMode::RoundRobin,
        RoutingMode::AdaptiveSma,
        RoutingMode::AdaptiveEwma,
        RoutingMode::Adaptive,
        RoutingMode::LeastRequests,
        RoutingMode::P2cPeakEwma,
        RoutingMode::Prequal,
    ];

    /// The mode's name in options, files, rows and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RoutingMode::RoundRobin => "round-robin",
            RoutingMode::AdaptiveSma => "adaptive_sma",
            RoutingMode::AdaptiveEwma => "adaptive_ewma",
            RoutingMode::Adaptive => "adaptive",
            RoutingMode::LeastRequests => "least_requests",
            RoutingMode::P2cPeakEwma => "p2c_peak_ewma",
            RoutingMode::Prequal => "prequal",
        }
    }

    /// Whether it compares a figure in nanoseconds, which the console and the pages can show.
    pub const fn compares_latency(self) -> bool {
        !matches!(self, RoutingMode::RoundRobin | RoutingMode::LeastRequests)
    }

    /// Whether it learns from how much was in flight when an attempt was sent, and from what still is.
    pub(super) const fn follows_flights(self) -> bool {
        matches!(self, RoutingMode::Adaptive | RoutingMode::Prequal)
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

/// What `adaptive` strives for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingGoal {
    /// The least mean with which 95 % of the answers stay about as fast as the better half of the backends gives them.
    #[default]
    P95,
    /// The least mean, whatever the tail.
    Mean,
}

impl RoutingGoal {
    /// Both goals.
    pub const ALL: [RoutingGoal; 2] = [RoutingGoal::P95, RoutingGoal::Mean];

    /// The name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            RoutingGoal::P95 => "p95",
            RoutingGoal::Mean => "mean",
        }
    }
}

impl FromStr for RoutingGoal {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let goal = RoutingGoal::ALL.into_iter().find(|goal| goal.name() == name);
        goal.ok_or_else(|| format!("unknown routing goal `{name}`; expected p95 or mean"))
    }
}

/// What a [`super::Balance`] is told beside its mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BalanceOptions {
    /// How many latencies `adaptive_sma` averages; at least 1.
    pub sma_window: usize,
    /// Weight of the newest latency in `adaptive_ewma`; above 0 and at most 1.
    pub ewma_alpha: f64,
    /// How old the last sample of a backend may be in `adaptive_sma` and `adaptive_ewma` before a request probes it; `None`
    /// for as old as it likes.
    pub reprobe_after: Option<Duration>,
    /// What `adaptive` strives for.
    pub goal: RoutingGoal,
    /// How many further copies `adaptive` may send for each request that may be sent more than once, on the average; 0 for none.
    pub hedge_budget: f64,
    /// When backends are ejected, and how they come back.
    pub health: HealthOptions,
    /// What all random draws follow from.
    pub seed: u64,
}

impl Default for BalanceOptions {
    fn default() -> BalanceOptions {
        BalanceOptions {
            sma_window: 3,
            ewma_alpha: 0.2,
            reprobe_after: None,
            goal: RoutingGoal::default(),
            hedge_budget: 0.0,
            health: HealthOptions::OFF,
            seed: 0,
        }
    }
}
