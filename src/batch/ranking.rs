//! Things in order of a rank that changes.
//!
//! Here: [`Ranking`], in which each thing has one rank at most; setting it and finding the least take O(log n).
//! The strategies rank keys by their first job and customers by what they have received. Floor 1.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Things by rank; of equal ranks the lesser thing comes first.
pub(super) struct Ranking<R, T> {
    order: BTreeSet<(R, T)>,
    ranks: BTreeMap<T, R>,
}

impl<R: Ord + Copy, T: Ord + Copy> Default for Ranking<R, T> {
    fn default() -> Self {
        Ranking { order: BTreeSet::new(), ranks: BTreeMap::new() }
    }
}

impl<R: Ord + Copy, T: Ord + Copy> Ranking<R, T> {
    /// Gives a thing another rank, or takes it out.
    pub(super) fn set(&mut self, thing: T, rank: Option<R>) {
        #[cfg(test)]
        super::work::step();
        let before = match rank {
            Some(rank) => self.ranks.insert(thing, rank),
            None => self.ranks.remove(&thing),
        };
        if before == rank {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, thing));
        }
        if let Some(rank) = rank {
            self.order.insert((rank, thing));
        }
    }

    /// Things by rank.
    pub(super) fn iter(&self) -> impl Iterator<Item = (R, T)> {
        self.order.iter().copied()
    }

    /// Things by rank, behind that one.
    pub(super) fn behind(&self, last: Option<(R, T)>) -> impl Iterator<Item = (R, T)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).copied()
    }

    /// Whether nothing has a rank.
    pub(super) fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// How many things have a rank.
    pub(super) fn len(&self) -> usize {
        self.ranks.len()
    }

    /// The thing of the greatest rank.
    pub(super) fn last(&self) -> Option<(R, T)> {
        self.order.last().copied()
    }

    /// The thing of the least rank.
    pub(super) fn first(&self) -> Option<(R, T)> {
        self.order.first().copied()
    }
}
