//! What may be asked of the proxy while it runs.
//!
//! Here: [`Command`] and [`Answer`], plain values. Not here: how they travel between threads (`remote.rs`), who asks
//! (`admin/`) and who obeys (`proxy/obey.rs`). Floor 1.

use crate::balance::{Availability, BackendId, RoutingMode};
use crate::batch::StrategyName;

/// Asked of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Choose backends in this mode from now on.
    SetRouting(RoutingMode),
    /// Form batches by this strategy from now on.
    SetStrategy(StrategyName),
    /// Choose these servers no more, or again.
    Drain(Box<[BackendId]>, Drained),
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
    /// How it stands.
    Standing(Standing),
}

/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It was told to stop, and lets nobody in.
    pub draining: bool,
    /// How many backends may be chosen.
    pub backends: usize,
    /// How many classifiers may be chosen.
    pub classifiers: usize,
}
