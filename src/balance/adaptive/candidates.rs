//! Among which backends a request chooses.
//!
//! Here: [`Candidates`]: all of few, some of many. Not here: who wins (`band.rs`). Floor 1.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// So many are all looked at.
const LOOK_AT_ALL: usize = 64;

/// There are never more candidates.
pub(super) const MOST: usize = LOOK_AT_ALL;

/// Of more, so many at random: enough that a request meets one of the better half, and that all are met...
const AT_RANDOM: usize = 16;

/// ...and so many that were the cheapest at the last refresh.
const CHEAPEST: usize = 8;

/// The candidates of the present request.
#[derive(Debug)]
pub(super) struct Candidates {
    drawn: Vec<u16>,
    cheapest: Vec<(f64, u16)>,
}

impl Default for Candidates {
    fn default() -> Candidates {
        Candidates { drawn: Vec::with_capacity(MOST), cheapest: Vec::with_capacity(CHEAPEST) }
    }
}

impl Candidates {
    /// Candidates from `usable`, in an order that favours nobody.
    pub(super) fn draw(&mut self, usable: &[u16], rng: &mut Pcg64Mcg) -> &[u16] {
        self.drawn.clear();
        if usable.len() > LOOK_AT_ALL {
            self.drawn.extend(self.cheapest.iter().map(|&(_, index)| index));
            self.drawn.extend((0..AT_RANDOM).map(|_| usable[rng.random_range(0..usable.len())]));
        } else if !usable.is_empty() {
            let (before, from) = usable.split_at(rng.random_range(0..usable.len()));
            self.drawn.extend_from_slice(from);
            self.drawn.extend_from_slice(before);
        }
        &self.drawn
    }

    /// Finds the cheapest of `usable` anew; `cost_ms` is `None` of one without a sample.
    pub(super) fn refresh(&mut self, usable: &[u16], cost_ms: impl Fn(u16) -> Option<f64>) {
        self.cheapest.clear();
        if usable.len() <= LOOK_AT_ALL {
            return;
        }
        for &index in usable {
            let Some(cost) = cost_ms(index) else { continue };
            let rank = self.cheapest.partition_point(|&(other, _)| other <= cost);
            if rank < CHEAPEST {
                self.cheapest.truncate(CHEAPEST - 1);
                self.cheapest.insert(rank, (cost, index));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn all_of_few_are_drawn_once_and_each_is_first_at_times() {
        let (mut candidates, mut rng) = (Candidates::default(), Pcg64Mcg::seed_from_u64(1));
        assert!(candidates.draw(&[], &mut rng).is_empty());
        let usable: Vec<u16> = (0..64).map(|i| i * 2).collect();
        let mut first = [false; 64];
        for _ in 0..2000 {
            let mut drawn = candidates.draw(&usable, &mut rng).to_vec();
            first[usize::from(drawn[0]) / 2] = true;
            drawn.sort_unstable();
            assert_eq!(drawn, usable);
        }
        assert_eq!(first, [true; 64]);
    }

    #[test]
    fn of_many_the_cheapest_and_sixteen_others() {
        let (mut candidates, mut rng) = (Candidates::default(), Pcg64Mcg::seed_from_u64(1));
        let usable: Vec<u16> = (0..1000).collect();
        // Those that are multiples of 7 have no sample.
        let cost = |index: u16| (!index.is_multiple_of(7)).then(|| f64::from((index + 500) % 1000));
        candidates.refresh(&usable, cost);
        let drawn = candidates.draw(&usable, &mut rng);
        assert_eq!(drawn[..8], [500, 501, 502, 503, 505, 506, 507, 508]);
        assert_eq!(drawn.len(), 24);
        candidates.refresh(&usable[..10], cost);
        assert_eq!(candidates.draw(&usable[..10], &mut rng).len(), 10);
    }
}
