//! Who gives way when there is no room.
//!
//! Here: which client that is idle or heard out (`linger.rs`) gives its place to a newcomer, whose answers are the last of their connection while others wait, and
//! what is closed when no descriptor is left. Nothing is kept for it while there is room. Not here: letting clients in
//! (`listen.rs`). Floor 3.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::client::{Client, ClientState};
use super::{ClientId, DOOR, Proxy, Timer, Turn};
use crate::balance::BackendId;
use crate::net::{Connect, Net, Stream, is_exhaustion};
use crate::time::Instant;

/// Who has been idle for less, or has had its place for less, keeps it: its next request may be on its way. A closed
/// connection would cost that request; a response that says so costs none.
///
/// With twice as many users as places (100, closed loop, small answers) 0.82 of the requests/s of 90 users at 100 ms. A newcomer
/// waits so long for each time that the places have been filled before it.
pub(super) const A_WHILE: Duration = Duration::from_millis(200);

/// For so long after a place was wanted all idle clients are kept in order.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Of so many idle clients one whose host has more than its share is preferred.
const COMPARED: usize = 64;

/// The clients that are idle, longest first. Known from when a place is wanted until nobody has wanted one for [`REMEMBERED`].
#[derive(Debug, Default)]
pub(super) struct IdleClients {
    queue: VecDeque<Idle>,
    tracked: bool,
    /// When a place was wanted last.
    wanted: Instant,
    /// The listener will be asked in the next turn.
    called: bool,
    /// The listener will be asked when a timer fires.
    timed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    id: ClientId,
    since: Instant,
    /// Its idle deadline then. Who has another one by now was busy meanwhile.
    deadline: Instant,
}

impl Idle {
    fn is_still<S>(&self, client: Option<&Client<S>>) -> bool {
        client.is_some_and(|c| c.is_idle() && c.deadline.at() == self.deadline)
    }
}

impl IdleClients {
    /// Whether a client that becomes idle is to be added.
    pub(super) fn is_tracked(&self) -> bool {
        self.tracked
    }

    /// The listener is being asked.
    pub(super) fn asked(&mut self) {
        self.called = false;
    }

    /// Whether the listener will be asked when a timer fires.
    pub(super) fn is_timed(&self) -> bool {
        self.timed
    }

    /// The timer of the listener has fired.
    pub(super) fn timer_fired(&mut self) {
        self.timed = false;
    }

    /// Forgets them if nobody has wanted a place for a while.
    pub(super) fn forget_unwanted(&mut self, now: Instant) {
        if self.tracked && now - self.wanted > REMEMBERED {
            self.tracked = false;
            self.queue = VecDeque::new();
        }
    }
}

/// Whether one more client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capacity {
    Free,
    /// If this one is closed.
    InsteadOf(ClientId),
    /// Somebody may give way then.
    NotBefore(Instant),
}

/// What came of making way for a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Made,
    /// An idle client may give way then.
    NotBefore(Instant),
    /// Nothing that is open is idle.
    None,
}

impl<N: Net> Proxy<N> {
    /// Whether there is room for one more client.
    pub(super) fn capacity(&mut self, now: Instant) -> Capacity {
        if !self.is_full() {
            return Capacity::Free;
        }
        if let Some(id) = self.longest_lingering() {
            return Capacity::InsteadOf(id);
        }
        match self.longest_idle(now, A_WHILE) {
            Ok(idle) => Capacity::InsteadOf(idle.id),
            Err(at) => self.slowest_client(now).map_or(Capacity::NotBefore(at), Capacity::InsteadOf),
        }
    }

    fn is_full(&self) -> bool {
        self.clients.len() >= self.options.limits.connections
    }

    /// Whether the next response of this client is its last one, because others wait for a place and it has had its own for
    /// a while.
    pub(super) fn is_crowded_out(&self, id: ClientId, now: Instant) -> bool {
        self.door.has_waiting() && self.has_had_its_turn(id, now)
    }

    #[cold]
    fn has_had_its_turn(&self, id: ClientId, now: Instant) -> bool {
        let Some(client) = self.clients.get(id) else { return false };
        let nobody_comes_in = self.is_full() || self.door.is_paused();
        nobody_comes_in && now - client.entered >= A_WHILE && self.hosts.has_its_share(&client.address)
    }

    /// Has the listener asked in the next turn, if somebody waits there.
    pub(super) fn knock(&mut self, turn: &mut Turn<'_, N>) {
        if self.door.may_accept() && !self.idle_clients.called {
            self.idle_clients.called = true;
            turn.again(DOOR);
        }
    }

    /// Has the listener asked at `at`.
    pub(super) fn knock_at(&mut self, turn: &mut Turn<'_, N>, at: Instant) {
        if !self.idle_clients.timed {
            self.idle_clients.timed = true;
            turn.timers.insert(at, Timer::Accept);
        }
    }

    /// A client has become idle while all idle ones are known.
    #[cold]
    pub(super) fn also_idle(&mut self, id: ClientId, now: Instant) {
        let (clients, idle) = (&self.clients, &mut self.idle_clients.queue);
        let Some(client) = clients.get(id) else { return };
        if idle.len() > 2 * clients.len() {
            // Mostly of clients that were busy again.
            idle.retain(|entry| entry.is_still(clients.get(entry.id)));
        }
        idle.push_back(Idle { id, since: now, deadline: client.deadline.at() });
    }

    /// The client that gives way of those that have been idle for `least`, the longest idle first; or when there may be one.
    /// A client whose next request waits in the socket is not idle: an event is about to tell.
    ///
    /// Each step removes an entry of the queue or ends: all in all there are no more of them than clients have become idle.
    fn longest_idle(&mut self, now: Instant, least: Duration) -> Result<Idle, Instant> {
        self.track_idle(now);
        while let Some(&first) = self.idle_clients.queue.front() {
            let is_idle = first.is_still(self.clients.get(first.id));
            if is_idle && now - first.since < least {
                return Err(first.since + least);
            }
            let index = if is_idle { self.preferred(now, least) } else { 0 };
            let Some(&chosen) = self.idle_clients.queue.get(index) else { break };
            let client = self.clients.get(chosen.id);
            if chosen.is_still(client) && client.is_some_and(|client| !client.stream.has_unread()) {
                return Ok(chosen);
            }
            self.idle_clients.queue.remove(index);
        }
        Err(now + least.max(A_WHILE))
    }

    /// Which of the first entries is of a host that has more than its share; the very first if none is.
    fn preferred(&self, now: Instant, least: Duration) -> usize {
        if self.hosts.has_one() {
            return 0;
        }
        let of_too_many = |entry: &Idle| {
            let client = self.clients.get(entry.id);
            let may_go = entry.is_still(client) && now - entry.since >= least;
            may_go && client.is_some_and(|client| self.hosts.has_its_share(&client.address))
        };
        self.idle_clients.queue.iter().take(COMPARED).position(of_too_many).unwrap_or(0)
    }

    /// Looks at all clients for those that are idle, unless that was done and kept up since.
    fn track_idle(&mut self, now: Instant) {
        self.idle_clients.wanted = now;
        if std::mem::replace(&mut self.idle_clients.tracked, true) {
            return;
        }
        let limit = nanos(self.options.idle_timeout);
        let idle = self.clients.iter().filter(|(_, client)| client.is_idle()).map(|(id, client)| {
            let deadline = client.deadline.at();
            let since = Instant::from_nanos(deadline.as_nanos().saturating_sub(limit)).min(now);
            Idle { id, since, deadline }
        });
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable_by_key(|entry| (entry.since, entry.id.index()));
        self.idle_clients.queue = idle.into();
    }

    /// Closes the connection of a client that is idle, heard out or slow.
    pub(super) fn evict_client(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        self.counters.clients_evicted += 1;
        match self.clients.get(id).map(|client| client.state) {
            Some(ClientState::Idle | ClientState::Lingering) => self.close_client(turn, id),
            _ => self.cut_slow(turn, id),
        }
    }

    /// Begins to connect where that has failed with `error`. With no descriptor left, the connection that has been idle longest
    /// gives up its own; but only one: if that does not help, it is others who use up the machine's.
    #[cold]
    pub(super) fn connect_instead(
        &mut self,
        turn: &mut Turn<'_, N>,
        address: SocketAddr,
        error: io::Error,
    ) -> io::Result<(N::Stream, Connect)> {
        if is_exhaustion(&error) && self.make_way(turn, Duration::ZERO) == Way::Made {
            return turn.net.connect(address);
        }
        Err(error)
    }

    /// No descriptor is left: closes what is to be closed anyway, who is heard out, or else what has been idle longest. Without anything pooled, a
    /// client goes that has been idle for `least`.
    #[cold]
    pub(super) fn make_way(&mut self, turn: &mut Turn<'_, N>, least: Duration) -> Way {
        if !self.closing.is_empty() {
            self.close_waiting();
            return Way::Made;
        }
        if let Some(id) = self.longest_lingering() {
            self.evict_client(turn, id);
            return Way::Made;
        }
        let now = turn.now();
        let client = self.longest_idle(now, A_WHILE);
        match (client, self.pooled_longest(nanos(self.options.pool_idle_timeout))) {
            (Ok(idle), pooled) if pooled.is_none_or(|(_, pooled)| idle.since.as_nanos() <= pooled) => {
                self.evict_client(turn, idle.id);
            }
            (_, Some((backend, _))) => {
                self.counters.connections_evicted += 1;
                self.close_oldest(turn, backend);
            }
            (_, None) => match self.longest_idle(now, least) {
                Ok(idle) => self.evict_client(turn, idle.id),
                Err(at) if !self.idle_clients.queue.is_empty() => return Way::NotBefore(at),
                Err(_) => return Way::None,
            },
        }
        Way::Made
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

fn nanos(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
}
