//! The load scenarios of `bench/batching/` once more, by the very proxy, classifier and customers that run over sockets,
//! in virtual time and checked after every step. Prints a table; `make batching`.

#[allow(dead_code, reason = "the scenarios are shared with the bench of the queue alone")]
mod batching;

use std::num::NonZeroUsize;
use std::time::Duration;

use batching::scenes::{self, Pace, Scene};
use tidegate::batch::{QueueOptions, StrategyName};
use tidegate::load::customers::Customer;
use tidegate::net::Weather;
use tidegate::testbed::ClassifierOptions;
use tidegate::time::Instant;
use tidegate::world::{BatchingPlan, BatchingWorld};

fn main() {
    println!(
        "{:<46} {:<10} {:>7} {:>9} {:>9} {:>9} {:>10}",
        "workload", "strategy", "n", "mean ms", "p95", "p99", "others p99"
    );
    for scene in [scenes::ten_customers(), scenes::four_servers(), scenes::greedy()] {
        for strategy in StrategyName::ALL {
            let (mut all, mut others) = (Vec::new(), Vec::new());
            for seed in 1..=scene.runs {
                let outcome = BatchingWorld::new(&plan(&scene, strategy, seed)).run().expect("no violation");
                for sample in outcome.samples.iter().filter(|s| s.due >= Instant::ZERO + scene.warm_up) {
                    let ms = sample.latency.as_secs_f64() * 1e3;
                    all.push(ms);
                    if scene.greedy != Some(sample.request.source) {
                        others.push(ms);
                    }
                }
            }
            let n = all.len() as f64 / scene.runs as f64;
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let (p95, p99, others) =
                (quantile(&mut all, 0.95), quantile(&mut all, 0.99), quantile(&mut others, 0.99));
            println!(
                "{:<46} {:<10} {n:>7.0} {mean:>9.1} {p95:>9.1} {p99:>9.1} {others:>10.1}",
                scene.name,
                strategy.name()
            );
        }
    }
}

/// The scenario as a world: its customers' requests, all of which are waited for to the end.
fn plan(scene: &Scene, strategy: StrategyName, seed: u64) -> BatchingPlan {
    let moment = Duration::from_nanos(10);
    let (customers, rates) = scene
        .customers
        .iter()
        .enumerate()
        .map(|(i, customer)| {
            let kind = if customer.long { Customer::b() } else { Customer::a() };
            let Pace::Open(rate) = customer.pace else { panic!("{}: not an open loop", scene.name) };
            (kind.named(format!("{i}")), rate)
        })
        .unzip();
    let queue = QueueOptions { strategy, ..QueueOptions::default() };
    BatchingPlan {
        rates: Some(rates),
        duration: scene.length,
        classifier: ClassifierOptions {
            concurrency: NonZeroUsize::new(scene.servers),
            ..ClassifierOptions::default()
        },
        weather: Weather { delay: (moment, moment), ..Weather::CALM },
        ..BatchingPlan::calm(seed, customers, queue)
    }
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1]
}
