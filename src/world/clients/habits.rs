//! What users do besides asking.
//!
//! Here: [`Habits`] of one connection, drawn when it begins: slow ways, and ways to leave at any stage. Not here: following them
//! (`clients.rs`). Floor 4.

use std::time::Duration;

use super::Behaviour;
use crate::net::Fabric;
use crate::time::Instant;

/// When a user leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// After so many bytes of what it sends, as soon as the connection takes bytes.
    Sending(usize),
    /// After so many bytes of what it gets.
    Receiving(usize),
}

impl Parting {
    /// Whether it is time after `received` bytes.
    pub(super) fn is_due(self, received: usize) -> bool {
        matches!(self, Parting::Receiving(after) if received >= after)
    }
}

/// How a user treats its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits {
    /// How many bytes it sends at a time, if it sends slowly.
    pub(super) dribble: Option<usize>,
    /// It reads a little at a time.
    pub(super) slow_reader: bool,
    pub(super) leaves: Option<Parting>,
    /// After so many bytes it sends no more, and waits.
    pub(super) holds_back: Option<usize>,
    /// After so many bytes it reads no more for so long.
    pub(super) nap: Option<(usize, Duration)>,
    /// It reads nothing before.
    pub(super) asleep_until: Instant,
    /// It ends its side once all is sent.
    pub(super) half_closes: bool,
}

impl Habits {
    /// Those of a user of this behaviour. `timeout`: how long the proxy waits for anything.
    pub(super) fn draw(fabric: &Fabric, behaviour: Behaviour, timeout: Duration) -> Habits {
        if behaviour != Behaviour::Mixed {
            return Habits::default();
        }
        let size = |below: u64| fabric.draw(below) as usize;
        let one_in = |of: u64| fabric.draw(of) == 0;
        let leaves = match fabric.draw(40) {
            0 => Some(Parting::Sending(0)),
            1 => Some(Parting::Sending(size(60))),
            2 => Some(Parting::Sending(size(40_000))),
            3 => Some(Parting::Receiving(1 + size(200))),
            4 => Some(Parting::Receiving(size(4_000))),
            _ => None,
        };
        Habits {
            dribble: one_in(8).then(|| 1 + size(400)),
            slow_reader: one_in(8),
            leaves,
            holds_back: one_in(60).then(|| if one_in(2) { size(60) } else { size(20_000) }),
            nap: one_in(30).then(|| (size(4_000), timeout.mul_f64(fabric.draw(5) as f64))),
            asleep_until: Instant::ZERO,
            half_closes: one_in(20),
        }
    }
}
