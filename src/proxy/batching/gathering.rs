//! Bodies of requests that are ours to answer.
//!
//! Here: reading them, and what follows when they are whole: a job of the queue, or an answer at once. Not here: which
//! requests these are (`intake.rs`), what is answered (`outcome.rs`, `control.rs`). Floor 3.

use super::answer::Answer;
use super::intake::Intake;
use super::room::Claim;
use super::{Ask, Batching, Classify, Gathering, Queued, Stage, Ticket};
use crate::batch::{KeyId, Refused};
use crate::buffer::Buffer;
use crate::codec::{Element, Span, parse};
use crate::h1::BodyLength;
use crate::h1::body::BodyReader;
use crate::h1::reply::CONTINUE;
use crate::net::{Net, send};
use crate::proxy::client::ClientState;
use crate::proxy::slow_clients::SendTime;
use crate::proxy::{ClientId, Proxy, TicketId, Timer, Turn};
use crate::time::Instant;

/// So much is set aside at once for a body that is said to be as long.
const FIRST_BYTES: usize = 64 * 1024;

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
        let mut body = self.buffers.take(expected.min(most).min(FIRST_BYTES));
        body.grow_to(rest.len().min(most));
        let Some(batching) = &mut self.batching else { return 0 };
        let claim = if matches!(intake.ask, Ask::Classify(_)) { Claim::Usual } else { Claim::Last };
        let (held, has_room) = (body.capacity(), batching.room.take(body.capacity(), claim));
        let whole = if expected > 0 { expected.min(most) } else { most };
        let ticket = batching.tickets.insert(Ticket {
            client: id,
            arrived: now,
            version: intake.version,
            to_head: intake.to_head,
            keep: intake.keep,
            stage: Stage::Gathering(Gathering { reader, body, ask: intake.ask, whole, paused: false }),
            held: if has_room { held } else { 0 },
            id: intake.id,
            trace: intake.trace,
        });
        let Some(client) = self.clients.get_mut(id) else { return 0 };
        client.state = ClientState::Asking(ticket);
        client.requests = client.requests.saturating_add(1);
        client.send_time = SendTime::of_body(&self.options);
        self.await_body(turn, id, now);
        if expected > most {
            self.refuse_body(turn, ticket);
            return rest.len();
        }
        if !has_room && !self.make_first_room(turn, ticket, held, claim) {
            return rest.len();
        }
        let Some(client) = self.clients.get_mut(id) else { return 0 };
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
        let Stage::Gathering(Gathering { reader, body, ask, .. }) = &mut ticket.stage else { return 0 };
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
        } else if self.batching.as_ref().is_some_and(|b| b.room.others_wait_for(id)) {
            // It has as long as it takes for a body in all, from when it was let on.
        } else if let Some(client_entry) = self.clients.get_mut(client) {
            client_entry.send_time.gain(piece.consumed, &self.options, now);
            self.await_body(turn, client, now);
        }
        piece.consumed
    }

    /// How long the body of a request to be classified may be.
    fn most_classified(&self) -> usize {
        let largest = self.batching.as_ref().map_or(0, |batching| batching.room.largest());
        usize::try_from(self.options.limits.request.body_bytes).map_or(largest, |n| n.min(largest))
    }

    /// The body is too large. What is refused anyway is told its own reason.
    #[cold]
    fn refuse_body(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let most_classified = self.most_classified();
        let Some(ticket) = self.batching.as_mut().and_then(|b| b.tickets.get_mut(id)) else { return };
        let (status, detail, fields) = match &mut ticket.stage {
            Stage::Gathering(Gathering { ask: Ask::Refused(status, detail, fields), .. }) => {
                (*status, std::mem::take(detail), *fields)
            }
            Stage::Gathering(Gathering { ask, .. }) => {
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
        let Stage::Gathering(gathering) = std::mem::replace(&mut ticket.stage, Stage::Asked) else { return };
        let Gathering { body, ask, .. } = gathering;
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
        let before = batching.keys.bytes();
        let key = batching.keys.intern(parsed.key, &classify.shape);
        // With their lengths, and where the results of parts stand.
        let cut = parsed.elements.capacity() * (size_of::<Element>() + size_of::<u32>() + size_of::<Span>());
        // It has come whole, so that it may take all that is left.
        let known = batching.keys.bytes() - before;
        if !batching.room.take(cut + known, Claim::Last) {
            return self.has_no_room_for_parts(turn, id, key, known, body);
        }
        if let Some(ticket) = batching.tickets.get_mut(id) {
            ticket.held += cut;
        }
        let admitted = match batching.queue.admit(&classify.customer, key, &batching.lengths, now) {
            Ok(admitted) => admitted,
            Err(refused) => {
                let before = batching.keys.bytes();
                batching.keys.release(key);
                batching.room.give_back(before - batching.keys.bytes());
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
        let weight = body.len();
        ticket.stage = Stage::Queued(Queued {
            job,
            key,
            customer: classify.customer,
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
        batching.queue.weigh(job, weight);
        if let Some((other, refused)) = gave_way {
            self.refuse_job(turn, other, refused);
        }
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.deadline.set(turn.timers, sent_by.min(patience), Timer::Client(client_id));
        if client.read_closed {
            self.client_gone(turn, client_id);
        }
    }

    /// There is no room for what the body is cut into, and what it has in common with others.
    #[cold]
    fn has_no_room_for_parts(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        key: KeyId,
        known: usize,
        body: Buffer,
    ) {
        if let Some(batching) = &mut self.batching {
            batching.room.add(known);
            let before = batching.keys.bytes();
            batching.keys.release(key);
            batching.room.give_back(before - batching.keys.bytes());
        }
        self.buffers.put(body);
        self.refuse_for_room(turn, id);
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
}

impl Batching {
    /// Whether the body of that request is still coming.
    pub(super) fn gathers(&self, id: TicketId) -> bool {
        matches!(self.tickets.get(id), Some(ticket) if matches!(ticket.stage, Stage::Gathering(_)))
    }
}
