//! How much memory requests that are ours to answer may take.
//!
//! Here: [`Room`], and the shares of it. Bodies that are coming, that wait and that are in flight are counted by what is
//! set aside for them, with what they are cut into and what they have in common. A body is read on only when there is
//! room for what comes next; else its client's socket holds it, and the client that has waited longest is let on first.
//! So that bodies which have half come cannot keep each other waiting, an eighth of the room is for that one alone. What
//! is made of bodies has room of its own: messages to classifiers and their answers (`calls`), results of parts, answers
//! that are not read. All together is less than twice the limit. Not here: what is told when there is none
//! (`gathering.rs`, `expiry.rs`), whose are most (`holders.rs`). Floor 3.

use std::collections::VecDeque;

use super::MAX_BODY_BYTES;
use super::unread::Unread;
use crate::proxy::TicketId;

/// Which share of the room the largest body has, and what is kept for the one that has waited longest.
const LARGEST_SHARE: usize = 8;

/// An answer that is expected to be as long as the longest of late is expected so for this many more.
const ANSWERS_REMEMBERED: usize = 16;

/// Room for bodies, and whose wait for it.
pub(super) struct Room {
    limit: usize,
    held: usize,
    /// Whose bodies are not read on, the first one for the longest.
    paused: VecDeque<TicketId>,
    /// Whose body may take what is kept for one.
    favoured: Option<TicketId>,
    /// What messages to classifiers and their answers take.
    calls: usize,
    /// How long an answer is expected to be.
    answer: usize,
    /// Answers that their clients do not read.
    pub(super) unread: Unread,
}

/// Who asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// One of many.
    Usual,
    /// What is kept is for this one.
    Last,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(limit: usize) -> Room {
        Room {
            limit,
            held: 0,
            paused: VecDeque::new(),
            favoured: None,
            calls: 0,
            answer: 0,
            unread: Unread::default(),
        }
    }

    /// So much from now on; what is held stays.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many bytes there are in all.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes a body may have, a classifier's answer, and a message of several requests.
    pub(super) fn largest(&self) -> usize {
        (self.limit / LARGEST_SHARE).min(MAX_BODY_BYTES)
    }

    /// Whether results of parts have grown beyond what there is for them.
    pub(super) fn is_overfull(&self) -> bool {
        self.held > self.limit + self.limit / LARGEST_SHARE
    }

    /// Whether one more message may be sent, with an answer as long as others of late.
    pub(super) fn may_call(&self) -> bool {
        self.calls == 0 || self.calls + self.answer <= self.limit / 4
    }

    /// How long an answer is expected to be.
    pub(super) fn expected_answer(&self) -> usize {
        self.answer
    }

    /// A call takes so many bytes more.
    pub(super) fn call_grows(&mut self, bytes: usize) {
        self.calls += bytes;
    }

    /// Whether the answer of a call that takes so many bytes may grow. One that is alone may, as far as an answer goes.
    pub(super) fn may_answer_grow(&self, call: usize) -> bool {
        self.calls == call || self.calls <= 3 * (self.limit / 8)
    }

    /// A call of so many bytes is over, with an answer of that length.
    pub(super) fn call_over(&mut self, bytes: usize, answer: usize) {
        self.calls -= bytes;
        self.answer = answer.max(self.answer - self.answer.div_ceil(ANSWERS_REMEMBERED));
    }

    /// What messages to classifiers and their answers take.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether answers that are not read take more than there is for them: as much as the longest.
    pub(super) fn has_too_much_unread(&self) -> bool {
        self.unread.bytes() > self.largest() && self.unread.len() > 1
    }

    /// How many are taken.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether so many more may be taken.
    pub(super) fn has(&self, bytes: usize, claim: Claim) -> bool {
        let kept = match claim {
            Claim::Usual => self.largest(),
            Claim::Last => 0,
        };
        self.held + bytes <= self.limit - kept
    }

    /// Takes so many, if they may be taken.
    pub(super) fn take(&mut self, bytes: usize, claim: Claim) -> bool {
        let has = self.has(bytes, claim);
        self.held += if has { bytes } else { 0 };
        has
    }

    /// Takes what is there already.
    pub(super) fn add(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// So many are free again.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    /// How a request claims room.
    pub(super) fn claim(&self, id: TicketId) -> Claim {
        if self.favoured == Some(id) { Claim::Last } else { Claim::Usual }
    }

    /// Whether others wait for the body that may take what is kept.
    pub(super) fn others_wait_for(&self, id: TicketId) -> bool {
        self.favoured == Some(id) && !self.paused.is_empty()
    }

    /// A body is not read on.
    pub(super) fn pause(&mut self, id: TicketId) {
        match self.favoured == Some(id) {
            true => self.paused.push_front(id),
            false => self.paused.push_back(id),
        }
    }

    /// Whether any body waits.
    pub(super) fn has_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Who has waited longest.
    pub(super) fn first_paused(&self) -> Option<TicketId> {
        self.paused.front().copied()
    }

    /// The first one is let on, or is gone.
    pub(super) fn pop_paused(&mut self) {
        self.paused.pop_front();
    }

    /// Who came last, and does not wait any more.
    pub(super) fn pop_last(&mut self) -> Option<TicketId> {
        self.paused.pop_back()
    }

    /// Whose body may take what is kept for one.
    pub(super) fn favoured(&self) -> Option<TicketId> {
        self.favoured
    }

    /// This one may.
    pub(super) fn favour(&mut self, id: Option<TicketId>) {
        self.favoured = id;
    }
}
