//! Where batching meets HTTP: clients' requests in, batches to a classifier, each client its own results.
//!
//! Here: what is known of a request that is batched ([`Ticket`]) and of a batch on its way ([`Call`]), and which
//! requests are ours to answer. `intake.rs` tells these by their heads, `gathering.rs` reads their bodies, `dispatch.rs`
//! sends batches, `outcome.rs` shares out what comes back, `expiry.rs` ends what got no result, `control.rs` answers
//! `/strategy` and `/docs`, `answer.rs` writes to the client; `keys.rs` numbers what requests must have in common,
//! `by_job.rs` finds tickets. Not here: which jobs go together and when (`batch/`), bodies (`codec/`), the connection to
//! the classifier, which carries a batch as any exchange (`forward.rs`, `upstream.rs`). Floor 3.

mod answer;
mod by_job;
mod check;
mod control;
mod dispatch;
mod expiry;
mod gathering;
mod holders;
mod intake;
mod keys;
mod outcome;
mod resuming;
mod room;
mod unread;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Backend, CallId, ClientId, Proxy, TicketId};
use crate::balance::BackendId;
use crate::batch::{Batch, JobId, KeyId, Queue, QueueOptions, Sequences, StrategyName};
use crate::buffer::Buffer;
use crate::codec::{Element, HeadKey, Shape, Shapes, Span};
use crate::deadline::Deadline;
use crate::h1::Version;
use crate::h1::body::BodyReader;
use crate::h1::request_id::IdField;
use crate::net::Net;
use crate::record::trace::Trace;
use crate::slots::Slots;
use crate::telemetry::{BatchingState, CUSTOMERS_TOLD};
use crate::time::Instant;

use by_job::ByJob;
use holders::Holders;
use keys::Keys;
use room::Room;

/// What the proxy is told of batching.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    /// The servers that take batches; at least one.
    pub classifiers: Vec<Backend>,
    /// Strategy, sizes and bounds.
    pub queue: QueueOptions,
    /// How long a classifier may take for a batch, from sending it to the last byte of its answer.
    pub classifier_timeout: Duration,
    /// How long a request may wait until it is sent.
    pub queue_timeout: Duration,
    /// How many bytes may be set aside for bodies that are coming, that wait and that are in flight.
    pub queue_bytes: usize,
    /// Whether a client that is not on loopback may change the strategy.
    pub strategy_from_any: bool,
    /// Which requests are batched, and what they look like.
    pub shapes: Shapes,
}

/// What a proxy with a classifier knows.
pub(super) struct Batching {
    options: BatchOptions,
    queue: Queue,
    tickets: Slots<Ticket>,
    /// The tickets of the jobs that the queue knows.
    by_job: ByJob,
    calls: Slots<Call>,
    keys: Keys,
    room: Room,
    holders: Holders,
    /// The body being merged, or the answer being written.
    body: Vec<u8>,
    /// The lengths of a job's elements; kept for its memory.
    lengths: Vec<u32>,
    /// When the queue wants to be asked again.
    wake: Deadline,
    /// Something has changed that may let a batch go.
    stirred: bool,
    /// Requests that got no result, by the reason that their client was told.
    rejections: BTreeMap<&'static str, u64>,
}

impl Batching {
    pub(super) fn new(options: BatchOptions) -> Batching {
        let (mut queue, room) = (Queue::new(options.queue.clone()), Room::new(options.queue_bytes));
        queue.set_batch_bytes(room.largest());
        Batching {
            queue,
            tickets: Slots::default(),
            by_job: ByJob::default(),
            calls: Slots::default(),
            keys: Keys::default(),
            room,
            holders: Holders::default(),
            body: Vec::new(),
            lengths: Vec::new(),
            wake: Deadline::default(),
            stirred: false,
            rejections: BTreeMap::new(),
            options,
        }
    }

    /// Goes on with other limits; what has been queued keeps its own.
    pub(super) fn change(&mut self, options: BatchOptions) {
        self.queue.set_limit(options.queue.limit);
        self.room.set_limit(options.queue_bytes);
        self.queue.set_batch_bytes(self.room.largest());
        self.options = options;
    }

    /// Whether a request that waits says anything of this server.
    pub(super) fn mentions(&self, id: BackendId) -> bool {
        self.tickets.iter().any(|(_, ticket)| {
            let tried = matches!(&ticket.stage, Stage::Queued(queued) if queued.classifier == Some(id));
            tried || ticket.trace.as_ref().is_some_and(|trace| trace.mentions(id))
        })
    }

    /// Something has changed that may let a batch go.
    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    /// Returns the strategy before.
    pub(super) fn set_strategy(&mut self, strategy: StrategyName, now: Instant) -> StrategyName {
        let before = self.queue.strategy();
        self.queue.set_strategy(strategy, now);
        self.stir();
        before
    }

    /// Whether a timer is set for the queue.
    pub(super) fn is_armed(&self) -> bool {
        self.wake.is_armed()
    }

    /// Nothing is waited for any more.
    pub(super) fn drain(&mut self) {
        self.queue.drain();
        self.stirred = true;
    }

    /// What telemetry is told.
    pub(super) fn state(&self, now: Instant) -> BatchingState {
        let queue = &self.queue;
        let mut all: Vec<_> = queue.customers().collect();
        all.sort_by(|a, b| b.1.work.cmp(&a.1.work).then_with(|| a.0.cmp(b.0)));
        let mut other_customers = queue.other_customers();
        all.drain(CUSTOMERS_TOLD.min(all.len())..).for_each(|(_, figures)| other_customers.add(figures));
        BatchingState {
            strategy: queue.strategy(),
            depth: queue.depth(),
            in_flight: queue.in_flight(),
            most_in_flight: queue.most_in_flight(),
            oldest_age: queue.oldest_age(now),
            figures: queue.figures().clone(),
            service: queue.service_estimate(),
            customers: all.into_iter().map(|(name, figures)| (name.to_owned(), figures)).collect(),
            other_customers,
            rejections: self.rejections.clone(),
            bytes: self.room.held(),
            bytes_limit: self.room.limit(),
            bytes_made: self.room.calls() + self.room.unread.bytes(),
        }
    }

    /// Calls `each` with the trace of every request that has a part in the batch.
    pub(super) fn trace_members(&mut self, call: CallId, mut each: impl FnMut(&mut Trace)) {
        let members = self.calls.get(call).map(|call| call.members.as_slice()).unwrap_or_default();
        for member in members {
            if let Some(trace) = self.tickets.get_mut(member.ticket).and_then(|ticket| ticket.trace.as_mut())
            {
                each(trace);
            }
        }
    }
}

/// A client's request that is ours to answer.
struct Ticket {
    client: ClientId,
    arrived: Instant,
    version: Version,
    to_head: bool,
    /// Whether the client's connection may be kept.
    keep: bool,
    stage: Stage,
    /// How many bytes of the room it takes.
    held: usize,
    id: Option<IdField>,
    /// While traces are filled.
    trace: Option<Box<Trace>>,
}

/// How far it has come.
enum Stage {
    /// Its body is coming.
    Gathering(Gathering),
    /// It is whole, and being looked at.
    Asked,
    /// It is a job of the queue.
    Queued(Queued),
}

/// A body that is coming.
struct Gathering {
    reader: BodyReader,
    body: Buffer,
    ask: Ask,
    /// How long it is to become, or may become.
    whole: usize,
    /// It is not read on until there is room.
    paused: bool,
}

/// What is asked for.
enum Ask {
    Classify(Classify),
    /// `POST /strategy`, with the name in the query if it is there.
    SetStrategy(Option<String>),
    GetStrategy,
    Docs,
    /// Not to be had: status, detail, further fields.
    Refused(u16, String, &'static str),
}

/// A request for the classifier, before its body is read.
struct Classify {
    head: HeadKey,
    shape: Arc<Shape>,
    customer: Cow<'static, str>,
    /// What the client allows from arrival to answer.
    patience: Option<Duration>,
}

/// A job, and what of its answer has come.
struct Queued {
    job: JobId,
    key: KeyId,
    customer: Cow<'static, str>,
    body: Buffer,
    elements: Vec<Element>,
    /// If the job is split: results as they came, and where each stands; one that is missing is empty.
    answers: Vec<u8>,
    results: Vec<Span>,
    missing: usize,
    /// How many elements have not been sent yet.
    unsent: usize,
    /// The classifier that was tried last.
    classifier: Option<BackendId>,
    /// Until when it must be answered, if its client said so.
    answered_by: Instant,
}

/// A batch on its way.
struct Call {
    batch: Batch,
    members: Vec<Member>,
    sent: Instant,
    answer: Buffer,
    /// How many bytes its message and its answer take, and how many of these the answer may.
    held: usize,
    reserved: usize,
    content_type: Option<String>,
}

/// Whose sequences a batch carries, as they were sent.
struct Member {
    ticket: TicketId,
    sequences: Sequences,
    count: usize,
}

impl Queued {
    /// How many elements `sequences` are.
    fn count(&self, sequences: &Sequences) -> usize {
        match sequences {
            Sequences::All => self.elements.len(),
            Sequences::Only(positions) => positions.len(),
        }
    }

    /// Those elements, as they stand in the body.
    fn slices<'a>(&'a self, sequences: &'a Sequences) -> impl Iterator<Item = &'a [u8]> {
        let positions = (0..self.count(sequences)).map(move |i| match sequences {
            Sequences::All => i,
            Sequences::Only(positions) => positions[i],
        });
        positions.map(|position| self.elements[position].span.of_body(self.body.as_slice()))
    }
}

impl<N: Net> Proxy<N> {
    /// How long a classifier may take for a batch.
    pub(super) fn classifier_timeout(&self) -> Duration {
        self.batching.as_ref().map_or(self.options.upstream_timeout, |b| b.options.classifier_timeout)
    }

    /// Appends to a batch's answer, if it may become so long.
    pub(super) fn gather_answer(&mut self, call: CallId, data: &[u8]) -> Gathered {
        let Some(batching) = &mut self.batching else { return Gathered::TooLarge };
        let Some(call) = batching.calls.get_mut(call) else { return Gathered::TooLarge };
        // As much as the message had must be taken, whatever a reload says.
        let most = batching.room.largest().max(call.held - call.reserved);
        if call.answer.len() + data.len() > most {
            return Gathered::TooLarge;
        }
        call.answer.push(data);
        let more = call.answer.capacity().saturating_sub(call.reserved);
        if more == 0 {
            return Gathered::Kept;
        }
        // It is longer than answers of late.
        call.held += more;
        call.reserved += more;
        batching.room.call_grows(more);
        if batching.room.may_answer_grow(call.held) { Gathered::Kept } else { Gathered::NoRoom }
    }

    /// Keeps what of the classifier's head a client may get.
    pub(super) fn gather_head(&mut self, call: CallId, content_type: Option<&[u8]>) {
        if let Some(call) = self.batching.as_mut().and_then(|b| b.calls.get_mut(call)) {
            call.content_type = content_type.map(|value| String::from_utf8_lossy(value).into_owned());
        }
    }
}

/// What becomes of a piece of a classifier's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    Kept,
    /// The answer is larger than any answer may be.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
}

/// A message of more bytes has a connection of its own, and is not copied.
const LARGE_BYTES: usize = 256 * 1024;

/// No body of a request or of a classifier's answer may be larger.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
