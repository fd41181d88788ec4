//! What comes of a batch.
//!
//! Here: sharing out results, and what each client of a batch that failed is told. Not here: noticing the end
//! (`proxy/exchange.rs`), reading the answer (`codec/`). Floor 3.

use super::answer::Answer;
use super::{Batching, Call, LARGE_BYTES, Member, Queued, Stage};
use crate::balance::BackendId;
use crate::batch::{Batch, BatchOutcome, Sequences};
use crate::buffer::Buffer;
use crate::codec::{AnswerError, Span, split, write_answer};
use crate::net::Net;
use crate::proxy::failure::Failure;
use crate::proxy::{CallId, Proxy, TicketId, Turn};
use crate::time::Instant;

/// Why all members of a batch get the same error.
struct Fault<'a> {
    status: u16,
    reason: &'static str,
    detail: &'a str,
    /// Whether it is the classifier's.
    blames_classifier: bool,
}

impl<N: Net> Proxy<N> {
    /// The classifier has answered the batch, with this status.
    pub(in crate::proxy) fn batch_answered(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: CallId,
        status: u16,
        now: Instant,
    ) {
        let Some(batching) = &mut self.batching else { return };
        let Some(call) = batching.remove_call(id) else { return };
        match status {
            200..300 => self.share_out(turn, call, now),
            _ => self.classifier_refused(turn, call, status, now),
        }
    }

    /// Splits the answer, and answers every client that has all its results.
    fn share_out(&mut self, turn: &mut Turn<'_, N>, call: Call, now: Instant) {
        let Some(batching) = &mut self.batching else { return };
        let Call { batch, members, sent, answer, .. } = call;
        let expected = members.iter().map(|m| m.count).sum();
        let mut results = Vec::with_capacity(expected);
        let read = match batching.keys.shape(batch.key) {
            Some(shape) => split(answer.as_slice(), shape, expected, &mut results),
            None => Err(AnswerError::Malformed("its shape is gone".to_owned())),
        };
        if let Err(error) = read {
            batching.queue.finished(batch, BatchOutcome::Failed, now);
            self.buffers.put(answer);
            let (detail, reason) = match &error {
                AnswerError::WrongCount { .. } => (error.to_string(), "wrong-result-count"),
                AnswerError::Malformed(_) => (error.to_string(), "upstream-malformed"),
            };
            let fault = Fault { status: 502, reason, detail: &detail, blames_classifier: true };
            return self.fail_members(turn, &members, &fault);
        }
        batching.queue.finished(batch, BatchOutcome::Answered { took: now - sent }, now);
        let mut results = results.as_slice();
        for member in &members {
            let (own, others) = results.split_at(member.count);
            self.take_results(turn, member, own, &answer, now);
            results = others;
        }
        self.buffers.put(answer);
    }

    /// Gives a client its results; answers it when none is missing.
    fn take_results(
        &mut self,
        turn: &mut Turn<'_, N>,
        member: &Member,
        results: &[Span],
        answer: &Buffer,
        now: Instant,
    ) {
        let Some(batching) = &mut self.batching else { return };
        let Some(ticket) = batching.tickets.get_mut(member.ticket) else { return };
        let Stage::Queued(queued) = &mut ticket.stage else { return };
        let (results, answers) = match &member.sequences {
            Sequences::All => (results, answer.as_slice()),
            Sequences::Only(positions) => {
                let before = queued.answers.capacity();
                queued.take(positions, results, answer.as_slice());
                let grown = queued.answers.capacity() - before;
                let missing = queued.missing;
                ticket.held += grown;
                batching.room.add(grown);
                if missing > 0 {
                    if batching.room.is_overfull() {
                        self.refuse_for_room(turn, member.ticket);
                    }
                    return;
                }
                (&queued.results[..], &queued.answers[..])
            }
        };
        let Some(shape) = batching.keys.shape(queued.key) else { return };
        let mut body = std::mem::take(&mut batching.body);
        body.clear();
        let latency_ms = (now - ticket.arrived).as_millis() as u64;
        write_answer(shape, results.iter().map(|span| span.of_body(answers)), latency_ms, &mut body);
        self.answer(turn, member.ticket, Answer::json(200, &body));
        if let Some(batching) = self.batching.as_mut().filter(|_| body.capacity() <= 2 * LARGE_BYTES) {
            batching.body = body;
        }
    }

    /// The classifier answered with an error: a single request gets it as it is, several are told apart by halves.
    fn classifier_refused(&mut self, turn: &mut Turn<'_, N>, call: Call, status: u16, now: Instant) {
        let Some(batching) = &mut self.batching else { return };
        let Call { batch, members, answer, content_type, .. } = call;
        if batch.has_several_jobs() {
            self.buffers.put(answer);
            let batch = match batching.queue.halve(batch, now) {
                Ok(()) => return,
                Err(batch) => batch,
            };
            batching.queue.finished(batch, BatchOutcome::Failed, now);
            let detail = format!("the classifier answered {status} to a batch of several requests");
            let fault =
                Fault { status: 502, reason: "upstream-malformed", detail: &detail, blames_classifier: true };
            return self.fail_members(turn, &members, &fault);
        }
        batching.queue.finished(batch, BatchOutcome::Failed, now);
        let content_type = content_type.as_deref().unwrap_or("application/octet-stream");
        for ticket in distinct(&members) {
            self.answer(turn, ticket, Answer::whole(status, content_type, answer.as_slice()));
        }
        self.buffers.put(answer);
    }

    /// The batch goes to another classifier.
    pub(in crate::proxy) fn batch_moved(&mut self, id: CallId, classifier: BackendId) {
        let Some(batching) = &mut self.batching else { return };
        let Some(call) = batching.calls.get(id) else { return };
        for member in &call.members {
            if let Some(Stage::Queued(queued)) = batching.tickets.get_mut(member.ticket).map(|t| &mut t.stage)
            {
                queued.classifier = Some(classifier);
            }
        }
    }

    /// The exchange with the classifier has failed.
    pub(in crate::proxy) fn batch_failed(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: CallId,
        failure: Failure,
        now: Instant,
    ) {
        let Some(batching) = &mut self.batching else { return };
        let Some(call) = batching.remove_call(id) else { return };
        if failure == Failure::NoRoom {
            // The classifier would answer; so long an answer is expected next time.
            batching.queue.again(call.batch, now);
            return self.buffers.put(call.answer);
        }
        batching.queue.finished(call.batch, BatchOutcome::Failed, now);
        self.buffers.put(call.answer);
        self.fail_for(turn, &call.members, failure);
    }

    /// No classifier may be chosen: the batch has failed before it was sent.
    pub(super) fn batch_unsent(&mut self, turn: &mut Turn<'_, N>, batch: Batch, now: Instant) {
        let Some(batching) = &mut self.batching else { return };
        let members = batching.members(&batch, None);
        batching.queue.finished(batch, BatchOutcome::Failed, now);
        self.fail_for(turn, &members, Failure::NoBackend);
    }

    fn fail_for(&mut self, turn: &mut Turn<'_, N>, members: &[Member], failure: Failure) {
        let row = failure.consequence();
        let status = match failure {
            // The contract: no connection to a classifier is no service, not a bad gateway.
            Failure::UpstreamRefused | Failure::ConnectTimeout => 503,
            _ => row.status,
        };
        let fault = Fault {
            status,
            reason: row.reason.unwrap_or("upstream-malformed"),
            detail: &row.detail.replace("backend", "classifier"),
            blames_classifier: row.blames_backend,
        };
        self.fail_members(turn, members, &fault);
    }

    fn fail_members(&mut self, turn: &mut Turn<'_, N>, members: &[Member], fault: &Fault<'_>) {
        log::debug!("a batch of {} requests failed: {}", members.len(), fault.detail);
        for ticket in distinct(members) {
            let answer = Answer::refusal(fault.status, fault.detail).with_reason(fault.reason);
            let answer = if fault.blames_classifier { answer.blaming() } else { answer };
            self.answer(turn, ticket, answer);
        }
    }
}

/// The requests of a batch, each once.
pub(super) fn distinct(members: &[Member]) -> Vec<TicketId> {
    let mut tickets: Vec<TicketId> = Vec::with_capacity(members.len());
    for member in members {
        if !tickets.contains(&member.ticket) {
            tickets.push(member.ticket);
        }
    }
    tickets
}

impl Batching {
    /// A call is over.
    fn remove_call(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(id)?;
        self.room.call_over(call.held, call.answer.capacity());
        self.stirred = true;
        Some(call)
    }
}

impl Queued {
    /// Copies results to the positions of the sequences that they are for.
    fn take(&mut self, positions: &[usize], results: &[Span], answer: &[u8]) {
        self.results.resize(self.elements.len(), Span::default());
        for (&position, span) in positions.iter().zip(results) {
            let start = self.answers.len() as u32;
            self.answers.extend_from_slice(span.of_body(answer));
            let end = self.answers.len() as u32;
            self.results[position] = Span { start, end };
            self.missing -= 1;
        }
    }
}
