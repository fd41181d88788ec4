//! What must hold for every history, and every history against a naive model.

use proptest::prelude::*;

use super::tests::{ADAPTIVE, MS, answer, at, chosen, fail, report};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Answer(usize, u64),
    Fail(usize, u64),
    Cancel(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few distinct values, so that ties occur; among them a clock that did not move.
    let nanos = prop_oneof![3 => (0..5u64).prop_map(|n| n * MS), 2 => 1..20_000 * MS];
    let backend = any::<usize>();
    let step = prop_oneof![
        4 => (backend, nanos.clone()).prop_map(|(i, ns)| Step::Answer(i, ns)),
        3 => (backend, nanos).prop_map(|(i, ns)| Step::Fail(i, ns)),
        1 => backend.prop_map(Step::Cancel),
        2 => (0..900 * MS).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 0..120)
}

/// The same rules over the full history, recomputed each time.
struct Model {
    window: usize,
    alpha: f64,
    sma_samples: Vec<Vec<u64>>,
    ewma_samples: Vec<Vec<f64>>,
    paused_until: Vec<u64>,
}

impl Model {
    fn sma(&self, i: usize) -> Option<f64> {
        let last: Vec<u64> = self.sma_samples[i].iter().rev().take(self.window).copied().collect();
        (!last.is_empty()).then(|| last.iter().sum::<u64>() as f64 / last.len() as f64)
    }

    fn ewma(&self, i: usize) -> Option<f64> {
        let (first, rest) = self.ewma_samples[i].split_first()?;
        let weight = |age: usize| (1.0 - self.alpha).powi(age as i32);
        let rest_sum: f64 = rest.iter().rev().enumerate().map(|(age, x)| self.alpha * weight(age) * x).sum();
        Some(weight(rest.len()) * first + rest_sum)
    }

    fn answer(&mut self, i: usize, latency_ns: u64) {
        if latency_ns > 0 {
            self.sma_samples[i].push(latency_ns);
            self.ewma_samples[i].push(latency_ns as f64);
        }
    }

    fn fail(&mut self, i: usize, elapsed_ns: u64, now: u64) {
        let (Some(own_sma), Some(own_ewma)) = (self.sma(i), self.ewma(i)) else {
            self.paused_until[i] = now + 1_000_000_000;
            return;
        };
        let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
        let all = 0..self.sma_samples.len();
        let above_sma = (mean(all.clone().filter_map(|j| self.sma(j)).collect()) + 1.0).floor() as u64;
        let above_ewma = mean(all.filter_map(|j| self.ewma(j)).collect()) + 1.0;
        let len = self.sma_samples[i].len();
        let displaced = if len < self.window { 0 } else { self.sma_samples[i][len - self.window] };
        let sample = elapsed_ns.max(above_sma).max(own_sma.ceil() as u64).max(displaced);
        self.sma_samples[i].push(sample);
        self.ewma_samples[i].push((elapsed_ns as f64).max(above_ewma).max(own_ewma));
    }

    /// Given the scores, since equal means may differ in their last bits when computed in another way.
    fn select(&self, scores: &[Option<f64>], now: u64) -> (u16, Reason) {
        let all = 0..scores.len();
        if let Some(i) = all.clone().find(|&i| scores[i].is_none() && self.paused_until[i] <= now) {
            return (i as u16, Reason::Unmeasured);
        }
        let mut order: Vec<usize> = all.clone().filter(|&i| scores[i].is_some()).collect();
        order.sort_by(|&i, &j| scores[i].partial_cmp(&scores[j]).unwrap());
        let soonest = all.min_by_key(|&i| self.paused_until[i]).unwrap();
        order.first().map_or((soonest as u16, Reason::Unmeasured), |&i| (i as u16, Reason::LowestMean))
    }
}

fn options(sma_window: usize, ewma_alpha: f64) -> BalanceOptions {
    BalanceOptions { sma_window, ewma_alpha, ..BalanceOptions::default() }
}

fn near(got: Option<f64>, expected: Option<f64>) -> bool {
    match (got, expected) {
        (Some(got), Some(expected)) => (got - expected).abs() <= 2.0 + 1e-9 * expected,
        (got, expected) => got == expected,
    }
}

proptest! {
    #[test]
    fn estimates_and_choices_equal_those_of_the_full_history(
        count in 1usize..5, window in 1usize..6, alpha in 0.01..=1.0f64, steps in steps(),
    ) {
        let mut balance = Balance::new(RoutingMode::RoundRobin, count, &options(window, alpha));
        let mut model = Model {
            window, alpha, sma_samples: vec![vec![]; count], ewma_samples: vec![vec![]; count],
            paused_until: vec![0; count],
        };
        let mut now = 0;
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Answer(i, ns) => {
                    report(&mut balance, i % count, Outcome::Answered { latency_ns: ns, error: false }, at(now));
                    model.answer(i % count, ns);
                }
                Step::Fail(i, ns) => {
                    fail(&mut balance, i % count, ns, at(now));
                    model.fail(i % count, ns, now);
                }
                Step::Cancel(i) => report(&mut balance, i % count, Outcome::Cancelled, at(now)),
                Step::Advance(by) => now += by,
            }
            for (i, backend) in balance.backends().iter().enumerate() {
                prop_assert_eq!(backend.sma_ns(), model.sma(i));
                prop_assert!(near(backend.ewma_ns(), model.ewma(i)), "{:?} {:?}", backend, model.ewma(i));
            }
            // The mode outlives some steps, so that scores are kept up as well as recomputed.
            let mode = ADAPTIVE[turn / 5 % 2];
            if balance.mode() != mode {
                balance.set_mode(mode);
            }
            let scores: Vec<_> = balance.backends().iter().map(|b| b.score_ns(mode)).collect();
            prop_assert_eq!(chosen(&mut balance, at(now)), model.select(&scores, now));
        }
    }

    #[test]
    fn a_failure_never_lowers_a_score(count in 1usize..5, window in 1usize..6, alpha in 0.01..=1.0f64, steps in steps()) {
        let mut balance = Balance::new(RoutingMode::AdaptiveSma, count, &options(window, alpha));
        for step in steps {
            match step {
                Step::Answer(i, ns) => answer(&mut balance, i % count, ns),
                Step::Fail(i, ns) => {
                    let id = BackendId((i % count) as u16);
                    let before = ADAPTIVE.map(|mode| balance.backend(id).score_ns(mode));
                    fail(&mut balance, i % count, ns, at(0));
                    let after = ADAPTIVE.map(|mode| balance.backend(id).score_ns(mode));
                    prop_assert!(after[0] >= before[0] && after[1] >= before[1], "{before:?} {after:?}");
                }
                Step::Cancel(_) | Step::Advance(_) => {}
            }
        }
    }

    /// With the property above: whoever is preferred stays so, whatever fails elsewhere and however fast.
    #[test]
    fn failures_never_win_preference_over_a_healthy_backend(
        latencies in prop::collection::vec(prop::collection::vec(1..1000 * MS, 1..6), 2..5),
        failures in prop::collection::vec((any::<usize>(), 0..10 * MS), 1..100),
    ) {
        for mode in ADAPTIVE {
            let mut balance = Balance::new(mode, latencies.len(), &BalanceOptions::default());
            for (i, samples) in latencies.iter().enumerate() {
                samples.iter().for_each(|&ns| answer(&mut balance, i, ns));
            }
            let healthy = chosen(&mut balance, at(0));
            for &(i, elapsed_ns) in &failures {
                let others = (0..latencies.len()).filter(|&j| j != usize::from(healthy.0));
                let failing = others.cycle().nth(i % latencies.len()).unwrap();
                fail(&mut balance, failing, elapsed_ns, at(0));
                prop_assert_eq!(chosen(&mut balance, at(0)), healthy);
            }
        }
    }

    #[test]
    fn a_backend_that_only_fails_gets_one_request_in_a_second(
        gaps in prop::collection::vec(0..600 * MS, 1..200), elapsed_ns in 0..10 * MS,
    ) {
        for mode in ADAPTIVE {
            let mut balance = Balance::new(mode, 2, &BalanceOptions::default());
            answer(&mut balance, 1, 5000 * MS);
            let (mut now, mut last) = (0, None);
            for gap in &gaps {
                now += gap;
                if chosen(&mut balance, at(now)).0 == 0 {
                    prop_assert!(last.is_none_or(|last| now - last >= 1000 * MS));
                    last = Some(now);
                    fail(&mut balance, 0, elapsed_ns, at(now));
                }
            }
        }
    }

    #[test]
    fn in_rotation_shares_differ_by_at_most_one(count in 1usize..9, steps in steps()) {
        let mut balance = Balance::new(RoutingMode::RoundRobin, count, &BalanceOptions::default());
        let mut shares = vec![0u32; count];
        for step in steps {
            let id = balance.select(at(0)).unwrap().backend;
            shares[usize::from(id.0)] += 1;
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{shares:?}");
            match step {
                Step::Answer(i, ns) => answer(&mut balance, i % count, ns),
                Step::Fail(i, ns) => fail(&mut balance, i % count, ns, at(0)),
                Step::Cancel(i) => report(&mut balance, i % count, Outcome::Cancelled, at(0)),
                // A visit to another mode, which must not disturb the turns.
                Step::Advance(_) => {
                    balance.set_mode(RoutingMode::AdaptiveSma);
                    balance.select(at(0));
                    balance.set_mode(RoutingMode::RoundRobin);
                }
            }
        }
    }

    #[test]
    fn in_flight_is_what_started_and_has_not_finished(
        ends in prop::collection::vec((0u16..3, 0..6u8), 0..200), mode in prop::sample::select(&RoutingMode::ALL[..]),
    ) {
        let mut balance = Balance::new(mode, 3, &BalanceOptions::default());
        let (mut open, mut answered, mut failed) = ([0u32; 3], [0u64; 3], [0u64; 3]);
        let mut flights: [Vec<Flight>; 3] = Default::default();
        for (id, end) in ends {
            let i = usize::from(id);
            let outcome = match end {
                0 => Outcome::Answered { latency_ns: MS, error: false },
                1 => Outcome::Failed { elapsed_ns: MS },
                _ => Outcome::Cancelled,
            };
            if end > 2 || open[i] == 0 {
                flights[i].push(balance.started(BackendId(id), at(0)));
                open[i] += 1;
            } else {
                let flight = flights[i].swap_remove(open[i] as usize / 2);
                balance.finished(BackendId(id), flight, outcome, at(0));
                open[i] -= 1;
                answered[i] += u64::from(end == 0);
                failed[i] += u64::from(end == 1);
            }
            let backend = balance.backend(BackendId(id));
            let counts = (backend.in_flight(), backend.answered(), backend.failed());
            prop_assert_eq!(counts, (open[i], answered[i], failed[i]));
        }
    }
}
