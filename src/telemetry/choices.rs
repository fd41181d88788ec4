//! What choices were made on.
//!
//! Here: [`Choices`], which tells what the averages of all backends were when the backend of a request was chosen. A
//! record says when its request began and ended, and what became of its own backend's averages then; so all is known
//! without the reactor's copying every average for each request. Times are civil ones: when that clock is set anew,
//! what is in flight may be told by averages of another moment. Not here: the averages (`balance/`). `figures.rs`
//! feeds it. Floor 2.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::balance::BackendId;
use crate::record::{Averages, Record};
use crate::time::WallTime;

/// How many records a snapshot tells that of.
const LATEST: usize = 200;

/// How many records a choice may lie back; of one that lies back further the oldest averages known are told.
const REMEMBERED: usize = 8192;

/// Of more backends the averages are not told.
const BACKENDS: usize = 64;

/// A finished request, and what the choice of its backend was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The request.
    pub record: Record,
    /// What the averages of the first 64 servers, by `BackendId`, were when its backend was chosen.
    pub averages: Vec<Averages>,
}

/// A step of one backend's averages.
#[derive(Clone, Copy, Debug)]
struct Move {
    ended: WallTime,
    backend: Option<usize>,
    averages: Averages,
}

/// How averages have moved of late.
#[derive(Debug)]
pub(super) struct Choices {
    /// The averages before the first of `moves`.
    before: Vec<Averages>,
    /// One for each record, the newest last.
    moves: VecDeque<Move>,
    latest: Arc<[Latest]>,
    is_old: bool,
}

impl Choices {
    pub(super) fn new(backends: usize) -> Choices {
        Choices {
            before: vec![Averages::UNMEASURED; backends.min(BACKENDS)],
            moves: VecDeque::new(),
            latest: Arc::default(),
            is_old: false,
        }
    }

    /// There are so many ids now.
    pub(super) fn make_room(&mut self, backends: usize) {
        let room = backends.min(BACKENDS).max(self.before.len());
        self.before.resize(room, Averages::UNMEASURED);
    }

    /// Another has this id now.
    pub(super) fn forget(&mut self, id: BackendId) {
        let index = usize::from(id.0);
        self.before.get_mut(index).into_iter().for_each(|own| *own = Averages::UNMEASURED);
        self.moves.iter_mut().filter(|made| made.backend == Some(index)).for_each(|made| made.backend = None);
        self.is_old = true;
    }

    pub(super) fn add(&mut self, record: &Record) {
        if self.moves.len() == REMEMBERED
            && let Some(oldest) = self.moves.pop_front()
        {
            oldest.apply(&mut self.before);
        }
        let backend = record.backend.map(|id| usize::from(id.0));
        self.moves.push_back(Move { ended: record.ended, backend, averages: record.averages });
        self.is_old = true;
    }

    /// Of the newest of `recent`, the last records, oldest first.
    pub(super) fn latest(&mut self, recent: &VecDeque<Record>) -> Arc<[Latest]> {
        self.renew(recent);
        Arc::clone(&self.latest)
    }

    /// Takes in what was added.
    fn renew(&mut self, recent: &VecDeque<Record>) {
        if !std::mem::take(&mut self.is_old) {
            return;
        }
        let records = recent.iter().skip(recent.len().saturating_sub(LATEST));
        let mut latest: Vec<_> = records.map(|&record| Latest { record, averages: Vec::new() }).collect();
        // When each was chosen; in that order, one walk through the moves tells of all.
        let chosen = |record: &Record| record.ended.as_nanos().saturating_sub(record.latency_ns);
        let mut order: Vec<_> =
            latest.iter().enumerate().map(|(i, latest)| (chosen(&latest.record), i)).collect();
        order.sort_unstable();
        let (mut averages, mut moves) = (self.before.clone(), self.moves.iter().peekable());
        for (chosen, i) in order {
            while let Some(made) = moves.next_if(|made| made.ended.as_nanos() <= chosen) {
                made.apply(&mut averages);
            }
            latest[i].averages.clone_from(&averages);
        }
        self.latest = latest.into();
    }
}

impl Move {
    /// A request that said nothing of a backend's averages moves none.
    fn apply(self, averages: &mut [Averages]) {
        if self.averages != Averages::UNMEASURED
            && let Some(own) = self.backend.and_then(|i| averages.get_mut(i))
        {
            *own = self.averages;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{BackendId, RoutingMode};
    use crate::record::Mode;

    /// A request from one millisecond to another.
    fn record(backend: u16, (begun, ended): (u64, u64), sma_ms: u32) -> Record {
        let ns = Some(f64::from(sma_ms) * 1e6);
        Record {
            ended: WallTime::from_nanos(ended * 1_000_000),
            latency_ns: (ended - begun) * 1_000_000,
            backend: Some(BackendId(backend)),
            status: 200,
            mode: Mode::Routing(RoutingMode::AdaptiveSma),
            failed: false,
            reused: false,
            connect_us: 0,
            averages: Averages::new(ns, ns),
        }
    }

    /// The SMA of both backends in whole milliseconds, as each request's choice saw them.
    fn told(records: &[Record]) -> Vec<[Option<u32>; 2]> {
        let mut choices = Choices::new(2);
        let mut recent = VecDeque::new();
        for record in records {
            choices.add(record);
            recent.push_back(*record);
        }
        let ms = |averages: Averages| averages.sma_ns().map(|ns| (ns / 1e6).round() as u32);
        choices
            .latest(&recent)
            .iter()
            .map(|latest| [ms(latest.averages[0]), ms(latest.averages[1])])
            .collect()
    }

    #[test]
    fn a_request_is_shown_with_the_averages_of_its_choice_not_of_its_end() {
        // The second and the third were chosen before the first ended, the fourth just after.
        let records = [
            record(0, (0, 10), 10),
            record(1, (1, 20), 20),
            record(0, (2, 30), 11),
            record(1, (10, 40), 21),
            record(0, (25, 50), 12),
        ];
        let none = [None, None];
        assert_eq!(told(&records), [none, none, none, [Some(10), None], [Some(10), Some(20)]]);
    }

    #[test]
    fn what_lies_back_too_far_is_told_by_the_oldest_averages_known() {
        let last = REMEMBERED as u64 + 10;
        let mut records: Vec<_> = (1..=last).map(|i| record(0, (i, i + 1), i as u32)).collect();
        records.push(record(1, (0, last + 2), 5));
        let told = told(&records);
        assert_eq!(told.len(), LATEST);
        // Eleven moves have left the memory.
        assert_eq!(told.last(), Some(&[Some(11), None]));
        assert_eq!(told[LATEST - 2], [Some(last as u32 - 1), None]);
    }

    #[test]
    fn a_request_that_says_nothing_of_averages_moves_none() {
        let silent = Record { averages: Averages::UNMEASURED, ..record(0, (1, 2), 0) };
        let nowhere = Record { backend: None, ..silent };
        let records = [record(0, (0, 1), 4), silent, nowhere, record(7, (2, 3), 9), record(1, (4, 5), 1)];
        assert_eq!(told(&records).last(), Some(&[Some(4), None]));
    }
}
