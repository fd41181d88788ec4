//! Who works on what until when.
//!
//! Here: [`Workers`], a queue in order of arrival before a number of workers, as a table of times. Not here: waiting for
//! those times (`connection.rs`), how long the work takes (`service_time.rs`). Floor 3.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::time::Instant;

/// Workers who take work in order of arrival, one piece each at a time.
///
/// The time of a piece is known when it comes, so its end is too: nothing queues here but the times at which workers
/// become free. A piece is done whether or not somebody still wants it.
#[derive(Debug)]
pub(super) struct Workers {
    /// How many there are; `None`: as many as there is work.
    number: Option<NonZeroUsize>,
    /// Until when each worker is taken who has had work; never longer than `number`.
    taken_until: BinaryHeap<Reverse<Instant>>,
}

impl Workers {
    pub(super) fn new(number: Option<NonZeroUsize>) -> Workers {
        Workers { number, taken_until: BinaryHeap::new() }
    }

    /// Gives the worker who is free first a piece of work that takes `time`; returns when it is done. `now` must not
    /// be before that of an earlier call.
    pub(super) fn take(&mut self, now: Instant, time: Duration) -> Instant {
        self.take_until(now, |start| start + time)
    }

    /// The same for work whose end depends on its start.
    pub(super) fn take_until(&mut self, now: Instant, end: impl FnOnce(Instant) -> Instant) -> Instant {
        let Some(number) = self.number else { return end(now) };
        let all_taken = self.taken_until.len() == number.get();
        let first_free = if all_taken { self.taken_until.pop() } else { None };
        let start = first_free.map_or(now, |Reverse(free)| free.max(now));
        let end = end(start);
        self.taken_until.push(Reverse(end));
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn at(ns: u64) -> Instant {
        Instant::from_nanos(ns)
    }

    /// The ends of `(when, how long)` by a queue that is stepped from nanosecond to nanosecond.
    fn stepped(number: usize, work: &[(u64, u64)]) -> Vec<u64> {
        let (mut ends, mut taken_until) = (vec![0; work.len()], vec![0; number]);
        let (mut queue, mut coming) = (VecDeque::new(), work.iter().enumerate().peekable());
        for now in 0.. {
            while let Some((i, &(_, time))) = coming.next_if(|&(_, &(when, _))| when <= now) {
                queue.push_back((i, time));
            }
            while let Some(worker) = taken_until.iter_mut().find(|until| **until <= now)
                && let Some((i, time)) = queue.pop_front()
            {
                *worker = now + time;
                ends[i] = *worker;
            }
            if queue.is_empty() && coming.peek().is_none() {
                break;
            }
        }
        ends
    }

    #[test]
    fn two_workers_take_four_pieces_in_order() {
        let mut workers = Workers::new(NonZeroUsize::new(2));
        let ends = [10, 2, 5, 1].map(|ns| workers.take(at(100), Duration::from_nanos(ns)).as_nanos());
        assert_eq!(ends, [110, 102, 107, 108]);
        assert_eq!(workers.take(at(200), Duration::from_nanos(1)), at(201));
        assert_eq!(workers.taken_until.len(), 2);
    }

    proptest! {
        #[test]
        fn the_table_of_times_is_a_queue(
            number in 1..5usize,
            work in prop::collection::vec((0..12u64, 0..25u64), 0..60),
        ) {
            let mut now = 0;
            let work: Vec<_> = work.into_iter().map(|(gap, time)| { now += gap; (now, time) }).collect();
            let mut workers = Workers::new(NonZeroUsize::new(number));
            let ends: Vec<_> =
                work.iter().map(|&(when, ns)| workers.take(at(when), Duration::from_nanos(ns)).as_nanos()).collect();
            prop_assert!(workers.taken_until.len() <= number);
            prop_assert_eq!(ends, stepped(number, &work));
        }

        #[test]
        fn without_a_bound_nothing_waits(work in prop::collection::vec((0..12u64, 0..25u64), 0..60)) {
            let mut workers = Workers::new(None);
            for (when, ns) in work {
                prop_assert_eq!(workers.take(at(when), Duration::from_nanos(ns)), at(when + ns));
            }
        }
    }
}
