//! Random numbers by number.
//!
//! Here: [`Draws`], of which each can be had without those before it. Not here: what they decide. Floor 3.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

/// The random numbers of one backend: the n-th is always the same, whatever came before it and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    key: u64,
}

impl Draws {
    /// Those of the backend of this number in a run of this seed.
    pub fn new(seed: u64, backend: u64) -> Draws {
        Draws { key: mix(mix(seed) ^ backend) }
    }

    /// Others, which have nothing to do with these; equal for equal numbers.
    pub fn others(self, which: u64) -> Draws {
        Draws { key: mix(self.key ^ mix(which)) }
    }

    /// The n-th, from 0 to below 1.
    pub fn uniform(self, n: u64) -> f64 {
        // The 53 bits that a double holds.
        (mix(self.key ^ mix(n)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The n-th of a standard normal distribution.
    pub fn normal(self, n: u64) -> f64 {
        StandardNormal.sample(&mut Pcg64Mcg::seed_from_u64(mix(self.key ^ mix(n))))
    }
}

/// A step of SplitMix64 (Steele, Lea and Flood 2014): near numbers come far apart.
fn mix(n: u64) -> u64 {
    let mut mixed = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_evenly_and_do_not_hang_together() {
        let draws = Draws::new(7, 3);
        let mut tenths = [0; 10];
        (0..10_000).for_each(|n| tenths[(draws.uniform(n) * 10.0) as usize] += 1);
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
        let others = draws.others(1);
        let mean =
            (0..10_000).map(|n| (draws.uniform(n) - 0.5) * (others.uniform(n) - 0.5)).sum::<f64>() / 1e4;
        // The deviation of such a mean is 1/1200.
        assert!(mean.abs() < 0.004, "{mean}");
    }
}
