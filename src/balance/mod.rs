//! Choosing a backend.
//!
//! Here: routing modes, estimates of latency, the choice. Pure: no clock, no sockets. Not here: connections to
//! backends (`proxy/pool.rs`). The proxy calls it inline. Floor 1.

mod backends;
mod choose;
mod estimate;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::Instant;

pub use backends::Backend;
pub use estimate::{Ewma, Sma};

/// How long an unmeasured backend that failed is left alone while another is usable. The contract's figure: long
/// enough that a dead backend costs one request a second, short enough that a returning one is found at once.
const REST_AFTER_FAILED_PROBE: Duration = Duration::from_secs(1);

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

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was its turn.
    Rotation,
    /// It has the lowest mean.
    LowestMean,
    /// It has no latency yet.
    Unmeasured,
}

/// The result of choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Who it is.
    pub backend: BackendId,
    /// Why.
    pub reason: Reason,
}

/// How an attempt ended, for the averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A response came, whatever its status.
    Answered {
        /// From sending to the last byte of the response.
        latency_ns: u64,
    },
    /// Refused, reset, timed out, or malformed.
    Failed {
        /// From sending to the failure.
        elapsed_ns: u64,
    },
    /// Ended for a reason that says nothing of the backend.
    Cancelled,
}

/// The selector: all backends, their averages, and the mode in force. No call allocates.
#[derive(Debug)]
pub struct Balance {
    mode: RoutingMode,
    backends: Vec<Backend>,
    rotation: choose::Rotation,
    /// How many backends have no latency yet, so that the usual choice need not look for one.
    unmeasured: usize,
}

impl Balance {
    /// A selector over so many backends. `sma_window` is N of `adaptive_sma`, at least 1; `ewma_alpha` is α of
    /// `adaptive_ewma`, above 0 and at most 1.
    pub fn new(mode: RoutingMode, backends: usize, sma_window: usize, ewma_alpha: f64) -> Balance {
        let table = (0..backends).map(|_| Backend::new(sma_window, ewma_alpha)).collect();
        Balance { mode, backends: table, rotation: choose::Rotation::default(), unmeasured: backends }
    }

    /// The mode in force.
    pub fn mode(&self) -> RoutingMode {
        self.mode
    }

    /// Changes the mode. Averages were kept in every mode, so the new one starts warm.
    pub fn set_mode(&mut self, mode: RoutingMode) {
        self.mode = mode;
    }

    /// All backends in configuration order.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// One backend.
    pub fn backend(&self, id: BackendId) -> &Backend {
        &self.backends[id.0 as usize]
    }

    /// Chooses a backend for a request that comes at `now`; `None` only if there is none at all.
    pub fn select(&mut self, now: Instant) -> Option<Choice> {
        if self.backends.is_empty() {
            return None;
        }
        if self.mode == RoutingMode::RoundRobin {
            let backend = self.rotation.next(self.backends.len());
            return Some(Choice { backend, reason: Reason::Rotation });
        }
        if self.unmeasured > 0
            && let Some(backend) = choose::unmeasured(&self.backends, now)
        {
            return Some(Choice { backend, reason: Reason::Unmeasured });
        }
        if let Some(backend) = choose::lowest_mean(&self.backends, self.mode) {
            return Some(Choice { backend, reason: Reason::LowestMean });
        }
        let backend = choose::first_rested(&self.backends)?;
        Some(Choice { backend, reason: Reason::Unmeasured })
    }

    /// An attempt is sent.
    pub fn started(&mut self, id: BackendId) {
        self.backends[id.0 as usize].in_flight += 1;
    }

    /// An attempt has ended.
    pub fn finished(&mut self, id: BackendId, outcome: Outcome, now: Instant) {
        let backend = &mut self.backends[id.0 as usize];
        backend.in_flight -= 1;
        match outcome {
            Outcome::Answered { latency_ns } => {
                backend.answered += 1;
                if latency_ns > 0 {
                    self.unmeasured -= usize::from(backend.sma_ns().is_none());
                    backend.sma.record(latency_ns);
                    backend.ewma.record(latency_ns);
                }
            }
            Outcome::Failed { elapsed_ns } => self.failed(id, elapsed_ns, now),
            Outcome::Cancelled => {}
        }
    }

    /// A failed attempt enters as the larger of the time it took and the mean of all backends' averages, and never so
    /// that the backend looks better than before. Where there is no average yet, a quick failure would be the best
    /// one: such a backend stays unmeasured and is left alone for a while.
    fn failed(&mut self, id: BackendId, elapsed_ns: u64, now: Instant) {
        let sma_ns = mean(self.backends.iter().filter_map(Backend::sma_ns));
        let ewma_ns = mean(self.backends.iter().filter_map(Backend::ewma_ns));
        let backend = &mut self.backends[id.0 as usize];
        backend.failed += 1;
        if backend.sma_ns().is_none() {
            backend.rests_until = now + REST_AFTER_FAILED_PROBE;
            return;
        }
        backend.sma.record_failure(elapsed_ns.max(sma_ns));
        backend.ewma.record_failure(elapsed_ns.max(ewma_ns));
    }
}

/// The mean, rounded to the nanosecond; 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> u64 {
    let (count, sum) = values.fold((0u32, 0.0), |(n, sum), v| (n + 1, sum + v));
    (sum / f64::from(count.max(1))).round() as u64
}

#[cfg(test)]
mod tests;
