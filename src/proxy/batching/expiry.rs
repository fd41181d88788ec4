//! Requests that end before they have their results.
//!
//! Here: their clients leave, their time is over, or the time for draining is. Not here: what becomes of a batch
//! (`outcome.rs`). Floor 3.

use super::Stage;
use super::answer::Answer;
use crate::net::Net;
use crate::proxy::failure::Failure;
use crate::proxy::{Proxy, TicketId, Timer, Turn};

impl<N: Net> Proxy<N> {
    /// The client of a request that is ours to answer has left.
    pub(in crate::proxy) fn ask_abandoned(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let now = turn.now();
        let Some(ticket) = self.remove_ticket(id, now) else { return };
        if let Stage::Queued(queued) = &ticket.stage {
            self.counters.cancelled_batched += 1;
            let status = Failure::ClientGone.consequence().status;
            if let Some(record) = self.record_job(turn, &ticket, queued.classifier, status, false, now) {
                self.trace_job(turn, &ticket, record, 0, Some(Failure::ClientGone.name()));
            }
        }
    }

    /// The time of such a request is over, or not yet if it is on its way.
    pub(in crate::proxy) fn ask_expired(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let now = turn.now();
        let Some(batching) = &mut self.batching else { return };
        let Some(ticket) = batching.tickets.get(id) else { return };
        if matches!(&ticket.stage, Stage::Gathering(gathering) if gathering.paused) {
            return self.refuse_for_room(turn, id);
        }
        let Stage::Queued(queued) = &ticket.stage else {
            return self.body_is_late(turn, id);
        };
        if queued.answered_by <= now {
            let detail = "not answered within the time that the client allowed";
            return self.answer(turn, id, Answer::refusal(504, detail).with_reason("client-deadline"));
        }
        if queued.unsent > 0 {
            let detail = "not sent to the classifier in time; the queue is too long";
            return self.answer(turn, id, Answer::refusal(504, detail).with_reason("queue-timeout"));
        }
        // It is with the classifier, which has a deadline of its own.
        let client_id = ticket.client;
        let next = queued.answered_by.min(now + batching.options.classifier_timeout);
        if let Some(client) = self.clients.get_mut(client_id) {
            client.deadline.set(turn.timers, next, Timer::Client(client_id));
        }
    }

    /// The body of a request that is ours to answer has not come in time.
    #[cold]
    fn body_is_late(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let ticket = self.batching.as_ref().and_then(|batching| batching.tickets.get(id));
        let client = ticket.and_then(|ticket| self.clients.get(ticket.client));
        let failure = match client.is_some_and(|client| client.send_time.is_short(&self.options)) {
            true => Failure::ClientTooSlow,
            false => Failure::ClientBodyTimeout,
        };
        let row = failure.consequence();
        let answer = Answer::refusal(row.status, row.detail).closing();
        match row.reason {
            Some(reason) => self.answer(turn, id, answer.with_reason(reason)),
            None => self.answer(turn, id, answer),
        }
    }

    /// The drain limit has passed.
    pub(in crate::proxy) fn cut_off_jobs(&mut self, turn: &mut Turn<'_, N>) {
        let Some(batching) = &self.batching else { return };
        let ids: Vec<TicketId> = batching.tickets.iter().map(|(id, _)| id).collect();
        let row = Failure::DrainLimit.consequence();
        for id in ids {
            let answer = Answer::refusal(row.status, row.detail).with_reason("draining");
            self.answer(turn, id, answer.closing());
        }
    }
}
