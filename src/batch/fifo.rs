//! Parts in order of arrival, from anywhere in which one may be taken.
//!
//! Here: [`Fifo`], a ring of memory in which a part that was taken out of the middle leaves a gap until it is at the
//! front or gaps are more than half. A gap tells how far the next part is at least, so that gaps are passed over in
//! few steps. Amortised O(1), O(log n) to take out of the middle. Called by `fair.rs` and `fcfs.rs`. Floor 1.

use std::collections::VecDeque;

use super::job::Member;

/// A part, or where one was.
#[derive(Clone, Copy)]
enum Place {
    Part(Member),
    /// So many places on, there is no part before.
    Gap(usize),
}

/// A queue of parts by ascending number. The front is never a gap.
#[derive(Default)]
pub(super) struct Fifo {
    places: VecDeque<(u64, Place)>,
    gaps: usize,
}

impl Fifo {
    /// Appends a part; its number must be above all others.
    pub(super) fn push(&mut self, number: u64, member: Member) {
        debug_assert!(self.places.back().is_none_or(|&(last, _)| last < number));
        self.places.push_back((number, Place::Part(member)));
    }

    /// The part that waits longest, with its number.
    pub(super) fn front(&self) -> Option<(u64, Member)> {
        match *self.places.front()? {
            (number, Place::Part(member)) => Some((number, member)),
            (_, Place::Gap(_)) => None,
        }
    }

    /// Calls `each` with the parts from the front, until it says that this was enough.
    pub(super) fn look(&mut self, mut each: impl FnMut(Member) -> bool) {
        let mut at = 0;
        while let Some(&(_, place)) = self.places.get(at) {
            match place {
                Place::Part(member) => {
                    if !each(member) {
                        return;
                    }
                    at += 1;
                }
                Place::Gap(_) => at = self.cross(at),
            }
        }
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<Member> {
        let (_, place) = self.places.pop_front()?;
        self.trim();
        match place {
            Place::Part(member) => Some(member),
            Place::Gap(_) => None,
        }
    }

    /// Takes out the part of that number, if it is there.
    pub(super) fn remove(&mut self, number: u64) -> Option<Member> {
        let at = self.places.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        let Place::Part(member) = self.places[at].1 else { return None };
        self.places[at].1 = Place::Gap(1);
        self.gaps += 1;
        self.trim();
        if self.gaps > self.places.len() / 2 {
            self.places.retain(|(_, place)| matches!(place, Place::Part(_)));
            self.gaps = 0;
        }
        Some(member)
    }

    /// Where the next part is behind the gap at that place. The gaps on the way are told, so that each step halves what the
    /// next look takes.
    fn cross(&mut self, first: usize) -> usize {
        let mut at = first;
        let mut behind = first;
        while let Some(&(_, Place::Gap(step))) = self.places.get(at) {
            let next = at + step;
            if let Some((_, Place::Gap(step))) = self.places.get_mut(behind) {
                *step = next - behind;
            }
            (behind, at) = (at, next);
        }
        if let Some((_, Place::Gap(step))) = self.places.get_mut(first) {
            *step = at - first;
        }
        at
    }

    fn trim(&mut self) {
        while let Some((_, Place::Gap(_))) = self.places.front() {
            self.places.pop_front();
            self.gaps -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::batch::job::{JobId, Slice};
    use crate::slots::Slots;

    fn members(count: usize) -> Vec<Member> {
        let mut slots = Slots::default();
        let member = |_| Member { job: JobId(slots.insert(())), slice: Slice::Whole, sequences: 1 };
        (0..count).map(member).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Pop,
        Remove(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let remove = || any::<prop::sample::Index>().prop_map(Step::Remove);
        vec(prop_oneof![Just(Step::Push), Just(Step::Push), Just(Step::Pop), remove(), remove()], 0..200)
    }

    proptest! {
        #[test]
        fn a_fifo_is_a_list(begin in 0..40usize, steps in steps()) {
            let members = members(begin + steps.len());
            let (mut fifo, mut list, mut number) = (Fifo::default(), Vec::new(), 0);
            let pushes = std::iter::repeat_n(Step::Push, begin);
            for step in pushes.chain(steps) {
                match step {
                    Step::Push => {
                        fifo.push(number, members[number as usize]);
                        list.push((number, members[number as usize]));
                        number += 1;
                    }
                    Step::Pop if list.is_empty() => prop_assert_eq!(fifo.pop(), None),
                    Step::Pop => prop_assert_eq!(fifo.pop(), Some(list.remove(0).1)),
                    Step::Remove(_) if list.is_empty() => {}
                    Step::Remove(index) => {
                        let (number, member) = list.remove(index.index(list.len()));
                        prop_assert_eq!(fifo.remove(number), Some(member));
                        prop_assert_eq!(fifo.remove(number), None);
                    }
                }
                prop_assert_eq!(fifo.front(), list.first().copied());
                let mut seen = Vec::new();
                fifo.look(|member| {
                    seen.push(member);
                    true
                });
                prop_assert_eq!(seen, list.iter().map(|&(_, member)| member).collect::<Vec<_>>());
            }
        }
    }

    /// As when clients leave in the order in which they came, behind one that stays.
    #[test]
    fn gaps_behind_the_front_are_passed_over_in_few_steps() {
        const COUNT: usize = 10_000;
        let mut fifo = Fifo::default();
        members(COUNT).into_iter().zip(0..).for_each(|(member, number)| fifo.push(number, member));
        for number in 1..COUNT as u64 / 2 - 1 {
            fifo.remove(number).expect("it waits");
            let mut at = 1;
            let mut steps = 0;
            while let Some(&(_, Place::Gap(step))) = fifo.places.get(at) {
                (at, steps) = (at + step, steps + 1);
            }
            assert!(steps <= 2, "{steps} steps over {number} gaps");
            let mut seen = 0;
            fifo.look(|_| {
                seen += 1;
                seen < 5
            });
        }
    }
}
