//! Who plays a scenario.
//!
//! Here: [`Contender`], a routing mode with its options. Not here: the modes (`balance/`). Floor 4.

use std::time::Duration;

use crate::balance::{BalanceOptions, RoutingGoal, RoutingMode};

/// How long `adaptive_sma` and `adaptive_ewma` trust a sample where they are told to probe.
const REPROBE_AFTER: Duration = Duration::from_secs(1);

/// A routing mode with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// What tables call it.
    pub name: String,
    /// The mode.
    pub mode: RoutingMode,
    /// Its options; the seed is given by the run.
    pub options: BalanceOptions,
}

impl Contender {
    /// A mode as it is by default.
    pub fn plain(mode: RoutingMode) -> Contender {
        Contender { name: mode.name().to_owned(), mode, options: BalanceOptions::default() }
    }

    /// `adaptive` that strives for the mean alone.
    pub fn adaptive_mean() -> Contender {
        let options = BalanceOptions { goal: RoutingGoal::Mean, ..BalanceOptions::default() };
        let mode = RoutingMode::Adaptive;
        Contender { name: format!("{mode}, goal mean"), mode, options }
    }

    /// One of the averages with probes.
    pub fn reprobing(mode: RoutingMode) -> Contender {
        let options = BalanceOptions { reprobe_after: Some(REPROBE_AFTER), ..BalanceOptions::default() };
        Contender { name: format!("{mode}, reprobe 1s"), mode, options }
    }

    /// `adaptive` with so many further copies of a request, in percent.
    pub fn hedged(percent: u32) -> Contender {
        let options =
            BalanceOptions { hedge_budget: f64::from(percent) / 100.0, ..BalanceOptions::default() };
        let mode = RoutingMode::Adaptive;
        Contender { name: format!("{mode}, hedge {percent} %"), mode, options }
    }

    /// All of them.
    pub fn all() -> Vec<Contender> {
        let with_options = [
            Contender::reprobing(RoutingMode::AdaptiveSma),
            Contender::reprobing(RoutingMode::AdaptiveEwma),
            Contender::adaptive_mean(),
            Contender::hedged(10),
            Contender::hedged(30),
        ];
        RoutingMode::ALL.map(Contender::plain).into_iter().chain(with_options).collect()
    }
}
