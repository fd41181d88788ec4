//! Shortest job first.
//!
//! Here: [`Sjf`]: by longest sequence, ties by arrival; from the front while they fit. With weights, a customer's
//! lengths count divided by its weight (W. E. Smith, *Various optimizers for single-stage production*, 1956). With a
//! most wait, jobs that have waited that long come first, in order of arrival. Floor 1.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dispatch::FlushReason;
use super::job::{KeyId, Member, Waiting};
use super::ranking::Ranking;
use super::strategy::{Pick, Situation, Strategy, at_once};
use crate::time::Instant;

/// Longest sequence in 2^-16 characters over weight, then order of arrival.
type Rank = (u64, u64);

/// Order by length.
pub(super) struct Sjf {
    max_wait: Option<Duration>,
    lanes: BTreeMap<KeyId, Lane>,
    /// Keys by their shortest job.
    shortest: Ranking<Rank, KeyId>,
    /// Keys by their oldest job; empty without a most wait.
    oldest: Ranking<u64, KeyId>,
}

/// The jobs of one key.
#[derive(Default)]
struct Lane {
    by_length: BTreeMap<Rank, Member>,
    /// By number, when it arrived and where it is in `by_length`; empty without a most wait.
    by_arrival: BTreeMap<u64, (Instant, Rank)>,
}

impl Sjf {
    /// Nothing waits yet. A job that has waited for `max_wait` goes ahead of shorter ones.
    pub(super) fn new(max_wait: Option<Duration>) -> Sjf {
        Sjf { max_wait, lanes: BTreeMap::new(), shortest: Ranking::default(), oldest: Ranking::default() }
    }

    /// Keeps the order of keys after a lane has changed.
    fn rank_key(&mut self, key: KeyId) {
        let Some(lane) = self.lanes.get(&key) else { return };
        self.shortest.set(key, lane.by_length.first_key_value().map(|(&rank, _)| rank));
        self.oldest.set(key, lane.by_arrival.first_key_value().map(|(&number, _)| number));
        if lane.by_length.is_empty() {
            self.lanes.remove(&key);
        }
    }

    /// The key of the oldest job, if that has waited for too long at `now`.
    fn overdue(&self, now: Instant) -> Option<KeyId> {
        let (number, key) = self.oldest.first()?;
        let (arrived, _) = self.lanes[&key].by_arrival[&number];
        (arrived + self.max_wait? <= now).then_some(key)
    }
}

fn rank(part: &Waiting) -> Rank {
    ((u64::from(part.shape.longest) << 16) / u64::from(part.weight), part.number)
}

impl Strategy for Sjf {
    fn insert(&mut self, part: &Waiting) {
        let rank = rank(part);
        let lane = self.lanes.entry(part.key).or_default();
        lane.by_length.insert(rank, part.member);
        if self.max_wait.is_some() {
            lane.by_arrival.insert(part.number, (part.arrived, rank));
        }
        self.rank_key(part.key);
    }

    fn remove(&mut self, part: &Waiting) {
        if let Some(lane) = self.lanes.get_mut(&part.key) {
            lane.by_length.remove(&rank(part));
            lane.by_arrival.remove(&part.number);
            self.rank_key(part.key);
        }
    }

    fn take(&mut self, situation: &Situation<'_>, members: &mut Vec<Member>) -> Pick {
        let overdue = self.overdue(situation.now);
        let Some(key) = overdue.or(self.shortest.first().map(|(_, key)| key)) else { return Pick::Nothing };
        let Some(lane) = self.lanes.get_mut(&key) else { return Pick::Nothing };
        let mut cut = Cut { members, room: situation.batch_size };
        let all_overdue_fit =
            self.max_wait.is_none_or(|wait| lane.take_overdue(&mut cut, wait, situation.now));
        if all_overdue_fit {
            lane.take_shortest(&mut cut);
        }
        self.rank_key(key);
        let flush = match overdue {
            Some(_) => FlushReason::Deadline,
            None => at_once(situation.batch_size - cut.room, situation),
        };
        Pick::Batch { key, flush }
    }
}

/// A batch as it is being filled.
struct Cut<'a> {
    members: &'a mut Vec<Member>,
    room: u32,
}

impl Cut<'_> {
    /// Whether the member fitted, and so was added.
    fn add(&mut self, member: Member) -> bool {
        let fits = member.sequences <= self.room;
        if fits {
            self.room -= member.sequences;
            self.members.push(member);
        }
        fits
    }
}

impl Lane {
    /// Takes the jobs that have waited for `wait`, oldest first, to the first that does not fit. Whether all did.
    fn take_overdue(&mut self, cut: &mut Cut<'_>, wait: Duration, now: Instant) -> bool {
        while let Some((&number, &(arrived, rank))) = self.by_arrival.first_key_value() {
            if now < arrived + wait {
                return true;
            }
            if !cut.add(self.by_length[&rank]) {
                return false;
            }
            self.by_length.remove(&rank);
            self.by_arrival.remove(&number);
        }
        true
    }

    /// Takes the shortest jobs to the first that does not fit.
    fn take_shortest(&mut self, cut: &mut Cut<'_>) {
        while let Some(first) = self.by_length.first_entry() {
            if !cut.add(*first.get()) {
                return;
            }
            let ((_, number), _) = first.remove_entry();
            self.by_arrival.remove(&number);
        }
    }
}
