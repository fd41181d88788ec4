//! Answers that break a rule of HTTP: which rule it was is said in the log, in the trace and in the metrics.
//!
//! Here: answers to exchanges and to health checks alike. Not here: finding out (`h1/`), and what follows for the exchange
//! (`rules.rs`). Floor 3.

use super::exchange::Owner;
use super::rules::Event;
use super::{ExchangeId, Proxy, Turn};
use crate::balance::BackendId;
use crate::h1::Violation;
use crate::net::Net;
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// The answer of an exchange breaks that rule, in its head or in its body as `event` says.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_malformed(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        event: Event,
        violation: Violation,
    ) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let (server, owner) = (exchange.backend, exchange.owner);
        self.tracer.note(id, |trace| trace.violation = Some(violation.words()));
        if let Owner::Copy(of) = owner {
            self.tracer.note(of, |trace| trace.violation = Some(violation.words()));
        }
        self.count_malformed(server, "the answer", violation, turn.now());
        self.happened(turn, id, event);
    }

    /// `what` of a server breaks that rule.
    #[cold]
    pub(super) fn count_malformed(
        &mut self,
        server: BackendId,
        what: &str,
        violation: Violation,
        now: Instant,
    ) {
        self.counters.malformed_answers.add(violation);
        let url = self.servers.url(server);
        self.malformed.warn(now, || format!("{url}: {what} is malformed: {violation}"));
    }
}
