//! Customers in turn.
//!
//! Here: [`Fair`]: each batch begins with the next customer in turn that has a job, and fills from that customer,
//! then from the others as their turns would come; of each in order of arrival to the first that does not fit. The
//! turn is where the last batch began, so a customer that had nothing to send has not used its own. A customer of
//! weight W begins W batches before the turn passes on. Floor 1.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fifo::Fifo;
use super::job::{KeyId, Member, Waiting};
use super::strategy::{Pick, Situation, Strategy, at_once};

/// Order by turns. Customers stand in a ring in the order of their index.
#[derive(Default)]
pub(super) struct Fair {
    lanes: BTreeMap<KeyId, Lane>,
    /// Customer, number of its oldest job of a key, key: who has jobs, and of which key the oldest is.
    ring: BTreeSet<(u32, u64, KeyId)>,
    turn: Turn,
}

/// Who began the last batch.
#[derive(Default)]
struct Turn {
    customer: u32,
    /// How many more batches it may begin at once.
    left: u32,
}

/// The jobs of one key.
#[derive(Default)]
struct Lane {
    queues: HashMap<u32, Fifo>,
    /// By number of sequences, the customers whose first job has that many, so that one that fits is found at once.
    by_first: Vec<BTreeSet<u32>>,
}

impl Lane {
    fn customers_with(&mut self, sequences: u32) -> &mut BTreeSet<u32> {
        let index = sequences as usize;
        if index >= self.by_first.len() {
            self.by_first.resize_with(index + 1, BTreeSet::new);
        }
        &mut self.by_first[index]
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
        let lane = self.lanes.entry(key).or_default();
        let queue = lane.queues.entry(customer).or_default();
        let before = queue.front();
        change(queue);
        let after = queue.front();
        if before == after {
            return;
        }
        if let Some((number, first)) = before {
            lane.customers_with(first.sequences).remove(&customer);
            self.ring.remove(&(customer, number, key));
        }
        if let Some((number, first)) = after {
            lane.customers_with(first.sequences).insert(customer);
            self.ring.insert((customer, number, key));
            return;
        }
        lane.queues.remove(&customer);
        if lane.queues.is_empty() {
            self.lanes.remove(&key);
        }
    }

    /// Who begins the next batch, and with which key.
    fn lead(&mut self, situation: &Situation<'_>) -> Option<(u32, KeyId)> {
        let from = |customer: u32| self.ring.range((customer, 0, KeyId(0))..).next().copied();
        let again = from(self.turn.customer).filter(|&(c, ..)| c == self.turn.customer && self.turn.left > 0);
        if let Some((customer, _, key)) = again {
            self.turn.left -= 1;
            return Some((customer, key));
        }
        let next = self.turn.customer.checked_add(1).and_then(from);
        let (customer, _, key) = next.or_else(|| self.ring.first().copied())?;
        self.turn = Turn { customer, left: situation.customers.weight_at(customer) - 1 };
        Some((customer, key))
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
        let Some((leader, key)) = self.lead(situation) else { return Pick::Nothing };
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
