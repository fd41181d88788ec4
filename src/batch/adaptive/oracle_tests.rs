//! That `adaptive` decides as a list would that ranks all that waits for each batch.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Draw;

use super::super::customers::{CustomerId, Customers};
use super::super::in_flight::InFlight;
use super::super::job::{JobId, Slice};
use super::super::service_time::ServiceTimes;
use super::super::strategy::Strategy;
use super::super::tests::at;
use super::lane::class;
use super::{
    Adaptive, Candidate, Economy, Instant, KeyId, MOST_CANDIDATES, Member, OVERDUE_TURN, Place, Shape,
    Situation, Waiting, overdue_at,
};
use crate::slots::Slots;

/// All parts that wait, in order of arrival, and what customers have received.
#[derive(Default)]
struct Naive {
    parts: Vec<Waiting>,
    counters: BTreeMap<u32, u64>,
    turn: u32,
}

impl Naive {
    fn counter(&self, customer: u32) -> u64 {
        self.counters.get(&customer).copied().unwrap_or(0)
    }

    fn active(&self) -> Vec<u32> {
        let mut active: Vec<u32> = self.parts.iter().map(|part| part.customer.index()).collect();
        active.sort_unstable();
        active.dedup();
        active
    }

    fn insert(&mut self, part: &Waiting) {
        let (customer, active) = (part.customer.index(), self.active());
        let least = active.iter().map(|&customer| self.counter(customer)).min().unwrap_or(0);
        if !active.contains(&customer) {
            let lifted = self.counter(customer).max(least);
            self.counters.insert(customer, lifted);
        }
        self.parts.push(*part);
    }

    /// The parts of a customer and a key, by what they take alone, with their tags.
    fn tagged(&self, customer: u32, key: KeyId) -> Vec<(u64, Waiting)> {
        let own = self.parts.iter().filter(|part| part.customer.index() == customer && part.key == key);
        let mut own: Vec<Waiting> = own.copied().collect();
        own.sort_by_key(|part| (part.own_ns, part.number));
        let mut tag = self.counter(customer);
        let tags = own.into_iter().map(|part| {
            tag += part.own_ns;
            (tag, part)
        });
        tags.collect()
    }

    fn keys(&self) -> Vec<KeyId> {
        let mut keys: Vec<KeyId> = self.parts.iter().map(|part| part.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn overdue(&self, now: Instant) -> Option<Waiting> {
        let active = self.active();
        let sum: u128 = active.iter().map(|&customer| u128::from(self.counter(customer))).sum();
        let share = (sum / active.len().max(1) as u128) as u64;
        let mut found = Vec::new();
        for key in self.keys() {
            for &customer in active.iter().filter(|&&customer| self.counter(customer) <= share) {
                let overdue = |part: &Waiting| (overdue_at(part.arrived, part.own_ns), part.number);
                let first = self.tagged(customer, key).into_iter().map(|(_, part)| part).min_by_key(overdue);
                found.extend(first.filter(|part| overdue(part).0 < now));
            }
        }
        found.into_iter().min_by_key(|part| part.number)
    }

    fn lead(&mut self, now: Instant) -> Option<Waiting> {
        self.turn = (self.turn + 1) % OVERDUE_TURN;
        let overdue = if self.turn == 0 { self.overdue(now) } else { None };
        let mut first: Option<((u64, KeyId, u32), Waiting)> = None;
        for key in self.keys() {
            for customer in self.active() {
                if let Some(&(tag, part)) = self.tagged(customer, key).first() {
                    let rank = (tag, key, customer);
                    first = first.filter(|(least, _)| *least < rank).or(Some((rank, part)));
                }
            }
        }
        overdue.or(first.map(|(_, part)| part))
    }

    /// The members of the next batch in their order.
    fn take(&mut self, situation: &Situation<'_>) -> Vec<Member> {
        let Some(lead) = self.lead(situation.now) else { return Vec::new() };
        let mut order = Vec::new();
        for customer in self.active() {
            let tagged = self.tagged(customer, lead.key).into_iter().enumerate();
            order.extend(tagged.map(|(i, (tag, part))| ((tag, i > 0, customer), part)));
        }
        // Stable: parts of one customer that take nothing stay as they are.
        order.sort_by_key(|&(rank, _)| rank);
        let candidate = |part: &Waiting| Candidate {
            place: Place::of(part),
            member: part.member,
            shape: part.shape,
            arrived: part.arrived,
        };
        let others = order.iter().map(|(_, part)| part).filter(|part| part.number != lead.number);
        let mut candidates: Vec<Candidate> = others.map(candidate).take(MOST_CANDIDATES).collect();
        let mut alike = [0; 33];
        for part in self.parts.iter().filter(|part| part.key == lead.key) {
            alike[class(part.shape)] += part.shape.sequences;
        }
        let economy = Economy {
            service_time: situation.service_times.of(lead.key),
            batch_size: situation.batch_size,
            place_is_free: situation.in_flight.len() + 1 < situation.in_flight.limit(),
            waiting: self.parts.len(),
            occupancy: situation.in_flight.occupancy(),
            alike: &alike,
            now: situation.now,
        };
        let riders = economy.choose(&candidate(&lead), &mut candidates);
        candidates.truncate(riders);
        candidates.insert(0, candidate(&lead));
        self.charge(lead.key, &candidates, situation);
        self.parts.retain(|part| candidates.iter().all(|taken| taken.place.number != part.number));
        candidates.into_iter().map(|taken| taken.member).collect()
    }

    fn charge(&mut self, key: KeyId, taken: &[Candidate], situation: &Situation<'_>) {
        let shape = taken.iter().fold(Shape::default(), |sum, part| sum.with(part.shape));
        let ms = situation.service_times.of(key).predict_ms(shape);
        let alone_ns: f64 = taken.iter().map(|part| part.place.own_ns as f64).sum();
        for part in taken {
            let weight = f64::from(situation.customers.weight_at(part.place.customer));
            let share = part.place.own_ns as f64 / alone_ns;
            *self.counters.entry(part.place.customer).or_default() += (1e6 * ms * share / weight) as u64;
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert { customer: usize, key: u32, own_ms: u64, lengths: Vec<u32> },
    Take,
    Remove(prop::sample::Index),
    Pass(u64),
}

fn steps() -> impl Draw<Value = Vec<Step>> {
    let lengths = || prop::collection::vec(1..300u32, 1..4);
    let insert =
        move || {
            (0..5usize, 0..6u32, 1..40u64, lengths())
                .prop_map(|(customer, key, own_ms, lengths)| Step::Insert { customer, key, own_ms, lengths })
        };
    let remove = any::<prop::sample::Index>().prop_map(Step::Remove);
    let pass = (0..150u64).prop_map(Step::Pass);
    let take = || Just(Step::Take);
    prop::collection::vec(prop_oneof![insert(), insert(), insert(), take(), take(), remove, pass], 0..250)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn adaptive_is_a_list_that_is_ranked_for_each_batch(steps in steps(), places in 1..3usize) {
        let mut customers = Customers::new(&[("c1".into(), 3)]);
        let ids: Vec<CustomerId> = (0..5).map(|i| customers.enter(&format!("c{i}"))).collect();
        let mut service_times = ServiceTimes::new();
        for length in 1..30 {
            let took = Duration::from_micros(u64::from(length).pow(2) * 10);
            service_times.observe(KeyId(length % 3), Shape::of([length * 10]), took);
        }
        let in_flight = InFlight::new(Some(places));
        let (mut adaptive, mut naive, mut slots) = (Adaptive::default(), Naive::default(), Slots::default());
        let (mut now, mut number) = (0, 0);
        for step in steps {
            match step {
                Step::Insert { customer, key, own_ms, lengths } => {
                    let shape = Shape::of(lengths);
                    let member = Member {
                        job: JobId(slots.insert(())),
                        slice: Slice::Whole,
                        sequences: shape.sequences,
                    };
                    let weight = customers.weight(ids[customer]);
                    let (key, own_ns, customer) = (KeyId(key), own_ms * 1_000_000, ids[customer]);
                    let part = Waiting { member, number, arrived: at(now), key, customer, weight, own_ns, shape };
                    number += 1;
                    adaptive.insert(&part);
                    naive.insert(&part);
                }
                Step::Remove(_) if naive.parts.is_empty() => {}
                Step::Remove(index) => {
                    let part = naive.parts.remove(index.index(naive.parts.len()));
                    adaptive.remove(&part);
                }
                Step::Take => {
                    let situation = Situation {
                        now: at(now),
                        batch_size: 6,
                        draining: false,
                        customers: &customers,
                        service_times: &service_times,
                        in_flight: &in_flight,
                    };
                    let mut members = Vec::new();
                    adaptive.take(&situation, &mut members);
                    prop_assert_eq!(members, naive.take(&situation));
                }
                Step::Pass(ms) => now += ms,
            }
            prop_assert_eq!(adaptive.waiting, naive.parts.len());
        }
    }
}
