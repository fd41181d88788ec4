//! Who rides along.
//!
//! Here: [`Economy`], which adds to a batch whoever brings the most time per sequence, as long as it brings any: what
//! the rider saves by not waiting, what sharing saves for all who wait now or will come while the classifier is busy,
//! less what the members lose as their batch takes longer. Called by `mod.rs`. Floor 1.

use super::super::job::{Member, Shape};
use super::super::service_time::ServiceTime;
use super::lane::{Place, class};
use crate::time::Instant;

/// The least share of idle places that counts: at full occupancy, a saving counts for 20 jobs to come.
const LEAST_IDLE: f64 = 0.05;

/// Of two riders that bring the same per sequence, the older; milliseconds per millisecond of age.
const FOR_AGE: f64 = 1e-6;

/// A part that may ride, or leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) member: Member,
    pub(super) shape: Shape,
    pub(super) arrived: Instant,
}

/// What riding costs and saves now.
pub(super) struct Economy<'a> {
    /// How long a batch takes.
    pub(super) service_time: &'a ServiceTime,
    pub(super) batch_size: u32,
    /// Whether another batch may be sent besides this one.
    pub(super) place_is_free: bool,
    /// Parts that wait, the leader included.
    pub(super) waiting: usize,
    /// Share of places in flight that were taken lately.
    pub(super) occupancy: f64,
    /// Sequences of the key that wait, by class of length.
    pub(super) alike: &'a [u32],
    pub(super) now: Instant,
}

/// What does not change about candidates of a shape while a batch is filled.
#[derive(Clone, Copy)]
struct Terms {
    own_ms: f64,
    /// What one costs if it goes later: its part of a batch of its like.
    later_ms: f64,
}

impl Economy<'_> {
    /// Puts those who ride with `lead` at the front of `candidates`, in the order in which they were chosen, and says
    /// how many they are.
    pub(super) fn choose(&self, lead: &Candidate, candidates: &mut [Candidate]) -> usize {
        let mut last = None;
        let mut terms: Vec<Terms> =
            candidates.iter().map(|c| known_or(&mut last, c.shape, || self.terms(c.shape))).collect();
        let (mut shape, mut riders) = (lead.shape, 0);
        while shape.sequences < self.batch_size {
            let with_ms = self.service_time.predict_ms(shape);
            let mut best: Option<(f64, usize)> = None;
            let mut last = None;
            for (i, (candidate, terms)) in candidates.iter().zip(&terms).enumerate().skip(riders) {
                if shape.sequences + candidate.shape.sequences > self.batch_size {
                    continue;
                }
                let (net_ms, for_each_ms) = known_or(&mut last, candidate.shape, || {
                    let net_ms = self.net_ms(shape, with_ms, candidate.shape, terms, riders);
                    (net_ms, net_ms / f64::from(candidate.shape.sequences))
                });
                let age_ms = self.now.nanos_since(candidate.arrived) as f64 / 1e6;
                let per_sequence = for_each_ms + FOR_AGE * age_ms;
                if net_ms >= 0.0 && best.is_none_or(|(most, _)| per_sequence > most) {
                    best = Some((per_sequence, i));
                }
            }
            let Some((_, i)) = best else { break };
            shape = shape.with(candidates[i].shape);
            // Stable, so that of equal ones the first in order is chosen next.
            candidates[riders..=i].rotate_right(1);
            terms[riders..=i].rotate_right(1);
            riders += 1;
        }
        riders
    }

    fn terms(&self, shape: Shape) -> Terms {
        let Shape { sequences, characters, longest } = shape;
        let alike = self.alike[class(shape)].clamp(sequences, self.batch_size);
        let full = Shape {
            sequences: alike,
            characters: u64::from(alike) * characters / u64::from(sequences),
            longest,
        };
        let base_ms = self.service_time.predict_ms(Shape::default());
        let share = f64::from(sequences) / f64::from(alike);
        Terms {
            own_ms: self.service_time.predict_ms(shape),
            later_ms: base_ms + (self.service_time.predict_ms(full) - base_ms) * share,
        }
    }

    /// Milliseconds that all save together if a candidate rides in a batch of that shape with that many riders.
    fn net_ms(&self, batch: Shape, batch_ms: f64, rider: Shape, terms: &Terms, riders: usize) -> f64 {
        let together_ms = self.service_time.predict_ms(batch.with(rider));
        let longer_ms = together_ms - batch_ms;
        let alone_ms = if self.place_is_free { terms.own_ms } else { batch_ms + terms.own_ms };
        let members = (riders + 1) as f64;
        let others = self.waiting.saturating_sub(riders + 2) as f64;
        let to_come = self.occupancy / (1.0 - self.occupancy).max(LEAST_IDLE);
        (alone_ms - together_ms) + (terms.later_ms - longer_ms) * (others + to_come) - members * longer_ms
    }
}

/// What holds of parts of that shape: `last` if that was such a one, since neighbours often are alike.
fn known_or<T: Copy>(last: &mut Option<(Shape, T)>, shape: Shape, reckon: impl FnOnce() -> T) -> T {
    match *last {
        Some((known, value)) if known == shape => value,
        _ => last.insert((shape, reckon())).1,
    }
}
