//! Fair by work, shortest first, together where it pays.
//!
//! Here: [`Adaptive`], the order of parts once the classifier's times are known: who leads a batch. `accounts.rs` keeps
//! what customers have received, `lane.rs` the parts of a key in order, `riders.rs` says who rides along, `split.rs`
//! which jobs are worth splitting. Sources: virtual token counters (Y. Sheng et al., *Fairness in Serving Large
//! Language Models*, OSDI 2024), shortest first within a customer, bounded ageing. Floor 1.

mod accounts;
mod lane;
#[cfg(test)]
mod oracle_tests;
mod riders;
pub(super) mod split;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::accounts::Accounts;
use self::lane::{Lane, Place};
use self::riders::{Candidate, Economy};
use super::dispatch::FlushReason;
use super::job::{KeyId, Member, Shape, Waiting};
use super::ranking::Ranking;
use super::strategy::{Pick, Situation, Strategy, at_once};
use crate::time::Instant;

/// A part is overdue after this, and so many times the time that it would take alone.
const PATIENCE: Duration = Duration::from_millis(200);
const PATIENCE_TIMES: u32 = 4;

/// Every so many batches an overdue part may lead.
const OVERDUE_TURN: u32 = 4;

/// Of how many customers with overdue parts one is looked for.
const MOST_OVERDUE: usize = 256;

/// How many parts behind the leader may ride.
const MOST_CANDIDATES: usize = 64;

/// How many customers' older counters in a lane are put right for a batch. If there are more at its front, candidates
/// come in the order as far as it is known.
const MOST_FRESHENED: usize = 256;

/// When a part that arrived then and takes that long alone is overdue.
fn overdue_at(arrived: Instant, own_ns: u64) -> Instant {
    arrived + PATIENCE + Duration::from_nanos(own_ns) * PATIENCE_TIMES
}

/// Order by work received.
#[derive(Default)]
pub(super) struct Adaptive {
    lanes: BTreeMap<KeyId, Lane>,
    accounts: Accounts,
    /// Keys by when their first part is overdue.
    by_overdue: Ranking<Instant, KeyId>,
    /// Parts that wait.
    waiting: usize,
    /// Batches since an overdue part might last have led.
    turn: u32,
    /// Empty; kept for its memory.
    candidates: Vec<Candidate>,
}

impl Adaptive {
    /// Keeps what is in order by a customer's parts of a key after these, or its counter, have changed. Lanes of its other
    /// keys learn of the counter when they are asked.
    fn rank(&mut self, key: KeyId, customer: u32) {
        let lane = self.lanes.get_mut(&key);
        let first_ns = lane.and_then(|lane| {
            let first_ns = lane.rank(customer, self.accounts.counter_ns(customer));
            self.by_overdue.set(key, lane.first_overdue());
            first_ns
        });
        self.accounts.set_first(customer, key, first_ns);
        if first_ns.is_none() && self.lanes.get(&key).is_some_and(Lane::is_empty) {
            // Customers whose last part was just taken are not all ranked again, but the lane goes at once.
            self.by_overdue.set(key, None);
            self.lanes.remove(&key);
        }
    }

    /// The part that leads because it is overdue: the oldest of customers that had no more than their share.
    fn overdue(&self, now: Instant) -> Option<(KeyId, Place)> {
        let share_ns = self.accounts.mean_counter_ns();
        let keys = self.by_overdue.iter().take_while(|&(at, _)| at < now);
        let parts = keys.flat_map(|(_, key)| self.lanes[&key].overdue(now).map(move |place| (key, place)));
        let entitled = |place: &Place| self.accounts.counter_ns(place.customer) <= share_ns;
        parts.take(MOST_OVERDUE).filter(|(_, place)| entitled(place)).min_by_key(|(_, place)| place.number)
    }

    fn lead(&mut self, now: Instant) -> Option<(KeyId, Place, bool)> {
        self.turn = (self.turn + 1) % OVERDUE_TURN;
        if self.turn == 0
            && let Some((key, place)) = self.overdue(now)
        {
            return Some((key, place, true));
        }
        let (key, customer) = self.accounts.lead()?;
        Some((key, self.lanes[&key].first_of(customer)?, false))
    }

    /// Takes a part out; its customer is to be ranked again.
    fn take_out(&mut self, key: KeyId, place: Place) {
        if self.lanes.get_mut(&key).is_some_and(|lane| lane.remove(place)) {
            self.waiting -= 1;
        }
    }

    /// Charges customers for a batch of that key that takes `ms`, in proportion to what their parts would take alone,
    /// and ranks them again.
    fn charge(&mut self, key: KeyId, ms: f64, taken: &[Candidate], situation: &Situation<'_>) {
        let alone_ns: f64 = taken.iter().map(|part| part.place.own_ns as f64).sum();
        for part in taken {
            let customer = part.place.customer;
            let share =
                if alone_ns > 0.0 { part.place.own_ns as f64 / alone_ns } else { 1.0 / taken.len() as f64 };
            let weight = f64::from(situation.customers.weight_at(customer));
            self.accounts.charge(customer, (1e6 * ms * share / weight) as u64);
        }
        for (i, customer) in taken.iter().map(|part| part.place.customer).enumerate() {
            // All of its parts are charged by now: once is enough.
            if taken[..i].iter().any(|before| before.place.customer == customer) {
                continue;
            }
            self.rank(key, customer);
        }
    }
}

impl Strategy for Adaptive {
    fn insert(&mut self, part: &Waiting) {
        let customer = part.customer.index();
        self.accounts.enter(part.customer);
        self.lanes.entry(part.key).or_default().insert(part);
        self.waiting += 1;
        self.rank(part.key, customer);
    }

    fn remove(&mut self, part: &Waiting) {
        self.take_out(part.key, Place::of(part));
        self.rank(part.key, part.customer.index());
    }

    fn take(&mut self, situation: &Situation<'_>, members: &mut Vec<Member>) -> Pick {
        let Some((key, place, is_overdue)) = self.lead(situation.now) else { return Pick::Nothing };
        let mut candidates = std::mem::take(&mut self.candidates);
        let lane = self.lanes.get_mut(&key).expect("the leader's key has a lane");
        let lead = lane.get(place).expect("the leader waits");
        let accounts = &self.accounts;
        // One more than there are candidates, since the leader is none of them.
        lane.freshen(accounts, MOST_CANDIDATES + 1);
        lane.by_tag(|customer| accounts.counter_ns(customer), MOST_CANDIDATES, place, &mut candidates);
        let economy = Economy {
            service_time: situation.service_times.of(key),
            batch_size: situation.batch_size,
            place_is_free: situation.in_flight.len() + 1 < situation.in_flight.limit(),
            waiting: self.waiting,
            occupancy: situation.in_flight.occupancy(),
            alike: lane.alike(),
            now: situation.now,
        };
        let riders = economy.choose(&lead, &mut candidates);
        candidates.truncate(riders);
        candidates.insert(0, lead);
        for part in &candidates {
            self.take_out(key, part.place);
        }
        let shape = candidates.iter().fold(Shape::default(), |sum, part| sum.with(part.shape));
        self.charge(key, situation.service_times.of(key).predict_ms(shape), &candidates, situation);
        members.extend(candidates.drain(..).map(|part| part.member));
        self.candidates = candidates;
        let flush = if is_overdue { FlushReason::Deadline } else { at_once(shape.sequences, situation) };
        Pick::Batch { key, flush }
    }
}
