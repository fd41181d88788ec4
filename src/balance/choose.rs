//! Ways to choose a backend.
//!
//! Here: rotation, the lowest score, and whose first sample is wanted. Not here: where scores come from
//! (`estimate.rs`), and which way a mode takes (`mod.rs`, the only caller). Floor 1.

use crate::time::Instant;

/// Strict rotation.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    next: usize,
}

impl Rotation {
    /// Whose turn it is.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// Whose turn it is from now on.
    pub(super) fn go_on_with(&mut self, next: usize) {
        self.next = next;
    }

    /// The one whose turn it is among `count`, which must not change; `None` if it is 0.
    pub(super) fn advance(&mut self, count: usize) -> Option<usize> {
        let index = self.next;
        self.next = if index + 1 < count { index + 1 } else { 0 };
        (index < count).then_some(index)
    }
}

/// Where the lowest finite score is, of equal ones the first.
pub(super) fn lowest(scores: &[f64]) -> Option<usize> {
    let (mut index, mut lowest) = (None, f64::INFINITY);
    for (i, &score) in scores.iter().enumerate() {
        if score < lowest {
            (index, lowest) = (Some(i), score);
        }
    }
    index
}

/// The same among those that `may` be chosen.
pub(super) fn lowest_of(scores: &[f64], may: impl Fn(usize) -> bool) -> Option<usize> {
    let finite = (0..scores.len()).filter(|&i| may(i) && scores[i] < f64::INFINITY);
    finite.min_by(|&a, &b| scores[a].total_cmp(&scores[b]))
}

/// The backends without a sample, and from when each may be probed.
#[derive(Debug)]
pub(super) struct Probes {
    /// [`Instant::NEVER`] for a backend with samples, and for one that is not to be chosen.
    from: Box<[Instant]>,
    /// The earliest of `from`. Kept so that a choice does not look through all while none is due: neither once all
    /// are measured, nor while a dead one pauses.
    earliest: Instant,
}

impl Probes {
    pub(super) fn new(count: usize) -> Probes {
        Probes::beginning(vec![Instant::ZERO; count].into())
    }

    pub(super) fn beginning(from: Box<[Instant]>) -> Probes {
        let earliest = from.iter().copied().min().unwrap_or(Instant::NEVER);
        Probes { from, earliest }
    }

    /// From when one may be probed.
    pub(super) fn from(&self, index: usize) -> Instant {
        self.from[index]
    }

    /// The first in order of configuration that may be probed at `now`, of those that `may` be chosen.
    pub(super) fn due(&self, now: Instant, may: impl Fn(usize) -> bool) -> Option<usize> {
        if now < self.earliest {
            return None;
        }
        (0..self.from.len()).find(|&i| self.from[i] <= now && may(i))
    }

    /// The one that may be probed the soonest, of equal ones the first; for when all pause.
    pub(super) fn first_to_come(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let coming = (0..self.from.len()).filter(|&i| self.from[i] != Instant::NEVER && may(i));
        coming.min_by_key(|&i| self.from[i])
    }

    /// Not to be probed before `until`.
    pub(super) fn pause(&mut self, index: usize, until: Instant) {
        self.from[index] = until;
        self.earliest = self.from.iter().copied().min().unwrap_or(Instant::NEVER);
    }

    /// Measured now, or not to be chosen: no longer to be probed.
    pub(super) fn end(&mut self, index: usize) {
        if self.from[index] != Instant::NEVER {
            self.pause(index, Instant::NEVER);
        }
    }
}
