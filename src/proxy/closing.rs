//! The end of a connection to a backend.
//!
//! Here: closing at once, and after the turn's answers. Not here: who is to be closed (`upstream.rs`, `idle_clients.rs` and others).
//! Floor 3.

use super::upstream::{Carried, Upstream};
use super::{Proxy, Turn, UpstreamId};
use crate::balance::BackendId;
use crate::net::Net;
use crate::telemetry::console::{self, ConnectionEvent};

/// How many connections that have carried their exchange may wait to be closed. A close takes the system as long as sending an
/// answer: meanwhile the next client has its answer, and answers that follow each other fast need not wake their receiver
/// one by one. 0.94 of the processor time per request with a connection each, before clients on another processor.
pub(super) const CLOSED_TOGETHER: usize = 64;

impl<N: Net> Proxy<N> {
    /// Closes the connection that has been idle longest in the pool of `backend`.
    #[cold]
    pub(super) fn close_oldest(&mut self, turn: &mut Turn<'_, N>, backend: BackendId) {
        if let Some(oldest) = self.servers.pool(backend).take_oldest() {
            self.close_upstream(turn, oldest);
        }
    }

    /// Closes it by the end of the turn. Apart, so that an exchange on a kept connection does not pay for it.
    #[inline(never)]
    pub(super) fn close_soon(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) {
        if self.closing.len() == CLOSED_TOGETHER {
            self.close_waiting();
        }
        let stream = self.forget_upstream(turn, id);
        self.closing.extend(stream);
    }

    /// The exchange on it has ended early: it is closed by the end of the turn.
    pub(super) fn give_up_upstream(&mut self, turn: &mut Turn<'_, N>, id: Option<UpstreamId>) -> Carried {
        let Some(id) = id else { return Carried::default() };
        let carried = self.upstreams.get(id).map(Upstream::as_carried).unwrap_or_default();
        self.close_soon(turn, id);
        carried
    }

    /// Closes what has carried its exchange.
    #[inline(never)]
    pub(super) fn close_waiting(&mut self) {
        self.closing.clear();
    }

    /// Closes it at once.
    pub(super) fn close_upstream(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) {
        drop(self.forget_upstream(turn, id));
    }

    /// Whoever drops what this returns closes the connection.
    fn forget_upstream(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) -> Option<N::Stream> {
        let mut upstream = self.upstreams.remove(id)?;
        if !upstream.is_idle() {
            self.servers.pool(upstream.backend).end_use();
        }
        self.counters.connections_closed += 1;
        console::connection(ConnectionEvent::Closed, self.servers.url(upstream.backend));
        upstream.deadline.disarm(turn.timers);
        upstream.pending.into_iter().chain(upstream.unsent).for_each(|b| self.buffers.put(b));
        Some(upstream.stream)
    }
}
