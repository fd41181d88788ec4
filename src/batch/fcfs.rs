//! First come, first served.
//!
//! Here: [`Fcfs`]: in order of arrival to the first that does not fit. A batch that is not full when it is formed
//! waits for [`FCFS_WAIT`] and goes at once when it becomes full. Each key forms a batch of its own. Floor 1.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dispatch::FlushReason;
use super::fifo::Fifo;
use super::job::{KeyId, Member, Waiting};
use super::ranking::Ranking;
use super::strategy::{Pick, Situation, Strategy};
use crate::time::Instant;

/// How long a batch that is not full waits for more.
pub const FCFS_WAIT: Duration = Duration::from_millis(50);

/// Order of arrival.
pub(super) struct Fcfs {
    batch_size: u32,
    lanes: BTreeMap<KeyId, Lane>,
    /// Keys whose next batch is full, by their oldest job.
    full: Ranking<u64, KeyId>,
    /// Keys whose next batch is formed, not full, and held, by the end of that.
    held: Ranking<Instant, KeyId>,
    /// Keys whose next batch is not formed yet and would not be full, by their oldest job.
    unformed: Ranking<u64, KeyId>,
}

/// The jobs of one key. Its next batch are the first that fit together.
#[derive(Default)]
struct Lane {
    waiting: Fifo,
    /// Sequences of the next batch.
    filled: u32,
    /// Whether the job behind the next batch does not fit, so that none may join.
    closed: bool,
    /// Until when the next batch is held for more, once it is formed.
    held_until: Option<Instant>,
    ranks: Ranks,
}

/// Where a key is in the orders of keys.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Ranks {
    full: Option<u64>,
    held: Option<Instant>,
    unformed: Option<u64>,
}

impl Lane {
    /// Joins a job, which is the last, to the next batch if it may.
    fn count(&mut self, sequences: u32, batch_size: u32) {
        self.closed |= self.filled + sequences > batch_size;
        if !self.closed {
            self.filled += sequences;
        }
    }

    fn count_all(&mut self, batch_size: u32) {
        let (mut filled, mut closed) = (0, false);
        self.waiting.look(|member| {
            closed = filled + member.sequences > batch_size;
            filled += if closed { 0 } else { member.sequences };
            !closed && filled < batch_size
        });
        (self.filled, self.closed) = (filled, closed);
    }
}

impl Fcfs {
    /// Nothing waits yet.
    pub(super) fn new(batch_size: u32) -> Fcfs {
        Fcfs {
            batch_size,
            lanes: BTreeMap::new(),
            full: Ranking::default(),
            held: Ranking::default(),
            unformed: Ranking::default(),
        }
    }

    /// Keeps the orders of keys after a lane has changed.
    fn rank_key(&mut self, key: KeyId) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let oldest = lane.waiting.front().map(|(number, _)| number);
        let is_full = lane.filled == self.batch_size;
        let held = lane.held_until.filter(|_| !is_full && oldest.is_some());
        let full = oldest.filter(|_| is_full);
        let ranks = Ranks { full, held, unformed: oldest.filter(|_| !is_full && held.is_none()) };
        if std::mem::replace(&mut lane.ranks, ranks) == ranks {
            return;
        }
        self.full.set(key, ranks.full);
        self.held.set(key, ranks.held);
        self.unformed.set(key, ranks.unformed);
        if oldest.is_none() {
            self.lanes.remove(&key);
        }
    }

    /// The key whose batch is to go, the one with the oldest job, and why.
    fn due(&self, situation: &Situation<'_>) -> Option<(KeyId, FlushReason)> {
        let oldest = |key: KeyId| self.lanes[&key].waiting.front().map(|(number, _)| number);
        let full = self.full.first().map(|(_, key)| (key, FlushReason::Full));
        let held = self.held.first().filter(|&(until, _)| until <= situation.now || situation.draining);
        let reason = if situation.draining { FlushReason::Drain } else { FlushReason::Timeout };
        let held = held.map(|(_, key)| (key, reason));
        let unformed = self.unformed.first().filter(|_| situation.draining);
        let unformed = unformed.map(|(_, key)| (key, FlushReason::Drain));
        full.into_iter().chain(held).chain(unformed).min_by_key(|&(key, _)| oldest(key))
    }

    fn form_all(&mut self, now: Instant) {
        while let Some((_, key)) = self.unformed.first() {
            let lane = self.lanes.get_mut(&key).expect("a ranked key has a lane");
            lane.held_until = Some(now + FCFS_WAIT);
            self.rank_key(key);
        }
    }
}

impl Strategy for Fcfs {
    fn insert(&mut self, part: &Waiting) {
        let lane = self.lanes.entry(part.key).or_default();
        lane.waiting.push(part.number, part.member);
        lane.count(part.member.sequences, self.batch_size);
        self.rank_key(part.key);
    }

    fn remove(&mut self, part: &Waiting) {
        if let Some(lane) = self.lanes.get_mut(&part.key) {
            lane.waiting.remove(part.number);
            lane.count_all(self.batch_size);
            self.rank_key(part.key);
        }
    }

    fn take(&mut self, situation: &Situation<'_>, members: &mut Vec<Member>) -> Pick {
        let Some((key, flush)) = self.due(situation) else {
            self.form_all(situation.now);
            return self.held.first().map_or(Pick::Nothing, |(until, _)| Pick::Wait(until));
        };
        let lane = self.lanes.get_mut(&key).expect("a ranked key has a lane");
        let mut taken = 0;
        while taken < lane.filled
            && let Some(member) = lane.waiting.pop()
        {
            taken += member.sequences;
            members.push(member);
        }
        lane.held_until = None;
        lane.count_all(self.batch_size);
        self.rank_key(key);
        Pick::Batch { key, flush }
    }
}
