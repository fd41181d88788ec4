//! What choices were made on.
//!
//! Here: [`Choices`], which tells what the averages of all backends were when the backend of a request was chosen. A
//! record says what became of its own backend's averages, and how many records were made since its choice; so the
//! reactor need not copy them all for each request. Not here: the averages (`balance/`). `figures.rs` feeds it.
//! Floor 2.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{Averages, Record};

/// How many records a snapshot tells that of.
const LATEST: usize = 200;

/// How far a choice may lie back, in records; of one that lies back further the oldest averages known are told.
const REMEMBERED: usize = 8192;

/// Of more backends the averages are not told.
const BACKENDS: usize = 64;

/// A finished request, and what the choice of its backend was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The request.
    pub record: Record,
    /// What the averages of the first 64 servers were when its backend was chosen.
    pub averages: Vec<Averages>,
}

/// How averages have moved of late.
#[derive(Debug)]
pub(super) struct Choices {
    /// The averages before the first of `moves`.
    before: Vec<Averages>,
    /// One for each record, the newest last: whose averages it moved, and to what.
    moves: VecDeque<(Option<usize>, Averages)>,
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

    pub(super) fn add(&mut self, record: &Record) {
        if self.moves.len() == REMEMBERED
            && let Some(oldest) = self.moves.pop_front()
        {
            apply(&mut self.before, oldest);
        }
        self.moves.push_back((record.backend.map(|id| usize::from(id.0)), record.averages));
        self.is_old = true;
    }

    /// Takes in what was added; `recent` are the last records, oldest first.
    pub(super) fn renew(&mut self, recent: &VecDeque<Record>) {
        if !std::mem::take(&mut self.is_old) {
            return;
        }
        let count = recent.len().min(LATEST).min(self.moves.len());
        let first = self.moves.len() - count;
        let records = recent.iter().skip(recent.len() - count);
        let mut latest: Vec<_> = records.map(|&record| Latest { record, averages: Vec::new() }).collect();
        // How many of the moves had been made when each was chosen; in that order, one walk tells of all.
        let moved = |i: usize, record: &Record| (first + i).saturating_sub(record.since_choice as usize);
        let mut order: Vec<_> =
            latest.iter().enumerate().map(|(i, latest)| (moved(i, &latest.record), i)).collect();
        order.sort_unstable();
        let (mut averages, mut made) = (self.before.clone(), 0);
        for (moved, i) in order {
            self.moves.range(made..moved).for_each(|&step| apply(&mut averages, step));
            made = moved;
            latest[i].averages.clone_from(&averages);
        }
        self.latest = latest.into();
    }

    pub(super) fn latest(&self) -> Arc<[Latest]> {
        Arc::clone(&self.latest)
    }
}

/// A request that said nothing of a backend's averages moves none.
fn apply(averages: &mut [Averages], (backend, moved): (Option<usize>, Averages)) {
    if moved != Averages::UNMEASURED
        && let Some(own) = backend.and_then(|i| averages.get_mut(i))
    {
        *own = moved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{BackendId, RoutingMode};
    use crate::record::Mode;
    use crate::time::WallTime;

    fn record(backend: u16, since_choice: u32, sma_ms: u32) -> Record {
        let ns = Some(f64::from(sma_ms) * 1e6);
        Record {
            ended: WallTime::from_nanos(0),
            latency_ns: 1,
            backend: Some(BackendId(backend)),
            status: 200,
            mode: Mode::Routing(RoutingMode::AdaptiveSma),
            failed: false,
            reused: false,
            connect_us: 0,
            since_choice,
            averages: Averages::new(ns, ns),
        }
    }

    fn told(records: &[Record]) -> Vec<Vec<Option<u32>>> {
        let mut choices = Choices::new(2);
        let mut recent = VecDeque::new();
        for record in records {
            choices.add(record);
            recent.push_back(*record);
        }
        choices.renew(&recent);
        let ms = |latest: &Latest| latest.averages.iter().map(|a| a.sma_us().map(|us| us / 1000)).collect();
        choices.latest().iter().map(ms).collect()
    }

    #[test]
    fn a_request_is_shown_with_the_averages_of_its_choice_not_of_its_end() {
        // The third was chosen before anything had ended, the fourth after the first had.
        let records = [record(0, 0, 10), record(1, 1, 20), record(0, 2, 11), record(1, 2, 21)];
        let known = |a, b| vec![a, b];
        let expected = [known(None, None), known(None, None), known(None, None), known(Some(10), None)];
        assert_eq!(told(&records), expected);
        let next = [&records[..], &[record(0, 0, 12)]].concat();
        assert_eq!(told(&next).last(), Some(&known(Some(11), Some(21))));
    }

    #[test]
    fn what_lies_back_too_far_is_told_by_the_oldest_averages_known() {
        let mut records: Vec<_> = (0..REMEMBERED as u32 + 10).map(|i| record(0, 0, i)).collect();
        records.push(record(1, u32::MAX, 5));
        let told = told(&records);
        assert_eq!(told.len(), LATEST);
        // Eleven moves have left the memory; the newest of them was to 10.
        assert_eq!(told.last(), Some(&vec![Some(10), None]));
        assert_eq!(told[LATEST - 2], [Some(REMEMBERED as u32 + 8), None]);
    }

    #[test]
    fn a_request_that_says_nothing_of_averages_moves_none() {
        let silent = Record { averages: Averages::UNMEASURED, ..record(0, 0, 0) };
        let nowhere = Record { backend: None, ..silent };
        let far = record(7, 0, 9);
        assert_eq!(
            told(&[record(0, 0, 4), silent, nowhere, far, record(1, 0, 1)]).last(),
            Some(&vec![Some(4), None])
        );
    }
}
