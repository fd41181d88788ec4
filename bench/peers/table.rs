//! The figures of a scenario as a table.
//!
//! Here: a row for each proxy, with ratios within the rounds. Not here: where figures come from (`common/sample.rs`).

use super::common::sample::{Sample, median, remarks, spread};
use super::contenders::Contender;

/// Prints a row for each proxy, all rounds of each given in the order of [`Contender::ALL`].
pub(crate) fn print(samples: &[Vec<Sample>; 3]) {
    println!(
        "| proxy | processor time a request, µs | of it user | this ÷ Tidegate | requests/s | p50, ms | p99, ms | remarks |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
    for (contender, own) in Contender::ALL.iter().zip(samples) {
        let all = |of: fn(&Sample) -> f64| own.iter().map(of).collect::<Vec<_>>();
        let ratios = own.iter().zip(&samples[0]).map(|(own, ours)| own.cpu_us() / ours.cpu_us()).collect();
        println!(
            "| {} | {} | {:.1} | {:.2} | {} | {} | {} | {} |",
            contender.name(),
            spread(&all(Sample::cpu_us), 1),
            median(all(|s| s.user_us)),
            median(ratios),
            spread(&all(Sample::rate), 0),
            spread(&all(|s| s.load.p50_ms), 2),
            spread(&all(|s| s.load.p99_ms), 2),
            remarks(own).join("; ")
        );
    }
    println!("\nMedians of {} rounds, and the least and the most.", samples[0].len());
}
