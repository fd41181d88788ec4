//! Idle upstream connections of one backend, newest first, and how many are in use.
//!
//! Here: the order in which they are used again, and how many may rest. Not here: whether one may be kept
//! (`h1/persistence.rs`) and noticing that one was closed (`upstream.rs`). Floor 3.

use std::collections::VecDeque;
use std::time::Duration;

use super::{PoolLimit, UpstreamId};
use crate::time::Instant;

/// The most in use at once is known for so many spans, the present one included.
const SPANS: usize = 4;

/// Three whole ones are a minute: what was in use at once in the last 60 s is always remembered, and for 80 s at most.
const SPAN: Duration = Duration::from_secs(20);

/// A last-in-first-out pool: the newest connection is the least likely to be closed by the backend meanwhile, and
/// the surplus of a past peak grows old and goes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: VecDeque<UpstreamId>,
    /// Connections to the backend that are not idle.
    in_use: u32,
    /// Idle ones that belong to clients (`private.rs`).
    private: u32,
    /// Until then no connection passes from one client to another.
    trusted_from: Instant,
    /// The most at once in the present span.
    peak: u32,
    /// The most at once in the spans before it, and the largest of those.
    before: [u32; SPANS - 1],
    before_most: u32,
    /// When the present span is over.
    next: Instant,
}

impl Pool {
    /// A connection is in use from now on: a new one, or one that was taken.
    pub(super) fn begin_use(&mut self) {
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
    }

    /// One that was in use is so no longer.
    pub(super) fn end_use(&mut self) {
        debug_assert!(self.in_use > 0, "a connection is given back that nobody used");
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// A connection rests for its client alone.
    pub(super) fn begin_rest(&mut self) {
        self.private += 1;
    }

    /// One that did so is in use or closed.
    pub(super) fn end_rest(&mut self) {
        debug_assert!(self.private > 0, "a connection is taken that did not rest");
        self.private = self.private.saturating_sub(1);
    }

    /// How many rest for their clients alone.
    pub(super) fn private(&self) -> u32 {
        self.private
    }

    /// No connection passes from one client to another before `until`.
    pub(super) fn distrust(&mut self, until: Instant) {
        self.trusted_from = self.trusted_from.max(until);
    }

    pub(super) fn is_trusted(&self, now: Instant) -> bool {
        now >= self.trusted_from
    }

    #[inline]
    pub(super) fn put(&mut self, id: UpstreamId) {
        self.idle.push_back(id);
    }

    pub(super) fn take(&mut self) -> Option<UpstreamId> {
        self.idle.pop_back()
    }

    /// The one that has been idle longest.
    pub(super) fn oldest(&self) -> Option<UpstreamId> {
        self.idle.front().copied()
    }

    pub(super) fn take_oldest(&mut self) -> Option<UpstreamId> {
        self.idle.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Whether more rest than may.
    pub(super) fn is_over(&self, limit: PoolLimit) -> bool {
        match limit {
            PoolLimit::Auto => {
                self.idle.len() + self.in_use as usize > self.peak.max(self.before_most) as usize
            }
            PoolLimit::Most(most) => self.idle.len() > most,
        }
    }

    /// It is `now`. To be called a few times a second while there are requests.
    pub(super) fn tick(&mut self, now: Instant) {
        for _ in 0..SPANS {
            if now < self.next {
                return;
            }
            self.before.rotate_right(1);
            self.before[0] = self.peak;
            self.before_most = self.before.into_iter().max().unwrap_or_default();
            self.peak = self.in_use;
            self.next = self.next + SPAN;
        }
        self.next = self.next.max(now + SPAN);
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

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    proptest! {
        #[test]
        fn equals_a_list(steps in prop::collection::vec((0..4u8, 0..8u32), 0..200)) {
            let (mut pool, mut model) = (Pool::default(), Vec::new());
            for (n, (step, which)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        let id = SlotId::new(which, n as u32);
                        pool.put(id);
                        model.push(id);
                    }
                    1 => prop_assert_eq!(pool.take(), model.pop()),
                    2 => {
                        let oldest = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(pool.oldest(), oldest);
                        prop_assert_eq!(pool.take_oldest(), oldest);
                    }
                    _ => {
                        let id = model.get(which as usize).copied().unwrap_or(SlotId::new(99, 0));
                        pool.remove(id);
                        model.retain(|&other| other != id);
                    }
                }
                prop_assert!(pool.idle.iter().eq(&model));
            }
        }

        /// Against the whole history: what was in use at once in the last 60 s may rest or be in use, and never more
        /// than in the last 80 s.
        #[test]
        fn as_many_may_stay_as_were_in_use_at_once_lately(
            steps in prop::collection::vec((0..3u8, 0..5_000u64, 1..6u32), 1..300),
        ) {
            let mut pool = Pool::default();
            let (mut in_use, mut idle, mut millis, mut serial) = (0, 0, 0, 0);
            let mut history = vec![(0, 0)];
            for (step, later, count) in steps {
                millis += later;
                let now = Instant::ZERO + Duration::from_millis(millis);
                pool.tick(now);
                for _ in 0..count {
                    if step == 0 {
                        // A new one: not each request may use one that rests.
                        pool.begin_use();
                        in_use += 1;
                    } else if step == 1 && pool.take().is_some() {
                        pool.begin_use();
                        (in_use, idle) = (in_use + 1, idle - 1);
                    } else if in_use > 0 {
                        pool.end_use();
                        serial += 1;
                        pool.put(SlotId::new(serial, 0));
                        (in_use, idle) = (in_use - 1, idle + 1);
                        if pool.is_over(PoolLimit::Auto) {
                            prop_assert!(pool.take_oldest().is_some());
                            idle -= 1;
                        }
                    }
                    history.push((millis, in_use));
                    // What was in use when the window began counts too.
                    let most = |window: u64| {
                        let from = millis.saturating_sub(window);
                        let first = history.iter().rposition(|&(at, _)| at <= from).unwrap_or(0);
                        history[first..].iter().map(|&(_, count)| count).max().unwrap_or(0) as usize
                    };
                    prop_assert_eq!((pool.len(), pool.in_use()), (idle, in_use));
                    prop_assert_eq!(pool.is_over(PoolLimit::Auto) && pool.len() + in_use as usize <= most(60_000), false);
                    let kept = pool.peak.max(pool.before_most) as usize;
                    prop_assert!((most(60_000)..=most(80_000)).contains(&kept), "{} of {}", kept, most(60_000));
                }
            }
        }
    }

    #[test]
    fn one_after_another_never_rest_more_than_one() {
        let mut pool = Pool::default();
        pool.tick(at(0));
        for n in 0..3_000 {
            pool.begin_use();
            pool.end_use();
            pool.put(SlotId::new(n, 0));
            if pool.is_over(PoolLimit::Auto) {
                assert_eq!(pool.take_oldest(), Some(SlotId::new(n - 1, 0)), "the fresh one stays");
            }
            assert_eq!(pool.len(), 1);
        }
    }

    #[test]
    fn a_peak_is_forgotten_after_a_minute_and_not_before() {
        let mut pool = Pool::default();
        pool.tick(at(0));
        (0..100).for_each(|_| pool.begin_use());
        for n in 0..100 {
            pool.end_use();
            pool.put(SlotId::new(n, 0));
        }
        for second in 1..60 {
            pool.tick(at(second));
            assert!(!pool.is_over(PoolLimit::Auto), "after {second} s");
        }
        pool.tick(at(81));
        assert!(pool.is_over(PoolLimit::Auto) && !pool.is_over(PoolLimit::Most(100)));
        pool.tick(at(10_000));
        assert_eq!((pool.peak, pool.before_most, pool.next), (0, 0, at(10_020)));
    }
}
