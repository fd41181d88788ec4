//! Idle upstream connections of one backend, newest first.
//!
//! Here: the order in which they are used again. Not here: whether one may be (`h1/persistence.rs`) and noticing that
//! one was closed (`upstream.rs`). Floor 3.

use super::UpstreamId;

/// A last-in-first-out pool: the newest connection is the least likely to be closed by the backend meanwhile, and
/// the surplus of a past peak grows old and goes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Vec<UpstreamId>,
}

impl Pool {
    pub(super) fn put(&mut self, id: UpstreamId) {
        self.idle.push(id);
    }

    pub(super) fn take(&mut self) -> Option<UpstreamId> {
        self.idle.pop()
    }

    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    /// The one that has been idle longest.
    pub(super) fn oldest(&self) -> Option<UpstreamId> {
        self.idle.first().copied()
    }

    /// Forgets a connection that was closed while idle. Searched from the oldest, which mostly goes first.
    pub(super) fn remove(&mut self, id: UpstreamId) {
        if let Some(at) = self.idle.iter().position(|&other| other == id) {
            self.idle.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::SlotId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_list(steps in prop::collection::vec((0..3u8, 0..8u32), 0..200)) {
            let (mut pool, mut model) = (Pool::default(), Vec::new());
            for (n, (step, which)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        let id = SlotId::new(which, n as u32);
                        pool.put(id);
                        model.push(id);
                    }
                    1 => prop_assert_eq!(pool.take(), model.pop()),
                    _ => {
                        let id = model.get(which as usize).copied().unwrap_or(SlotId::new(99, 0));
                        pool.remove(id);
                        model.retain(|&other| other != id);
                    }
                }
                prop_assert_eq!(&pool.idle, &model);
            }
        }
    }
}
