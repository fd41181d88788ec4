//! What goes wrong with a simulated backend, and when.
//!
//! Here: [`Fault`], and [`Faults`], what several of them do to one piece of work. Pure: times are offsets from the backend's start,
//! chance is drawn by the number of the request. Beside: their text (`text.rs`). Not here: answering so (`backend.rs`), closing
//! the door (`outage.rs`). Floor 3.

mod text;

use std::time::Duration;

use super::profile::{Draws, LONGEST};

/// Something that goes wrong for a while, once or again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins, from the backend's start.
    pub from: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// From one beginning to the next; longer than it lasts. None: once.
    pub every: Option<Duration>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Time stands still for all work, as when a garbage collector stops the world: what would be done by then takes so much
    /// longer, and nothing is answered but what is done at the very moment at which it begins.
    Stall,
    /// What begins takes so many times as long.
    Slow {
        /// Above 0; below 1 it is faster.
        factor: f64,
    },
    /// All work goes so many times as slow while it lasts.
    Throttle {
        /// At least 1.
        factor: f64,
    },
    /// A share of the requests that come is answered 500.
    Error {
        /// From 0 to 1.
        share: f64,
        /// After this long, in place of their service time.
        after: Option<Duration>,
    },
    /// A share of the requests that come has its connection reset when the answer is due.
    Reset {
        /// From 0 to 1.
        share: f64,
    },
    /// As if the process had been killed: every connection is reset, new ones are refused.
    Refuse,
}

impl Fault {
    /// The beginning of the period around `at`, if it has begun before; without repetition the only one.
    fn begun(&self, at: Duration) -> Option<Duration> {
        let since = at.checked_sub(self.from)?;
        let periods = self.every.map_or(0, |every| since.as_nanos() / every.as_nanos().max(1));
        let passed = self.every.unwrap_or_default().as_nanos() * periods;
        Some(self.from + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    /// Until when it lasts, if it does at `at`; its end does not belong to it.
    pub(super) fn until(&self, at: Duration) -> Option<Duration> {
        let end = self.begun(at)? + self.lasts;
        (at < end).then_some(end)
    }

    /// When it begins next, at `at` or later.
    pub(super) fn next(&self, at: Duration) -> Option<Duration> {
        match self.begun(at) {
            None => Some(self.from),
            Some(begun) if begun == at => Some(at),
            Some(begun) => self.every.map(|every| begun + every),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answer,
    /// 500, after this long in place of the service time.
    Error(Option<Duration>),
    /// No answer: the connection is reset.
    Reset,
}

/// All that goes wrong with a backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Faults {
    all: Vec<Fault>,
    draws: Vec<Draws>,
}

impl Faults {
    /// These faults, whose shares are drawn from `draws`, each on its own.
    pub(super) fn new(all: Vec<Fault>, draws: Draws) -> Faults {
        let draws = (1..).take(all.len()).map(|n| draws.others(n)).collect();
        Faults { all, draws }
    }

    /// What becomes of request number `n`, which comes at `at`; of several faults the first in order.
    pub(super) fn fate(&self, at: Duration, n: u64) -> Fate {
        let mut on = self.all.iter().zip(&self.draws).filter(|(fault, _)| fault.until(at).is_some());
        let hit = on.find_map(|(fault, draws)| match fault.kind {
            FaultKind::Error { share, after } if draws.uniform(n) < share => Some(Fate::Error(after)),
            FaultKind::Reset { share } if draws.uniform(n) < share => Some(Fate::Reset),
            _ => None,
        });
        hit.unwrap_or(Fate::Answer)
    }

    /// When work is done that begins at `begin` and takes `work` when all is well: longer by what slows it when it begins, and by
    /// all stalls and throttles on the way.
    pub(super) fn end_of(&self, begin: Duration, work: Duration) -> Duration {
        if self.all.is_empty() {
            return begin + work;
        }
        let slow =
            self.all.iter().filter(|fault| fault.until(begin).is_some()).filter_map(|fault| {
                match fault.kind {
                    FaultKind::Slow { factor } => Some(factor),
                    _ => None,
                }
            });
        let seconds = work.as_secs_f64() * slow.product::<f64>();
        let mut left = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST);
        let mut at = begin;
        // Stalls that leave no time between them end nothing; after an hour it is over in any case.
        while at - begin < LONGEST {
            let Some(factor) = self.factor(at) else {
                at = self.next_change(at).unwrap_or(begin + LONGEST);
                continue;
            };
            let needed = if factor == 1.0 { left } else { left.mul_f64(factor).min(LONGEST) };
            match self.next_change(at) {
                Some(change) if change < at + needed => {
                    let passed = change - at;
                    let done = if factor == 1.0 { passed } else { passed.div_f64(factor) };
                    left = left.saturating_sub(done);
                    at = change;
                }
                _ => return at + needed,
            }
        }
        at
    }

    /// How many times as long work takes at `at`; `None` while time stands still.
    fn factor(&self, at: Duration) -> Option<f64> {
        let now = self.of_work().filter(|fault| fault.until(at).is_some());
        now.map(|fault| if let FaultKind::Throttle { factor } = fault.kind { Some(factor) } else { None })
            .product()
    }

    /// When a stall or a throttle begins or ends next after `at`.
    fn next_change(&self, at: Duration) -> Option<Duration> {
        self.of_work().filter_map(|fault| fault.until(at).or_else(|| fault.next(at))).min()
    }

    /// Those that change how fast work goes while they last.
    fn of_work(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter().filter(|fault| matches!(fault.kind, FaultKind::Stall | FaultKind::Throttle { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn faults(texts: &[&str]) -> Faults {
        Faults::new(texts.iter().map(|text| text.parse().unwrap()).collect(), Draws::new(1, 2))
    }

    #[test]
    fn a_fault_has_its_time_and_comes_again() {
        let fault: Fault = "stall,from=1s,for=200ms,every=5s".parse().unwrap();
        for (at, until) in
            [(999, None), (1000, Some(1200)), (1199, Some(1200)), (1200, None), (6100, Some(6200))]
        {
            assert_eq!(fault.until(ms(at)), until.map(ms), "{at}");
        }
        for (at, next) in [(0, 1000), (1000, 1000), (1001, 6000), (6000, 6000), (7000, 11000)] {
            assert_eq!(fault.next(ms(at)), Some(ms(next)), "{at}");
        }
        let once = Fault { every: None, ..fault };
        assert_eq!((once.next(ms(1001)), once.until(ms(6100))), (None, None));
    }

    #[test]
    fn slowness_counts_from_the_beginning_and_factors_multiply() {
        let slow = faults(&["slow:x10,from=1s,for=1s", "slow:x0.5,from=1500ms,for=1s"]);
        for (begin, end) in [(999, 1009), (1000, 1100), (1600, 1650), (2100, 2105), (2500, 2510)] {
            assert_eq!(slow.end_of(ms(begin), ms(10)), ms(end), "{begin}");
        }
    }

    #[test]
    fn a_throttle_holds_for_what_is_done_meanwhile() {
        let throttled = faults(&["throttle:x10,from=1s,for=1s,every=3s", "stall,from=1500ms,for=100ms"]);
        for (begin, work, end) in
            [(980, 30, 1100), (1400, 20, 1700), (1990, 11, 2010), (500, 5, 505), (3990, 11, 4010)]
        {
            assert_eq!(throttled.end_of(ms(begin), ms(work)), ms(end), "{begin}");
        }
    }

    #[test]
    fn shares_are_drawn_by_number_and_apart_from_each_other() {
        let all = faults(&["error:0.2,after=1ms,from=0s,for=1s", "reset:0.25,from=0s,for=1s"]);
        let fates: Vec<_> = (0..10_000).map(|n| all.fate(ms(5), n)).collect();
        let count = |fate| fates.iter().filter(|one| **one == fate).count() as i64;
        assert!((count(Fate::Error(Some(ms(1)))) - 2000).abs() < 200, "{}", count(Fate::Error(Some(ms(1)))));
        // A quarter of the other four fifths.
        assert!((count(Fate::Reset) - 2000).abs() < 200, "{}", count(Fate::Reset));
        assert_eq!(fates, (0..10_000).map(|n| all.fate(ms(900), n)).collect::<Vec<_>>());
        assert!((0..1000).all(|n| all.fate(ms(1000), n) == Fate::Answer));
    }

    #[test]
    fn stalls_without_an_end_do_not_hang() {
        let stalls = faults(&["stall,from=0s,for=4s,every=5s", "stall,from=3s,for=4s,every=5s"]);
        assert!(stalls.end_of(ms(10), ms(10)) >= LONGEST);
    }

    /// The same, millisecond by millisecond.
    fn stepped(stalls: &[Fault], begin: u64, work: u64) -> u64 {
        let (mut at, mut left) = (begin, work);
        loop {
            let stalled = stalls.iter().any(|stall| stall.until(ms(at)).is_some());
            if !stalled && left == 0 {
                return at;
            }
            if !stalled {
                left -= 1;
            }
            at += 1;
            // Done at the very moment at which a stall begins.
            if left == 0 && !stalled {
                return at;
            }
        }
    }

    proptest! {
        #[test]
        fn time_stands_still_in_stalls(
            stalls in prop::collection::vec((0..60u64, 1..15u64, prop::option::of(30..60u64)), 0..3),
            begin in 0..100u64,
            work in 0..80u64,
        ) {
            let all: Vec<_> = stalls.into_iter().map(|(from, lasts, every)| Fault {
                kind: FaultKind::Stall, from: ms(from), lasts: ms(lasts), every: every.map(ms),
            }).collect();
            let expected = stepped(&all, begin, work);
            let faults = Faults::new(all, Draws::new(0, 0));
            prop_assert_eq!(faults.end_of(ms(begin), ms(work)), ms(expected));
        }
    }
}
