//! Sending a request once more.
//!
//! Here: on a fresh connection to the same backend, when a pooled one may just have been closed; and to another backend, when
//! the first one has failed, or has answered with a status that `--retry-on` names. Not here: when either is allowed (`rules.rs`) and how often (`budget.rs`). Floor 3.

use super::exchange::{Course, Owner};
use super::failure::Failure;
use super::private::BelongsTo;
use super::trace::{STALE_CONNECTION, STATUS};
use super::{ExchangeId, Proxy, Turn};
use crate::balance::{BackendId, Outcome};
use crate::net::Net;
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// RFC 9112 §9.3.1: the backend may have closed the idle connection just as the request was sent.
    pub(super) fn send_again(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId) {
        let now = turn.now();
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let Some(request) = exchange.replay.take() else { return };
        self.counters.connections_stale += 1;
        self.counters.retries_stale += 1;
        exchange.attempted = now;
        let (stale, backend) = (exchange.upstream.take(), exchange.backend);
        stale.into_iter().for_each(|upstream| self.close_upstream(turn, upstream));
        self.trace_retry(turn, id, backend, STALE_CONNECTION);
        let attempt = self.servers.target(backend).attempt();
        self.connect(turn, id, request, attempt);
    }

    /// The attempt has failed; the request goes to another backend, if there is one and the budget allows it. `Host` stays
    /// as it is: backends that stand in for each other serve the same origin.
    pub(super) fn send_elsewhere(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, failure: Failure) {
        let now = turn.now();
        let Some((failed, attempted)) = self.exchanges.get(id).map(|e| (e.backend, e.attempted)) else {
            return;
        };
        self.budget.tick(now, self.begun);
        if !self.budget.has_left(self.begun) {
            self.counters.retries_denied += 1;
            return self.fail(turn, id, failure);
        }
        let Some(other) = self.servers.select_other(failed, now) else { return self.fail(turn, id, failure) };
        let outcome = Outcome::Failed { elapsed_ns: now.nanos_since(attempted) };
        self.move_to(turn, id, other, (outcome, failure.name()), now);
    }

    /// A head with `status` has come, of which no byte is passed on yet: whether its request goes to another backend instead, since
    /// `--retry-on` names the status. If there is none, or the budget is used up, the answer is as good as any.
    #[cold]
    pub(super) fn retries_status(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        status: u16,
        now: Instant,
    ) -> bool {
        let is_named = self.options.retry_on.is_some_and(|statuses| statuses.contains(status));
        let Some(exchange) = self.exchanges.get(id).filter(|_| is_named && !self.is_raced(id)) else {
            return false;
        };
        let (failed, attempted, upstream) = (exchange.backend, exchange.attempted, exchange.upstream);
        let is_bound = upstream
            .and_then(|upstream| self.upstreams.get(upstream))
            .is_none_or(|upstream| upstream.belongs == BelongsTo::Login);
        if !exchange.may_answer_elsewhere() || is_bound {
            return false;
        }
        self.budget.tick(now, self.begun);
        if !self.budget.has_left(self.begun) {
            self.counters.retries_denied += 1;
            return false;
        }
        let Some(other) = self.servers.select_other(failed, now) else { return false };
        let outcome = self.answered_with(turn, status, attempted, now);
        self.move_to(turn, id, other, (outcome, STATUS), now);
        true
    }

    /// The attempt has ended so, for this reason; the request goes to `other`.
    fn move_to(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        other: BackendId,
        (outcome, why): (Outcome, &'static str),
        now: Instant,
    ) {
        self.budget.spend();
        if !self.races.is_unused() {
            // One way to help it is enough.
            self.call_off(turn, id, false, now);
        }
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let Some(request) = exchange.replay.take() else { return };
        exchange.attempted = now;
        exchange.is_heard = false;
        let failed = std::mem::replace(&mut exchange.backend, other);
        exchange.course = Course::Elsewhere;
        let flight = std::mem::replace(&mut exchange.flight, self.servers.started(other, now));
        let (lost, owner) = (exchange.upstream.take(), exchange.owner);
        lost.into_iter().for_each(|upstream| self.close_upstream(turn, upstream));
        self.counters.retries_elsewhere += 1;
        self.servers.finished(failed, flight, outcome, now);
        log::debug!("{}: {why}; trying {}", self.servers.url(failed), self.servers.url(other));
        self.trace_retry(turn, id, other, why);
        if let Owner::Batch(call) = owner {
            self.batch_moved(call, other);
        }
        let attempt = self.servers.target(other).attempt();
        self.connect(turn, id, request, attempt);
    }
}
