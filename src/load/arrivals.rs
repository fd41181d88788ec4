//! When requests fall due in an open loop.
//!
//! Here: [`Arrivals`], evenly spaced or a Poisson process, from a rate and a seed. Pure. Not here: sending when the time has
//! come (`generator.rs`). Floor 3.

use std::time::Duration;

use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

/// A schedule: each item is the time from the start to one arrival, none before the last. Endless, unless it was given an end.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// The mean time between two, in nanoseconds.
    gap_ns: f64,
    spacing: Spacing,
    /// Nothing arrives before the first and from the second on.
    within: (Duration, Duration),
}

#[derive(Clone, Debug)]
enum Spacing {
    /// The next, counted in gaps; from this and not from the last, so that no error adds up.
    Even {
        next: f64,
    },
    Poisson {
        rng: Pcg64Mcg,
        last_ns: f64,
    },
}

const ALWAYS: (Duration, Duration) = (Duration::ZERO, Duration::MAX);

impl Arrivals {
    /// `rate` arrivals a second, above 0, in equal steps; the first after `phase` of a step, from 0 to 1.
    pub fn even(rate: f64, phase: f64) -> Arrivals {
        Arrivals { gap_ns: 1e9 / rate, spacing: Spacing::Even { next: phase }, within: ALWAYS }
    }

    /// `rate` arrivals a second, above 0, on average, independent of each other; equal for equal seeds.
    pub fn poisson(rate: f64, seed: u64) -> Arrivals {
        let rng = Pcg64Mcg::seed_from_u64(seed);
        Arrivals { gap_ns: 1e9 / rate, spacing: Spacing::Poisson { rng, last_ns: 0.0 }, within: ALWAYS }
    }

    /// The same, begun at `from` and ended at `until`.
    #[must_use]
    pub fn within(self, from: Duration, until: Duration) -> Arrivals {
        Arrivals { within: (from, until), ..self }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let ns = match &mut self.spacing {
            Spacing::Even { next } => {
                *next += 1.0;
                (*next - 1.0) * self.gap_ns
            }
            Spacing::Poisson { rng, last_ns } => {
                let steps: f64 = Exp1.sample(rng);
                *last_ns += steps * self.gap_ns;
                *last_ns
            }
        };
        let (from, until) = self.within;
        Some(from + Duration::from_nanos(ns as u64)).filter(|at| *at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_arrivals_do_not_drift() {
        let mut third = Arrivals::even(3000.0, 0.5);
        assert_eq!(third.next(), Some(Duration::from_nanos(166_666)));
        assert_eq!(third.nth(2_999_998), Some(Duration::from_nanos(999_999_833_333)));
    }

    #[test]
    fn arrivals_within_a_time_are_the_same_later_and_end() {
        let (from, until) = (Duration::from_secs(3), Duration::from_secs(5));
        let part: Vec<_> = Arrivals::poisson(100.0, 1).within(from, until).by_ref().take(10_000).collect();
        let whole = Arrivals::poisson(100.0, 1).map(|at| from + at);
        assert!(part.len() > 150 && part.len() < 250, "{}", part.len());
        assert!(part.iter().copied().eq(whole.take_while(|at| *at < until)));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_vary_as_they_should() {
        let gaps = |seed| {
            let mut last = Duration::ZERO;
            let gap = move |at: Duration| (at - std::mem::replace(&mut last, at)).as_secs_f64();
            Arrivals::poisson(500.0, seed).take(100_000).map(gap).collect::<Vec<_>>()
        };
        let one = gaps(1);
        let mean = one.iter().sum::<f64>() / one.len() as f64;
        let variance = one.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / one.len() as f64;
        assert!((mean - 2e-3).abs() < 3e-5, "{mean}");
        // The gaps of a Poisson process deviate by their mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{variance}");
        assert!(one == gaps(1) && one != gaps(2));
    }
}
