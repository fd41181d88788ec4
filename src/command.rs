//! What may be asked of the proxy while it runs.
//!
//! Here: [`Command`] and [`Answer`], plain values. Not here: how they travel between threads (`remote.rs`), who asks
//! (`admin/`) and who obeys (`proxy/obey.rs`). Floor 1.

use crate::balance::{Availability, RoutingMode};
use crate::batch::StrategyName;

/// Asked of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Choose backends in this mode from now on.
    SetRouting(RoutingMode),
    /// Form batches by this strategy from now on.
    SetStrategy(StrategyName),
    /// Choose the servers of this name no more, or again.
    Drain(Box<str>, Drained),
    /// Tell whether requests can be served.
    Stand,
}

/// Whether servers are at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// They are chosen no more, and what they have in flight ends undisturbed.
    Yes,
    /// They may be chosen again.
    No,
}

impl Drained {
    /// The word for a server that is so and has no other trouble.
    pub const fn name(self) -> &'static str {
        match self {
            Drained::Yes => Availability::Draining.name(),
            Drained::No => Availability::Usable.name(),
        }
    }
}

/// What the proxy says to a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so from now on.
    Done,
    /// There is no classifier, so there is no strategy.
    NoBatching,
    /// No server is called so.
    NoSuchServer,
    /// How it stands.
    Standing(Standing),
}

/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It was told to stop, and lets nobody in.
    pub draining: bool,
    /// How many backends may answer, by what is known of them.
    pub backends: usize,
    /// How many classifiers may.
    pub classifiers: usize,
}

/// Asked of whoever reads the settings: read them again, and look up the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload;

/// A setting that has changed, in the form of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// Its key.
    pub key: String,
    /// Its value before.
    pub from: String,
    /// Its value from now on.
    pub to: String,
}

/// What came of a [`Reload`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What has changed.
    pub changed: Vec<SettingChange>,
    /// The URLs of servers that have come.
    pub added: Vec<String>,
    /// Those of servers that get nothing new any more.
    pub removed: Vec<String>,
    /// Those of servers that stay, and whose name has other addresses.
    pub moved: Vec<String>,
    /// How many servers have stayed.
    pub kept: usize,
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadError {
    /// The file, the line and the column, counted from 1, if it is in a file.
    pub place: Option<(String, usize, usize)>,
    /// What it is, with its place and what to do.
    pub detail: String,
}

/// Why a [`Reload`] came to nothing, so that all is as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFailure {
    /// What is wrong with the settings, each thing.
    pub errors: Vec<ReloadError>,
    /// The same as text, a line for each; or what else stands in the way.
    pub detail: String,
    /// Whether the settings are right, but cannot be taken over now.
    pub conflict: bool,
}
