//! What the proxy notes in traces, point by point.
//!
//! Here: the notes that take more than a line, each called where an exchange comes to that point. Not here: where they are kept
//! (`trace.rs`). Floor 3.

use super::super::failure::Failure;
use super::super::{CallId, ClientId, ExchangeId, Proxy, Turn};
use super::HEDGE;
use crate::balance::{BackendId, Choice};
use crate::h1::request::RequestHead;
use crate::net::Net;
use crate::record::Record;
use crate::record::trace::{Phases, Scores};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Begins the trace of a request for which a backend was chosen, or none could be.
    #[cold]
    pub(in super::super) fn trace_choice(
        &mut self,
        turn: &Turn<'_, N>,
        id: ClientId,
        head: &RequestHead<'_, '_>,
        choice: Option<Choice>,
        now: Instant,
    ) {
        let Some(client) = self.clients.get(id) else { return };
        let draft = self.tracer.head_read(id, client, head, now);
        if let Some(choice) = choice {
            let chosen = turn.now();
            draft.phases.selected = chosen;
            draft.scores = Scores::new(self.servers.backends(), self.servers.scores());
            draft.attempts.begin(choice.backend, chosen);
        }
    }

    /// The exchange will be sent once more, to `backend`.
    pub(in super::super) fn trace_retry(
        &mut self,
        turn: &Turn<'_, N>,
        id: ExchangeId,
        backend: BackendId,
        why: &'static str,
    ) {
        if let Some(draft) = self.tracer.of(id) {
            draft.attempts.retry(why);
            draft.attempts.begin(backend, turn.now());
            draft.reused = false;
            (draft.phases.connected, draft.phases.sent) = (Instant::NEVER, Instant::NEVER);
        }
    }

    /// A further copy of the exchange's request goes to `backend`.
    pub(in super::super) fn trace_hedge(&mut self, turn: &Turn<'_, N>, id: ExchangeId, backend: BackendId) {
        self.tracer.note(id, |trace| {
            trace.attempts.retry(HEDGE);
            trace.attempts.begin(backend, turn.now());
        });
    }

    /// The response was passed on whole, or to a client that had `left`, and this was its record.
    #[cold]
    pub(in super::super) fn trace_answered(
        &mut self,
        turn: &Turn<'_, N>,
        id: ExchangeId,
        record: Record,
        left: bool,
        last_byte: Instant,
    ) {
        if let Some(trace) = self.tracer.of(id) {
            trace.phases.last_byte = last_byte;
        }
        self.trace_end(turn, id, record, 0, left.then_some(Failure::ClientGone.name()));
    }

    /// The exchange is over, and this was its record. `told`: bytes of a response of our own.
    #[cold]
    pub(in super::super) fn trace_end(
        &mut self,
        turn: &Turn<'_, N>,
        id: ExchangeId,
        record: Record,
        told: usize,
        failure: Option<&'static str>,
    ) {
        let Some(trace) = self.tracer.of(id) else { return };
        trace.phases.done = turn.now();
        trace.bytes_out += told as u64;
        trace.failure = failure;
        self.recorder.push_trace(record, trace);
    }

    /// The request whose head was read last was answered by ourselves, and this was its record.
    pub(in super::super) fn trace_unsent(
        &mut self,
        turn: &Turn<'_, N>,
        record: Record,
        failure: &'static str,
    ) {
        if let Some(mut trace) = self.tracer.draft().copied() {
            trace.phases.done = turn.now();
            trace.bytes_out = self.head.len() as u64;
            trace.failure = Some(failure);
            self.recorder.push_trace(record, &trace);
        }
    }

    /// Lines for a response of our own to an exchange that has just ended.
    pub(in super::super) fn failure_lines(
        &mut self,
        turn: &Turn<'_, N>,
        id: ExchangeId,
        backend: BackendId,
    ) -> String {
        let (given, trace) = (self.tracer.id_of(id).copied(), self.tracer.of(id).copied());
        let authority = &self.servers.target(backend).authority;
        self.tracer.reply_lines(given.as_ref(), trace.as_ref(), Some(authority), turn.now())
    }

    /// A batch is over: each of its members learns where the time of the batch went.
    pub(in super::super) fn trace_members(
        &mut self,
        call: CallId,
        id: ExchangeId,
        last_byte: Option<Instant>,
    ) {
        let Some(of_batch) = self.tracer.of(id).copied() else { return };
        let Some(batching) = &mut self.batching else { return };
        batching.trace_members(call, |trace| {
            let Phases { connected, sent, first_byte, .. } = of_batch.phases;
            let phases = &mut trace.phases;
            (phases.connected, phases.sent, phases.first_byte) = (connected, sent, first_byte);
            phases.last_byte = last_byte.unwrap_or(Instant::NEVER);
            trace.reused = of_batch.reused;
            trace.violation = of_batch.violation;
        });
    }
}
