//! Which metrics there are of the settings and of the names in them.
//!
//! Here: names, helps and where each number comes from. Floor 3.

use std::fmt;

use super::families::one;
use super::series::Series;
use crate::admin::InForce;

pub(super) fn encode(in_force: &InForce, series: &mut Series<'_>) -> fmt::Result {
    let InForce { last_failed, succeeded, failed, since, names_found, lookups_failed, names_failing, .. } =
        *in_force;
    let by_result = |success: u64, failure: u64| {
        [("success", success), ("failure", failure)]
            .map(|(result, count)| (vec![("result", result)], count as f64))
    };
    series.gauge(
        "tidegate_config_last_reload_successful",
        "0 after a reload that failed: what was in force before is in force.",
        one(u64::from(!last_failed)),
    )?;
    series.counter("tidegate_config_reloads", "Reloads of the settings.", by_result(succeeded, failed))?;
    series.gauge(
        "tidegate_config_last_reload_success_timestamp_seconds",
        "When the settings in force were read, since the epoch.",
        one(since.as_nanos() as f64 / 1e9),
    )?;
    series.counter(
        "tidegate_name_lookups",
        "Names of servers looked up.",
        by_result(names_found, lookups_failed),
    )?;
    series.gauge(
        "tidegate_names_failing",
        "Names of servers whose last look-up failed: their former addresses are in use.",
        one(names_failing as u64),
    )
}
