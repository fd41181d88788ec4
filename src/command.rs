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
    SetAvailability(Box<[BackendId]>, Availability),
    /// Tell whether requests can be served.
    Stand,
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
