//! How many requests may be sent once more.
//!
//! Here: [`Budget`], which allows retries in proportion to requests, so that retries cannot multiply the load of backends
//! that fail because of it (Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021). Pure. Not here: what may
//! be sent once more (`rules.rs`), and doing so (`retry.rs`). Floor 3.

use std::time::Duration;

use crate::time::Instant;

/// So many seconds of requests and retries are compared, as Finagle's and Linkerd's budgets do.
const SECONDS: usize = 10;

/// So many retries are allowed in that time whatever the requests, so that a proxy with little to do retries at all.
const AT_LEAST: u64 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// What had happened at the beginning of a second.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    requests: u64,
    retries: u64,
}

/// Allows as many retries as a share of the requests of the last ten seconds, and ten more.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    /// The oldest is at `at`.
    marks: [Mark; SECONDS],
    at: usize,
    /// When the next second begins.
    next: Instant,
    retries: u64,
}

impl Budget {
    /// `share` is of 1; with 0 there are no retries at all.
    pub(super) fn new(share: f64) -> Budget {
        Budget { share, marks: Default::default(), at: 0, next: Instant::ZERO, retries: 0 }
    }

    /// It is `now`, and there were `requests` since the start. To be called at least once a second while there are any, and
    /// before [`Budget::has_left`].
    pub(super) fn tick(&mut self, now: Instant, requests: u64) {
        if now < self.next {
            return;
        }
        let passed = 1 + (now - self.next).as_secs();
        for _ in 0..passed.min(SECONDS as u64) {
            self.marks[self.at] = Mark { requests, retries: self.retries };
            self.at = (self.at + 1) % SECONDS;
        }
        self.next = self.next + SECOND.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
    }

    /// Whether a retry is left; there were `requests` since the start.
    pub(super) fn has_left(&self, requests: u64) -> bool {
        let Mark { requests: requests_then, retries: retries_then } = self.marks[self.at];
        let allowed = AT_LEAST as f64 + self.share * (requests - requests_then) as f64;
        self.share > 0.0 && (self.retries - retries_then + 1) as f64 <= allowed
    }

    /// Takes one.
    pub(super) fn spend(&mut self) {
        self.retries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn spend(budget: &mut Budget, requests: u64) -> bool {
        let left = budget.has_left(requests);
        if left {
            budget.spend();
        }
        left
    }

    fn spend_all(budget: &mut Budget, requests: u64) -> u64 {
        (0..).take_while(|_| spend(budget, requests)).count() as u64
    }

    #[test]
    fn a_share_of_the_last_seconds_and_some_more() {
        let mut budget = Budget::new(0.2);
        budget.tick(at(0), 0);
        assert_eq!(spend_all(&mut budget, 0), 10);
        assert_eq!(spend_all(&mut budget, 1_000), 200);
        budget.tick(at(9_999), 1_000);
        assert_eq!(spend_all(&mut budget, 1_000), 0, "they are all of the last ten seconds");
        budget.tick(at(11_000), 1_000);
        assert_eq!(spend_all(&mut budget, 1_000), 10, "what was long ago counts neither way");
        assert_eq!(spend_all(&mut budget, 1_050), 10);
    }

    #[test]
    fn a_share_of_nothing_allows_none() {
        assert!(!Budget::new(0.0).has_left(1_000_000));
    }

    proptest! {
        /// Whenever one is allowed, over the seconds that count then.
        #[test]
        fn never_more_than_the_share_of_the_window_and_the_least(
            steps in prop::collection::vec((0..1_500u64, 0..200u64, 0..100u64), 1..100),
        ) {
            let mut budget = Budget::new(0.2);
            let (mut now, mut requests) = (0, 0);
            let mut history = Vec::new();
            for (later, more, tries) in steps {
                now += later;
                requests += more;
                budget.tick(at(now), requests);
                let taken = (0..tries).filter(|_| spend(&mut budget, requests)).count() as u64;
                history.push((now, more, taken));
                let recent = history.iter().filter(|(then, ..)| then / 1_000 + 10 > now / 1_000);
                let (asked, retried) = recent.fold((0, 0), |(a, r), (_, more, taken)| (a + more, r + taken));
                // The requests of the step that began the window's first second were counted before it.
                prop_assert!(taken == 0 || retried as f64 <= 10.0 + 0.2 * (asked + 200) as f64, "{retried} of {asked}");
            }
        }
    }
}
