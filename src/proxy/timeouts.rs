//! Whose turn it is in an exchange, and for how long.
//!
//! Here: which of the two connections of an exchange has a deadline after something has moved, when that is, and how long a
//! backend may go on with interim answers. Not here: what follows when a deadline passes (`rules.rs`), deadlines of a client
//! outside of an exchange (`client.rs`, `departure.rs`). Floor 3.

use super::exchange::{Exchange, Owner, RequestSide, ResponseSide};
use super::rules::Event;
use super::trace::reach;
use super::{ClientId, ExchangeId, Proxy, Timer, Turn, UpstreamId};
use crate::h1::Violation;
use crate::h1::response::ResponseHead;
use crate::net::Net;
use crate::time::Instant;

/// The final head is to come within so many times `--upstream-timeout`, however many interim ones come before it.
const MOST_WAITS: u32 = 3;

/// More interim heads before a final one are malformed.
const MOST_INTERIM_HEADS: u16 = 1000;

/// The interim heads of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interim {
    heads: u16,
    /// When the final head is to be there. `NEVER` as long as the backend waits for the request.
    head_by: Instant,
}

impl Exchange {
    /// What interim heads have left of the time for the final one.
    const fn head_by(&self) -> Instant {
        match self.response {
            ResponseSide::Interim(interim) => interim.head_by,
            _ => Instant::NEVER,
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Something has moved: whose turn is it now? Either the client's deadline runs or the upstream's, never both
    /// and never none, so that each is blamed for its own waiting only. While the connection opens, its own deadline
    /// runs.
    pub(super) fn settle_deadlines(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let Some(upstream_id) = exchange.upstream else { return };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return };
        if !upstream.is_connected() {
            return;
        }
        if self.tracer.is_on() && exchange.request == RequestSide::Done && upstream.unsent.is_none() {
            self.tracer.note(id, |trace| reach(&mut trace.phases.sent, turn.now()));
        }
        let Owner::Client(client_id) = exchange.owner else {
            return self.settle_without_client(turn, id, upstream_id, now);
        };
        if matches!(exchange.request, RequestSide::Body { .. }) && exchange.response.is_pending() {
            return self.settle_upload(turn, id, (client_id, upstream_id), now);
        }
        let Some(client) = self.clients.get_mut(client_id) else { return };
        if client.unsent.is_some() {
            let limit = now + self.options.body_timeout;
            client.deadline.set(turn.timers, limit, Timer::Client(client_id));
            return upstream.deadline.clear();
        }
        let limit = match exchange.response {
            ResponseSide::Pending if upstream.unsent.is_none() => now + self.options.upstream_timeout,
            ResponseSide::Pending | ResponseSide::Interim(_) => {
                let wait = match upstream.unsent {
                    // The end of the request is still to be taken.
                    Some(_) => self.options.body_timeout,
                    None => self.options.upstream_timeout,
                };
                exchange.head_by().min(now + wait)
            }
            ResponseSide::Body(_) | ResponseSide::Tunnel(_) => now + self.options.stream_idle_timeout,
        };
        upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
        client.deadline.clear();
    }

    /// Nobody would notice that a batch or a probe goes on for ever: these have their time in all.
    #[inline(never)]
    fn settle_without_client(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        upstream_id: UpstreamId,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let limit = match exchange.owner {
            Owner::Batch(_) => exchange.begun + self.classifier_timeout(),
            Owner::Nobody => exchange.begun + self.options.upstream_timeout,
            Owner::Copy(_) | Owner::Client(_) => exchange.head_by().min(now + self.options.upstream_timeout),
        };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return };
        upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
    }

    /// A request body is on its way, and no final head has come.
    #[inline(never)]
    fn settle_upload(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        (client_id, upstream_id): (ClientId, UpstreamId),
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return };
        let Some(upstream) = self.upstreams.get_mut(upstream_id) else { return };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let is_taken = upstream.unsent.is_none();
        if client.unsent.is_some() || (is_taken && !exchange.awaits_continue) {
            if let ResponseSide::Interim(interim) = &mut exchange.response {
                interim.head_by = Instant::NEVER;
            }
            let silent = now + self.options.body_timeout;
            let limit = match client.unsent {
                Some(_) => {
                    client.send_time.pause(now);
                    silent
                }
                None => client.send_time.run(now).min(silent),
            };
            client.deadline.set(turn.timers, limit, Timer::Client(client_id));
            upstream.deadline.clear();
        } else {
            client.send_time.pause(now);
            let wait = match is_taken {
                true => self.options.upstream_timeout,
                false => self.options.body_timeout,
            };
            let limit = exchange.head_by().min(now + wait);
            upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
            client.deadline.clear();
        }
    }

    /// Bytes of a request body have been passed on. While the client leaves the response untaken that is no reason to wait
    /// longer for it.
    pub(super) fn request_moved(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let owes = match exchange.owner {
            Owner::Client(client) => self.clients.get(client).is_some_and(|c| c.unsent.is_some()),
            Owner::Batch(_) | Owner::Copy(_) | Owner::Nobody => false,
        };
        if exchange.response.is_pending() || !owes {
            self.settle_deadlines(turn, id, now);
        }
    }

    /// An interim head has come. It prolongs the wait for the final one, but not for ever. `false` if the exchange is over.
    #[cold]
    #[inline(never)]
    pub(super) fn interim_head(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        head: &ResponseHead<'_, '_>,
        now: Instant,
    ) -> bool {
        let Some(exchange) = self.exchanges.get_mut(id) else { return false };
        let Some(upstream) = exchange.upstream.and_then(|id| self.upstreams.get(id)) else { return false };
        let mut interim = match exchange.response {
            ResponseSide::Interim(interim) => interim,
            _ => Interim { heads: 0, head_by: Instant::NEVER },
        };
        interim.heads += 1;
        if interim.heads > MOST_INTERIM_HEADS {
            self.answer_malformed(turn, id, Event::ResponseHeadMalformed, Violation::TooManyInterim);
            return false;
        }
        let asks_for_body = head.status == 100 && std::mem::take(&mut exchange.awaits_continue);
        let is_waited_for = upstream.unsent.is_none()
            && (exchange.awaits_continue || !matches!(exchange.request, RequestSide::Body { .. }));
        if is_waited_for && interim.head_by == Instant::NEVER {
            // Until the first one comes, its deadline is a wait after the end of the request.
            let first = match upstream.deadline.at() {
                Instant::NEVER => now + self.options.upstream_timeout,
                first => first,
            };
            interim.head_by = first + self.options.upstream_timeout.saturating_mul(MOST_WAITS - 1);
        }
        exchange.response = ResponseSide::Interim(interim);
        if !self.pass_interim(turn, id, head) {
            return false;
        }
        if is_waited_for || asks_for_body {
            self.settle_deadlines(turn, id, now);
        }
        true
    }
}
