//! Sets of error statuses.
//!
//! Here: [`StatusSet`], what `--eject-on` and `--retry-on` name. Not here: what follows from an answer with such a status
//! (`exchange.rs`, `retry.rs`). Floor 3.

/// The lowest that can be in a set, and how many there are from it on.
const FIRST: u16 = 400;
const COUNT: u16 = 200;

/// Some of the statuses from 400 to 599.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusSet([u64; 4]);

impl StatusSet {
    /// Whether `status` can be in a set.
    pub const fn is_possible(status: u16) -> bool {
        FIRST <= status && status < FIRST + COUNT
    }

    /// Adds `status`, if that is possible.
    pub fn insert(&mut self, status: u16) {
        if StatusSet::is_possible(status) {
            let n = usize::from(status - FIRST);
            self.0[n / 64] |= 1 << (n % 64);
        }
    }

    /// Whether it has `status`.
    pub fn contains(&self, status: u16) -> bool {
        StatusSet::is_possible(status) && {
            let n = usize::from(status - FIRST);
            self.0[n / 64] >> (n % 64) & 1 == 1
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        *self == StatusSet::default()
    }

    /// Those in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (FIRST..FIRST + COUNT).filter(|&status| self.contains(status))
    }
}

impl FromIterator<u16> for StatusSet {
    fn from_iter<I: IntoIterator<Item = u16>>(statuses: I) -> StatusSet {
        let mut set = StatusSet::default();
        statuses.into_iter().for_each(|status| set.insert(status));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_is_a_set_of_errors(statuses in prop::collection::btree_set(0..1000u16, 0..30)) {
            let set: StatusSet = statuses.iter().copied().collect();
            let model: BTreeSet<u16> = statuses.into_iter().filter(|status| (400..600).contains(status)).collect();
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!((0..=u16::MAX).all(|status| set.contains(status) == model.contains(&status)));
            prop_assert_eq!(set.is_empty(), model.is_empty());
        }
    }
}
