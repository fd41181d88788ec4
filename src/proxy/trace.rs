//! What is known of exchanges beyond what carrying them needs: their names, and where their time goes.
//!
//! Here: [`Tracer`], which names requests and fills a [`Trace`] for each exchange while traces are written or responses
//! explained, in tables beside those of the connections, so that an exchange that is not traced is no larger for it; and
//! what responses say of it. Not here: what is noted when (`trace/points.rs`), the form of the file (`telemetry/trace.rs`). Floor 3.

mod points;

use super::client::Client;
use super::target::Target;
use super::{ClientId, ExchangeId, Options};
use crate::balance::BackendId;
use crate::h1::fields::FieldSet;
use crate::h1::request::RequestHead;
use crate::h1::request_id::{IdField, IdMaker};
use crate::h1::rewrite::Told;
use crate::h1::timing::server_timing;
use crate::record::trace::{Phases, Text, Trace, span_ns};
use crate::time::Instant;

/// Why a request was sent again.
pub(super) const STALE_CONNECTION: &str = "stale-connection";

/// The same: `--retry-on` names the status of the answer.
pub(super) const STATUS: &str = "status";

/// The same of one that was still waited for.
pub(super) const HEDGE: &str = "hedge";

/// Names requests, and remembers what they went through.
pub(super) struct Tracer {
    ids: Option<IdMaker>,
    /// Whether there is anything to do at all.
    tells: bool,
    /// Whether traces are filled, for either of the two below.
    on: bool,
    explains: bool,
    logs: bool,
    /// Of the request whose head was read last.
    id: IdField,
    draft: Trace,
    /// By the index of the exchange's slot; both stay empty while there is nothing to put in.
    ids_given: Vec<IdField>,
    drafts: Vec<Trace>,
    /// When the first bytes of a head came that was not whole then; by the index of the client's slot.
    beginnings: Vec<(ClientId, Instant)>,
    /// Lines of a head.
    lines: Vec<u8>,
}

impl Tracer {
    pub(super) fn new(options: &Options) -> Tracer {
        Tracer {
            ids: options.request_ids.then(|| IdMaker::new(options.run)),
            tells: options.request_ids || options.explain || options.trace,
            on: options.explain || options.trace,
            explains: options.explain,
            logs: options.trace,
            id: IdField::default(),
            draft: Trace::arrived(Instant::ZERO),
            ids_given: Vec::new(),
            drafts: Vec::new(),
            beginnings: Vec::new(),
            lines: Vec::with_capacity(512),
        }
    }

    /// Whether traces are filled.
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether traces are written.
    pub(super) const fn logs(&self) -> bool {
        self.logs
    }

    /// Names the request. Returns the line with which it goes on, and the fields whose place that takes; nothing if it
    /// goes on with what it came with.
    pub(super) fn identify(&mut self, head: &RequestHead<'_, '_>) -> Option<(FieldSet, &[u8])> {
        if self.tells { self.identify_anew(head) } else { None }
    }

    #[inline(never)]
    fn identify_anew(&mut self, head: &RequestHead<'_, '_>) -> Option<(FieldSet, &[u8])> {
        let ids = self.ids.as_mut()?;
        let (all, only) = head.request_id();
        if let Some(received) = only.and_then(IdField::received) {
            self.id = received;
            return None;
        }
        self.id.set(ids.make());
        Some((all, self.id.line()))
    }

    /// A name for a request of our own.
    pub(super) fn make_id(&mut self) -> Option<IdField> {
        self.ids.as_mut().map(|ids| *ids.make())
    }

    /// The name of the request whose head was read last.
    pub(super) fn id(&self) -> Option<IdField> {
        self.ids.is_some().then_some(self.id)
    }

    /// The trace of the request whose head was read last.
    pub(super) fn draft(&self) -> Option<&Trace> {
        self.is_on().then_some(&self.draft)
    }

    /// The request whose head was read last has become an exchange.
    pub(super) fn begin(&mut self, exchange: ExchangeId) {
        if self.tells {
            self.keep(exchange);
        }
    }

    #[inline(never)]
    fn keep(&mut self, exchange: ExchangeId) {
        let index = exchange.index() as usize;
        if self.ids.is_some() {
            match self.ids_given.get_mut(index) {
                Some(given) => given.set(&self.id),
                None => self.ids_given.resize(index + 1, self.id),
            }
        }
        if self.is_on() {
            put(&mut self.drafts, index, self.draft);
        }
    }

    /// A batch has become an exchange.
    pub(super) fn begin_batch(&mut self, exchange: ExchangeId, now: Instant) {
        if self.is_on() {
            let mut draft = Trace::arrived(now);
            (draft.phases.received, draft.phases.selected) = (now, now);
            put(&mut self.drafts, exchange.index() as usize, draft);
        }
    }

    /// A further copy of the request of `like` has become an exchange.
    pub(super) fn begin_copy(&mut self, exchange: ExchangeId, like: ExchangeId) {
        if let Some(mut draft) = self.of(like).copied() {
            let never = Instant::NEVER;
            (draft.phases.connected, draft.phases.sent, draft.phases.first_byte) = (never, never, never);
            draft.reused = false;
            put(&mut self.drafts, exchange.index() as usize, draft);
        }
    }

    /// Each of two exchanges goes on with what the other has sent.
    pub(super) fn change_places(&mut self, one: ExchangeId, other: ExchangeId) {
        let (Some(a), Some(b)) = (self.of(one).copied(), self.of(other).copied()) else { return };
        for (id, from) in [(one, b), (other, a)] {
            self.note(id, |trace| {
                let Phases { connected, sent, first_byte, .. } = from.phases;
                let phases = &mut trace.phases;
                (phases.connected, phases.sent, phases.first_byte) = (connected, sent, first_byte);
                trace.reused = from.reused;
            });
        }
    }

    /// The trace of an exchange, also of one that has just ended; none while none are filled.
    pub(super) fn of(&mut self, exchange: ExchangeId) -> Option<&mut Trace> {
        self.drafts.get_mut(exchange.index() as usize)
    }

    /// The name of an exchange, also of one that has just ended.
    pub(super) fn id_of(&self, exchange: ExchangeId) -> Option<&IdField> {
        self.ids_given.get(exchange.index() as usize)
    }

    /// Part of a head has come.
    pub(super) fn head_begins(&mut self, client: ClientId, now: Instant) {
        if self.is_on() {
            put(&mut self.beginnings, client.index() as usize, (client, now));
        }
    }

    /// When the first bytes of a head came that is whole now. One that had come in part has begun earlier.
    fn beginning(&mut self, client: ClientId, now: Instant) -> Instant {
        match self.beginnings.get_mut(client.index() as usize) {
            Some((id, began)) if *id == client && *began != Instant::NEVER => {
                std::mem::replace(began, Instant::NEVER)
            }
            _ => now,
        }
    }

    /// Begins the trace of a request whose head has just become whole.
    pub(super) fn head_read<S>(
        &mut self,
        id: ClientId,
        client: &Client<S>,
        head: &RequestHead<'_, '_>,
        now: Instant,
    ) -> &mut Trace {
        self.draft = Trace::arrived(self.beginning(id, now));
        let draft = &mut self.draft;
        draft.id = Text::new(self.id.value());
        draft.method = Text::new(head.method.as_bytes());
        draft.target = Text::new(head.target.path());
        draft.client = Text::new(client.address.as_bytes());
        draft.phases.received = now;
        draft.bytes_in = head.len as u64;
        draft
    }

    /// What the head of its response says of an exchange at `server`.
    pub(super) fn told(&mut self, exchange: ExchangeId, server: &Target, now: Instant) -> Option<Told<'_>> {
        if self.tells { Some(self.told_anew(exchange, server, now)) } else { None }
    }

    #[inline(never)]
    fn told_anew(&mut self, exchange: ExchangeId, server: &Target, now: Instant) -> Told<'_> {
        if let Some(draft) = self.drafts.get(exchange.index() as usize).filter(|_| self.explains) {
            self.lines.clear();
            explain(draft, Some(&server.authority), now, &mut self.lines);
        }
        let request_id = self.id_of(exchange).map(IdField::line);
        Told { request_id, explanation: self.explains.then_some(&self.lines[..]) }
    }

    /// Whether what is told of an exchange in flight says anything of that server.
    pub(super) fn mentions(&self, exchange: ExchangeId, id: BackendId) -> bool {
        self.on && self.drafts.get(exchange.index() as usize).is_some_and(|trace| trace.mentions(id))
    }

    /// More of the request has come.
    pub(super) fn took_in(&mut self, exchange: ExchangeId, bytes: usize) {
        self.note(exchange, |trace| trace.bytes_in += bytes as u64);
    }

    /// More of the response has gone.
    pub(super) fn gave_out(&mut self, exchange: ExchangeId, bytes: impl FnOnce() -> usize) {
        self.note(exchange, |trace| trace.bytes_out += bytes() as u64);
    }

    /// Notes something in the trace of an exchange, if traces are filled. What is noted is compiled apart, so that it is
    /// next to nothing where none are.
    pub(super) fn note(&mut self, exchange: ExchangeId, note: impl FnOnce(&mut Trace)) {
        #[cold]
        #[inline(never)]
        fn apart(trace: Option<&mut Trace>, note: impl FnOnce(&mut Trace)) {
            if let Some(trace) = trace {
                note(trace);
            }
        }
        if self.on {
            apart(self.of(exchange), note);
        }
    }

    /// Both as text, for a response of our own.
    pub(super) fn reply_lines(
        &mut self,
        id: Option<&IdField>,
        trace: Option<&Trace>,
        authority: Option<&str>,
        now: Instant,
    ) -> String {
        self.lines.clear();
        self.lines.extend_from_slice(id.map_or(&b""[..], IdField::line));
        if let Some(trace) = trace.filter(|_| self.explains) {
            explain(trace, authority, now, &mut self.lines);
        }
        String::from_utf8_lossy(&self.lines).into_owned()
    }
}

/// Puts `value` at `index`, filling what lies before.
fn put<T: Copy>(table: &mut Vec<T>, index: usize, value: T) {
    if index >= table.len() {
        table.resize(index + 1, value);
    }
    table[index] = value;
}

/// Sets a point in time that may be reached once.
pub(super) fn reach(point: &mut Instant, now: Instant) {
    if *point == Instant::NEVER {
        *point = now;
    }
}

/// Appends `X-Tidegate-Backend` and `Server-Timing`.
fn explain(trace: &Trace, authority: Option<&str>, now: Instant, out: &mut Vec<u8>) {
    if let Some(authority) = authority {
        for part in ["X-Tidegate-Backend: ", authority, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    let Phases { arrived, received, selected, connected, first_byte, last_byte, .. } = trace.phases;
    let connect = if trace.reused { None } else { span_ns(selected, connected) };
    let answered = if last_byte == Instant::NEVER { first_byte } else { last_byte };
    let metrics = [
        ("queue", span_ns(received, selected)),
        ("connect", connect),
        ("upstream", span_ns(connected, answered)),
        ("total", span_ns(arrived, now)),
    ];
    server_timing(&metrics, out);
}
