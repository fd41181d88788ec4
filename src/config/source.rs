//! Where settings come from, at the start and again.
//!
//! Here: [`Source`], the command line and the environment as they were at the start, and the file as it is whenever it is
//! read; what differs between two readings. Not here: what can change while the proxy runs (`proxy/reload.rs`), when it is
//! read again (`cli/reload.rs`). Floor 5.

use std::path::PathBuf;

use clap::ArgMatches;

use super::errors::ConfigErrors;
use super::file::Written;
use super::judge::{judge, name};
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
    /// What was given and cannot be read.
    pub misgiven: Vec<Misgiven>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// For whom.
    pub audience: Audience,
    /// How many descriptors the process may open.
    pub descriptors: u64,
    /// What the environment variable DASHBOARD_PORT says.
    pub dashboard_port: Option<String>,
}

/// A flag or a variable whose value cannot be read.
#[derive(Clone, Debug)]
pub struct Misgiven {
    /// The setting.
    pub key: String,
    /// What is wrong.
    pub error: ConfigError,
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
    /// Merges all, with the file as it is now, and with the defaults, and judges it.
    ///
    /// This is the one judgement of a configuration: `check`, the start and a reload all ask here.
    ///
    /// # Errors
    /// All that is wrong, with places where it is in the file.
    pub fn load(&self) -> Result<Effective, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        self.misgiven.iter().for_each(|misgiven| errors.add(|| misgiven.error.clone()));
        self.refuse_foreign(&mut errors);
        let written = match self.file.as_deref().map(|path| file::read(path, self.audience)) {
            Some(Ok(written)) => written,
            None => Written::default(),
            Some(Err(unread)) => {
                errors.absorb(unread);
                return Err(errors);
            }
        };
        let Written { settings, mut unusable, places, errors: of_file } = written;
        errors.absorb(of_file);
        unusable.extend(self.misgiven.iter().map(|misgiven| misgiven.key.clone()));
        let (given, matches) = (self.given.clone(), &self.matches);
        let audience = self.audience.of(&given, &settings);
        let mut effective = Effective::merge(given, matches, settings, audience, self.descriptors);
        self.refuse_both(&effective, &mut errors);
        match admin::with_dashboard_port(effective.admin.clone(), self.dashboard_port.as_deref()) {
            Ok(admin) => effective.admin = admin,
            Err(error) => {
                errors.add(|| error);
                unusable.insert("admin".to_owned());
            }
        }
        judge(&effective, &places, &unusable, &mut errors);
        errors.in_order().or(effective)
    }

    /// What was given is not for this command.
    fn refuse_foreign(&self, errors: &mut ConfigErrors) {
        let given = [
            ("backend", self.given.backend.is_some()),
            ("backend-listen", self.given.backend_listen.is_some()),
            ("classifier", self.given.classifier.is_some()),
            ("classifier-listen", self.given.classifier_listen.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|&(_, is_given)| is_given) {
            if let Some(why) = self.audience.refuses(key) {
                let name = name(key, effective::origin_of(&self.matches, key));
                errors.add(|| ConfigError::new(format!("{name} cannot be used here")).hint(why));
            }
        }
    }

    /// The servers of both commands are named, where either would do.
    fn refuse_both(&self, effective: &Effective, errors: &mut ConfigErrors) {
        if self.audience != Audience::Either {
            return;
        }
        let set = |key, origin| (origin != Origin::Default).then_some(key);
        let of_proxy =
            set("backend", effective.backend.origin).or(set("classifier", effective.classifier.origin));
        let of_testbed = set("backend-listen", effective.backend_listen.origin)
            .or(set("classifier-listen", effective.classifier_listen.origin));
        if let (Some(first), Some(second)) = (of_proxy, of_testbed) {
            errors.add(|| {
                ConfigError::new(format!("`{first}` and `{second}` exclude each other"))
                    .hint("the first is for the proxy, the second for the testbed")
            });
        }
    }

    /// What differs.
    ///
    /// # Errors
    /// All that do and cannot change while the program runs.
    pub fn differences(&self, now: &Effective, then: &Effective) -> Result<Vec<SettingChange>, ConfigErrors> {
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
        let keys = changes.iter().map(|change| change.key.as_str());
        let fixed: Vec<_> = keys.filter(|key| FIXED.contains(key)).collect();
        self.all_fixed(&fixed).or(changes)
    }

    /// The same of each of these.
    pub fn all_fixed(&self, keys: &[&str]) -> ConfigErrors {
        let mut errors = ConfigErrors::default();
        keys.iter().for_each(|key| errors.add(|| self.fixed(key)));
        errors
    }

    /// That `key` cannot change while the program runs.
    fn fixed(&self, key: &str) -> ConfigError {
        let error = ConfigError::new(format!("`{key}` cannot change while the program runs"))
            .hint("restart it, or put the former value back");
        match self.file.as_deref().and_then(|path| file::place_of(path, key)) {
            Some(place) => error.at(place),
            None => error,
        }
    }
}
