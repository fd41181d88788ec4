//! Several copies of a request, of which the first answer wins.
//!
//! Here: when a further copy is sent, who wins, and what becomes of the others. A copy is an exchange of its own until its
//! response head comes: then it changes places with the one that the client's connection knows, and what has lost is closed. So
//! a client never sees that there were several, and a pipelined request never waits for one. Not here: whether a copy is worth it
//! (`balance/`), how an exchange goes on once it has won (`response.rs`, `exchange.rs`). Floor 3.

use super::exchange::{Course, Exchange, Owner, RequestSide, ResponseSide};
use super::failure::Failure;
use super::private::Source;
use super::upstream::UpstreamState;
use super::{ConnectionMode, ExchangeId, Proxy, Timer, Turn};
use crate::balance::{BackendId, Choice, Copies, MOST_COPIES, Outcome};
use crate::buffer::Buffer;
use crate::deadline::Deadline;
use crate::h1::coding::{ChunkLine, Coding};
use crate::net::Net;
use crate::time::Instant;

/// The copies of one request.
struct Race {
    /// The exchange that the client's connection knows.
    of: ExchangeId,
    copies: Copies,
    /// What the exchange waits for is a further copy, which has taken the place of another sending.
    has_given_way: bool,
    /// The further ones that are under way.
    others: [Option<ExchangeId>; MOST_COPIES - 1],
    /// When another one is to be thought of.
    deadline: Deadline,
}

/// All requests that have copies or may get some, by the index of the exchange's slot.
#[derive(Default)]
pub(super) struct Races(Vec<Option<Race>>);

impl Races {
    /// Whether no request has ever had any.
    pub(super) const fn is_unused(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&mut self, id: ExchangeId) -> Option<&mut Race> {
        self.0.get_mut(id.index() as usize)?.as_mut().filter(|race| race.of == id)
    }

    /// The further copies of `id` that are under way.
    pub(super) fn others(&self, id: ExchangeId) -> impl Iterator<Item = ExchangeId> {
        let race =
            self.0.get(id.index() as usize).and_then(|race| race.as_ref().filter(|race| race.of == id));
        race.map_or([None; MOST_COPIES - 1], |race| race.others).into_iter().flatten()
    }

    /// The further copy `copy` of the request of `id` is over.
    pub(super) fn forget(&mut self, id: ExchangeId, copy: ExchangeId) {
        if let Some(race) = self.of(id) {
            race.others.iter_mut().for_each(|other| *other = other.filter(|&other| other != copy));
        }
    }

    /// How many timers are set.
    pub(super) fn armed(&self) -> usize {
        self.0.iter().flatten().filter(|race| race.deadline.is_armed()).count()
    }

    /// Which exchanges it knows.
    pub(super) fn known(&self) -> impl Iterator<Item = ExchangeId> {
        self.0.iter().flatten().map(|race| race.of)
    }
}

impl<N: Net> Proxy<N> {
    /// The exchange was begun for `choice`, and its request may be sent more than once.
    pub(super) fn enter(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, choice: Choice, now: Instant) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let mut copies = Copies::of(choice);
        let delay = self.servers.balance.sent(&mut copies, choice.backend, &exchange.flight, now);
        let mut deadline = Deadline::default();
        if let Some(delay) = delay {
            deadline.set(turn.timers, now + delay, Timer::Hedge(id));
        }
        let index = id.index() as usize;
        if index >= self.races.0.len() {
            self.races.0.resize_with(index + 1, || None);
        }
        self.races.0[index] =
            Some(Race { of: id, copies, has_given_way: false, others: [None; MOST_COPIES - 1], deadline });
    }

    /// Sends a copy of the request whose head is in `self.head`, and is still there afterwards, and whose body is `data`, if a
    /// backend needs a sample. `choice` is the one that was made for it.
    pub(super) fn shadow(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        choice: Choice,
        data: &[u8],
        now: Instant,
    ) {
        if self.is_draining() {
            return;
        }
        let Some(backend) = self.servers.balance.shadow(choice) else { return };
        let (head, request) = (self.buffers.copy(&self.head), self.buffers.gather(&[&self.head, data]));
        self.counters.shadows += 1;
        self.send_copy(turn, id, Owner::Nobody, (backend, false), request, now);
        self.head.clear();
        self.head.extend_from_slice(head.as_slice());
        self.buffers.put(head);
    }

    /// Time to think of another copy.
    pub(super) fn hedge_due(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId) {
        let now = turn.now();
        let Some(race) = self.races.of(id) else { return };
        if !race.deadline.has_passed(turn.timers, now, Timer::Hedge(id)) {
            return;
        }
        let copies = race.copies;
        let Some(request) = self.copy_request(id) else { return };
        let Some((backend, again)) = self.servers.balance.hedge(&copies, now) else {
            return self.buffers.put(request);
        };
        self.counters.hedges += 1;
        self.trace_hedge(turn, id, backend);
        let Some(copy) = self.send_copy(turn, id, Owner::Copy(id), (backend, again), request, now) else {
            return;
        };
        log::debug!("exchange {id:?}: a further copy goes to {}", self.servers.url(backend));
        let (Some(race), Some(exchange)) = (self.races.of(id), self.exchanges.get(copy)) else { return };
        race.others.iter_mut().find(|other| other.is_none()).into_iter().for_each(|free| *free = Some(copy));
        if let Some(delay) = self.servers.balance.sent(&mut race.copies, backend, &exchange.flight, now) {
            race.deadline.set(turn.timers, now + delay, Timer::Hedge(id));
        }
    }

    /// The whole request of an exchange, while it is kept and no byte of a response has come.
    fn copy_request(&mut self, id: ExchangeId) -> Option<Buffer> {
        let exchange =
            self.exchanges.get(id).filter(|exchange| exchange.response.is_pending() && !exchange.is_heard)?;
        let upstream = exchange.upstream.and_then(|upstream| self.upstreams.get(upstream))?;
        let unsent = upstream.unsent.as_ref().filter(|_| !upstream.is_connected());
        let request = exchange.replay.as_ref().or(unsent)?;
        Some(self.buffers.copy(request.as_slice()))
    }

    /// Begins an exchange like `like` for a copy of its request. Returns it, unless it is over already.
    fn send_copy(
        &mut self,
        turn: &mut Turn<'_, N>,
        like: ExchangeId,
        owner: Owner,
        (backend, again): (BackendId, bool),
        request: Buffer,
        now: Instant,
    ) -> Option<ExchangeId> {
        let Some(original) = self.exchanges.get(like) else {
            self.buffers.put(request);
            return None;
        };
        let copy = Exchange {
            owner,
            upstream: None,
            backend,
            flight: self.servers.started_copy(backend, again, now),
            begun: now,
            attempted: now,
            request: RequestSide::Done,
            response: ResponseSide::Pending,
            awaits_continue: false,
            logs_in: false,
            course: Course::Fresh,
            is_heard: false,
            replay: None,
            ..*original
        };
        let id = self.exchanges.insert(copy);
        self.tracer.begin_copy(id, like);
        self.send_whole(turn, id, request, now);
        self.exchanges.get(id).is_some().then_some(id)
    }

    /// Sends a request that is whole, on a connection of the pool or a new one. It passes through `self.head`.
    fn send_whole(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, request: Buffer, now: Instant) {
        let Some(backend) = self.exchanges.get(id).map(|exchange| exchange.backend) else {
            return self.buffers.put(request);
        };
        self.head.clear();
        self.head.extend_from_slice(request.as_slice());
        let line = ChunkLine::new(Coding::Identity, 0);
        let first = match self.exchanges.get(id).map(|exchange| exchange.owner) {
            Some(Owner::Copy(of)) => match self.exchanges.get(of).map(|exchange| exchange.owner) {
                Some(Owner::Client(client)) => self.is_at_first(client),
                _ => false,
            },
            _ => false,
        };
        let from = if self.may_meet_others(first) { Source::POOL } else { Source::NONE };
        let may_reuse = self.options.connections == ConnectionMode::Persistent;
        if may_reuse
            && self.send_reused(turn, (id, backend), from, now, Coding::Identity, &line, &[], true, true)
        {
            return self.buffers.put(request);
        }
        let attempt = self.servers.target(backend).attempt();
        self.connect(turn, id, request, attempt);
    }

    /// A response head with `status` has come to the exchange. Returns the exchange that goes on with it: the one that the client's
    /// connection knows. None if it came for nothing: an error, while others may still do better.
    pub(super) fn answered(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        status: u16,
        now: Instant,
    ) -> Option<ExchangeId> {
        let owner = self.exchanges.get(id)?.owner;
        let known = match owner {
            Owner::Client(_) => id,
            Owner::Copy(of) => of,
            Owner::Batch(_) | Owner::Nobody => return Some(id),
        };
        if status >= 500 && (known != id || self.is_raced(known)) {
            let loser = if known == id { self.give_way(id)? } else { id };
            let attempted = self.exchanges.get(loser)?.attempted;
            let outcome = self.answered_with(turn, status, attempted, now);
            self.end_copy(turn, loser, outcome, now);
            return None;
        }
        let has_given_way = self.races.of(known).is_some_and(|race| race.has_given_way);
        self.counters.hedges_won += u64::from(known != id || has_given_way);
        if known != id {
            self.change_places(known, id);
        }
        self.call_off(turn, known, true, now);
        Some(known)
    }

    /// Whether further copies are under way.
    pub(super) fn is_raced(&self, id: ExchangeId) -> bool {
        !self.races.is_unused() && self.races.others(id).next().is_some()
    }

    /// What the exchange was waiting for has failed; a further copy takes its place.
    pub(super) fn drop_attempt(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, failure: Failure) {
        if let Some(loser) = self.give_way(id) {
            self.fail(turn, loser, failure);
        }
    }

    /// Lets a further copy take the place of what `id` waits for. Returns the exchange that has that now.
    fn give_way(&mut self, id: ExchangeId) -> Option<ExchangeId> {
        let other = self.races.others(id).next()?;
        self.change_places(id, other);
        if let Some(race) = self.races.of(id) {
            race.has_given_way = true;
        }
        Some(other)
    }

    /// Each of two exchanges goes on with what the other has sent.
    fn change_places(&mut self, one: ExchangeId, other: ExchangeId) {
        let Some((a, b)) = self.exchanges.get_both_mut(one, other) else { return };
        std::mem::swap(&mut a.upstream, &mut b.upstream);
        std::mem::swap(&mut a.backend, &mut b.backend);
        std::mem::swap(&mut a.flight, &mut b.flight);
        std::mem::swap(&mut a.attempted, &mut b.attempted);
        std::mem::swap(&mut a.course, &mut b.course);
        std::mem::swap(&mut a.replay, &mut b.replay);
        std::mem::swap(&mut a.is_heard, &mut b.is_heard);
        std::mem::swap(&mut a.request, &mut b.request);
        std::mem::swap(&mut a.response, &mut b.response);
        for (id, upstream) in [(one, a.upstream), (other, b.upstream)] {
            let Some(upstream) = upstream.and_then(|upstream| self.upstreams.get_mut(upstream)) else {
                continue;
            };
            upstream.state = match upstream.state {
                UpstreamState::Connecting { attempt, .. } => {
                    UpstreamState::Connecting { exchange: id, attempt }
                }
                UpstreamState::Carrying(_) => UpstreamState::Carrying(id),
                state @ (UpstreamState::Tunnel(_) | UpstreamState::Idle | UpstreamState::Kept(_)) => state,
            };
        }
        self.tracer.change_places(one, other);
    }

    /// No further copies of the request are of use. `overtaken`: its answer has come.
    pub(super) fn call_off(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, overtaken: bool, now: Instant) {
        let Some(slot) = self.races.0.get_mut(id.index() as usize) else { return };
        let Some(mut race) = slot.take_if(|race| race.of == id) else { return };
        race.deadline.disarm(turn.timers);
        for copy in race.others.into_iter().flatten() {
            let Some(attempted) = self.exchanges.get(copy).map(|exchange| exchange.attempted) else {
                continue;
            };
            let outcome = match overtaken {
                true => Outcome::Overtaken { elapsed_ns: now.nanos_since(attempted) },
                false => Outcome::Cancelled,
            };
            self.end_copy(turn, copy, outcome, now);
        }
    }

    fn end_copy(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId, outcome: Outcome, now: Instant) {
        let Some(mut exchange) = self.exchanges.remove(id) else { return };
        let flight = std::mem::take(&mut exchange.flight);
        self.servers.finished(exchange.backend, flight, outcome, now);
        self.give_up_upstream(turn, exchange.upstream);
        exchange.replay.into_iter().for_each(|b| self.buffers.put(b));
        if let Owner::Copy(of) = exchange.owner {
            self.races.forget(of, id);
        }
    }

    /// The answer to a sample has begun and does not end: it takes longer than this.
    pub(super) fn end_sample(&mut self, turn: &mut Turn<'_, N>, id: ExchangeId) {
        let now = turn.now();
        let Some(attempted) = self.exchanges.get(id).map(|exchange| exchange.attempted) else { return };
        self.end_copy(turn, id, Outcome::Overtaken { elapsed_ns: now.nanos_since(attempted) }, now);
    }

    /// Nobody waits for samples any more.
    pub(super) fn end_shadows(&mut self, turn: &mut Turn<'_, N>) {
        let shadows = self.exchanges.iter().filter(|(_, exchange)| exchange.owner == Owner::Nobody);
        let ids: Vec<_> = shadows.map(|(id, _)| id).collect();
        for id in ids {
            self.end_copy(turn, id, Outcome::Cancelled, turn.now());
        }
    }
}
