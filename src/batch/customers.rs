//! Whose jobs they are.
//!
//! Here: [`Customers`], the table of customers by name with their weights and what they have received. It forgets
//! customers that have nothing queued when there are more than [`MOST_CUSTOMERS`]; what those received is kept in
//! one sum. Not here: turns and counters (the strategies). Called by `queue.rs`. Floor 1.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::slots::{SlotId, Slots};

/// How many customers are remembered; more only while more have jobs.
const MOST_CUSTOMERS: usize = 4096;

/// How many customers are looked at to find one to forget.
const LOOKED_AT: usize = 64;

/// Names a customer for as long as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CustomerId(SlotId);

impl CustomerId {
    /// Its position; taken by another once it is forgotten.
    pub(super) fn index(self) -> u32 {
        self.0.index()
    }
}

/// What a customer has received since it was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerFigures {
    /// Parts of jobs sent.
    pub parts: u64,
    /// Sequences sent.
    pub sequences: u64,
    /// Its share of the time of the batches that it was in.
    pub work: Duration,
}

impl CustomerFigures {
    /// Adds what another has received.
    pub fn add(&mut self, other: CustomerFigures) {
        self.parts += other.parts;
        self.sequences += other.sequences;
        self.work += other.work;
    }
}

struct Customer {
    name: Box<str>,
    weight: u32,
    /// Jobs that wait or are in flight.
    jobs: u32,
    /// Whether it had a job since it was last looked at for forgetting.
    recent: bool,
    figures: CustomerFigures,
}

/// Customers by name.
pub(super) struct Customers {
    ids: HashMap<Box<str>, CustomerId>,
    slots: Slots<Customer>,
    /// By index, so that a strategy needs no name.
    by_index: Vec<Option<CustomerId>>,
    weights: BTreeMap<Box<str>, u32>,
    /// Who came last, and most often comes next.
    last: Option<CustomerId>,
    /// What forgotten customers received.
    forgotten: CustomerFigures,
    /// Where the search for one to forget goes on.
    hand: usize,
}

impl Customers {
    /// Knows nobody, and the weights of the customers of these names.
    pub(super) fn new(weights: &[(String, u32)]) -> Customers {
        let weights = weights.iter().map(|(name, weight)| (name.as_str().into(), (*weight).max(1)));
        Customers {
            ids: HashMap::new(),
            slots: Slots::default(),
            by_index: Vec::new(),
            weights: weights.collect(),
            last: None,
            forgotten: CustomerFigures::default(),
            hand: 0,
        }
    }

    /// A customer has one more job.
    pub(super) fn enter(&mut self, name: &str) -> CustomerId {
        let is_last = |id: &CustomerId| self.slots.get(id.0).is_some_and(|customer| *customer.name == *name);
        let known = self.last.filter(is_last).or_else(|| self.ids.get(name).copied());
        let id = known.unwrap_or_else(|| self.meet(name));
        self.last = Some(id);
        let customer = self.slots.get_mut(id.0).expect("a customer with a name lives");
        customer.jobs += 1;
        customer.recent = true;
        id
    }

    /// The customer of that name, if it is remembered.
    pub(super) fn find(&self, name: &str) -> Option<CustomerId> {
        self.ids.get(name).copied()
    }

    /// A job of a customer has ended.
    pub(super) fn leave(&mut self, id: CustomerId) {
        self.get_mut(id).jobs -= 1;
    }

    /// The weight of a customer with a job.
    pub(super) fn weight(&self, id: CustomerId) -> u32 {
        self.slots.get(id.0).map_or(1, |customer| customer.weight)
    }

    /// The weight of the customer with a job at that index.
    pub(super) fn weight_at(&self, index: u32) -> u32 {
        self.by_index[index as usize].map_or(1, |id| self.weight(id))
    }

    /// A part of a customer's job was sent.
    pub(super) fn sent(&mut self, id: CustomerId, sequences: u32) {
        let figures = &mut self.get_mut(id).figures;
        figures.parts += 1;
        figures.sequences += u64::from(sequences);
    }

    /// A customer's part of a batch took that much of the batch's time. The customer may be forgotten by now.
    pub(super) fn worked(&mut self, id: CustomerId, work: Duration) {
        match self.slots.get_mut(id.0) {
            Some(customer) => customer.figures.work += work,
            None => self.forgotten.work += work,
        }
    }

    /// What each has received, in order of index.
    pub(super) fn figures(&self) -> impl Iterator<Item = (&str, CustomerFigures)> {
        self.slots.iter().map(|(_, customer)| (&*customer.name, customer.figures))
    }

    /// What those that are forgotten have received.
    pub(super) fn forgotten(&self) -> CustomerFigures {
        self.forgotten
    }

    fn get_mut(&mut self, id: CustomerId) -> &mut Customer {
        self.slots.get_mut(id.0).expect("a customer with a job is remembered")
    }

    fn meet(&mut self, name: &str) -> CustomerId {
        if self.slots.len() >= MOST_CUSTOMERS {
            self.forget_one();
        }
        let weight = self.weights.get(name).copied().unwrap_or(1);
        let figures = CustomerFigures::default();
        let id = self.slots.insert(Customer { name: name.into(), weight, jobs: 0, recent: true, figures });
        let id = CustomerId(id);
        let index = id.index() as usize;
        if index == self.by_index.len() {
            self.by_index.push(None);
        }
        self.by_index[index] = Some(id);
        self.ids.insert(name.into(), id);
        id
    }

    /// Forgets the next customer without jobs that had none for a round (the clock algorithm of page replacement).
    fn forget_one(&mut self) {
        for _ in 0..LOOKED_AT {
            self.hand = (self.hand + 1) % self.by_index.len();
            let Some(id) = self.by_index[self.hand] else { continue };
            let customer = self.get_mut(id);
            if customer.jobs > 0 || std::mem::take(&mut customer.recent) {
                continue;
            }
            let customer = self.slots.remove(id.0).expect("it was just there");
            self.by_index[self.hand] = None;
            self.ids.remove(&customer.name);
            self.forgotten.add(customer.figures);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_without_jobs_are_forgotten_when_there_are_many_and_their_figures_kept() {
        let mut customers = Customers::new(&[("gold".into(), 4)]);
        let busy = customers.enter("gold");
        for i in 0..3 * MOST_CUSTOMERS {
            let id = customers.enter(&format!("c{i}"));
            customers.sent(id, 2);
            customers.leave(id);
        }
        let remembered: Vec<_> = customers.figures().collect();
        assert!(remembered.len() < MOST_CUSTOMERS * 5 / 4, "{}", remembered.len());
        assert!(remembered.iter().any(|(name, _)| *name == "gold"));
        assert_eq!(customers.weight_at(busy.index()), 4);
        let sum: u64 = remembered.iter().map(|(_, figures)| figures.sequences).sum();
        assert_eq!(sum + customers.forgotten().sequences, 2 * 3 * MOST_CUSTOMERS as u64);
    }

    #[test]
    fn customers_with_jobs_are_never_forgotten() {
        let mut customers = Customers::new(&[]);
        let ids: Vec<_> = (0..2 * MOST_CUSTOMERS).map(|i| customers.enter(&format!("c{i}"))).collect();
        for (i, id) in ids.into_iter().enumerate() {
            assert_eq!(customers.enter(&format!("c{i}")), id);
        }
    }
}
