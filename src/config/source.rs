//! Where settings come from, at the start and again.
//!
//! Here: [`Source`], the command line and the environment as they were at the start, and the file as it is whenever it is
//! read; what differs between two readings. Not here: what can change while the proxy runs (`proxy/reload.rs`), when it is
//! read again (`cli/reload.rs`). Floor 5.

use std::path::PathBuf;

use clap::ArgMatches;

use super::origin::Origin;
use super::{Audience, ConfigError, Effective, Settings, admin, effective, file};
use crate::command::SettingChange;

/// What the command line and the environment say, and which file there is.
#[derive(Clone, Debug)]
pub struct Source {
    /// What was given by flag or variable.
    pub given: Settings,
    /// Which of the two it was.
    pub matches: ArgMatches,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// For whom.
    pub audience: Audience,
    /// How many descriptors the process may open.
    pub descriptors: u64,
    /// What the environment variable DASHBOARD_PORT says.
    pub dashboard_port: Option<String>,
}

/// What is opened once, and stays as it is.
const FIXED: [&str; 8] = [
    "listen",
    "reuse-port",
    "source-address",
    "admin",
    "backend-listen",
    "classifier-listen",
    "csv",
    "trace",
];

impl Source {
    /// Merges all, with the file as it is now, and with the defaults.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place if that is in the file.
    pub fn load(&self) -> Result<Effective, ConfigError> {
        let (given, matches, audience) = (self.given.clone(), &self.matches, self.audience);
        refuse_foreign(&given, matches, audience)?;
        let file = self.file.as_deref();
        let from_file = file.map(|path| file::read(path, audience)).transpose()?.unwrap_or_default();
        let mut effective = Effective::merge(given, matches, from_file, audience, self.descriptors);
        effective.admin = admin::with_dashboard_port(effective.admin, self.dashboard_port.as_deref())?;
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

    /// What differs.
    ///
    /// # Errors
    /// Something does that cannot change while the program runs.
    pub fn differences(&self, now: &Effective, then: &Effective) -> Result<Vec<SettingChange>, ConfigError> {
        let (now, then) = (now.shown(), then.shown());
        let value = |settings: &[(String, String, Origin)], key: &str| {
            let found = settings.iter().find(|(other, ..)| other == key);
            found.map_or(String::new(), |(_, value, _)| value.clone())
        };
        // Not all are shown each time: some exclude others.
        let new = then.iter().filter(|(key, ..)| now.iter().all(|(other, ..)| other != key));
        let changes: Vec<_> = now
            .iter()
            .chain(new)
            .map(|(key, ..)| SettingChange {
                key: key.clone(),
                from: value(&now, key),
                to: value(&then, key),
            })
            .filter(|change| change.from != change.to)
            .collect();
        match changes.iter().find(|change| FIXED.contains(&change.key.as_str())) {
            Some(change) => Err(self.fixed(&change.key)),
            None => Ok(changes),
        }
    }

    /// That `key` cannot change while the program runs.
    pub fn fixed(&self, key: &str) -> ConfigError {
        let error = ConfigError::new(format!("`{key}` cannot change while the program runs"))
            .hint("restart it, or put the former value back");
        match self.file.as_deref().and_then(|path| file::place_of(path, key)) {
            Some(place) => error.at(place),
            None => error,
        }
    }
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
