//! Who gives way when all places are taken.
//!
//! Here: which connection is closed for a newcomer, so that whoever has a short question (is it alive, what are its figures)
//! is always heard. Not here: how many places there are (`Limits`, `mod.rs`), closing (`answering.rs`). Floor 2.

use std::time::Duration;

use super::connection::{Connection, State};
use super::{Server, Service, Timer, Turn};
use crate::net::Net;
use crate::slots::SlotId;
use crate::time::Instant;

/// So long a connection keeps its place whatever it does: what it has sent may not have been read yet.
const GRACE: Duration = Duration::from_millis(100);

/// Why a connection may have to go, the first reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turned {
    /// It is its client's turn: to ask, to send the rest, to take what was answered.
    Clients,
    /// It is our turn: others have been asked.
    Ours,
}

impl<T, S: Service> Connection<T, S> {
    /// Why it may have to go; none if it may stay.
    fn turned(&self) -> Option<Turned> {
        match self.state {
            State::Waiting(_) => Some(Turned::Ours),
            // Their number has a bound of its own; but whoever takes nothing does not watch.
            State::Streaming(_) => self.unsent.is_some().then_some(Turned::Clients),
            State::Idle | State::Head | State::Body(_) | State::Lingering => Some(Turned::Clients),
        }
    }
}

impl<N: Net, S: Service> Server<N, S> {
    /// Whether there is a place for a newcomer, or one is made when the newcomer is there. If there is none yet, it is
    /// looked for again.
    pub(super) fn has_place(&mut self, turn: &mut Turn<'_, N>) -> bool {
        if self.connections.len() < self.limits.connections {
            return true;
        }
        let now = turn.now();
        if self.limits.evicts && self.who_gives_way(now).is_some() {
            return true;
        }
        if self.limits.evicts && !self.looks_again {
            self.looks_again = true;
            turn.timers.insert(now + GRACE, Timer::Place);
        }
        false
    }

    /// Closes who gives way to the newcomer, if there is one too many.
    pub(super) fn give_place(&mut self, turn: &mut Turn<'_, N>) {
        if self.connections.len() >= self.limits.connections {
            self.evict(turn);
        }
    }

    /// Closes who gives way; whether there was somebody.
    pub(super) fn evict(&mut self, turn: &mut Turn<'_, N>) -> bool {
        if !self.limits.evicts {
            return false;
        }
        let Some(id) = self.who_gives_way(turn.now()) else { return false };
        log::debug!("{}: a connection gives way to another", self.service.name());
        self.close(turn, id);
        true
    }

    /// The one that has been as it is for longest, its client's turn before ours.
    fn who_gives_way(&self, now: Instant) -> Option<SlotId> {
        let old = self.connections.iter().filter(|(_, connection)| now - connection.since >= GRACE);
        let turned = old.filter_map(|(id, connection)| Some((connection.turned()?, connection.since, id)));
        turned.min_by_key(|&(turned, since, _)| (turned, since)).map(|(_, _, id)| id)
    }

    /// Whether one more may watch what goes on.
    pub(super) fn may_stream(&self) -> bool {
        self.connections.iter().filter(|(_, connection)| connection.streams()).count() < self.limits.streams
    }
}
