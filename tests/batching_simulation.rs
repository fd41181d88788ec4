//! The batching strategies over whole workloads in virtual time: what the README promises of each.
//!
//! The figures to reach are those of a reference model with other random numbers, so means are compared within some
//! percent. `make batching` prints all figures.

#[path = "../bench/batching/mod.rs"]
mod batching;

use std::time::Duration;

use batching::report::{Report, report};
use batching::scenes::{self, Customer, Pace, Scene};
use batching::simulation::play;
use tidegate::batch::{FlushReason, QueueOptions, StrategyName};

fn with(strategy: StrategyName) -> QueueOptions {
    QueueOptions { strategy, ..QueueOptions::default() }
}

fn played(scene: &Scene, strategy: StrategyName) -> Report {
    report(scene, &with(strategy))
}

#[track_caller]
fn assert_near(what: &str, found: f64, expected: f64, within: f64) {
    let off = (found / expected - 1.0).abs();
    assert!(off <= within, "{what}: {found:.2}, not within {} % of {expected}", within * 100.0);
}

/// The other three of adaptive's strategies; none of them has a lower mean by more than 1 %.
#[track_caller]
fn assert_none_is_better(scene: &Scene, adaptive: &Report) {
    for strategy in [StrategyName::Sjf, StrategyName::Fair, StrategyName::Fcfs] {
        let other = played(scene, strategy).mean_ms;
        assert!(adaptive.mean_ms <= 1.01 * other, "{strategy} is better in {}: {other:.1} ms", scene.name);
    }
}

#[test]
fn the_contracts_two_customers_see_what_the_reference_model_says() {
    let scene = scenes::contract("serial", 1);
    for strategy in [StrategyName::Sjf, StrategyName::Fair] {
        let r = played(&scene, strategy);
        assert_near("n", r.answered, 121.0, 0.02);
        assert_near("mean", r.mean_ms, 73.1, 0.02);
        assert_near("median", r.median_ms, 0.17, 0.05);
        assert_near("p95", r.p95_ms, 311.4, 0.02);
    }
    let fcfs = played(&scene, StrategyName::Fcfs);
    assert_near("n", fcfs.answered, 97.3, 0.02);
    assert_near("mean", fcfs.mean_ms, 176.3, 0.02);
    assert_near("p95", fcfs.p95_ms, 361.4, 0.02);
}

#[test]
fn adaptive_hardly_waits_where_the_classifier_works_on_several_batches_at_once() {
    let scene = scenes::contract("concurrent", 1000);
    let adaptive = played(&scene, StrategyName::Adaptive);
    assert!(adaptive.mean_ms <= 61.5 && adaptive.median_ms <= 0.3, "{:.1} ms", adaptive.mean_ms);
    assert_none_is_better(&scene, &adaptive);
}

#[test]
fn adaptive_is_better_for_two_customers_of_a_serial_classifier_too() {
    let scene = scenes::contract("serial", 1);
    let adaptive = played(&scene, StrategyName::Adaptive);
    assert_near("mean", adaptive.mean_ms, 64.9, 0.02);
    assert_none_is_better(&scene, &adaptive);
}

#[test]
fn adaptive_under_load_is_within_15_percent_of_the_reference_that_knew_the_times() {
    let scene = scenes::ten_customers();
    let adaptive = played(&scene, StrategyName::Adaptive);
    assert_near("mean", adaptive.mean_ms, 164.0, 0.15);
    assert_near("p99", adaptive.p99_ms, 622.9, 0.15);
    assert!(adaptive.max_ms < 1500.0, "the slowest: {:.0} ms", adaptive.max_ms);
    assert_none_is_better(&scene, &adaptive);
    let whole = report(&scene, &QueueOptions { split: false, ..with(StrategyName::Adaptive) });
    assert_near("mean without splitting", whole.mean_ms, 240.5, 0.15);
    assert_none_is_better(&scene, &whole);
}

#[test]
fn adaptive_protects_the_others_from_a_greedy_customer() {
    let scene = scenes::greedy();
    let adaptive = played(&scene, StrategyName::Adaptive);
    assert_near("p99 of the others", adaptive.others_p99_ms, 679.0, 0.15);
    assert_near("mean", adaptive.mean_ms, 282.4, 0.15);
    assert_none_is_better(&scene, &adaptive);
}

#[test]
fn adaptive_finds_the_four_servers_behind_the_classifier() {
    let scene = scenes::four_servers();
    let adaptive = played(&scene, StrategyName::Adaptive);
    assert_near("mean", adaptive.mean_ms, 79.0, 0.15);
    assert_near("p99", adaptive.p99_ms, 435.4, 0.15);
    let told = QueueOptions { batches_in_flight: Some(4), ..with(StrategyName::Sjf) };
    assert!(adaptive.mean_ms < report(&scene, &told).mean_ms, "better than sjf that was told");
}

#[test]
fn adaptive_is_never_worse_than_the_others_and_answers_what_the_classifier_can_do() {
    for scene in scenes::all() {
        let adaptive = played(&scene, StrategyName::Adaptive);
        assert_none_is_better(&scene, &adaptive);
        let most_left = if scene.name == "affine, 32 a batch, 110 %" { 0.03 } else { 0.005 };
        let left = adaptive.unanswered;
        assert!(left < most_left, "{}: {:.1} % are not answered", scene.name, left * 100.0);
    }
}

/// Eight customers as A that send again as soon as they are answered, so that short requests always wait, and one as B
/// that asks for no more than its ninth of the classifier's time.
fn long_among_short() -> Scene {
    let mut customers = vec![Customer { long: false, pace: Pace::Closed(Duration::ZERO) }; 8];
    customers.push(Customer { long: true, pace: Pace::Closed(Duration::from_secs(3)) });
    let length = Duration::from_secs(20);
    Scene { customers, length, runs: 1, ..scenes::contract("a long one among short ones", 1) }
}

/// Milliseconds that the requests of B took.
fn long_ones(options: QueueOptions) -> Vec<f64> {
    let scene = long_among_short();
    let (requests, queue) = play(&scene, options, 1);
    let busy_us: u64 = FlushReason::ALL.iter().map(|&r| queue.figures().by_flush(r).service_us.sum()).sum();
    assert!(busy_us as f64 > 0.95 * scene.length.as_micros() as f64, "busy for {busy_us} us only");
    let own = requests.iter().filter(|request| request.customer + 1 == scene.customers.len());
    own.filter_map(|r| Some((r.answered? - r.arrived).as_secs_f64() * 1e3)).collect()
}

#[test]
fn a_long_request_is_not_starved_by_an_endless_stream_of_short_ones() {
    let own_ms = 558.0 * 558.0 / 1e3;
    assert!(long_ones(with(StrategyName::Sjf)).is_empty(), "sjf starves it");

    let max_wait = QueueOptions { sjf_max_wait: Some(Duration::from_secs(1)), ..with(StrategyName::Sjf) };
    let sjf = long_ones(max_wait);
    assert!(sjf.len() >= 4 && sjf.iter().all(|&ms| ms <= 1000.0 + own_ms + 1.0), "{sjf:?}");

    let adaptive = long_ones(with(StrategyName::Adaptive));
    let bound_ms = 200.0 + 4.0 * own_ms + 2.0 * own_ms;
    assert!(adaptive.len() >= 3 && adaptive.iter().all(|&ms| ms <= bound_ms), "{adaptive:?}");
}
