//! The parts of one key that wait.
//!
//! Here: [`Lane`]: each customer's parts, shortest first and by when they are overdue, the customers by the tag of
//! their first part, and how many sequences of like length wait. A part's tag is its customer's counter and what the
//! customer's parts up to it would take alone. Called by `mod.rs`. Floor 1.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, btree_map};

use super::super::job::{Member, Shape, Waiting};
use super::super::ranking::Ranking;
use super::accounts::Accounts;
use super::riders::Candidate;
use super::{MOST_FRESHENED, overdue_at};
use crate::time::Instant;

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) customer: u32,
    /// What it was predicted to take alone when it was put there.
    pub(super) own_ns: u64,
    pub(super) number: u64,
}

impl Place {
    pub(super) fn of(part: &Waiting) -> Place {
        Place { customer: part.customer.index(), own_ns: part.own_ns, number: part.number }
    }
}

/// How many lengths count as like: those between two powers of two.
const CLASSES: usize = 33;

/// The class of a part by its longest sequence.
pub(super) fn class(shape: Shape) -> usize {
    (u32::BITS - shape.longest.leading_zeros()) as usize
}

#[derive(Clone, Copy)]
struct Entry {
    member: Member,
    shape: Shape,
    arrived: Instant,
}

#[derive(Default)]
struct Parts {
    by_own: BTreeMap<(u64, u64), Entry>,
    /// When it is overdue, its number, what it takes alone.
    by_overdue: BTreeSet<(Instant, u64, u64)>,
}

impl Parts {
    /// What the part of the least tag takes alone.
    fn first_ns(&self) -> Option<u64> {
        self.by_own.first_key_value().map(|(&(own_ns, _), _)| own_ns)
    }
}

/// The parts of a key.
pub(super) struct Lane {
    customers: BTreeMap<u32, Parts>,
    /// Customers by the tag of their first part, of some by their counter at an earlier time.
    tags: Ranking<u64, u32>,
    overdue: Ranking<Instant, u32>,
    /// Sequences that wait, by class.
    alike: [u32; CLASSES],
}

impl Default for Lane {
    fn default() -> Lane {
        let (tags, overdue) = (Ranking::default(), Ranking::default());
        Lane { customers: BTreeMap::new(), tags, overdue, alike: [0; CLASSES] }
    }
}

/// A customer's parts behind one that was taken as a candidate.
struct Cursor<'a> {
    tag: u64,
    customer: u32,
    entry: (&'a (u64, u64), &'a Entry),
    rest: btree_map::Iter<'a, (u64, u64), Entry>,
}

impl<'a> Cursor<'a> {
    /// At the first of `rest`, whose tag is that much above `before`.
    fn at(
        before: u64,
        customer: u32,
        mut rest: btree_map::Iter<'a, (u64, u64), Entry>,
    ) -> Option<Cursor<'a>> {
        let entry = rest.next()?;
        Some(Cursor { tag: before + entry.0.0, customer, entry, rest })
    }

    /// At the customer's next part.
    fn next(self) -> Option<Cursor<'a>> {
        Cursor::at(self.tag, self.customer, self.rest)
    }

    fn place(&self) -> Place {
        let &(own_ns, number) = self.entry.0;
        Place { customer: self.customer, own_ns, number }
    }
}

impl PartialEq for Cursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor<'_> {}

impl PartialOrd for Cursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tag, self.customer).cmp(&(other.tag, other.customer))
    }
}

impl Lane {
    pub(super) fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    pub(super) fn insert(&mut self, part: &Waiting) {
        let place = Place::of(part);
        let parts = self.customers.entry(place.customer).or_default();
        let entry = Entry { member: part.member, shape: part.shape, arrived: part.arrived };
        parts.by_own.insert((place.own_ns, place.number), entry);
        parts.by_overdue.insert((overdue_at(part.arrived, place.own_ns), place.number, place.own_ns));
        self.alike[class(part.shape)] += part.shape.sequences;
    }

    /// Takes a part out, if it is there; the customer is to be ranked again.
    pub(super) fn remove(&mut self, place: Place) -> bool {
        let Some(parts) = self.customers.get_mut(&place.customer) else { return false };
        let Some(entry) = parts.by_own.remove(&(place.own_ns, place.number)) else { return false };
        parts.by_overdue.remove(&(overdue_at(entry.arrived, place.own_ns), place.number, place.own_ns));
        if parts.by_own.is_empty() {
            self.customers.remove(&place.customer);
        }
        self.alike[class(entry.shape)] -= entry.shape.sequences;
        true
    }

    pub(super) fn get(&self, place: Place) -> Option<Candidate> {
        let entry = self.customers.get(&place.customer)?.by_own.get(&(place.own_ns, place.number))?;
        Some(candidate(place, entry))
    }

    /// Ranks a customer by its first part, given its counter. Returns what that part takes alone.
    pub(super) fn rank(&mut self, customer: u32, counter_ns: u64) -> Option<u64> {
        let parts = self.customers.get(&customer);
        let first_ns = parts.and_then(Parts::first_ns);
        self.tags.set(customer, first_ns.map(|own_ns| counter_ns + own_ns));
        let first = parts.and_then(|parts| parts.by_overdue.first());
        self.overdue.set(customer, first.map(|&(at, ..)| at));
        first_ns
    }

    /// Ranks customers again that were charged for parts of other keys, as far as they are or come among the first
    /// `most`. Counters only grow, so that whoever is behind those by an older one is behind them by any.
    pub(super) fn freshen(&mut self, accounts: &Accounts, most: usize) {
        let (mut fresh, mut last) = (0, None);
        for _ in 0..MOST_FRESHENED {
            let mut stale = None;
            for (tag, customer) in self.tags.behind(last).take(most - fresh) {
                if accounts.has_strayed(customer) {
                    let first_ns = self.customers.get(&customer).and_then(Parts::first_ns);
                    let now = first_ns.map(|own_ns| accounts.counter_ns(customer) + own_ns);
                    if now != Some(tag) {
                        stale = Some((customer, now));
                        break;
                    }
                }
                (fresh, last) = (fresh + 1, Some((tag, customer)));
            }
            let Some((customer, now)) = stale else { return };
            self.tags.set(customer, now);
        }
    }

    /// When the first part is overdue.
    pub(super) fn first_overdue(&self) -> Option<Instant> {
        self.overdue.first().map(|(at, _)| at)
    }

    /// A customer's part with the least tag.
    pub(super) fn first_of(&self, customer: u32) -> Option<Place> {
        let (&(own_ns, number), _) = self.customers.get(&customer)?.by_own.first_key_value()?;
        Some(Place { customer, own_ns, number })
    }

    /// Of each customer with an overdue part the one that is so for longest.
    pub(super) fn overdue(&self, now: Instant) -> impl Iterator<Item = Place> {
        let customers = self.overdue.iter().take_while(move |&(at, _)| at < now);
        customers.filter_map(|(_, customer)| {
            let &(_, number, own_ns) = self.customers[&customer].by_overdue.first()?;
            Some(Place { customer, own_ns, number })
        })
    }

    /// Sequences that wait, by class of length.
    pub(super) fn alike(&self) -> &[u32] {
        &self.alike
    }

    /// Appends the parts of the least tags in order, without that at `except`, `most` of them.
    pub(super) fn by_tag(
        &self,
        counter_ns: impl Fn(u32) -> u64,
        most: usize,
        except: Place,
        candidates: &mut Vec<Candidate>,
    ) {
        // What is behind that tag cannot be among the first `most`.
        let last_tag = self.tags.iter().nth(most).map_or(u64::MAX, |(tag, _)| tag);
        let mut heads = self.tags.iter().peekable();
        let mut behind: BinaryHeap<Reverse<Cursor<'_>>> = BinaryHeap::new();
        loop {
            let from_behind = match (heads.peek(), behind.peek()) {
                (Some(head), Some(Reverse(cursor))) => cursor.tag < head.0,
                (None, None) => return,
                (head, _) => head.is_none(),
            };
            let cursor = if from_behind {
                behind.pop().map(|Reverse(cursor)| cursor)
            } else {
                let (_, customer) = heads.next().expect("it was peeked at");
                Cursor::at(counter_ns(customer), customer, self.customers[&customer].by_own.iter())
            };
            let Some(mut cursor) = cursor else { return };
            // Its customer goes on while no other's part is before its next one, which spares the heap.
            loop {
                let place = cursor.place();
                if place != except {
                    candidates.push(candidate(place, cursor.entry.1));
                    if candidates.len() == most {
                        return;
                    }
                }
                let Some(next) = cursor.next().filter(|next| next.tag <= last_tag) else { break };
                let is_least = heads.peek().is_none_or(|head| next.tag < head.0)
                    && behind.peek().is_none_or(|Reverse(other)| next < *other);
                if !is_least {
                    behind.push(Reverse(next));
                    break;
                }
                cursor = next;
            }
        }
    }
}

fn candidate(place: Place, entry: &Entry) -> Candidate {
    Candidate { place, member: entry.member, shape: entry.shape, arrived: entry.arrived }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::super::customers::Customers;
    use super::super::super::job::{JobId, KeyId, Slice};
    use super::*;
    use crate::slots::Slots;

    proptest! {
        /// Of equal tags customers' first parts come before others, then whose index is less.
        #[test]
        fn candidates_come_in_the_order_of_their_tags(
            parts in vec((0..4usize, 1..6u64), 1..40),
            counters in vec(0..12u64, 4),
            most in 1..20usize,
            except in any::<prop::sample::Index>(),
        ) {
            let (mut customers, mut slots, mut lane) = (Customers::new(&[]), Slots::default(), Lane::default());
            let ids: Vec<_> = (0..4).map(|i| customers.enter(&i.to_string())).collect();
            let mut places = Vec::new();
            for (number, &(customer, own_ns)) in parts.iter().enumerate() {
                let shape = Shape { sequences: 1, characters: 1, longest: 1 };
                let member = Member { job: JobId(slots.insert(())), slice: Slice::Whole, sequences: 1 };
                let (number, key, customer) = (number as u64, KeyId(0), ids[customer]);
                let arrived = Instant::ZERO;
                let part = Waiting { member, number, arrived, key, customer, weight: 1, own_ns, shape };
                lane.insert(&part);
                lane.rank(customer.index(), counters[customer.index() as usize]);
                places.push(Place::of(&part));
            }
            let mut expected: Vec<(u64, bool, Place)> = Vec::new();
            for customer in 0..4u32 {
                let mut own: Vec<_> = places.iter().copied().filter(|place| place.customer == customer).collect();
                own.sort_by_key(|place| (place.own_ns, place.number));
                let mut tag = counters[customer as usize];
                for (i, place) in own.into_iter().enumerate() {
                    tag += place.own_ns;
                    expected.push((tag, i > 0, place));
                }
            }
            expected.sort_by_key(|&(tag, is_behind, place)| (tag, is_behind, place.customer));
            let except = *except.get(&places);
            let expected: Vec<Place> =
                expected.into_iter().map(|(_, _, place)| place).filter(|&place| place != except).take(most).collect();
            let mut candidates = Vec::new();
            lane.by_tag(|customer| counters[customer as usize], most, except, &mut candidates);
            let found: Vec<Place> = candidates.iter().map(|candidate| candidate.place).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
