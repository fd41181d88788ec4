//! Stopping: serving, draining, done.
//!
//! Here: what the stop signals do. Floor 3.

use super::client::ClientState;
use super::idle_clients::A_WHILE;
use super::rules::Event;
use super::{ClientId, Proxy, Timer, Turn};
use crate::net::{ACCEPT_BATCH, LISTEN_BACKLOG, Net, Readiness};
use crate::reactor::Flow;
use crate::time::Instant;

/// Where the proxy stands between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// No new connections; each response is its connection's last.
    Draining,
    /// A second signal came.
    Forced,
}

impl<N: Net> Proxy<N> {
    /// A stop signal: the first begins to drain, the second ends at once.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_, N>) {
        if self.phase != Phase::Serving {
            self.phase = Phase::Forced;
            return;
        }
        log::info!(
            "stopping: {} requests in flight have {:?} to finish; a second signal ends at once",
            self.exchanges.len(),
            self.options.drain_timeout
        );
        self.phase = Phase::Draining;
        self.flush_records(turn);
        self.end_checks(turn);
        self.end_shadows(turn);
        // Who is in the backlog has connected before the signal.
        self.door.knocked();
        for _ in 0..LISTEN_BACKLOG.div_ceil(ACCEPT_BATCH) {
            if self.door.may_accept() && self.clients.len() < self.options.limits.connections {
                self.accept(turn);
            }
        }
        self.door.shut();
        if let Some(batching) = &mut self.batching {
            batching.drain();
        }
        let ids: Vec<_> = self.clients.iter().map(|(id, _)| id).collect();
        let now = turn.now();
        let mut input = std::mem::take(&mut self.input);
        for id in ids {
            // A request may have arrived that no event has told of yet.
            self.client_ready(turn, id, Readiness { readable: true, ..Readiness::default() }, &mut input);
            self.let_go(turn, id, now);
        }
        self.input = input;
        let limit = turn.now() + self.options.drain_timeout;
        turn.timers.insert(limit, Timer::Drain);
    }

    /// A client that has been idle for a while is closed. Others may have sent their next request: they have so much time yet.
    fn let_go(&mut self, turn: &mut Turn<'_, N>, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.state != ClientState::Idle {
            return;
        }
        let left =
            (client.deadline.at() - now).saturating_sub(self.options.idle_timeout.saturating_sub(A_WHILE));
        if left.is_zero() {
            return self.close_if_idle(turn, id);
        }
        client.deadline.set(turn.timers, now + left.min(A_WHILE), Timer::Client(id));
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase != Phase::Serving
    }

    /// The drain limit: what is still in flight is cut off.
    pub(super) fn cut_off(&mut self, turn: &mut Turn<'_, N>) {
        log::warn!("the drain limit has passed: cutting off {} requests in flight", self.exchanges.len());
        let ids: Vec<_> = self.exchanges.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.happened(turn, id, Event::DrainLimit);
        }
        self.cut_off_jobs(turn);
        let ids: Vec<_> = self.clients.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.client_gone(turn, id);
        }
    }

    /// Whether the loop goes on.
    pub(super) fn drained(&mut self, turn: &Turn<'_, N>) -> Flow {
        let done = match self.phase {
            Phase::Serving => false,
            Phase::Draining => self.clients.is_empty() && self.exchanges.is_empty(),
            Phase::Forced => true,
        };
        if !done {
            return Flow::Continue;
        }
        self.flush_records(turn);
        Flow::Stop
    }
}
