//! The settings of what happens when a backend fails.
//!
//! Here: [`UpstreamHealthSettings`], a part of [`Settings`](super::Settings): checks, ejection, retries, with the help texts. Not here:
//! what values look like (`health.rs`), what follows from them (`balance/`, `proxy/`). Floor 5.

use clap::Args;
use serde::Deserialize;

use super::health::{CheckPath, Percent, Statuses};
use super::limits::Cap;
use super::read;
use super::values::{Count, Grace, Period, parse};
use crate::balance::AllOut;

/// What one origin says; `None` where it is silent.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UpstreamHealthSettings {
    /// What backends are asked for to see whether they work, with GET; 200 to 399 is a pass; or off [default: off]
    #[arg(long, value_name = "PATH|off", env = "TIDEGATE_HEALTH_CHECK", value_parser = parse::<CheckPath>)]
    #[serde(deserialize_with = "read::one")]
    pub health_check: Option<CheckPath>,

    /// The same for classifiers [default: off]
    #[arg(long, value_name = "PATH|off", env = "TIDEGATE_CLASSIFIER_HEALTH_CHECK", value_parser = parse::<CheckPath>)]
    #[serde(deserialize_with = "read::one")]
    pub classifier_health_check: Option<CheckPath>,

    /// From one such check to the next [default: 5s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_HEALTH_INTERVAL", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub health_interval: Option<Period>,

    /// How long a check may take [default: 2s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_HEALTH_TIMEOUT", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub health_timeout: Option<Period>,

    /// Passes in a row after which a backend that is down is up [default: 2]
    #[arg(long, value_name = "N", env = "TIDEGATE_HEALTH_RISE", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub health_rise: Option<Count>,

    /// Failures in a row after which a backend is down [default: 3]
    #[arg(long, value_name = "N", env = "TIDEGATE_HEALTH_FALL", value_parser = parse::<Count>)]
    #[serde(deserialize_with = "read::one")]
    pub health_fall: Option<Count>,

    /// Failures of requests in a row after which a backend is left alone for a while, or off [default: 5]
    #[arg(long, value_name = "N|off", env = "TIDEGATE_EJECT_AFTER", value_parser = parse::<Cap>)]
    #[serde(deserialize_with = "read::one")]
    pub eject_after: Option<Cap>,

    /// For how long the first time; twice as long each time it fails again at once [default: 1s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_EJECT_FOR", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub eject_for: Option<Period>,

    /// For how long at most [default: 60s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_EJECT_FOR_MOST", value_parser = parse::<Period>)]
    #[serde(deserialize_with = "read::one")]
    pub eject_for_most: Option<Period>,

    /// Which share of the backends may be out for one more to be ejected [default: 70%]
    #[arg(long, value_name = "PERCENT", env = "TIDEGATE_EJECT_MOST", value_parser = parse::<Percent>)]
    #[serde(deserialize_with = "read::one")]
    pub eject_most: Option<Percent>,

    /// Which statuses of answers count as such failures: none, 5xx, 4xx, or a list such as 502,503 [default: none]
    #[arg(long, value_name = "LIST|none", env = "TIDEGATE_EJECT_ON", value_parser = parse::<Statuses>)]
    #[serde(deserialize_with = "read::one")]
    pub eject_on: Option<Statuses>,

    /// Answers of which statuses send an idempotent request to another backend, within the budget: none, 5xx, 4xx, or a list
    /// [default: none]
    #[arg(long, value_name = "LIST|none", env = "TIDEGATE_RETRY_ON", value_parser = parse::<Statuses>)]
    #[serde(deserialize_with = "read::one")]
    pub retry_on: Option<Statuses>,

    /// When no backend may be chosen: fail (503), any (try those that are out) [default: fail]
    #[arg(long, value_name = "RULE", env = "TIDEGATE_ALL_OUT", value_parser = parse::<AllOut>)]
    #[serde(deserialize_with = "read::one")]
    pub all_out: Option<AllOut>,

    /// How long a backend that is back gets less than its share [default: 10s]
    #[arg(long, value_name = "TIME", env = "TIDEGATE_SLOW_START", value_parser = parse::<Grace>)]
    #[serde(deserialize_with = "read::one")]
    pub slow_start: Option<Grace>,

    /// Which share of the requests may go to another backend after a failure; 0% for none [default: 20%]
    #[arg(long, value_name = "PERCENT", env = "TIDEGATE_RETRY_BUDGET", value_parser = parse::<Percent>)]
    #[serde(deserialize_with = "read::one")]
    pub retry_budget: Option<Percent>,
}
