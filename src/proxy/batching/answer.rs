//! Answers to requests that are ours.
//!
//! Here: [`Answer`], the one way in which such a request ends with a word to its client: the job is forgotten, the row
//! written, the connection kept or not. Not here: what is answered (`outcome.rs`, `control.rs`, `intake.rs`). Floor 3.

use super::{LARGE_BYTES, Queued, Stage, Ticket};
use crate::balance::BackendId;
use crate::codec::write_detail;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Content;
use crate::net::{Net, send};
use crate::proxy::client::After;
use crate::proxy::{ClientId, Proxy, TicketId, Turn};
use crate::record::{Averages, Mode, Record};
use crate::time::Instant;

/// What a client is told.
pub(super) struct Answer<'a> {
    status: u16,
    content_type: &'a str,
    body: Body<'a>,
    reason: Option<&'static str>,
    /// Further lines of the head.
    fields: &'a str,
    /// The classifier failed.
    failed: bool,
    /// Where the next request begins is not known.
    closing: bool,
}

/// A body, or what it is made of.
enum Body<'a> {
    Whole(&'a [u8]),
    /// `{"detail": …}`.
    Detail(&'a str),
}

const JSON: &str = "application/json";

/// The failure of a request alone in its batch that the classifier itself refused.
const REFUSED: &str = "classifier-refused";

impl<'a> Answer<'a> {
    /// A body of that type.
    pub(super) fn whole(status: u16, content_type: &'a str, body: &'a [u8]) -> Answer<'a> {
        let body = Body::Whole(body);
        Answer { status, content_type, body, reason: None, fields: "", failed: false, closing: false }
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: &'a [u8]) -> Answer<'a> {
        Answer::whole(status, JSON, body)
    }

    /// An error, as `{"detail": …}`.
    pub(super) fn refusal(status: u16, detail: &'a str) -> Answer<'a> {
        Answer { body: Body::Detail(detail), ..Answer::json(status, b"") }
    }

    /// With the word in `X-Tidegate-Reason`.
    pub(super) fn with_reason(self, reason: &'static str) -> Answer<'a> {
        Answer { reason: Some(reason), ..self }
    }

    /// With these lines in the head.
    pub(super) fn with_fields(self, fields: &'a str) -> Answer<'a> {
        Answer { fields, ..self }
    }

    /// On the classifier's account.
    pub(super) fn blaming(self) -> Answer<'a> {
        Answer { failed: true, ..self }
    }

    /// The connection closes after it.
    pub(super) fn closing(self) -> Answer<'a> {
        Answer { closing: true, ..self }
    }
}

impl<N: Net> Proxy<N> {
    /// Ends the request with a word to its client.
    pub(super) fn answer(&mut self, turn: &mut Turn<'_, N>, id: TicketId, answer: Answer<'_>) {
        let now = turn.now();
        let Some(ticket) = self.remove_ticket(id, now) else { return };
        let (classifier, record) = match &ticket.stage {
            Stage::Queued(Queued { classifier, .. }) => {
                let record = self.record_job(turn, &ticket, *classifier, answer.status, answer.failed, now);
                (*classifier, record)
            }
            Stage::Gathering(_) | Stage::Asked => (None, None),
        };
        if let (Some(reason), Some(batching)) = (answer.reason, &mut self.batching) {
            *batching.rejections.entry(reason).or_default() += 1;
        }
        let keep = ticket.keep && !answer.closing && !self.is_draining();
        let mut detail = Vec::new();
        let body = match answer.body {
            Body::Whole(body) => body,
            Body::Detail(text) => {
                write_detail(text, &mut detail);
                &detail
            }
        };
        let mut fields = match answer.reason {
            Some(reason) => format!("X-Tidegate-Reason: {reason}\r\n{}", answer.fields),
            None => answer.fields.to_owned(),
        };
        let authority = classifier.map(|id| self.servers.target(id).authority.as_str());
        fields += &self.tracer.reply_lines(ticket.id.as_ref(), ticket.trace.as_deref(), authority, now);
        // What is large is not copied.
        let apart = if ticket.to_head || body.len() <= LARGE_BYTES { &[][..] } else { body };
        let content = Content {
            status: answer.status,
            content_type: answer.content_type,
            body,
            fields: &fields,
            to_head: ticket.to_head || !apart.is_empty(),
            version: ticket.version,
            persistence: if keep { Persistence::KeepAlive } else { Persistence::Close },
        };
        self.head.clear();
        content.write(self.date.at(turn.net.wall(now)), &mut self.head);
        if let Some(record) = record.filter(|_| self.tracer.logs()) {
            let failure = answer.reason.or((answer.status >= 400).then_some(REFUSED));
            self.trace_job(turn, &ticket, record, self.head.len() + apart.len(), failure);
        }
        let after = match keep {
            true => After::KeepAlive,
            false if answer.closing => After::Linger,
            false => After::Close,
        };
        let Some(client) = self.clients.get_mut(ticket.client) else { return };
        let parts = [&self.head[..], &[], apart, &[]];
        match send(&mut client.stream, &mut client.unsent, &mut self.buffers, parts) {
            Ok(()) if client.unsent.is_some() => {
                self.conclude_at(turn, ticket.client, after, now);
                self.is_unread(turn, ticket.client);
            }
            Ok(()) => self.conclude_at(turn, ticket.client, after, now),
            Err(_) => self.close_client(turn, ticket.client),
        }
    }

    /// An answer waits for its client to read it. If there is too much of that, whoever has most is cut off.
    #[cold]
    fn is_unread(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(bytes) = self.clients.get(id).and_then(|c| Some(c.unsent.as_ref()?.capacity())) else {
            return;
        };
        let Some(batching) = &mut self.batching else { return };
        batching.room.unread.insert(id, bytes);
        while let Some(batching) = &mut self.batching
            && batching.room.has_too_much_unread()
            && let Some(most) = batching.room.unread.most()
        {
            *batching.rejections.entry("answer-unread").or_default() += 1;
            batching.room.unread.remove(most);
            self.close_client(turn, most);
        }
    }

    /// A client has read all there was for it, or is gone.
    #[inline(always)]
    pub(in crate::proxy) fn has_read(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        if let Some(batching) = &mut self.batching
            && batching.room.unread.len() > 0
        {
            batching.room.unread.remove(id);
            self.tell_soon(turn);
        }
    }

    /// Forgets the request: its job is taken out of the queue, and work that is not sent yet never will be.
    pub(super) fn remove_ticket(&mut self, id: TicketId, now: Instant) -> Option<Ticket> {
        let batching = self.batching.as_mut()?;
        let mut ticket = batching.tickets.remove(id)?;
        batching.room.give_back(ticket.held);
        match &mut ticket.stage {
            Stage::Asked => {}
            Stage::Gathering(gathering) => self.buffers.put(std::mem::take(&mut gathering.body)),
            Stage::Queued(queued) => {
                self.buffers.put(std::mem::take(&mut queued.body));
                batching.by_job.remove(queued.job);
                let before = batching.keys.bytes();
                batching.keys.release(queued.key);
                batching.room.give_back(before - batching.keys.bytes());
                batching.queue.cancel(queued.job, now);
                batching.stirred = true;
            }
        }
        Some(ticket)
    }

    /// The line of a request that was a job, and this was its record.
    pub(super) fn trace_job(
        &mut self,
        turn: &Turn<'_, N>,
        ticket: &Ticket,
        record: Record,
        told: usize,
        failure: Option<&'static str>,
    ) {
        let Some(mut trace) = ticket.trace.as_deref().copied() else { return };
        trace.phases.done = turn.now();
        trace.bytes_out = told as u64;
        trace.failure = failure;
        self.recorder.push_trace(record, &trace);
    }

    /// The row of a request that was a job.
    pub(super) fn record_job(
        &mut self,
        turn: &mut Turn<'_, N>,
        ticket: &Ticket,
        classifier: Option<BackendId>,
        status: u16,
        failed: bool,
        now: Instant,
    ) -> Option<Record> {
        let batching = self.batching.as_ref()?;
        let record = Record {
            ended: turn.net.wall(now),
            latency_ns: now.nanos_since(ticket.arrived).max(1),
            backend: classifier,
            status,
            mode: Mode::Strategy(batching.queue.strategy()),
            failed,
            reused: false,
            connect_us: 0,
            averages: Averages::UNMEASURED,
        };
        self.recorder.push(record);
        self.arm_flush(turn, now);
        Some(record)
    }
}
