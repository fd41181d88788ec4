//! The summary of an experiment with strategies, in the layout that the earlier system wrote.
//!
//! Here: [`summary`]. Not here: the picture, files. Floor 4.

use std::fmt::Write;

use super::{Conditions, CustomerSeries, Strategy};
use crate::lab::statistics::{deviation, mean, quantile};

/// The text of `…_summary.txt`: for each strategy the counts, then mean, median, standard deviation (of the sample),
/// least and largest latency of all requests with results, then mean and median of each customer's, in milliseconds. What
/// there is no figure of, as the mean of nothing, is `–`. Errors are told where there are any, and so are repeats and
/// virtual time.
pub fn summary(strategies: &[Strategy], conditions: &Conditions) -> String {
    let title = "Proxy Strategy Latency Analysis Summary";
    let generated = conditions.generated.strftime("%Y-%m-%d %H:%M:%S");
    let seconds = conditions.length.as_secs_f64();
    let repeats = match conditions.repeats {
        0 | 1 => String::new(),
        repeats => format!(", {repeats} repeats taken together"),
    };
    let simulated = if conditions.simulated { "Simulated: in virtual time\n" } else { "" };
    let rule = "=".repeat(50);
    let mut out = format!(
        "{title}\n{rule}\nGenerated: {generated}\nTest Duration: {seconds} seconds per strategy{repeats}\n{simulated}\n"
    );
    for strategy in strategies {
        out.push('\n');
        block(&mut out, strategy).expect("a String takes everything");
    }
    out
}

fn block(out: &mut String, strategy: &Strategy) -> std::fmt::Result {
    let all = strategy.latencies_ms();
    let customers = strategy.customers.iter();
    writeln!(out, "{} Strategy:\n{}", strategy.name.to_uppercase(), "-".repeat(20))?;
    writeln!(out, "Total requests: {}", all.len())?;
    for CustomerSeries { name, requests, .. } in customers.clone() {
        writeln!(out, "Customer {name} requests: {}", requests.len())?;
    }
    if strategy.errors() > 0 {
        writeln!(out, "Total errors: {} (not counted above, in no latency)", strategy.errors())?;
        for CustomerSeries { name, errors, .. } in customers.clone().filter(|customer| customer.errors > 0) {
            writeln!(out, "Customer {name} errors: {errors}")?;
        }
    }
    writeln!(out, "Overall mean latency: {}", ms(mean(&all)))?;
    writeln!(out, "Overall median latency: {}", ms(quantile(&all, 0.5)))?;
    writeln!(out, "Overall std deviation: {}", ms(deviation(&all)))?;
    writeln!(out, "Overall min latency: {}", ms(all.first().copied()))?;
    writeln!(out, "Overall max latency: {}", ms(all.last().copied()))?;
    for customer in customers {
        let latencies = customer.latencies_ms();
        writeln!(out, "Customer {} mean: {}", customer.name, ms(mean(&latencies)))?;
        writeln!(out, "Customer {} median: {}", customer.name, ms(quantile(&latencies, 0.5)))?;
    }
    Ok(())
}

fn ms(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.2} ms"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;

    use super::*;
    use crate::lab::batching::Served;

    fn customer(name: &str, latencies_ms: &[f64], errors: u64) -> CustomerSeries {
        let served =
            |&ms: &f64| Served { at: Duration::from_secs(1), latency: Duration::from_secs_f64(ms / 1e3) };
        CustomerSeries { name: name.to_owned(), requests: latencies_ms.iter().map(served).collect(), errors }
    }

    fn strategy(name: &str, a: &[f64], b: &[f64]) -> Strategy {
        Strategy { name: name.to_owned(), customers: vec![customer("A", a, 0), customer("B", b, 0)] }
    }

    fn conditions() -> Conditions {
        Conditions {
            generated: date(2025, 6, 14).at(16, 47, 55, 999_000_000),
            length: Duration::from_secs(30),
            repeats: 1,
            simulated: false,
        }
    }

    fn of(strategies: &[Strategy]) -> String {
        summary(strategies, &conditions())
    }

    #[test]
    fn the_layout_is_that_of_the_earlier_system_to_the_byte() {
        let strategies = [
            strategy("sjf", &[4.15, 12.15, 13.0, 20.0], &[332.83]),
            strategy("fair", &[4.63, 14.27], &[349.06]),
            strategy("fcfs", &[23.65, 66.12], &[380.16, 326.28]),
        ];
        assert_eq!(of(&strategies), include_str!("summary.txt"));
    }

    #[test]
    fn figures_that_there_are_not_are_dashes() {
        let text = of(&[strategy("adaptive", &[7.0], &[])]);
        for line in [
            "Total requests: 1\n",
            "Customer B requests: 0\n",
            "Overall mean latency: 7.00 ms\n",
            "Overall std deviation: –\n",
            "Customer B mean: –\nCustomer B median: –\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing:\n{text}");
        }
        let text = of(&[strategy("adaptive", &[], &[])]);
        assert!(text.contains("Total requests: 0\n") && text.contains("Overall max latency: –\n"), "{text}");
    }

    #[test]
    fn errors_repeats_and_virtual_time_are_told_if_there_are_any() {
        let mut strategies = [strategy("sjf", &[7.0], &[9.0])];
        let without = of(&strategies);
        assert!(!without.contains("error") && !without.contains("repeats") && !without.contains("Simulated"));
        strategies[0].customers[1].errors = 3;
        let text = of(&strategies);
        let told = "Customer B requests: 1\nTotal errors: 3 (not counted above, in no latency)\nCustomer B errors: 3\n";
        assert!(text.contains(told) && !text.contains("Customer A errors"), "{text}");

        let length = Duration::from_millis(2_500);
        let text = summary(&strategies, &Conditions { length, repeats: 4, simulated: true, ..conditions() });
        let told = "Test Duration: 2.5 seconds per strategy, 4 repeats taken together\nSimulated: in virtual time\n\n\nSJF";
        assert!(text.contains(told), "{text}");
    }
}
