//! Idle connections to backends that belong to one client.
//!
//! Here: which they are, and when one is kept so: where connections are not shared (`--reuse never`), where a backend has spoken
//! out of turn (`unasked.rs`), and where a login holds for a connection and not for a request, as with NTLM and Negotiate (RFC 4559
//! §5). Not here: those that any client may use (`pool.rs`). Floor 3.

use super::exchange::Owner;
use super::upstream::UpstreamState;
use super::{ClientId, ExchangeId, Proxy, Reuse, Timer, Turn, UpstreamId};
use crate::balance::{BackendId, Choice, Reason};
use crate::net::Net;
use crate::time::Instant;

/// A client has at most so many, one for each of as many backends. As many as HAProxy's `max-session-srv-conns`.
const MOST: usize = 5;

/// Whom a connection to a backend may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BelongsTo {
    /// One client after another.
    #[default]
    All,
    /// The one client that it was opened for.
    Client,
    /// The same, and the backend may know it by a login: the client's next requests must go there.
    Login,
}

/// Where a connection that has served before may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its own connections come first.
    pub(super) own: Option<ClientId>,
    pub(super) pool: bool,
}

impl Source {
    pub(super) const POOL: Source = Source { own: None, pool: true };
    pub(super) const NONE: Source = Source { own: None, pool: false };
}

/// One client's idle connections, the oldest first.
#[derive(Clone, Copy, Debug)]
struct Kept {
    client: ClientId,
    connections: [Option<UpstreamId>; MOST],
}

/// The idle connections of all clients that have some, by the index of the client's slot.
#[derive(Debug, Default)]
pub(super) struct PrivateConnections {
    of: Vec<Option<Kept>>,
    count: usize,
}

impl PrivateConnections {
    /// Whether no client has any.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Those of `client`, the oldest first.
    pub(super) fn of(&self, client: ClientId) -> impl Iterator<Item = UpstreamId> + use<> {
        let kept = self.of.get(client.index() as usize).and_then(|kept| kept.filter(|k| k.client == client));
        kept.map_or([None; MOST], |kept| kept.connections).into_iter().flatten()
    }

    /// `client` has one more; there must be fewer than [`MOST`].
    fn add(&mut self, client: ClientId, connection: UpstreamId) {
        let index = client.index() as usize;
        if index >= self.of.len() {
            self.of.resize(index + 1, None);
        }
        let slot = &mut self.of[index];
        let kept = match slot {
            Some(kept) if kept.client == client => kept,
            _ => slot.insert(Kept { client, connections: [None; MOST] }),
        };
        if let Some(free) = kept.connections.iter_mut().find(|place| place.is_none()) {
            *free = Some(connection);
            self.count += 1;
        }
    }

    /// `connection` of `client` is closed, or in use again.
    fn remove(&mut self, client: ClientId, connection: UpstreamId) {
        let slot = self.of.get_mut(client.index() as usize);
        let Some(kept) = slot.and_then(|slot| slot.as_mut().filter(|kept| kept.client == client)) else {
            return;
        };
        if let Some(at) = kept.connections.iter().position(|&other| other == Some(connection)) {
            kept.connections[at] = None;
            kept.connections[at..].rotate_left(1);
            self.count -= 1;
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Whether connections to `backend` may pass from one client to another.
    pub(super) fn may_share(&mut self, backend: BackendId, now: Instant) -> bool {
        self.options.reuse != Reuse::Never && self.servers.pool(backend).is_trusted(now)
    }

    /// Whom a connection serves that is opened for an exchange to `backend`. `logs_in`: its request does.
    pub(super) fn belongs(
        &mut self,
        owner: Owner,
        backend: BackendId,
        logs_in: bool,
        now: Instant,
    ) -> BelongsTo {
        match owner {
            Owner::Client(_) if logs_in => BelongsTo::Login,
            Owner::Client(_) if !self.may_share(backend, now) => BelongsTo::Client,
            Owner::Client(_) | Owner::Batch(_) | Owner::Copy(_) | Owner::Nobody => BelongsTo::All,
        }
    }

    /// Where a connection for a request of `client` may come from. `logs_in`: one that others have used will not do. `first`: the
    /// client's connection has had none before.
    #[inline]
    pub(super) fn source(&self, client: ClientId, logs_in: bool, first: bool) -> Source {
        let own = if self.private.is_empty() { None } else { Some(client) };
        Source { own, pool: !logs_in && self.may_meet_others(first) }
    }

    /// Whether a request may go on a connection that has served others. `first`: its client's connection had none before.
    pub(super) const fn may_meet_others(&self, first: bool) -> bool {
        match self.options.reuse {
            Reuse::Always => true,
            Reuse::Safe => !first,
            Reuse::Never => false,
        }
    }

    /// Whether a client's connection has had one request at most.
    pub(super) fn is_at_first(&self, client: ClientId) -> bool {
        self.clients.get(client).is_some_and(|client| client.requests <= 1)
    }

    /// The backend that knows `client` by a login, if its connection is there still and it may be chosen.
    #[inline(never)]
    pub(super) fn logged_in_at(&self, client: ClientId) -> Option<Choice> {
        let connections = self.private.of(client).filter_map(|id| self.upstreams.get(id));
        let backend = connections.filter(|u| u.belongs == BelongsTo::Login).map(|u| u.backend).last()?;
        self.servers.keeps_connections(backend).then_some(Choice { backend, reason: Reason::LoggedIn })
    }

    /// The connection that carries the exchange belongs to its client from now on: the backend may know it by a login.
    #[cold]
    pub(super) fn has_login(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if let (Owner::Client(_), Some(upstream)) = (exchange.owner, exchange.upstream)
            && let Some(upstream) = self.upstreams.get_mut(upstream)
        {
            upstream.belongs = BelongsTo::Login;
        }
    }

    /// Takes the connection of `client` to `backend`.
    #[inline(never)]
    pub(super) fn take_own(&mut self, client: ClientId, backend: BackendId) -> Option<UpstreamId> {
        let is_there = |&id: &UpstreamId| self.upstreams.get(id).is_some_and(|u| u.backend == backend);
        let id = self.private.of(client).find(is_there)?;
        self.private.remove(client, id);
        self.servers.pool(backend).end_rest();
        Some(id)
    }

    /// A connection that is not for all has carried an exchange of `owner`: it rests until its client's next request.
    #[cold]
    pub(super) fn keep_own(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId, owner: Owner, now: Instant) {
        let Some(upstream) = self.upstreams.get(id) else { return };
        let (backend, belongs) = (upstream.backend, upstream.belongs);
        let client = match owner {
            Owner::Client(client) if belongs != BelongsTo::All && self.clients.get(client).is_some() => {
                client
            }
            _ => return self.close_soon(turn, id),
        };
        let kept = self.private.of(client).filter_map(|other| Some((other, self.upstreams.get(other)?)));
        let others: Vec<_> = kept.map(|(other, u)| (other, u.backend, u.belongs)).collect();
        let weakest = others.iter().find(|(.., belongs)| *belongs != BelongsTo::Login).or(others.first());
        let same = others.iter().find(|&&(_, to, _)| to == backend);
        match same.or_else(|| weakest.filter(|_| others.len() == MOST)) {
            // The login is worth more than the newer connection.
            Some((.., BelongsTo::Login)) if same.is_some() && belongs != BelongsTo::Login => {
                return self.close_soon(turn, id);
            }
            Some(&(other, ..)) => self.close_idle(turn, other),
            None => {}
        }
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        upstream.state = UpstreamState::Kept(client);
        upstream.deadline.set(turn.timers, now + self.options.pool_idle_timeout, Timer::Upstream(id));
        let pool = self.servers.pool(backend);
        pool.end_use();
        pool.begin_rest();
        self.private.add(client, id);
    }

    /// Closes the idle connections of a client that leaves.
    #[cold]
    pub(super) fn close_own(&mut self, turn: &mut Turn<'_, N>, client: ClientId) {
        self.private.of(client).for_each(|id| self.close_idle(turn, id));
    }

    /// Closes the idle connections to `backend` that belong to clients.
    #[cold]
    pub(super) fn close_private(&mut self, turn: &mut Turn<'_, N>, backend: BackendId) {
        let is_kept = |state| matches!(state, UpstreamState::Kept(_));
        let own = self.upstreams.iter().filter(|(_, u)| u.backend == backend && is_kept(u.state));
        let own: Vec<_> = own.map(|(id, _)| id).collect();
        own.into_iter().for_each(|id| self.close_idle(turn, id));
    }

    /// Closes a connection that rests.
    pub(super) fn close_idle(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) {
        let Some((state, backend)) = self.upstreams.get(id).map(|u| (u.state, u.backend)) else { return };
        match state {
            UpstreamState::Idle => self.servers.pool(backend).remove(id),
            UpstreamState::Kept(client) => {
                self.private.remove(client, id);
                self.servers.pool(backend).end_rest();
            }
            UpstreamState::Connecting { .. } | UpstreamState::Carrying(_) | UpstreamState::Tunnel(_) => {
                return;
            }
        }
        self.close_upstream(turn, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::SlotId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn equals_a_list_for_each_client(steps in prop::collection::vec((0..3u8, 0..4u32, 0..8u32), 0..200)) {
            let mut private = PrivateConnections::default();
            let mut model: BTreeMap<u32, (SlotId, Vec<SlotId>)> = BTreeMap::new();
            for (n, (step, client, which)) in (0..).zip(steps) {
                let (client, kept) = model.entry(client).or_insert((SlotId::new(client, 0), Vec::new()));
                match step {
                    0 if kept.len() < MOST => {
                        private.add(*client, SlotId::new(which, n));
                        kept.push(SlotId::new(which, n));
                    }
                    // Another client takes the slot when all of the last one's are closed.
                    1 if kept.is_empty() => *client = SlotId::new(client.index(), n),
                    _ => {
                        let id = kept.get(which as usize).copied().unwrap_or(SlotId::new(99, 0));
                        private.remove(*client, id);
                        kept.retain(|&other| other != id);
                    }
                }
                for (client, kept) in model.values() {
                    prop_assert!(private.of(*client).eq(kept.iter().copied()));
                    prop_assert_eq!(private.of(SlotId::new(client.index(), 999)).count(), 0);
                }
                prop_assert_eq!(private.len(), model.values().map(|(_, kept)| kept.len()).sum::<usize>());
            }
        }
    }
}
