//! Sending on a connection that has served before.
//!
//! On the hot path. Here: taking the newest idle connection that still takes the request. Not here: whether the request may
//! go there (`forward.rs`), opening one (`connect.rs`), the order of reuse (`pool.rs`). Floor 3.

use super::exchange::{Course, Owner};
use super::private::Source;
use super::rules::Event;
use super::trace::{STALE_CONNECTION, reach};
use super::upstream::UpstreamState;
use super::{ExchangeId, Proxy, Timer, Turn, UpstreamId};
use crate::balance::BackendId;
use crate::h1::coding::{ChunkLine, Coding, parts};
use crate::net::{Net, send};
use crate::telemetry::console::{self, ConnectionEvent};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Sends on the newest idle connection that still takes it; `false` if there is none. `keeps`: the request is kept for another
    /// sending, if this one meets a connection that was just closed.
    #[allow(clippy::too_many_arguments, reason = "the parts of one message, borrowed from different places")]
    #[inline(always)]
    pub(super) fn send_reused(
        &mut self,
        turn: &mut Turn<'_, N>,
        (id, backend): (ExchangeId, BackendId),
        from: Source,
        now: Instant,
        coding: Coding,
        line: &ChunkLine,
        data: &[u8],
        done: bool,
        keeps: bool,
    ) -> bool {
        while let Some(upstream_id) = self.take_kept(backend, from) {
            let Some(upstream) = self.upstreams.get_mut(upstream_id) else { continue };
            let message = parts(&self.head, coding, line, data, done);
            let sent = send(&mut upstream.stream, &mut upstream.unsent, &mut self.buffers, message);
            if let Err(broken) = sent {
                self.counters.connections_stale += 1;
                self.close_upstream(turn, upstream_id);
                if broken.taken > 0 && !keeps {
                    self.happened(turn, id, Event::UpstreamReset);
                    return true;
                }
                self.trace_retry(turn, id, backend, STALE_CONNECTION);
                continue;
            }
            self.counters.connections_reused += 1;
            console::connection(ConnectionEvent::Reused, self.servers.url(backend));
            upstream.state = UpstreamState::Carrying(id);
            upstream.reused = true;
            self.servers.pool(backend).begin_use();
            let is_sent = done && upstream.unsent.is_none();
            self.tracer.note(id, |trace| {
                trace.reused = true;
                reach(&mut trace.phases.connected, turn.now());
                if is_sent {
                    reach(&mut trace.phases.sent, turn.now());
                }
            });
            let Some(exchange) = self.exchanges.get_mut(id) else { return true };
            exchange.upstream = Some(upstream_id);
            exchange.course = Course::Reused;
            if keeps {
                exchange.replay = Some(match data.is_empty() && coding == Coding::Identity {
                    true => self.buffers.keep(&mut self.head),
                    false => self.buffers.gather(&message),
                });
            }
            match exchange.owner {
                // What comes of nearly every request, without looking at all that may be: it is the backend's turn.
                Owner::Client(_) if is_sent => {
                    let limit = now + self.options.upstream_timeout;
                    upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
                }
                _ => self.settle_deadlines(turn, id, now),
            }
            return true;
        }
        false
    }

    /// An idle connection to `backend`.
    #[inline(always)]
    fn take_kept(&mut self, backend: BackendId, from: Source) -> Option<UpstreamId> {
        if let Some(client) = from.own
            && let Some(own) = self.take_own(client, backend)
        {
            return Some(own);
        }
        if from.pool { self.servers.pool(backend).take() } else { None }
    }
}
