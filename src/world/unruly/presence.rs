//! An unruly backend that is not always there.
//!
//! Here: going, as if the process had been killed, and coming back. Floor 4.

use std::time::Duration;

use super::{Timer, Turn, UnrulyBackend};
use crate::net::{Door, Net, Stream};
use crate::world::address_of;

/// How long it stays, and how long it is away, at most.
const MICROS_HERE: u64 = 600_000;
const MICROS_AWAY: u64 = 300_000;

impl UnrulyBackend {
    /// Is there for a while.
    pub(super) fn stay(&mut self, turn: &mut Turn<'_>) {
        let until = turn.now() + Duration::from_micros(1 + self.fabric.draw(MICROS_HERE));
        turn.timers.insert(until, Timer::Presence);
    }

    pub(super) fn come_or_go(&mut self, turn: &mut Turn<'_>) {
        if self.yard.stopping {
            return;
        }
        if self.yard.door.is_shut() {
            self.come_back(turn);
            return self.stay(turn);
        }
        self.yard.door.shut();
        let all: Vec<_> = self.yard.connections.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(connection) = self.yard.connections.remove(id) {
                connection.stream.reset_on_close();
            }
        }
        let until = turn.now() + Duration::from_micros(1 + self.fabric.draw(MICROS_AWAY));
        turn.timers.insert(until, Timer::Presence);
    }

    fn come_back(&mut self, turn: &mut Turn<'_>) {
        let opened = turn.net.listen_at(address_of(self.index)).and_then(|listener| {
            self.yard.door = Door::new(listener);
            self.yard.open(turn.net)
        });
        if let Err(e) = opened {
            self.violate(format!("backend {} cannot come back: {e}", self.index));
        }
    }
}
