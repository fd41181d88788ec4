//! Bodies that wait for room.
//!
//! Here: whether a body is read on, who gives way to it, who is let on when there is room again, and what is told where
//! there is none. Not here: how much room there is (`room.rs`), whose it is (`holders.rs`). Floor 3.

use super::answer::Answer;
use super::holders::Held;
use super::room::Claim;
use super::{Ask, Stage, Ticket};
use crate::net::{Net, Token};
use crate::proxy::client::ClientState;
use crate::proxy::{CLIENT, Proxy, TicketId, Timer, Turn};

/// How many requests may give way to one at a time.
const MOST_GIVE_WAY: usize = 64;

impl<N: Net> Proxy<N> {
    /// Answers that there is no room for the body.
    #[cold]
    pub(super) fn refuse_for_room(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let Some(batching) = &mut self.batching else { return };
        let retry_after_s = batching.queue.retry_after_s(turn.now());
        let whole = !batching.gathers(id);
        let detail = format!("there is no room for the request; try again in {retry_after_s} s");
        let fields = format!("Retry-After: {retry_after_s}\r\n");
        let answer = Answer::refusal(429, &detail).with_reason("queue-full").with_fields(&fields);
        self.answer(turn, id, if whole { answer } else { answer.closing() });
    }

    /// Whether the body of such a request is still coming, and there is room for what one read may bring. If there is
    /// none, it is read on later.
    #[inline(always)]
    pub(in crate::proxy) fn may_gather(&mut self, turn: &mut Turn<'_, N>, state: ClientState) -> bool {
        matches!(state, ClientState::Asking(id) if self.has_room_for_more(turn, id))
    }

    #[inline(never)]
    fn has_room_for_more(&mut self, turn: &mut Turn<'_, N>, id: TicketId) -> bool {
        let block = self.options.limits.pipelined_bytes;
        let Some(batching) = &mut self.batching else { return false };
        let Some(ticket) = batching.tickets.get_mut(id) else { return false };
        let Stage::Gathering(gathering) = &mut ticket.stage else { return false };
        if gathering.paused {
            return false;
        }
        let body = &gathering.body;
        let len = body.len();
        let needed = len + block.min(gathering.whole.saturating_sub(len));
        if needed <= body.capacity() {
            return true;
        }
        let grown = needed.max((2 * body.capacity()).min(gathering.whole));
        let claim = batching.room.claim(id);
        // What it has is counted while it is moved to where there is more.
        let more = grown - ticket.held;
        if batching.room.take(more, claim) || self.make_room(turn, id, more, claim) {
            self.grow_body(id, grown, more);
            self.tell_soon(turn);
            return true;
        }
        let Some(batching) = &mut self.batching else { return false };
        let Some(ticket) = batching.tickets.get_mut(id) else { return false };
        let Stage::Gathering(gathering) = &mut ticket.stage else { return false };
        gathering.paused = true;
        batching.room.pause(id);
        // It is not the client's turn to send. The one that has waited longest has its time already.
        let client_id = ticket.client;
        if claim == Claim::Usual
            && let Some(client) = self.clients.get_mut(client_id)
        {
            client.send_time.pause(turn.now());
            let limit = turn.now() + self.options.body_timeout;
            client.deadline.set(turn.timers, limit, Timer::Client(client_id));
        }
        false
    }

    /// A body has room for so many bytes, of which `more` are taken already.
    fn grow_body(&mut self, id: TicketId, grown: usize, more: usize) {
        let Some(batching) = &mut self.batching else { return };
        let Some(ticket) = batching.tickets.get_mut(id) else { return };
        let Stage::Gathering(gathering) = &mut ticket.stage else { return };
        gathering.body.grow_to(grown);
        // An allocator may give more.
        batching.room.add(gathering.body.capacity() - ticket.held - more);
        ticket.held = gathering.body.capacity();
    }

    /// Takes the first bytes of a body if others give way to it; else it is refused.
    #[cold]
    pub(super) fn make_first_room(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        bytes: usize,
        claim: Claim,
    ) -> bool {
        if !self.make_room(turn, id, bytes, claim) {
            self.refuse_for_room(turn, id);
            return false;
        }
        if let Some(ticket) = self.batching.as_mut().and_then(|b| b.tickets.get_mut(id)) {
            ticket.held = bytes;
        }
        true
    }

    /// Takes so many bytes for a request if others give way to it: as long as a customer holds more than the request's own
    /// would with them, its newest request of which nothing was sent is refused.
    #[cold]
    pub(super) fn make_room(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        bytes: usize,
        claim: Claim,
    ) -> bool {
        let now = turn.now();
        let Some(batching) = &mut self.batching else { return false };
        let Some(customer) = batching.tickets.get(id).and_then(Ticket::customer).map(str::to_owned) else {
            return false;
        };
        if batching.holders.is_old(now) {
            let tickets = batching.tickets.iter();
            let held = tickets.filter_map(|(id, ticket)| ticket.held(id)).filter(|held| held.bytes > 0);
            batching.holders.look(held, now);
        }
        for _ in 0..MOST_GIVE_WAY {
            let Some(batching) = &mut self.batching else { return false };
            if batching.room.take(bytes, claim) {
                batching.holders.took(&customer, bytes);
                return true;
            }
            let Some(other) = batching.holders.newest_of_most(&customer, bytes) else { return false };
            if batching.tickets.get(other).is_some_and(Ticket::may_give_way) {
                self.refuse_for_room(turn, other);
            }
        }
        false
    }

    /// Lets on whose bodies wait for room, as far as there is any.
    #[cold]
    pub(super) fn resume_bodies(&mut self, turn: &mut Turn<'_, N>) {
        let block = self.options.limits.pipelined_bytes;
        let mut promised = 0;
        while let Some(batching) = &mut self.batching
            && let Some(id) = batching.room.first_paused()
        {
            let is_paused = |id| {
                let stage = batching.tickets.get(id).map(|ticket| &ticket.stage);
                matches!(stage, Some(Stage::Gathering(gathering)) if gathering.paused)
            };
            if !is_paused(id) {
                batching.room.pop_paused();
                continue;
            }
            if !batching.room.favoured().is_some_and(|id| batching.gathers(id)) {
                batching.room.favour(Some(id));
                let client = batching.tickets.get(id).map(|ticket| ticket.client);
                if let Some((id, client)) = client.and_then(|id| Some((id, self.clients.get_mut(id)?))) {
                    let limit = turn.now() + self.options.body_timeout;
                    client.deadline.set(turn.timers, limit, Timer::Client(id));
                }
            }
            let claim = batching.room.claim(id);
            let Some(ticket) = batching.tickets.get_mut(id) else { return };
            let Stage::Gathering(gathering) = &mut ticket.stage else { return };
            let needed = block.min(gathering.whole - gathering.body.len()).max(1);
            let grown = (2 * gathering.body.capacity()).min(gathering.whole);
            promised += needed.max(grown.saturating_sub(ticket.held));
            if !batching.room.has(promised, claim) {
                break;
            }
            gathering.paused = false;
            let client = ticket.client;
            batching.room.pop_paused();
            turn.again(Token::new(CLIENT, client));
        }
        // Bodies that have half come hold all the room, and none will be free by itself.
        if let Some(batching) = &mut self.batching
            && batching.room.has_paused()
            && batching.by_job.len() == 0
            && batching.room.favoured().is_some_and(|id| Some(id) == batching.room.first_paused())
            && let Some(last) = batching.room.pop_last()
        {
            self.refuse_for_room(turn, last);
        }
    }
}

impl<N: Net> Proxy<N> {
    /// Whether the body of such a request is still coming, and is read on.
    pub(in crate::proxy) fn reads_on(&self, id: TicketId) -> bool {
        let ticket = self.batching.as_ref().and_then(|b| b.tickets.get(id));
        ticket.is_some_and(|t| matches!(&t.stage, Stage::Gathering(gathering) if !gathering.paused))
    }
}

impl Ticket {
    /// Who asks, if it is for a classifier.
    fn customer(&self) -> Option<&str> {
        match &self.stage {
            Stage::Gathering(gathering) => match &gathering.ask {
                Ask::Classify(classify) => Some(&classify.customer),
                _ => None,
            },
            Stage::Asked => None,
            Stage::Queued(queued) => Some(&queued.customer),
        }
    }

    fn held(&self, id: TicketId) -> Option<Held<'_>> {
        let customer = self.customer()?;
        Some(Held { customer, arrived: self.arrived, ticket: id, bytes: self.held })
    }

    /// Whether nothing of it was sent.
    fn may_give_way(&self) -> bool {
        match &self.stage {
            Stage::Gathering(_) => true,
            Stage::Asked => false,
            Stage::Queued(queued) => queued.unsent == queued.elements.len(),
        }
    }
}
