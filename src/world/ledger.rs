//! Which requests have come to which backends.
//!
//! Here: [`Ledger`], shared by all backends of a world, and the rules of sending a request more than once: a request that must
//! not be repeated comes once; another comes to one backend once more if the connection that it came on was lost, and to one
//! other backend then; where there are hedges, a few times anywhere. Not here: who notes what (`witness.rs`, `unruly.rs`). Floor 4.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::balance::MOST_COPIES;

/// One arrival of a request.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    backend: usize,
    /// A byte of its answer was sent.
    answered: bool,
}

/// What a world allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// On another connection to the same backend, since one that was kept may have been closed.
    pub(super) stale: bool,
    /// The set of backends changes: one that was removed and comes back is another one.
    pub(super) reloads: bool,
    /// Several copies may be under way at once, anywhere.
    pub(super) hedges: bool,
    /// At another backend.
    pub(super) elsewhere: bool,
    /// No link loses what was sent: a request that is being answered is not repeated.
    pub(super) certain: bool,
}

struct Entries {
    repeats: Repeats,
    requests: BTreeMap<u64, Vec<Arrival>>,
    repeated: u64,
    violation: Option<String>,
}

/// All arrivals of a world, by the number of the request.
#[derive(Clone)]
pub(super) struct Ledger(Rc<RefCell<Entries>>);

impl Ledger {
    /// An empty one.
    pub(super) fn new(repeats: Repeats) -> Ledger {
        let (requests, repeated, violation) = (BTreeMap::new(), 0, None);
        Ledger(Rc::new(RefCell::new(Entries { repeats, requests, repeated, violation })))
    }

    /// Request `serial` has come to `backend`.
    pub(super) fn arrived(&self, serial: u64, idempotent: bool, backend: usize) {
        let entries = &mut *self.0.borrow_mut();
        let arrivals = entries.requests.entry(serial).or_default();
        let wrong = entries.repeats.forbidden(arrivals, idempotent, backend);
        entries.repeated += u64::from(!arrivals.is_empty());
        arrivals.push(Arrival { backend, answered: false });
        if let Some(wrong) = wrong {
            let what = format!("request {serial}, idempotent: {idempotent}, came {wrong}: {arrivals:?}");
            entries.violation.get_or_insert(what);
        }
    }

    /// The answer to request `serial` begins at `backend`.
    pub(super) fn answered(&self, serial: u64, backend: usize) {
        let entries = &mut *self.0.borrow_mut();
        let arrivals = entries.requests.get_mut(&serial).map(Vec::as_mut_slice).unwrap_or_default();
        if let Some(last) = arrivals.iter_mut().rev().find(|arrival| arrival.backend == backend) {
            last.answered = true;
        }
    }

    /// How many arrivals were not the first of their request.
    pub(super) fn repeated(&self) -> u64 {
        self.0.borrow().repeated
    }

    /// The first thing that must not happen.
    pub(super) fn violation(&self) -> Option<String> {
        self.0.borrow_mut().violation.take()
    }
}

impl Repeats {
    /// Why a request that has come so must not come to `backend` now.
    fn forbidden(self, before: &[Arrival], idempotent: bool, backend: usize) -> Option<&'static str> {
        let last = before.last()?;
        let moves = before.windows(2).filter(|pair| pair[0].backend != pair[1].backend).count();
        let here = before.iter().filter(|arrival| arrival.backend == backend).count();
        if !idempotent {
            Some("again")
        } else if self.hedges {
            // Each copy may meet a connection that was closed, and one of them is there from the beginning.
            (before.len() > 2 * MOST_COPIES).then_some("too often")
        } else if self.certain && before.iter().any(|arrival| arrival.answered) {
            Some("again while it was answered")
        } else if last.backend != backend && (!self.elsewhere || moves > 0 || here > 0) {
            Some("to one backend too many")
        } else if last.backend == backend
            && (!self.stale || moves > 0 || here > 1 + usize::from(self.reloads))
        {
            Some("to the same backend too often")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2+` is an arrival at backend 2 that is answered.
    fn judged(stale: bool, elsewhere: bool, arrivals: &str, idempotent: bool) -> bool {
        let ledger = Ledger::new(Repeats { stale, elsewhere, reloads: false, hedges: false, certain: true });
        for arrival in arrivals.split(' ') {
            let backend = arrival.trim_end_matches('+').parse().unwrap();
            ledger.arrived(7, idempotent, backend);
            if arrival.ends_with('+') {
                ledger.answered(7, backend);
            }
        }
        ledger.violation().is_none()
    }

    #[test]
    fn a_request_comes_as_often_as_the_rules_of_retries_allow() {
        for (arrivals, may) in [
            ("1", true),
            ("1 1", true),
            ("1 2", true),
            ("1 1 2+", true),
            ("1 1 1", false),
            ("1 2 2", false),
            ("1 2 1", false),
            ("1 2 3", false),
            ("1+ 2", false),
        ] {
            assert_eq!(judged(true, true, arrivals, true), may, "{arrivals}");
            assert_eq!(judged(true, true, arrivals, false), arrivals == "1", "{arrivals}");
        }
        assert!(!judged(false, true, "1 1", true) && judged(false, true, "1 2", true));
        assert!(!judged(true, false, "1 2", true) && judged(true, false, "1 1", true));
    }
}
