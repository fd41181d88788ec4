//! Customers in turn.
//!
//! Here: [`Fair`]: each batch begins with the next customer in turn that has a job, and fills from that customer,
//! then from the others as their turns would come; of each in order of arrival to the first that does not fit. The
//! turn is where the last batch began, so a customer that had nothing to send has not used its own. A customer of
//! weight W begins W batches before the turn passes on. Floor 1.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::fifo::Fifo;
use super::job::{KeyId, Member, Waiting};
use super::ranking::Ranking;
use super::strategy::{Pick, Situation, Strategy, at_once};

/// Order by turns. Customers stand in a ring in the order of their index.
#[derive(Default)]
pub(super) struct Fair {
    /// The jobs of each customer that has any.
    ring: BTreeMap<u32, Own>,
    lanes: BTreeMap<KeyId, Lane>,
    turn: Turn,
}

/// The jobs of a customer.
#[derive(Default)]
struct Own {
    queues: BTreeMap<KeyId, Fifo>,
    /// Keys by their oldest job.
    oldest: Ranking<u64, KeyId>,
}

/// Who began the last batch.
#[derive(Default)]
struct Turn {
    customer: u32,
    /// How many more batches it may begin at once.
    left: u32,
}

/// The customers that have jobs of a key.
#[derive(Default)]
struct Lane {
    customers: usize,
    /// By number of sequences, those whose first job has that many, so that one that fits is found at once.
    by_first: Vec<BTreeSet<u32>>,
}

impl Lane {
    /// A customer's first job has `after` sequences now, and had `before`.
    fn rank(&mut self, customer: u32, before: Option<u32>, after: Option<u32>) {
        if let Some(sequences) = before {
            self.by_first[sequences as usize].remove(&customer);
            self.customers -= 1;
        }
        if let Some(sequences) = after {
            let index = sequences as usize;
            if index >= self.by_first.len() {
                self.by_first.resize_with(index + 1, BTreeSet::new);
            }
            self.by_first[index].insert(customer);
            self.customers += 1;
        }
    }

    /// The customer with the least index from `from` to before `to` whose first job has `room` sequences or fewer.
    fn next(&self, from: u32, to: u32, room: u32) -> Option<u32> {
        let fitting = self.by_first.iter().take(room as usize + 1).filter(|customers| !customers.is_empty());
        fitting.filter_map(|customers| customers.range(from..to).next().copied()).min()
    }
}

impl Fair {
    /// Changes the queue of a customer by `change`, and keeps what is ordered by its first job.
    fn change(&mut self, key: KeyId, customer: u32, change: impl FnOnce(&mut Fifo)) {
        let own = self.ring.entry(customer).or_default();
        let queue = own.queues.entry(key).or_default();
        let before = queue.front();
        change(queue);
        let after = queue.front();
        if before.map(|(number, _)| number) == after.map(|(number, _)| number) {
            return;
        }
        own.oldest.set(key, after.map(|(number, _)| number));
        let sequences = |front: Option<(u64, Member)>| front.map(|(_, first)| first.sequences);
        let (before, after) = (sequences(before), sequences(after));
        if before != after {
            let lane = self.lanes.entry(key).or_default();
            lane.rank(customer, before, after);
            if lane.customers == 0 {
                self.lanes.remove(&key);
            }
        }
        if after.is_none() {
            own.queues.remove(&key);
            if own.queues.is_empty() {
                self.ring.remove(&customer);
            }
        }
    }

    /// Who begins the next batch.
    fn lead(&mut self, situation: &Situation<'_>) -> Option<u32> {
        if self.turn.left > 0 && self.ring.contains_key(&self.turn.customer) {
            self.turn.left -= 1;
            return Some(self.turn.customer);
        }
        let behind = self.ring.range((Bound::Excluded(self.turn.customer), Bound::Unbounded)).next();
        let (&customer, _) = behind.or_else(|| self.ring.first_key_value())?;
        self.turn = Turn { customer, left: situation.customers.weight_at(customer) - 1 };
        Some(customer)
    }

    /// The key of a customer's oldest job.
    fn oldest_key(&self, customer: u32) -> Option<KeyId> {
        self.ring.get(&customer)?.oldest.first().map(|(_, key)| key)
    }

    /// Takes a customer's jobs to the first that does not fit.
    fn fill(&mut self, key: KeyId, customer: u32, room: &mut u32, members: &mut Vec<Member>) {
        self.change(key, customer, |queue| {
            while let Some((_, first)) = queue.front().filter(|(_, first)| first.sequences <= *room) {
                *room -= first.sequences;
                members.extend(queue.pop());
            }
        });
    }
}

impl Strategy for Fair {
    fn insert(&mut self, part: &Waiting) {
        self.change(part.key, part.customer.index(), |queue| queue.push(part.number, part.member));
    }

    fn remove(&mut self, part: &Waiting) {
        self.change(part.key, part.customer.index(), |queue| _ = queue.remove(part.number));
    }

    fn take(&mut self, situation: &Situation<'_>, members: &mut Vec<Member>) -> Pick {
        let Some(leader) = self.lead(situation) else { return Pick::Nothing };
        let Some(key) = self.oldest_key(leader) else { return Pick::Nothing };
        let mut room = situation.batch_size;
        self.fill(key, leader, &mut room, members);
        // Once round the ring. What does not fit now would not fit later, as room only shrinks.
        for (from, to) in [(leader.saturating_add(1), u32::MAX), (0, leader)] {
            let mut from = from;
            while room > 0
                && let Some(customer) = self.lanes.get(&key).and_then(|lane| lane.next(from, to, room))
            {
                self.fill(key, customer, &mut room, members);
                from = customer + 1;
            }
        }
        Pick::Batch { key, flush: at_once(situation.batch_size - room, situation) }
    }
}
