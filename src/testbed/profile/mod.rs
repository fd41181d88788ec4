//! How long a simulated backend takes.
//!
//! Here: [`Profile`]: cycles, those of A, B and C among them, and distributions. Beside: their text (`text.rs`), draws
//! (`draws.rs`). Not here: waiting (`backend.rs`), faults (`fault/`). Floor 3.

mod draws;
mod text;

use std::time::Duration;

pub use draws::Draws;
pub use text::Millis;

/// Nothing takes longer: an hour.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// Service times. Those of a distribution are drawn by number, so that the n-th request of a backend takes the same time
/// whenever it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Profile {
    /// One a request in order of arrival, round and round. Never empty.
    Cycle(Vec<Duration>),
    /// Always the same.
    Constant(Duration),
    /// Anything between the two, all alike.
    Uniform(Duration, Duration),
    /// Exponential: what remains does not depend on what has passed.
    Exponential(Duration),
    /// Log-normal: the logarithm is normal.
    LogNormal {
        /// Half take longer.
        median: Duration,
        /// The standard deviation of the natural logarithm; the mean is median · exp(sigma² / 2).
        sigma: f64,
    },
    /// The inverse of the distribution function, linear between points of a share in percent, from 0 to 100 ascending, and
    /// a time, not descending.
    Percentiles(Vec<(f64, Duration)>),
}

impl Profile {
    /// The cycle of the backend called `id`; any but B and C behaves as A.
    pub fn of(id: char) -> Profile {
        let ms: [u64; 9] = match id {
            'B' => [200; 9],
            'C' => [250; 9],
            _ => [10, 15, 20, 400, 400, 400, 10, 15, 20],
        };
        Profile::Cycle(ms.map(Duration::from_millis).to_vec())
    }

    /// The service time of the `n`-th request, from 0.
    pub fn step(&self, n: u64, draws: Draws) -> Duration {
        match self {
            Profile::Cycle(steps) => steps[(n % steps.len() as u64) as usize],
            Profile::Constant(time) => *time,
            Profile::Uniform(least, most) => *least + (*most - *least).mul_f64(draws.uniform(n)),
            Profile::Exponential(mean) => times(*mean, -(-draws.uniform(n)).ln_1p()),
            Profile::LogNormal { median, sigma } => times(*median, (sigma * draws.normal(n)).exp()),
            Profile::Percentiles(points) => between(points, 100.0 * draws.uniform(n)),
        }
    }
}

/// What a Duration cannot hold is longer than the longest in any case.
fn times(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(LONGEST).min(LONGEST)
}

/// The time at `percent`, linear between the points around it.
fn between(points: &[(f64, Duration)], percent: f64) -> Duration {
    let after = points.partition_point(|(share, _)| *share <= percent).clamp(1, points.len() - 1);
    let ((low, from), (high, to)) = (points[after - 1], points[after]);
    from + (to - from).mul_f64(((percent - low) / (high - low)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// 20,000 service times in milliseconds, ascending.
    fn drawn(profile: &str) -> Vec<f64> {
        let (profile, draws): (Profile, _) = (profile.parse().unwrap(), Draws::new(1, 2));
        let mut times: Vec<f64> = (0..20_000).map(|n| profile.step(n, draws).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value / expected - 1.0).abs() < tolerance, "{value} is not near {expected}");
    }

    #[test]
    fn distributions_have_the_quantiles_and_means_of_their_formulas() {
        let uniform = drawn("uniform:20-80");
        assert!(uniform[0] >= 20.0 && uniform[19_999] <= 80.0);
        near(uniform.iter().sum::<f64>() / 20_000.0, 50.0, 0.01);
        near(uniform[5_000], 35.0, 0.02);

        let exponential = drawn("exponential:20");
        near(exponential.iter().sum::<f64>() / 20_000.0, 20.0, 0.02);
        near(exponential[19_000], 20.0 * 20.0_f64.ln(), 0.03);

        let log_normal = drawn("lognormal:50,0.5");
        near(log_normal[10_000], 50.0, 0.02);
        // exp(0.5 · 1.6449) above the median at 95 %.
        near(log_normal[19_000], 50.0 * (0.5 * 1.6449_f64).exp(), 0.03);
        near(log_normal.iter().sum::<f64>() / 20_000.0, 50.0 * 0.125_f64.exp(), 0.02);

        let percentiles = drawn("percentiles:0=5,50=20,95=80,100=900");
        near(percentiles[10_000], 20.0, 0.02);
        near(percentiles[19_000], 80.0, 0.05);
        near(percentiles[5_000], 12.5, 0.03);
        assert!(percentiles[0] >= 5.0 && percentiles[19_999] <= 900.0);
    }

    #[test]
    fn a_draw_depends_on_seed_backend_and_number_alone() {
        let profile: Profile = "lognormal:50,0.5".parse().unwrap();
        let (one, two, other) = (Draws::new(1, 0), Draws::new(1, 1), Draws::new(2, 0));
        let forth: Vec<_> = (0..100).map(|n| profile.step(n, one)).collect();
        let mut back: Vec<_> =
            (0..100).rev().map(|n| (profile.step(n, two), profile.step(n, one)).1).collect();
        back.reverse();
        assert_eq!(forth, back);
        let same = |draws| (0..100).filter(|&n| profile.step(n, draws) == forth[n as usize]).count();
        assert_eq!((same(one), same(two), same(other)), (100, 0, 0));
    }

    #[test]
    fn times_between_points_are_linear_and_jumps_are_steps() {
        let points = [(0.0, ms(0)), (50.0, ms(100)), (60.0, ms(100)), (100.0, ms(500))];
        for (percent, expected) in [(0.0, 0), (25.0, 50), (50.0, 100), (55.0, 100), (80.0, 300), (100.0, 500)]
        {
            assert_eq!(between(&points, percent), ms(expected), "{percent}");
        }
    }

    #[test]
    fn what_is_absurd_takes_an_hour() {
        let absurd = Profile::LogNormal { median: ms(1), sigma: 1e9 };
        assert!((0..100).all(|n| absurd.step(n, Draws::new(0, 0)) <= LONGEST));
    }
}
