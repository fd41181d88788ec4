//! Tests of the verdicts: what they say, and how often they are wrong.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::*;

/// How the figure of a repeat varies around its true value, with a relative deviation of `SPREAD`.
#[derive(Clone, Copy, Debug)]
enum Noise {
    Normal,
    /// Skewed to the right, as latency is.
    LogNormal,
    /// One repeat in ten is disturbed four times as much.
    Disturbed,
    /// In whole milliseconds: a p95 of the CSV.
    Rounded,
}

const NOISES: [Noise; 4] = [Noise::Normal, Noise::LogNormal, Noise::Disturbed, Noise::Rounded];

/// Means of a tenth of the two reference logs, 12 s each, differ among themselves by 0.3 and 0.9 %.
const SPREAD: f64 = 0.01;

impl Noise {
    fn draw(self, rng: &mut Pcg64Mcg) -> f64 {
        let normal: f64 = StandardNormal.sample(rng);
        match self {
            Noise::Normal => 200.0 * (1.0 + SPREAD * normal),
            Noise::LogNormal => {
                let skewed = LogNormal::new(0.0, 1.0).unwrap().sample(rng);
                200.0 * (1.0 + SPREAD * (skewed - 0.5_f64.exp()) / 2.161)
            }
            Noise::Disturbed => {
                let disturbed: f64 = StandardNormal.sample(rng);
                200.0 * (1.0 + SPREAD * normal * if disturbed > 1.2816 { 4.0 } else { 1.0 })
            }
            Noise::Rounded => (200.0 + 0.4 * normal).round(),
        }
    }

    fn repeats(self, count: usize, factor: f64, rng: &mut Pcg64Mcg) -> Repeats {
        let mut repeats = Repeats::new("variant", 0.0);
        for _ in 0..count {
            // A closed loop: requests/s follow from the mean, the p95 has a life of its own.
            let mean_ms = factor * self.draw(rng);
            repeats.mean_ms.push(mean_ms);
            repeats.requests_per_s.push(100_000.0 / mean_ms);
            repeats.p95_ms.push(2.0 * self.draw(rng));
        }
        repeats
    }
}

/// In how many of `pairs` a difference in any figure is claimed, and in how many a lower mean.
fn claims(noise: Noise, pairs: usize, repeats: usize, factor: f64, seed: u64) -> (usize, usize) {
    let (mut any, mut better_mean) = (0, 0);
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    for pair in 0..pairs {
        let (old, new) = (noise.repeats(repeats, 1.0, &mut rng), noise.repeats(repeats, factor, &mut rng));
        let verdicts = compare(&old, &new, CONFIDENCE, pair as u64);
        let claimed = |verdict: &Verdict| matches!(verdict.finding, Finding::Better | Finding::Worse);
        any += usize::from(verdicts.iter().any(claimed));
        better_mean += usize::from(verdicts[0].finding == Finding::Better);
    }
    (any, better_mean)
}

#[test]
fn chance_is_taken_for_a_difference_in_at_most_5_of_100_pairs() {
    for noise in NOISES {
        let (claimed, _) = claims(noise, 100, 10, 1.0, 1);
        println!("{noise:?}: {claimed} of 100 claimed");
        assert!(claimed <= 5, "{noise:?}: {claimed}");
    }
}

#[test]
fn a_mean_5_percent_lower_is_found_in_at_least_90_of_100_pairs() {
    for noise in NOISES {
        let (_, found) = claims(noise, 100, 10, 0.95, 2);
        println!("{noise:?}: {found} of 100 found");
        assert!(found >= 90, "{noise:?}: {found}");
    }
}

/// What is found where these are the repeats, in each figure.
fn find(old: &[f64], new: &[f64], resolution_ms: f64) -> [Finding; 3] {
    let repeats = |name: &str, values: &[f64]| Repeats {
        name: name.to_owned(),
        mean_ms: values.to_vec(),
        p95_ms: values.to_vec(),
        requests_per_s: values.to_vec(),
        resolution_ms,
    };
    compare(&repeats("old", old), &repeats("new", new), CONFIDENCE, 0).map(|verdict| verdict.finding)
}

#[test]
fn less_latency_and_more_requests_are_better() {
    use Finding::{Better, Worse};
    let (low, high) =
        ([100.0, 101.0, 102.0, 103.0, 104.0, 105.0], [150.0, 151.0, 152.0, 153.0, 154.0, 155.0]);
    assert_eq!(find(&low, &high, 0.0), [Worse, Worse, Better]);
    assert_eq!(find(&high, &low, 0.0), [Better, Better, Worse]);
}

#[test]
fn repeats_without_spread_need_to_be_enough() {
    use Finding::{Better, NotShown, TooFewRepeats, Worse};
    assert_eq!(find(&[200.0; 5], &[225.0; 5], 0.0), [TooFewRepeats; 3]);
    assert_eq!(find(&[200.0; 6], &[225.0; 6], 0.0), [Worse, Worse, Better]);
    assert_eq!(find(&[200.0; 6], &[200.0; 6], 0.0), [NotShown; 3]);
    assert_eq!(find(&[200.0], &[225.0; 6], 0.0), [TooFewRepeats; 3]);
}

#[test]
fn a_quantile_cannot_tell_less_than_its_resolution() {
    use Finding::{Better, NotShown, Worse};
    assert_eq!(find(&[200.0; 6], &[201.0; 6], 1.0), [Worse, NotShown, Better]);
    assert_eq!(find(&[200.0; 6], &[202.0; 6], 1.0), [Worse, Worse, Better]);
}

#[test]
fn sentences_are_plain() {
    let (mut old, mut new) = (Repeats::new("rr", 0.0), Repeats::new("sma", 0.0));
    old.mean_ms = vec![200.0, 201.0, 199.0, 200.0, 202.0, 198.0];
    new.mean_ms = vec![190.0, 191.0, 189.0, 190.0, 192.0, 188.0];
    (old.p95_ms, new.p95_ms) = (old.mean_ms.clone(), vec![200.5, 201.0, 199.0, 200.0, 202.0, 198.0]);
    let said = compare(&old, &new, CONFIDENCE, 0).map(|verdict| verdict.to_string());
    let shown = "`sma` is better than `rr` in mean latency: 190.00 ms against 200.00 ms, 5.0 % lower; at least 3.5 % lower, at \
                 most 6.5 % lower (99 % confidence).";
    assert_eq!(said[0], shown);
    assert!(said[1].starts_with(
        "No difference between `sma` and `rr` is shown in p95 latency: 200.08 ms against 200.00 ms; the true one lies \
         between 1.4 % lower and 1.5 % higher"
    ), "{}", said[1]);
    assert_eq!(said[2], "`sma` and `rr` cannot be compared in requests/s: no figures.");
}

/// The ends of the middle 95 % of differences of resampled means: what this is often done with.
fn percentile_interval(old: &[f64], new: &[f64], rng: &mut Pcg64Mcg) -> Interval {
    let mut drawn = |values: &[f64]| {
        (0..values.len()).map(|_| values[rng.random_range(..values.len())]).sum::<f64>() / values.len() as f64
    };
    let mut differences: Vec<f64> = (0..1_000).map(|_| drawn(new) - drawn(old)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    Interval { low: differences[24], high: differences[975] }
}

#[test]
fn the_interval_holds_its_level_where_the_percentile_bootstrap_does_not() {
    let mut rng = Pcg64Mcg::seed_from_u64(5);
    let (mut percentile, mut studentised) = (0, 0);
    for seed in 0..1_000 {
        let mut values = || (0..10).map(|_| Noise::Normal.draw(&mut rng)).collect::<Vec<_>>();
        let (old, new) = (values(), values());
        let bootstrap = Bootstrap { confidence: 0.95, resamples: 1_000, seed };
        studentised += usize::from(!bootstrap.difference(&old, &new).unwrap().contains(0.0));
        percentile += usize::from(!percentile_interval(&old, &new, &mut rng).contains(0.0));
    }
    println!(
        "of 1,000 pairs without a difference: {studentised} claimed; by percentiles {percentile}; level 50"
    );
    assert!((35..=65).contains(&studentised), "{studentised}");
    assert!(percentile > 70, "{percentile}");
}

#[test]
#[ignore = "takes minutes; prints how often chance is taken for a difference, and a difference of 5 % found"]
fn measure_the_level() {
    for repeats in [2, 3, 4, 5, 6, 8, 10, 20] {
        for noise in NOISES {
            let (claimed, _) = claims(noise, 1_000, repeats, 1.0, 3);
            let (_, found) = claims(noise, 200, repeats, 0.95, 4);
            let percent = [claimed as f64 / 10.0, found as f64 / 2.0];
            println!(
                "{repeats:>2} repeats, {noise:?}: claimed {:.1} %, found {:.1} %",
                percent[0], percent[1]
            );
        }
    }
}
