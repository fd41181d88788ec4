//! Batches on their way to a classifier.
//!
//! Here: asking the queue what goes next, and sending it as an exchange of its own. Not here: which jobs go together
//! (`batch/`), what comes back (`outcome.rs`). Floor 3.

use super::outcome::distinct;
use super::{Batching, Call, LARGE_BYTES, Member, Stage};
use crate::balance::BackendId;
use crate::batch::{Batch, BatchOutcome, Next};
use crate::codec::merge;
use crate::h1::Version;
use crate::h1::coding::{ChunkLine, Coding, parts};
use crate::h1::persistence::Persistence;
use crate::h1::request_id::IdField;
use crate::net::Net;
use crate::proxy::exchange::{Course, Exchange, Owner, RequestSide, ResponseSide};
use crate::proxy::kind::RequestKind;
use crate::proxy::private::Source;
use crate::proxy::trace::reach;
use crate::proxy::{CallId, ConnectionMode, ExchangeId, Proxy, Reuse, Timer, Turn};
use crate::record::trace::{BatchTrace, Text};
use crate::time::Instant;

/// More than a message's head, and what is between elements.
const ADDED_BYTES: usize = 16 * 1024;

impl<N: Net> Proxy<N> {
    /// Sends what may go now. To be called at the end of a turn, when all that came in it is seen together.
    pub(in crate::proxy) fn send_batches(&mut self, turn: &mut Turn<'_, N>) {
        if self.batching.as_ref().is_some_and(|batching| batching.room.has_paused()) {
            self.resume_bodies(turn);
        }
        while let Some(batching) = self.batching.as_mut().filter(|b| b.stirred) {
            if !batching.room.may_call() {
                // The end of a call stirs again.
                batching.stirred = false;
                return;
            }
            let now = turn.net.now();
            match batching.queue.next(now) {
                Next::Dispatch(batch) => self.send_batch(turn, batch, now),
                Next::WaitUntil(at) => {
                    batching.stirred = false;
                    batching.wake.set(turn.timers, at, Timer::Batch);
                }
                Next::Idle => {
                    batching.stirred = false;
                    batching.wake.clear();
                }
            }
        }
    }

    /// The queue wanted to be asked again.
    pub(in crate::proxy) fn batch_due(&mut self, turn: &mut Turn<'_, N>) {
        let now = turn.now();
        if let Some(batching) = &mut self.batching {
            batching.stirred |= batching.wake.has_passed(turn.timers, now, Timer::Batch);
        }
    }

    fn send_batch(&mut self, turn: &mut Turn<'_, N>, batch: Batch, now: Instant) {
        let Some(classifier) = self.servers.select_classifier(now) else {
            return self.batch_unsent(turn, batch, now);
        };
        let Some(batching) = &mut self.batching else { return };
        let mut body = std::mem::take(&mut batching.body);
        body.clear();
        let members = batching.members(&batch, Some(classifier));
        if members.is_empty() {
            // All its clients have left since.
            batching.queue.finished(batch, BatchOutcome::Failed, now);
            batching.body = body;
            return;
        }
        let id = self.tracer.make_id();
        if self.tracer.is_on() {
            batching.trace_dispatch(&members, classifier, id.as_ref(), now);
        }
        batching.write_body(&batch, &members, &mut body);
        self.head.clear();
        let close =
            self.options.connections == ConnectionMode::NonPersistent || self.options.reuse == Reuse::Never;
        let from = self.source_of(&members);
        let Some(batching) = &mut self.batching else { return };
        let authority = &self.servers.target(classifier).authority;
        let id = id.as_ref().map_or(&b""[..], IdField::line);
        batching.write_head(&batch, (authority, self.via.line(), id), body.len(), close, &mut self.head);
        let answer = self.buffers.take(body.len().min(LARGE_BYTES));
        let is_large = body.len() > LARGE_BYTES;
        if is_large {
            // All that is kept of it then.
            body.reserve_exact(self.head.len());
            body.splice(0..0, self.head.iter().copied());
        }
        // What is short may wait to be sent, and be kept for sending it again.
        let message = if is_large { body.capacity() } else { 2 * body.len() };
        let reserved = batching.room.expected_answer().max(answer.capacity());
        let held = message + reserved;
        batching.room.call_grows(held);
        let call = batching.calls.insert(Call {
            batch,
            members,
            sent: now,
            answer,
            held,
            reserved,
            content_type: None,
        });
        let exchange = self.begin_call(turn, call, classifier, now);
        if is_large {
            let request = self.buffers.adopt(body);
            let attempt = self.servers.target(classifier).attempt();
            return self.connect(turn, exchange, request, attempt);
        }
        self.send_call(turn, exchange, (classifier, from), &body, now);
        if let Some(batching) = &mut self.batching {
            batching.body = body;
        }
    }

    /// Where a connection for a batch of these may come from: one that served a batch before has served other clients.
    fn source_of(&self, members: &[Member]) -> Source {
        let first = self.options.reuse == Reuse::Safe && {
            let tickets = members.iter().filter_map(|m| self.batching.as_ref()?.tickets.get(m.ticket));
            tickets.into_iter().any(|ticket| self.is_at_first(ticket.client))
        };
        if self.may_meet_others(first) { Source::POOL } else { Source::NONE }
    }

    /// Makes an exchange of a call.
    fn begin_call(
        &mut self,
        turn: &mut Turn<'_, N>,
        call: CallId,
        classifier: BackendId,
        now: Instant,
    ) -> ExchangeId {
        let flight = self.servers.started(classifier, now);
        let exchange = self.exchanges.insert(Exchange {
            owner: Owner::Batch(call),
            upstream: None,
            backend: classifier,
            flight,
            mode: self.servers.balance.mode(),
            begun: now,
            attempted: now,
            request: RequestSide::Done,
            response: ResponseSide::Pending,
            version: Version::Http11,
            persistence: Persistence::Close,
            awaits_continue: false,
            logs_in: false,
            // To classify the same texts once more does no harm, so a connection that turns out closed costs nothing.
            kind: RequestKind::Idempotent,
            course: Course::Fresh,
            is_heard: false,
            replay: None,
        });
        self.tracer.begin_batch(exchange, now);
        self.arm_flush(turn, now);
        exchange
    }

    /// Sends the head that is written and this body.
    fn send_call(
        &mut self,
        turn: &mut Turn<'_, N>,
        exchange: ExchangeId,
        (classifier, from): (BackendId, Source),
        body: &[u8],
        now: Instant,
    ) {
        let line = ChunkLine::new(Coding::Identity, 0);
        if self.options.connections == ConnectionMode::Persistent
            && self.send_reused(
                turn,
                (exchange, classifier),
                from,
                now,
                Coding::Identity,
                &line,
                body,
                true,
                true,
            )
        {
            return;
        }
        let mut request = self.buffers.take(self.head.len() + body.len());
        parts(&self.head, Coding::Identity, &line, body, true).iter().for_each(|part| request.push(part));
        let attempt = self.servers.target(classifier).attempt();
        self.connect(turn, exchange, request, attempt);
    }
}

impl Batching {
    /// Whose sequences go to `classifier`, as far as their clients are still there.
    pub(super) fn members(&mut self, batch: &Batch, classifier: Option<BackendId>) -> Vec<Member> {
        let mut members = Vec::with_capacity(batch.parts.len());
        for part in &batch.parts {
            let Some(ticket) = self.by_job.get(part.job) else { continue };
            let Some(entry) = self.tickets.get_mut(ticket) else { continue };
            if let Stage::Queued(queued) = &mut entry.stage {
                let (sequences, count) = (part.sequences.clone(), queued.count(&part.sequences));
                queued.classifier = classifier.or(queued.classifier);
                // A half that goes once more was counted when it went first.
                queued.unsent = queued.unsent.saturating_sub(count);
                members.push(Member { ticket, sequences, count });
            }
        }
        members
    }

    /// Notes in the traces of its members that the batch called `id` goes now.
    fn trace_dispatch(
        &mut self,
        members: &[Member],
        classifier: BackendId,
        id: Option<&IdField>,
        now: Instant,
    ) {
        let sequences = members.iter().map(|m| m.count as u32).sum();
        let requests = distinct(members);
        let id = id.map_or_else(Text::default, |id| Text::new(id.value()));
        let batch = BatchTrace { id, sequences, requests: requests.len() as u32 };
        for ticket in requests {
            if let Some(trace) = self.tickets.get_mut(ticket).and_then(|t| t.trace.as_mut()) {
                reach(&mut trace.phases.selected, now);
                trace.attempts.begin(classifier, now);
                trace.batch = Some(batch);
            }
        }
    }

    fn write_body(&self, batch: &Batch, members: &[Member], out: &mut Vec<u8>) {
        let (Some(shape), Some(key)) = (self.keys.shape(batch.key), self.keys.get(batch.key)) else { return };
        let queued = |m: &Member| match &self.tickets.get(m.ticket)?.stage {
            Stage::Queued(queued) => Some(queued),
            Stage::Gathering(_) | Stage::Asked => None,
        };
        if self.room.held() > LARGE_BYTES {
            let bytes = members.iter().filter_map(queued).map(|q| q.body.len()).sum::<usize>();
            if bytes > LARGE_BYTES {
                // So that it has no more room than it needs.
                out.reserve_exact(bytes + ADDED_BYTES);
            }
        }
        let slices = members.iter().filter_map(|m| Some(queued(m)?.slices(&m.sequences)));
        merge(shape, key, slices.flatten(), out);
    }

    /// `via` is the line of ours, `id` that of the merged request's own name.
    fn write_head(
        &self,
        batch: &Batch,
        (authority, via, id): (&str, &[u8], &[u8]),
        length: usize,
        close: bool,
        out: &mut Vec<u8>,
    ) {
        let (Some(shape), Some(key)) = (self.keys.shape(batch.key), self.keys.get(batch.key)) else { return };
        let length = length.to_string();
        let target = shape.upstream_target(key.target());
        let parts: [&[u8]; 11] = [
            b"POST ",
            target.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            authority.as_bytes(),
            b"\r\nContent-Type: application/json\r\nContent-Length: ",
            length.as_bytes(),
            b"\r\n",
            key.header_lines(),
            via,
            id,
            if close { b"Connection: close\r\n\r\n" } else { b"\r\n" },
        ];
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}
