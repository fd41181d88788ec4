//! Parts in order of arrival, from anywhere in which one may be taken.
//!
//! Here: [`Fifo`], a ring of memory in which a part that was taken out of the middle leaves a gap until it is at the
//! front or gaps are more than half. Amortised O(1), O(log n) to take out of the middle. Called by `fair.rs` and
//! `fcfs.rs`. Floor 1.

use std::collections::VecDeque;

use super::job::Member;

/// A queue of parts by ascending number. The front is never a gap.
#[derive(Default)]
pub(super) struct Fifo {
    places: VecDeque<(u64, Option<Member>)>,
    gaps: usize,
}

impl Fifo {
    /// Appends a part; its number must be above all others.
    pub(super) fn push(&mut self, number: u64, member: Member) {
        debug_assert!(self.places.back().is_none_or(|&(last, _)| last < number));
        self.places.push_back((number, Some(member)));
    }

    /// The part that waits longest, with its number.
    pub(super) fn front(&self) -> Option<(u64, Member)> {
        let &(number, member) = self.places.front()?;
        Some((number, member?))
    }

    /// All parts with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Member)> {
        self.places.iter().filter_map(|&(number, member)| Some((number, member?)))
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<Member> {
        let (_, member) = self.places.pop_front()?;
        self.trim();
        member
    }

    /// Takes out the part of that number, if it is there.
    pub(super) fn remove(&mut self, number: u64) -> Option<Member> {
        let place = self.places.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        let member = self.places[place].1.take()?;
        self.gaps += 1;
        self.trim();
        if self.gaps > self.places.len() / 2 {
            self.places.retain(|(_, member)| member.is_some());
            self.gaps = 0;
        }
        Some(member)
    }

    fn trim(&mut self) {
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
            self.gaps -= 1;
        }
    }
}
