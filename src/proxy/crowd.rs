//! Who gives way when there is no room.
//!
//! Here: the connection that has been idle longest, a client's or a pooled one, found when it is wanted and closed. Nothing
//! is kept for it while there is room. Not here: letting clients in (`listen.rs`). Floor 3.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ClientId, DOOR, Proxy, Turn};
use crate::balance::BackendId;
use crate::net::{Net, Stream};
use crate::time::Instant;

/// How many idle clients a look at all of them finds at least, if there are so many: the next ones are then known without another
/// look.
const FOUND_AT_LEAST: usize = 64;

/// Of many clients, a look finds this share: so each eviction costs a look at as many clients, however many there are.
const FOUND_SHARE: usize = 8;

/// Idle clients, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Who has been idle longest comes first, each with the idle deadline that it had when it was seen: who has another
    /// one by now was busy meanwhile. Whoever is not among them has been idle for a shorter time than all.
    idle: VecDeque<(ClientId, Instant)>,
    /// All idle clients are among them, so whoever becomes idle is added.
    all: bool,
    /// The door will be asked in the next turn.
    called: bool,
}

impl Crowd {
    /// Whether whoever becomes idle is to be added.
    pub(super) fn knows_all(&self) -> bool {
        self.all
    }

    /// The door is being asked.
    pub(super) fn heard(&mut self) {
        self.called = false;
    }

    /// Nobody waits any more.
    pub(super) fn dissolves(&mut self) {
        self.all = false;
    }
}

/// Whether one more client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// If this one is closed.
    InsteadOf(ClientId),
    None,
}

impl<N: Net> Proxy<N> {
    /// Whether there is room for one more client.
    pub(super) fn room(&mut self) -> Room {
        if self.clients.len() < self.options.limits.connections {
            return Room::Free;
        }
        self.idle_longest().map_or(Room::None, |(idle, _)| Room::InsteadOf(idle))
    }

    /// Whether clients wait for a place and nobody is idle: then each response is its connection's last, and all have
    /// their turn.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.all && self.crowd.idle.is_empty() && self.door.has_waiting()
    }

    /// Has the door asked in the next turn, if somebody waits there.
    pub(super) fn knock(&mut self, turn: &mut Turn<'_, N>) {
        if self.door.may_accept() && !self.crowd.called {
            self.crowd.called = true;
            turn.again(DOOR);
        }
    }

    /// A client has become idle while all idle ones are known.
    #[cold]
    pub(super) fn also_idle(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get(id) else { return };
        if self.crowd.idle.len() > 2 * self.clients.len() {
            // Mostly of clients that are busy again: the next look begins anew.
            self.crowd.idle.clear();
            self.crowd.all = false;
        } else {
            self.crowd.idle.push_back((id, client.deadline.at()));
        }
        self.knock(turn);
    }

    /// The client that has been idle longest, and its idle deadline. Whose next request waits in the socket is not idle:
    /// an event is about to tell.
    fn idle_longest(&mut self) -> Option<(ClientId, Instant)> {
        loop {
            while let Some(&(id, at)) = self.crowd.idle.front() {
                let client = self.clients.get(id);
                if client.is_some_and(|c| c.is_idle() && c.deadline.at() == at && !c.stream.has_unread()) {
                    return Some((id, at));
                }
                self.crowd.idle.pop_front();
            }
            if self.crowd.all {
                return None;
            }
            self.look_round();
        }
    }

    /// Looks at all clients for those that have been idle longest.
    fn look_round(&mut self) {
        let idle = self.clients.iter().filter(|(_, client)| client.is_idle());
        let mut found: Vec<_> = idle.map(|(id, client)| (id, client.deadline.at())).collect();
        let longest_first = |&(id, at): &(ClientId, Instant)| (at, id.index());
        let most = FOUND_AT_LEAST.max(self.clients.len() / FOUND_SHARE);
        self.crowd.all = found.len() <= most;
        if !self.crowd.all {
            found.select_nth_unstable_by_key(most, longest_first);
            found.truncate(most);
        }
        found.sort_unstable_by_key(longest_first);
        self.crowd.idle.extend(found);
    }

    /// Closes a client's idle connection.
    pub(super) fn evict_client(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        self.counters.clients_evicted += 1;
        self.close_client(turn, id);
    }

    /// No descriptor is left: closes what is to be closed anyway, or else what has been idle longest. Returns whether there was
    /// anything.
    #[cold]
    pub(super) fn make_way(&mut self, turn: &mut Turn<'_, N>) -> bool {
        if !self.closing.is_empty() {
            self.close_waiting();
            return true;
        }
        let client = self.idle_longest();
        let nanos = |limit: Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let idle = nanos(self.options.idle_timeout);
        let client = client.map(|(id, at)| (id, at.as_nanos().saturating_sub(idle)));
        match (client, self.pooled_longest(nanos(self.options.pool_idle_timeout))) {
            (Some((id, since)), pooled) if pooled.is_none_or(|(_, pooled)| since <= pooled) => {
                self.evict_client(turn, id);
            }
            (_, Some((backend, _))) => {
                self.counters.connections_evicted += 1;
                self.close_oldest(turn, backend);
            }
            (_, None) => return false,
        }
        true
    }

    /// Whose pool has the upstream connection that has been idle longest, and since when, in nanoseconds.
    fn pooled_longest(&self, idle_limit: u64) -> Option<(BackendId, u64)> {
        let oldest = self.servers.pools.iter().zip(0..).filter_map(|(pool, backend)| {
            let upstream = self.upstreams.get(pool.oldest()?)?;
            Some((BackendId(backend), upstream.deadline.at().as_nanos().saturating_sub(idle_limit)))
        });
        oldest.min_by_key(|&(_, since)| since)
    }
}
