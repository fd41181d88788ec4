//! Settings: from flags, environment and file to the options of the rooms.
//!
//! Here: [`load`], which merges what flags, environment and file say, and for whom a setting is. Not here: what a
//! setting does (the rooms' `Options`), the commands (`cli/`), which call this. Floor 5.

mod admin;
mod batching;
mod customer;
mod diagnose;
mod effective;
mod file;
mod health;
mod limits;
mod options;
mod origin;
mod rate;
mod read;
mod settings;
mod simulated;
mod study;
mod target;
mod url;
mod values;

use std::path::Path;

use clap::ArgMatches;

pub use admin::{ADMIN_PORT, AdminTarget};
pub use batching::{CustomerWeight, InFlight, Limit, StrategyFrom};
pub use customer::crowd;
pub use diagnose::{ConfigError, Place, nearest, reason};
pub use effective::{CLASSIFIER_PORT, Effective, Setup};
pub use health::{CheckPath, InARow, Percent};
pub use limits::{BodyBytes, Cap, FieldCount, HeadBytes, PipelinedBytes, TargetBytes};
pub use origin::{Origin, Sourced};
pub use rate::{Rate, Spacing};
pub use settings::Settings;
pub use study::{
    BATCHING_VARIANTS, Overrides, ROUTING_VARIANTS, batching_study, parse_study, read_study, routing_study,
};
pub use target::TargetUrl;
pub use url::{BackendUrl, ResolveError};
pub use values::{
    BackendListen, Count, FileTarget, Form, Grace, Period, Share, Switch, Value, Weight, parse,
};

/// Who will use the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `tidegate proxy`: it has backends elsewhere.
    Proxy,
    /// `tidegate testbed`: it starts its own backends and its own classifier.
    Testbed,
    /// `tidegate check`: a file for either.
    Either,
    /// `tidegate experiment`: a study has its own servers, listens where it finds room, and keeps its own rows.
    Study,
}

impl Audience {
    /// Why `key`, which is known, is not for this command.
    fn refuses(self, key: &str) -> Option<&'static str> {
        match (self, key) {
            (Audience::Testbed, "backend") => {
                Some("the testbed starts its own backends; see --backend-listen")
            }
            (Audience::Testbed, "classifier") => {
                Some("the testbed starts its own classifier; see --classifier-listen")
            }
            (Audience::Proxy, "backend-listen") => Some("only the testbed has backends of its own"),
            (Audience::Proxy, "classifier-listen") => Some("only the testbed has a classifier of its own"),
            (Audience::Study, "backend" | "backend-listen" | "classifier" | "classifier-listen") => {
                Some("a study has servers of its own: [[backend]] or [classifier]")
            }
            (Audience::Study, "listen" | "admin" | "csv" | "log-level") => {
                Some("an experiment sees to that itself; a variant differs in what the proxy does")
            }
            _ => None,
        }
    }
}

/// Merges what the command line and the environment say (`given`, told apart by `matches`) with a file and the
/// defaults. `descriptors` is how many the process may open, `dashboard_port` what the environment variable
/// DASHBOARD_PORT says.
///
/// # Errors
/// The first thing that is wrong, with its place if that is in the file.
pub fn load(
    given: Settings,
    matches: &ArgMatches,
    file: Option<&Path>,
    audience: Audience,
    descriptors: u64,
    dashboard_port: Option<&str>,
) -> Result<Effective, ConfigError> {
    refuse_foreign(&given, matches, audience)?;
    let from_file = file.map(|path| file::read(path, audience)).transpose()?.unwrap_or_default();
    let mut effective = Effective::merge(given, matches, from_file, audience, descriptors);
    effective.admin = admin::with_dashboard_port(effective.admin, dashboard_port)?;
    let set = |key, origin| (origin != Origin::Default).then_some(key);
    let of_proxy =
        set("backend", effective.backend.origin).or(set("classifier", effective.classifier.origin));
    let of_testbed = set("backend-listen", effective.backend_listen.origin)
        .or(set("classifier-listen", effective.classifier_listen.origin));
    if let (Some(first), Some(second)) = (of_proxy, of_testbed) {
        return Err(ConfigError::new(format!("`{first}` and `{second}` exclude each other"))
            .hint("the first is for the proxy, the second for the testbed"));
    }
    Ok(effective)
}

fn refuse_foreign(given: &Settings, matches: &ArgMatches, audience: Audience) -> Result<(), ConfigError> {
    let given = [
        ("backend", given.backend.is_some()),
        ("backend-listen", given.backend_listen.is_some()),
        ("classifier", given.classifier.is_some()),
        ("classifier-listen", given.classifier_listen.is_some()),
    ];
    for (key, _) in given.into_iter().filter(|&(_, is_given)| is_given) {
        if let Some(why) = audience.refuses(key) {
            let name = match effective::origin_of(matches, key) {
                Origin::Environment => format!("TIDEGATE_{}", key.to_uppercase().replace('-', "_")),
                Origin::Flag | Origin::File | Origin::Default => format!("--{key}"),
            };
            return Err(ConfigError::new(format!("{name} cannot be used here")).hint(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
