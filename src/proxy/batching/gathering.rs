//! Bodies of requests that are ours to answer.
//!
//! Here: reading them, and what follows when they are whole: a job of the queue, or an answer at once. Not here: which
//! requests these are (`intake.rs`), what is answered (`outcome.rs`, `control.rs`). Floor 3.

use super::answer::Answer;
use super::intake::Intake;
use super::{Ask, Classify, MAX_BODY_BYTES, Queued, Stage, Ticket};
use crate::batch::Refused;
use crate::buffer::Buffer;
use crate::codec::parse;
use crate::h1::BodyLength;
use crate::h1::body::BodyReader;
use crate::h1::reply::CONTINUE;
use crate::net::{Net, send};
use crate::proxy::client::ClientState;
use crate::proxy::slow_clients::SendTime;
use crate::proxy::{ClientId, Proxy, TicketId, Timer, Turn};
use crate::time::Instant;

impl<N: Net> Proxy<N> {
    /// Begins to read such a request, with what has come of its body in `rest`. Returns how many bytes of `rest`
    /// were body.
    pub(in crate::proxy) fn gather(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ClientId,
        intake: Intake,
        rest: &mut [u8],
    ) -> usize {
        let now = turn.now();
        let (reader, most) = (BodyReader::new(intake.body), intake.ask.most_body(self.most_classified()));
        let expected = match intake.body {
            BodyLength::Exact(n) => usize::try_from(n).unwrap_or(usize::MAX),
            _ => 0,
        };
        let body = self.buffers.take(expected.min(most));
        let Some(batching) = &mut self.batching else { return 0 };
        let ticket = batching.tickets.insert(Ticket {
            client: id,
            arrived: now,
            version: intake.version,
            to_head: intake.to_head,
            keep: intake.keep,
            stage: Stage::Gathering { reader, body, ask: intake.ask },
            id: intake.id,
            trace: intake.trace,
        });
        let Some(client) = self.clients.get_mut(id) else { return 0 };
        client.state = ClientState::Asking(ticket);
        client.requests = client.requests.saturating_add(1);
        client.send_time = SendTime::of_body(&self.options);
        self.await_body(turn, id, now);
        let Some(client) = self.clients.get_mut(id) else { return 0 };
        if expected > most {
            self.refuse_body(turn, ticket);
            return rest.len();
        }
        if intake.expects_continue && rest.is_empty() && !reader.is_done() {
            let parts = [CONTINUE, &[], &[], &[]];
            if send(&mut client.stream, &mut client.unsent, &mut self.buffers, parts).is_err() {
                self.client_gone(turn, id);
                return 0;
            }
        }
        self.ask_bytes(turn, ticket, rest, now)
    }

    /// Bytes of the body, read at `now`. Returns how many of them belong to it.
    pub(in crate::proxy) fn ask_bytes(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        bytes: &mut [u8],
        now: Instant,
    ) -> usize {
        let most_body = self.most_classified();
        let Some(ticket) = self.batching.as_mut().and_then(|b| b.tickets.get_mut(id)) else { return 0 };
        let Stage::Gathering { reader, body, ask } = &mut ticket.stage else { return 0 };
        let most = ask.most_body(most_body);
        let Ok(piece) = reader.read(bytes) else {
            self.answer(turn, id, Answer::refusal(400, "the chunked body is malformed").closing());
            return bytes.len();
        };
        body.push(&bytes[piece.data]);
        if let Some(trace) = &mut ticket.trace {
            trace.bytes_in += piece.consumed as u64;
        }
        let (done, too_large, client) = (reader.is_done(), body.len() > most, ticket.client);
        if too_large {
            self.refuse_body(turn, id);
            return bytes.len();
        }
        if done {
            self.asked(turn, id, now);
        } else if let Some(client_entry) = self.clients.get_mut(client) {
            client_entry.send_time.gain(piece.consumed, &self.options, now);
            self.await_body(turn, client, now);
        }
        piece.consumed
    }

    /// How long the body of a request to be classified may be.
    fn most_classified(&self) -> usize {
        usize::try_from(self.options.limits.request.body_bytes)
            .map_or(MAX_BODY_BYTES, |n| n.min(MAX_BODY_BYTES))
    }

    /// The body is too large. What is refused anyway is told its own reason.
    #[cold]
    fn refuse_body(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let most_classified = self.most_classified();
        let Some(ticket) = self.batching.as_mut().and_then(|b| b.tickets.get_mut(id)) else { return };
        let (status, detail, fields) = match &mut ticket.stage {
            Stage::Gathering { ask: Ask::Refused(status, detail, fields), .. } => {
                (*status, std::mem::take(detail), *fields)
            }
            Stage::Gathering { ask, .. } => {
                let most = ask.most_body(most_classified);
                (413, format!("the body is larger than {most} bytes"), "")
            }
            Stage::Asked | Stage::Queued(_) => return,
        };
        self.answer(turn, id, Answer::refusal(status, &detail).with_fields(fields).closing());
    }

    /// The request is whole.
    fn asked(&mut self, turn: &mut Turn<'_, N>, id: TicketId, now: Instant) {
        let Some(ticket) = self.batching.as_mut().and_then(|b| b.tickets.get_mut(id)) else { return };
        let Stage::Gathering { body, ask, .. } = std::mem::replace(&mut ticket.stage, Stage::Asked) else {
            return;
        };
        match ask {
            Ask::Classify(classify) => return self.enqueue(turn, id, classify, body, now),
            Ask::SetStrategy(named) => self.take_strategy(turn, id, named, body.as_slice()),
            Ask::GetStrategy => self.tell_strategy(turn, id),
            Ask::Docs => self.tell_docs(turn, id),
            Ask::Refused(status, detail, fields) => {
                self.answer(turn, id, Answer::refusal(status, &detail).with_fields(fields));
            }
        }
        self.buffers.put(body);
    }

    fn enqueue(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        classify: Classify,
        body: Buffer,
        now: Instant,
    ) {
        let Some(batching) = &mut self.batching else { return self.buffers.put(body) };
        let cap = batching.options.queue.batch_size;
        let parsed = match parse(body.as_slice(), &classify.shape, cap, classify.head) {
            Ok(parsed) => parsed,
            Err(e) => {
                self.buffers.put(body);
                return self.answer(turn, id, Answer::refusal(e.status(), &e.to_string()));
            }
        };
        batching.lengths.clear();
        batching.lengths.extend(parsed.elements.iter().map(|e| e.length));
        let key = batching.keys.intern(parsed.key, &classify.shape);
        let admitted = match batching.queue.admit(&classify.customer, key, &batching.lengths, now) {
            Ok(admitted) => admitted,
            Err(refused) => {
                batching.keys.release(key);
                self.buffers.put(body);
                return self.refuse_job(turn, id, refused);
            }
        };
        let job = admitted.job;
        // Before this job is known, which may have the other's index.
        let gave_way = admitted.gave_way.and_then(|g| Some((batching.by_job.get(g.job)?, g.refused)));
        batching.by_job.insert(job, id);
        batching.stirred = true;
        self.begun += 1;
        self.arm_flush(turn, now);
        let Some(batching) = &mut self.batching else { return };
        let Some(ticket) = batching.tickets.get_mut(id) else { return };
        let patience = classify.patience.map_or(Instant::NEVER, |p| ticket.arrived + p);
        let sent_by = ticket.arrived + batching.options.queue_timeout;
        let elements = parsed.elements;
        if let Some(trace) = &mut ticket.trace {
            trace.phases.received = now;
        }
        ticket.stage = Stage::Queued(Queued {
            job,
            key,
            body,
            answers: Vec::new(),
            results: Vec::new(),
            missing: elements.len(),
            unsent: elements.len(),
            elements,
            classifier: None,
            answered_by: patience,
        });
        let client_id = ticket.client;
        if let Some((other, refused)) = gave_way {
            self.refuse_job(turn, other, refused);
        }
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.deadline.set(turn.timers, sent_by.min(patience), Timer::Client(client_id));
        if client.read_closed {
            self.client_gone(turn, client_id);
        }
    }

    fn refuse_job(&mut self, turn: &mut Turn<'_, N>, id: TicketId, refused: Refused) {
        let detail = refused.to_string();
        match refused {
            Refused::Full { retry_after_s } => {
                let fields = format!("Retry-After: {retry_after_s}\r\n");
                let answer = Answer::refusal(429, &detail).with_reason("queue-full").with_fields(&fields);
                self.answer(turn, id, answer);
            }
            Refused::Size { .. } => self.answer(turn, id, Answer::refusal(400, &detail)),
        }
    }

    /// Whether the body of such a request is still coming.
    pub(in crate::proxy) fn gathers(&self, id: TicketId) -> bool {
        let ticket = self.batching.as_ref().and_then(|b| b.tickets.get(id));
        ticket.is_some_and(|t| matches!(t.stage, Stage::Gathering { .. }))
    }
}
