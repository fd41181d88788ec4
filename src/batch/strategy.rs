//! What a strategy is.
//!
//! Here: the strategies' names, and [`Strategy`], what each does: keep the parts that wait in its order, and say
//! which go next. Not here: the orders themselves (a file each), nor what is known of jobs (`queue.rs`, the only
//! caller). Floor 1.

use std::fmt;
use std::str::FromStr;

use super::adaptive::Adaptive;
use super::customers::Customers;
use super::dispatch::FlushReason;
use super::fair::Fair;
use super::fcfs::Fcfs;
use super::in_flight::InFlight;
use super::job::{KeyId, Member, Waiting};
use super::options::QueueOptions;
use super::service_time::ServiceTimes;
use super::sjf::Sjf;
use crate::time::Instant;

/// How jobs are ordered and batches are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrategyName {
    /// The job with the shortest longest sequence first.
    #[default]
    Sjf,
    /// Customers in turn.
    Fair,
    /// In order of arrival, with a wait to fill the batch.
    Fcfs,
    /// By work received, shortest first, together where it pays, as the classifier's times are learned.
    Adaptive,
}

impl StrategyName {
    /// All strategies, in the order in which help and reports list them.
    pub const ALL: [StrategyName; 4] =
        [StrategyName::Sjf, StrategyName::Fair, StrategyName::Fcfs, StrategyName::Adaptive];

    /// The strategy's name in options, `/strategy`, rows and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            StrategyName::Sjf => "sjf",
            StrategyName::Fair => "fair",
            StrategyName::Fcfs => "fcfs",
            StrategyName::Adaptive => "adaptive",
        }
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StrategyName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        StrategyName::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let names = StrategyName::ALL.map(StrategyName::name).join(", ");
            format!("unknown strategy `{name}`; expected one of {names}")
        })
    }
}

/// What a strategy may look at when it cuts a batch.
pub(super) struct Situation<'a> {
    pub(super) now: Instant,
    /// The most sequences of a batch.
    pub(super) batch_size: u32,
    /// Whether nothing is to be waited for.
    pub(super) draining: bool,
    pub(super) customers: &'a Customers,
    pub(super) service_times: &'a ServiceTimes,
    pub(super) in_flight: &'a InFlight,
}

/// What goes next.
pub(super) enum Pick {
    /// What was taken out, all of that key.
    Batch { key: KeyId, flush: FlushReason },
    /// Nothing before this time, unless more comes.
    Wait(Instant),
    /// Nothing waits.
    Nothing,
}

/// An order of the parts that wait. Each costs O(log n) per part or less.
pub(super) trait Strategy: Send {
    /// A part waits. Parts come in ascending order of their number.
    fn insert(&mut self, part: &Waiting);

    /// A part that waits is to be forgotten.
    fn remove(&mut self, part: &Waiting);

    /// Takes out what goes next, and appends it to `members`. Only asked when a batch may be sent now.
    fn take(&mut self, situation: &Situation<'_>, members: &mut Vec<Member>) -> Pick;
}

/// The strategy of that name, in which nothing waits. `adaptive` is `sjf` until the classifier's times are known.
pub(super) fn empty(
    name: StrategyName,
    options: &QueueOptions,
    service_times: &ServiceTimes,
) -> Box<dyn Strategy> {
    match name {
        StrategyName::Sjf => Box::new(Sjf::new(options.sjf_max_wait)),
        StrategyName::Fair => Box::new(Fair::default()),
        StrategyName::Fcfs => Box::new(Fcfs::new(options.batch_size as u32)),
        StrategyName::Adaptive if service_times.is_known() => Box::new(Adaptive::default()),
        StrategyName::Adaptive => Box::new(Sjf::new(None)),
    }
}

/// Why a batch of that many sequences goes now that it may.
pub(super) fn at_once(sequences: u32, situation: &Situation<'_>) -> FlushReason {
    if sequences == situation.batch_size {
        FlushReason::Full
    } else if situation.draining {
        FlushReason::Drain
    } else {
        FlushReason::Idle
    }
}
