//! The strategies beside each other over the workloads of `bench/batching/`, as a table, in virtual time.

mod batching;

use batching::report::report;
use batching::scenes;
use tidegate::batch::{QueueOptions, StrategyName};

fn main() {
    println!(
        "{:<46} {:<16} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "workload", "strategy", "n", "mean ms", "median", "p95", "p99", "max", "others99", "left %"
    );
    for scene in scenes::all() {
        let with = |strategy| QueueOptions { strategy, ..QueueOptions::default() };
        let mut strategies: Vec<(String, QueueOptions)> =
            StrategyName::ALL.map(|strategy| (strategy.to_string(), with(strategy))).into();
        let unsplit = QueueOptions { split: false, ..with(StrategyName::Adaptive) };
        strategies.push(("adaptive, whole".to_owned(), unsplit));
        if scene.servers == 4 {
            let four = QueueOptions { batches_in_flight: Some(4), ..with(StrategyName::Sjf) };
            strategies.push(("sjf, 4 in flight".to_owned(), four));
        }
        for (name, options) in strategies {
            let r = report(&scene, &options);
            println!(
                "{:<46} {name:<16} {:>7.1} {:>9.1} {:>9.2} {:>9.1} {:>9.1} {:>9.0} {:>9.1} {:>7.1}",
                scene.name,
                r.answered,
                r.mean_ms,
                r.median_ms,
                r.p95_ms,
                r.p99_ms,
                r.max_ms,
                r.others_p99_ms,
                100.0 * r.unanswered
            );
        }
    }
}
