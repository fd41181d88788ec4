//! What must hold between any two events.
//!
//! Here: the proxy's own account of its links, counters and deadlines, for the world that checks it after every step.
//! Not on the hot path. Floor 3.

use super::client::ClientState;
use super::drain::Phase;
use super::exchange::{Owner, ResponseSide};
use super::private::BelongsTo;
use super::rules::{self, Reading};
use super::tunnel::Side;
use super::upstream::UpstreamState;
use super::{ExchangeId, Proxy};
use crate::balance::{Availability, BackendId};
use crate::net::{Net, VirtualNet};
use crate::telemetry::{Counters, Standing};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Checks that links are mutual, that in-flight counters equal live exchanges, that every connection and exchange
    /// has a deadline, that pools hold idle connections only, and that no buffer is astray.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), String> {
        let mut in_flight = vec![0; self.servers.targets.len()];
        for (id, exchange) in self.exchanges.iter() {
            in_flight[usize::from(exchange.backend.0)] += 1;
            self.check_seat(exchange.backend, "exchange")?;
            let client = match exchange.owner {
                Owner::Client(client) => self.clients.get(client),
                Owner::Batch(_) | Owner::Copy(_) | Owner::Nobody => None,
            };
            let expected = match exchange.response {
                ResponseSide::Tunnel(_) => ClientState::Tunnel(id),
                ResponseSide::Pending | ResponseSide::Interim(_) | ResponseSide::Body(_) => {
                    ClientState::Busy(id)
                }
            };
            let known = client.is_some_and(|c| c.state == expected);
            ensure(known || !matches!(exchange.owner, Owner::Client(_)), || {
                format!("exchange {id:?}: its owner {:?} is not busy with it", exchange.owner)
            })?;
            let upstream = exchange.upstream.and_then(|u| self.upstreams.get(u));
            let carried = upstream.is_some_and(|u| match u.state {
                UpstreamState::Connecting { exchange, .. }
                | UpstreamState::Carrying(exchange)
                | UpstreamState::Tunnel(exchange) => exchange == id,
                UpstreamState::Idle | UpstreamState::Kept(_) => false,
            });
            ensure(carried, || {
                format!("exchange {id:?}: its upstream {:?} does not carry it", exchange.upstream)
            })?;
            let deadline = [client.map(|c| c.deadline.at()), upstream.map(|u| u.deadline.at())];
            ensure(deadline.into_iter().flatten().any(|at| at != Instant::NEVER), || {
                format!(
                    "exchange {id:?} has no deadline: request {:?}, response {:?}",
                    exchange.request, exchange.response
                )
            })?;
        }
        for (i, (live, counted)) in in_flight.into_iter().zip(self.servers.in_flight()).enumerate() {
            ensure(counted == live, || format!("backend {i}: {counted} in flight counted, {live} live"))?;
        }
        self.check_races()?;
        self.check_connections()?;
        let of_batching = self.check_batching()?;
        let buffers = self
            .clients
            .iter()
            .map(|(_, c)| usize::from(c.pending.is_some()) + usize::from(c.unsent.is_some()));
        let more = self
            .upstreams
            .iter()
            .map(|(_, u)| usize::from(u.pending.is_some()) + usize::from(u.unsent.is_some()));
        let replays = self.exchanges.iter().map(|(_, e)| usize::from(e.replay.is_some()));
        let held = buffers.chain(more).chain(replays).sum::<usize>() + of_batching;
        ensure(held == self.buffers.lent(), || format!("{} buffers lent, {held} held", self.buffers.lent()))
    }

    /// Checks that after a stop nothing is left but idle upstreams, which go with the proxy.
    ///
    /// # Errors
    /// What is left.
    pub fn check_drained(&self) -> Result<(), String> {
        let (clients, exchanges, buffers) = (self.clients.len(), self.exchanges.len(), self.buffers.lent());
        ensure(clients + exchanges + buffers == 0, || {
            format!("stopped with {clients} clients, {exchanges} exchanges, {buffers} buffers left")
        })?;
        ensure(self.checks.is_empty(), || format!("stopped with {} checks under way", self.checks.len()))?;
        let carrying = self.upstreams.iter().filter(|(_, u)| u.state != UpstreamState::Idle).count();
        ensure(carrying == 0, || format!("stopped with {carrying} upstreams that are not idle"))
    }

    /// Each further copy belongs to a request that waits, and is known to it.
    fn check_races(&self) -> Result<(), String> {
        let mut copies = 0;
        for id in self.races.known() {
            let waits = self.exchanges.get(id).is_some_and(|e| e.response.is_pending());
            ensure(waits, || format!("exchange {id:?} waits for no response, and may get copies"))?;
            for copy in self.races.others(id) {
                copies += 1;
                let is_copy = self.exchanges.get(copy).is_some_and(|e| e.owner == Owner::Copy(id));
                ensure(is_copy, || format!("exchange {copy:?} is no copy of {id:?}, which knows it as one"))?;
            }
        }
        let live = self.exchanges.iter().filter(|(_, e)| matches!(e.owner, Owner::Copy(_))).count();
        ensure(live == copies, || format!("{live} copies are under way, {copies} are known"))
    }

    fn check_connections(&self) -> Result<(), String> {
        for (id, client) in self.clients.iter() {
            match client.state {
                ClientState::Busy(exchange) | ClientState::Tunnel(exchange) => ensure(
                    self.exchanges.get(exchange).is_some_and(|e| e.owner == Owner::Client(id)),
                    || format!("client {id:?}: its exchange {exchange:?} is not its own"),
                )?,
                _ => ensure(client.deadline.at() != Instant::NEVER, || {
                    format!("client {id:?} has no deadline in state {:?}", client.state)
                })?,
            }
        }
        let lingering = self.clients.iter().filter(|(_, c)| c.state == ClientState::Lingering).count();
        ensure(lingering == self.lingering.count(), || {
            format!("{lingering} clients are heard out, {} are counted", self.lingering.count())
        })?;
        ensure(self.hosts.total() == self.clients.len(), || {
            format!("{} clients counted by host, {} are open", self.hosts.total(), self.clients.len())
        })?;
        let (mut pooled, mut private) = (0, 0);
        for (id, upstream) in self.upstreams.iter() {
            self.check_seat(upstream.backend, "upstream")?;
            match upstream.state {
                UpstreamState::Idle => {
                    let seat = &self.servers.seats[usize::from(upstream.backend.0)];
                    ensure(matches!(seat.standing, Standing::Member(_)), || {
                        format!("upstream {id:?} rests in the pool of {}, which was removed", seat.url)
                    })?;
                    pooled += 1;
                    ensure(upstream.unsent.is_none() && upstream.pending.is_none(), || {
                        format!("upstream {id:?} is idle with bytes waiting")
                    })?;
                    ensure(upstream.deadline.at() != Instant::NEVER, || {
                        format!("upstream {id:?} is idle and has no deadline")
                    })?;
                }
                UpstreamState::Kept(client) => {
                    private += 1;
                    ensure(
                        self.clients.get(client).is_some() && self.private.of(client).any(|own| own == id),
                        || format!("upstream {id:?} rests for {client:?}, which does not know it"),
                    )?;
                    ensure(
                        upstream.deadline.at() != Instant::NEVER && upstream.belongs != BelongsTo::All,
                        || {
                            format!(
                                "upstream {id:?} rests for {client:?} and has no deadline, or belongs to all"
                            )
                        },
                    )?;
                }
                UpstreamState::Connecting { exchange, .. }
                | UpstreamState::Carrying(exchange)
                | UpstreamState::Tunnel(exchange) => {
                    ensure(self.exchanges.get(exchange).is_some_and(|e| e.upstream == Some(id)), || {
                        format!("upstream {id:?}: its exchange {exchange:?} is not its own")
                    })?;
                }
            }
        }
        self.check_use()?;
        let in_private = self.private.len();
        ensure(private == in_private, || {
            format!("{private} connections rest for a client, {in_private} are known")
        })?;
        let in_pools: usize = self.servers.pools.iter().map(super::pool::Pool::len).sum();
        ensure(pooled == in_pools, || format!("{pooled} idle upstreams, {in_pools} in the pools"))
    }

    /// Each pool counts the connections in use.
    fn check_use(&self) -> Result<(), String> {
        for (pool, server) in self.servers.pools.iter().zip((0..).map(BackendId)) {
            let own = self.upstreams.iter().filter(|(_, u)| u.backend == server);
            let in_use = own.filter(|(_, u)| !u.is_idle()).count();
            ensure(pool.in_use() as usize == in_use, || {
                format!("{in_use} connections to {server:?} are in use, {} counted", pool.in_use())
            })?;
        }
        Ok(())
    }

    /// Nobody may refer to a server whose id is free.
    fn check_seat(&self, server: BackendId, who: &str) -> Result<(), String> {
        let seat = &self.servers.seats[usize::from(server.0)];
        ensure(seat.standing != Standing::Gone, || format!("an {who} refers to {}, which is gone", seat.url))
    }

    /// Checks that as many timers are set as connections, checks and the rest account for: none is lost, and none is left
    /// behind. `set`: by the reactor.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check_timers(&self, set: usize) -> Result<(), String> {
        let clients = self.clients.iter().filter(|(_, c)| c.deadline.is_armed()).count();
        let upstreams = self.upstreams.iter().filter(|(_, u)| u.deadline.is_armed()).count();
        let checks = self.checks.iter().filter(|(_, check)| check.deadline.is_armed()).count();
        ensure(checks == self.checks.len(), || {
            format!("{checks} of {} checks under way have a deadline", self.checks.len())
        })?;
        let queue = self.batching.as_ref().is_some_and(|batching| batching.is_armed());
        let own = [self.flush_armed, self.idle_clients.is_timed(), queue].map(usize::from);
        let races = self.races.armed();
        let known = clients + upstreams + checks + races + own.into_iter().sum::<usize>();
        let (least, most) = match self.phase {
            Phase::Serving => (known + self.checked_servers(), known + self.checked_servers()),
            // The limit may have passed, and checks that fall due are made no more.
            Phase::Draining | Phase::Forced => (known, known + self.checked_servers() + 1),
        };
        ensure((least..=most).contains(&set), || {
            format!(
                "{set} timers are set, from {least} to {most} are known: of {clients} clients, {upstreams} upstreams, \
                 {checks} checks, {races} requests that may get copies, flush, pause and queue {own:?}"
            )
        })
    }

    /// How many sockets it has open, the listener apart.
    pub fn sockets(&self) -> usize {
        self.clients.len() + self.upstreams.len() + self.checks.len()
    }

    /// Of each server, how many exchanges are in flight.
    pub fn in_flight_at(&self) -> impl Iterator<Item = usize> {
        self.servers.in_flight().map(|count| count as usize)
    }

    /// The attempts under way, each by its exchange and its server; of a further copy the exchange is that of its request.
    pub fn attempts(&self) -> impl Iterator<Item = (ExchangeId, BackendId)> {
        self.exchanges.iter().map(|(id, exchange)| match exchange.owner {
            Owner::Copy(of) => (of, exchange.backend),
            Owner::Client(_) | Owner::Batch(_) | Owner::Nobody => (id, exchange.backend),
        })
    }

    /// Whether each server may be chosen, and how often it was ejected. Who was removed is as one that is drained.
    pub fn standing(&self) -> impl Iterator<Item = (Availability, u64)> {
        self.servers.seats.iter().zip(self.servers.gauges()).map(|(seat, gauge)| match seat.standing {
            Standing::Member(_) => (gauge.availability, gauge.ejected),
            Standing::Removed | Standing::Gone => (Availability::Draining, gauge.ejected),
        })
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many exchanges are in flight.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len()
    }

    /// How many exchanges have begun since the start.
    pub fn begun(&self) -> u64 {
        self.begun
    }
}

impl Proxy<VirtualNet> {
    /// No readiness forgotten: when nobody has anything to do at this instant, no connection may have bytes waiting
    /// that the proxy wants, nor room for bytes that it holds. Judged by the network's own levels.
    ///
    /// # Errors
    /// Which connection was forgotten.
    pub fn check_quiet(&self) -> Result<(), String> {
        ensure(!self.door.has_waiting() || self.idle_clients.is_timed(), || {
            "somebody may wait to be let in, and is forgotten".to_owned()
        })?;
        for (id, client) in self.clients.iter() {
            let reading = rules::client_readable(client.state, self.wants_body(client.state));
            let wants = match client.state {
                ClientState::Tunnel(exchange) => self.tunnel_wants(exchange, Side::Client),
                // Its end is read once.
                ClientState::Flushing(_) if client.read_closed => false,
                _ => reading != Reading::NotNow,
            };
            let pipelined = client.state == ClientState::Idle && client.pending.is_some();
            let levels = client.stream.levels();
            ensure(!(wants && levels.readable || pipelined), || {
                format!("client {id:?} is readable and forgotten in {:?}", client.state)
            })?;
            ensure(!(client.unsent.is_some() && levels.writable), || {
                format!("client {id:?} has room, and bytes for it are forgotten in {:?}", client.state)
            })?;
        }
        for (id, upstream) in self.upstreams.iter() {
            let wants = match upstream.state {
                UpstreamState::Connecting { .. } => false,
                UpstreamState::Idle | UpstreamState::Kept(_) => true,
                UpstreamState::Tunnel(exchange) => self.tunnel_wants(exchange, Side::Upstream),
                UpstreamState::Carrying(exchange) => {
                    self.exchanges.get(exchange).is_some_and(|e| match e.owner {
                        Owner::Client(client) => self.clients.get(client).is_some_and(|c| c.unsent.is_none()),
                        Owner::Batch(_) | Owner::Copy(_) | Owner::Nobody => true,
                    })
                }
            };
            let levels = upstream.stream.levels();
            ensure(!(wants && levels.readable), || {
                format!("upstream {id:?} is readable and forgotten in {:?}", upstream.state)
            })?;
            ensure(!(upstream.unsent.is_some() && levels.writable), || {
                format!("upstream {id:?} has room, and bytes for it are forgotten in {:?}", upstream.state)
            })?;
        }
        Ok(())
    }
}

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
