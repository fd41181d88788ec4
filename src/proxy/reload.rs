//! Other options while the proxy runs.
//!
//! Here: what can change and what cannot, all or nothing; what becomes of connections; when the id of a removed server is
//! free. Plain values: where they come from (files, names) is the door's business. Not here: the numbering (`seats.rs`).
//! Floor 3.

use std::fmt;

use super::budget::Budget;
use super::servers::unhedged;
use super::{ConnectionMode, Options, PoolLimit, Proxy, Reuse, Turn};
use crate::balance::BackendId;
use crate::net::Net;
use crate::remote::{Bell, Orders};
use crate::telemetry::Kind;
use crate::time::WallTime;

/// What a change of the options came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// When it was made.
    pub at: WallTime,
    /// The URLs of servers that have come.
    pub added: Vec<String>,
    /// Those of servers that get nothing new any more.
    pub removed: Vec<String>,
    /// Those of servers that stay, and whose name has other addresses.
    pub moved: Vec<String>,
    /// How many have stayed.
    pub kept: usize,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The proxy was told to stop.
    Stopping,
    /// These settings, by their keys, cannot change while the proxy runs.
    Fixed(Vec<&'static str>),
    /// There are more servers than ids, those included that were removed and have something in flight.
    TooMany,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Stopping => f.write_str("the proxy is stopping"),
            Refused::Fixed(keys) => {
                write!(f, "`{}` cannot change while the proxy runs", keys.join("`, `"))
            }
            Refused::TooMany => {
                f.write_str("there are too many backends, with those that are still finishing")
            }
        }
    }
}

/// Where other options come in from a thread that waits for what becomes of them.
pub type Changes = Orders<Bell, Box<Options>, Result<Changed, Refused>>;

impl<N: Net> Proxy<N> {
    /// The same, which another thread brings other options.
    pub fn changed_by(mut self, changes: Changes) -> Proxy<N> {
        self.changes = Some(changes);
        self
    }

    /// Takes over what was brought.
    pub(super) fn take_changes(&mut self, turn: &mut Turn<'_, N>) {
        let Some(changes) = self.changes.take() else { return };
        changes.each(|options| self.change(turn, *options));
        self.changes = Some(changes);
    }

    /// Goes on with other options, for all that begins from now on. What is in flight ends as it began. A mode or strategy
    /// that was set by a command stays, unless that option is another one than before.
    ///
    /// # Errors
    /// Why everything is as before.
    pub fn change(&mut self, turn: &mut Turn<'_, N>, options: Options) -> Result<Changed, Refused> {
        if self.is_draining() {
            return Err(Refused::Stopping);
        }
        let fixed = fixed(&self.options, &options);
        if !fixed.is_empty() {
            return Err(Refused::Fixed(fixed));
        }
        if self.servers.lacking(&options) > 0 {
            return Err(Refused::TooMany);
        }
        let options = Options { run: self.options.run, ..options };
        let before = std::mem::replace(&mut self.options, options);
        self.change_routing(&before);
        self.change_batching(turn, &before);
        let change = self.servers.rearrange(&self.options);
        self.recorder.set_roster(self.servers.roster());
        self.change_connections(turn);
        self.change_health(turn, &before, &change.removed);
        change.removed.iter().for_each(|&id| self.close_all_idle(turn, id));
        change.left_addresses.iter().for_each(|&id| self.leave_connections(turn, id));
        let urls = |ids: &[BackendId]| ids.iter().map(|&id| self.servers.url(id).to_owned()).collect();
        let changed = Changed {
            at: turn.net.wall(turn.now()),
            added: urls(&change.added),
            removed: urls(&change.removed),
            moved: urls(&change.moved),
            kept: change.kept,
        };
        let now = turn.now();
        self.flush_records(turn);
        self.arm_flush(turn, now);
        Ok(changed)
    }

    fn change_routing(&mut self, before: &Options) {
        let routing = self.options.routing;
        if routing != before.routing {
            self.set_routing(routing);
        }
        let options = self.options.balance();
        if options != before.balance() {
            self.servers.balance.set_options(&options);
            self.servers.classifiers.set_options(&unhedged(options));
        }
    }

    /// Checks and retries.
    fn change_health(&mut self, turn: &mut Turn<'_, N>, before: &Options, removed: &[BackendId]) {
        let Options { retry_budget, checks, classifier_checks, .. } = &self.options;
        if *retry_budget != before.retry_budget {
            self.budget = Budget::new(*retry_budget);
        }
        let anew = [
            (Kind::Backend, *checks != before.checks, checks.is_none()),
            (Kind::Classifier, *classifier_checks != before.classifier_checks, classifier_checks.is_none()),
        ];
        let now = turn.now();
        for id in (0..=u16::MAX).take(self.findings.len()).map(BackendId) {
            let kind = self.servers.seats[usize::from(id.0)].kind;
            let (_, other, none) =
                anew.into_iter().find(|&(of, ..)| of == kind).unwrap_or((kind, false, false));
            if other && none && self.findings[usize::from(id.0)].down {
                // Nobody would say any more that it works.
                self.servers.checked(id, true, now);
            }
            if other || removed.contains(&id) {
                self.forget_checks(turn, id);
            }
        }
        self.begin_checks(turn);
    }

    fn change_batching(&mut self, turn: &mut Turn<'_, N>, before: &Options) {
        let (Some(old), Some(new)) = (&before.batching, self.options.batching.clone()) else { return };
        let strategy = new.queue.strategy;
        if let Some(batching) = &mut self.batching {
            batching.change(new);
        }
        if strategy != old.queue.strategy {
            self.set_strategy(turn, strategy);
        }
    }

    fn change_connections(&mut self, turn: &mut Turn<'_, N>) {
        self.hosts.most = self.options.limits.connections_per_client;
        let limit = match (self.options.connections, self.options.reuse) {
            (ConnectionMode::NonPersistent, _) | (_, Reuse::Never) => PoolLimit::Most(0),
            (ConnectionMode::Persistent, _) => self.options.limits.pool_per_backend,
        };
        for id in (0..=u16::MAX).take(self.servers.pools.len()).map(BackendId) {
            while self.servers.pool(id).len() > 0 && self.servers.pool(id).is_over(limit) {
                self.close_oldest(turn, id);
            }
        }
        self.knock(turn);
    }

    /// Closes what rests in the pool of a server.
    pub(super) fn close_pool(&mut self, turn: &mut Turn<'_, N>, id: BackendId) {
        while let Some(idle) = self.servers.pool(id).take() {
            self.close_upstream(turn, idle);
        }
    }

    /// The same, and what rests for one client alone.
    fn close_all_idle(&mut self, turn: &mut Turn<'_, N>, id: BackendId) {
        self.close_pool(turn, id);
        self.close_private(turn, id);
    }

    /// Its connections may lead where the server is no longer: those that rest are closed, the others when they would rest.
    fn leave_connections(&mut self, turn: &mut Turn<'_, N>, id: BackendId) {
        self.close_all_idle(turn, id);
        let own: Vec<_> =
            self.upstreams.iter().filter(|(_, u)| u.backend == id).map(|(upstream, _)| upstream).collect();
        for upstream in own {
            if let Some(upstream) = self.upstreams.get_mut(upstream) {
                upstream.outdated = true;
            }
        }
    }

    /// Frees the ids of removed servers to which nothing refers any more: no exchange, no connection, no request that waits,
    /// and no record or trace that telemetry has not taken. Returns whether others are to be asked about again.
    pub(super) fn free_ids(&mut self, turn: &Turn<'_, N>) -> bool {
        let removed = self.servers.removed();
        if removed.is_empty() || !self.recorder.is_settled() {
            return !removed.is_empty();
        }
        let free: Vec<_> = removed.iter().copied().filter(|&id| !self.refers_to(id)).collect();
        if !free.is_empty() {
            free.iter().for_each(|&id| self.servers.free(id));
            self.recorder.set_roster(self.servers.roster());
            self.flush_records(turn);
        }
        free.len() < removed.len()
    }

    fn refers_to(&self, id: BackendId) -> bool {
        self.servers.known(id).backend(id).in_flight() > 0
            || self.upstreams.iter().any(|(_, upstream)| upstream.backend == id)
            || self
                .exchanges
                .iter()
                .any(|(exchange, e)| e.backend == id || self.tracer.mentions(exchange, id))
            || self.batching.as_ref().is_some_and(|batching| batching.mentions(id))
    }
}

/// The keys of the settings that differ and cannot change while the proxy runs.
fn fixed(now: &Options, then: &Options) -> Vec<&'static str> {
    let mut fixed = vec![
        ("explain", now.explain == then.explain),
        ("request-id", now.request_ids == then.request_ids),
        ("trace", now.trace == then.trace),
        // Whether paths are ours to answer is settled at the start.
        ("classifier", now.batching.is_some() == then.batching.is_some()),
    ];
    if let (Some(now), Some(then)) = (&now.batching, &then.batching) {
        let (a, b) = (&now.queue, &then.queue);
        fixed.extend([
            ("batch-size", a.batch_size == b.batch_size),
            ("batches-in-flight", a.batches_in_flight == b.batches_in_flight),
            ("split", a.split == b.split),
            ("halve", a.halve == b.halve),
            ("sjf-max-wait", a.sjf_max_wait == b.sjf_max_wait),
            ("customer-weight", a.weights == b.weights),
            ("shape", now.shapes == then.shapes),
        ]);
    }
    fixed.into_iter().filter(|&(_, same)| !same).map(|(key, _)| key).collect()
}
