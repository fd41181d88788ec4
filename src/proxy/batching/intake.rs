//! Requests that are ours to answer: which they are, and reading them.
//!
//! Here: from a request head to a job of the queue. Not here: what is answered (`outcome.rs`, `control.rs`). Floor 3.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::{Ask, Classify, MAX_BODY_BYTES, Queued, Stage, Ticket};
use crate::batch::Refused;
use crate::buffer::Buffer;
use crate::codec::{HeadKey, parse};
use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::reply::CONTINUE;
use crate::h1::request::RequestHead;
use crate::h1::request_id::IdField;
use crate::h1::via;
use crate::h1::{BodyLength, Version};
use crate::net::{Net, send};
use crate::proxy::client::ClientState;
use crate::proxy::failure::Failure;
use crate::proxy::{ClientId, Proxy, TicketId, Timer, Turn};
use crate::record::trace::Trace;
use crate::time::Instant;

/// The longest patience that a client may state.
const MAX_PATIENCE_MS: u64 = 24 * 3600 * 1000;

/// The longest body of a request that is not to be classified: a strategy's name at most.
const MOST_OTHER_BYTES: usize = 64 * 1024;

/// The longest name of a customer, in bytes: thousands of them are kept.
const MOST_NAME_BYTES: usize = 256;

/// How much of a client's own text an answer repeats, in characters.
const MOST_SHOWN: usize = 64;

/// A request that is ours to answer, as its head tells.
pub(in crate::proxy) struct Intake {
    /// Length of the head.
    pub(in crate::proxy) len: usize,
    ask: Ask,
    body: BodyLength,
    expects_continue: bool,
    version: Version,
    to_head: bool,
    keep: bool,
    id: Option<IdField>,
    trace: Option<Box<Trace>>,
}

impl Ask {
    /// How long the body may be, if that of a request to be classified may have `most` bytes.
    fn most_body(&self, most: usize) -> usize {
        match self {
            Ask::Classify(_) => most,
            Ask::SetStrategy(_) | Ask::GetStrategy | Ask::Docs | Ask::Refused(..) => {
                most.min(MOST_OTHER_BYTES)
            }
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Whether the request is ours to answer; then what it asks for.
    pub(in crate::proxy) fn take_in(
        &mut self,
        turn: &Turn<'_, N>,
        id: ClientId,
        head: &RequestHead<'_, '_>,
    ) -> Option<Box<Intake>> {
        let batching = self.batching.as_ref()?;
        let target = head.target.text()?;
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let ask = match (path, head.method) {
            ("/strategy", "GET" | "HEAD") => Ask::GetStrategy,
            ("/strategy", "POST") => self.ask_for_strategy(id, head, query),
            ("/strategy", _) => Ask::Refused(405, "use GET or POST".to_owned(), "Allow: GET, HEAD, POST\r\n"),
            ("/docs", "GET" | "HEAD") => Ask::Docs,
            ("/docs", _) => Ask::Refused(405, "use GET".to_owned(), "Allow: GET, HEAD\r\n"),
            (_, method) => {
                let shape = batching.options.shapes.find(path)?;
                match (method, patience(head), customer(head)) {
                    ("POST", Ok(patience), Ok(customer)) => Ask::Classify(Classify {
                        head: HeadKey::new(shape, target, head.fields).come_by(&via::others(head)),
                        shape: Arc::clone(shape),
                        customer,
                        patience,
                    }),
                    ("POST", Err(detail), _) => Ask::Refused(400, detail, ""),
                    ("POST", _, Err(detail)) => Ask::Refused(431, detail, ""),
                    _ => Ask::Refused(405, "use POST".to_owned(), "Allow: POST\r\n"),
                }
            }
        };
        self.tracer.identify(head);
        let trace = self.clients.get(id).filter(|_| self.tracer.is_on());
        let trace = trace.map(|client| Box::new(*self.tracer.head_read(id, client, head, turn.now())));
        let keep = head.persistence == Persistence::KeepAlive && self.serves_another(id, turn.now());
        Some(Box::new(Intake {
            id: self.tracer.id(),
            trace,
            len: head.len,
            ask,
            body: head.body,
            expects_continue: head.expects_continue(),
            version: head.version,
            to_head: head.is_head(),
            keep,
        }))
    }

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
        client.deadline.set(turn.timers, now + self.options.body_timeout, Timer::Client(id));
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
            client_entry.deadline.set(turn.timers, now + self.options.body_timeout, Timer::Client(client));
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
        let job = match batching.queue.push(&classify.customer, key, &batching.lengths, now) {
            Ok(job) => job,
            Err(refused) => {
                batching.keys.release(key);
                self.buffers.put(body);
                return self.refuse_job(turn, id, refused);
            }
        };
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
        let Stage::Queued(queued) = &ticket.stage else {
            let detail = "the request body did not arrive in time";
            return self.answer(turn, id, Answer::refusal(408, detail).closing());
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

    /// Whether the body of such a request is still coming.
    pub(in crate::proxy) fn gathers(&self, id: TicketId) -> bool {
        let ticket = self.batching.as_ref().and_then(|b| b.tickets.get(id));
        ticket.is_some_and(|t| matches!(t.stage, Stage::Gathering { .. }))
    }
}

/// The contract: any case, trimmed and lower-cased; absent or empty is `default`. The limit is on the name as it is kept:
/// what is no UTF-8 grows when it is replaced.
fn customer(head: &RequestHead<'_, '_>) -> Result<Cow<'static, str>, String> {
    let field = head.fields.iter().find(|f| f.name.eq_ignore_ascii_case("x-customer-id"));
    let name = field.map(|f| String::from_utf8_lossy(f.value).trim().to_lowercase()).unwrap_or_default();
    match name.len() {
        0 => Ok(Cow::Borrowed("default")),
        1..=MOST_NAME_BYTES => Ok(Cow::Owned(name)),
        n => Err(format!("the name in X-Customer-Id has {n} bytes, more than {MOST_NAME_BYTES}")),
    }
}

/// `X-Request-Timeout-Ms`.
fn patience(head: &RequestHead<'_, '_>) -> Result<Option<Duration>, String> {
    let Some(field) = head.fields.iter().find(|f| f.name.eq_ignore_ascii_case("x-request-timeout-ms")) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(field.value);
    match text.parse() {
        Ok(ms @ 1..=MAX_PATIENCE_MS) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(format!(
            "X-Request-Timeout-Ms: `{}` is not a whole number of milliseconds from 1 to {MAX_PATIENCE_MS}",
            excerpt(&text)
        )),
    }
}

/// The beginning of a client's text, as an answer may repeat it.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(MOST_SHOWN).collect::<String>().escape_default().to_string()
}
