//! Settings: from flags, environment and file to the options of the rooms.
//!
//! Here: for whom a setting is, and what the rest of the door sees. Not here: what a
//! setting does (the rooms' `Options`), the commands (`cli/`), which call this. Floor 5.

mod admin;
mod batching;
mod bounded;
mod customer;
mod diagnose;
mod effective;
mod errors;
mod file;
mod health;
mod hedge;
mod judge;
mod limits;
mod local;
mod memory;
mod names;
mod options;
mod origin;
mod places;
mod rate;
mod reach;
mod read;
mod server;
mod settings;
mod simulated;
mod source;
mod study;
mod target;
mod upstream_health;
mod url;
mod values;
mod wire;

pub use admin::{ADMIN_PORT, AdminTarget};
pub use batching::{CustomerWeight, InFlight, Limit, StrategyFrom};
pub use bounded::{Unread, read as read_bounded};
pub use customer::crowd;
pub use diagnose::{ConfigError, Place, nearest, reason};
pub use effective::{CLASSIFIER_PORT, Effective, Setup};
pub use errors::ConfigErrors;
pub use health::{CheckPath, Percent};
pub use limits::{BodyBytes, Cap, DataRate, FieldCount, HeadBytes, PipelinedBytes, TargetBytes};
pub use local::LocalAddress;
pub use names::{Lookup, Names};
pub use origin::{Origin, Sourced};
pub use rate::{Rate, Spacing};
pub use server::{Resolve, ServerEntry};
pub use settings::Settings;
pub use source::{Misgiven, Source};
pub use study::{
    BATCHING_VARIANTS, Overrides, ROUTING_VARIANTS, batching_study, parse_study, read_study, routing_study,
    selection_study,
};
pub use target::TargetUrl;
pub use upstream_health::UpstreamHealthSettings;
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
    /// `tidegate check`: a file for either; it is the testbed's if it names servers of its own.
    Either,
    /// `tidegate experiment`: a study has its own servers, listens where it finds room, and keeps its own rows.
    Study,
}

impl Audience {
    /// For whom settings are that say this.
    fn of(self, given: &Settings, file: &Settings) -> Audience {
        let own = [given, file].map(|of| of.backend_listen.is_some() || of.classifier_listen.is_some());
        match self {
            Audience::Either if own.contains(&true) => Audience::Testbed,
            Audience::Either => Audience::Proxy,
            other => other,
        }
    }

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
            (
                Audience::Study,
                "listen" | "reuse-port" | "source-address" | "admin" | "csv" | "log-level" | "resolve"
                | "resolve-interval",
            ) => Some("an experiment sees to that itself; a variant differs in what the proxy does"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
