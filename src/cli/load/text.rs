//! The figures as text.
//!
//! Here: the lines of wrk, which people and programs know how to read, and our own between them. Not here: the figures
//! (`load/`). Floor 5.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::options::{OpenLoop, Setup};
use crate::config::Value;
use crate::load::{Failure, Latencies, Summary, Tally};

/// What is said before.
pub(super) fn opening(setup: &Setup) -> String {
    let (threads, connections) = (setup.threads, setup.connections);
    let load = match &setup.rate {
        None => format!("{threads} threads and {connections} connections"),
        Some(OpenLoop { rate, spacing, .. }) => format!(
            "{threads} threads and at most {connections} connections, {rate} requests/s ({})",
            spacing.show()
        ),
    };
    format!("Running {:?} test @ {}\n  {load}\n", setup.duration, setup.url.show())
}

/// What is said at the end.
pub(super) fn closing(setup: &Setup, tally: &Tally, summary: &Summary) -> String {
    let mut out = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n".to_owned();
    let Latencies { raw, corrected } = &tally.latencies;
    if setup.rate.is_some() {
        latency_row(&mut out, "Latency", corrected);
        latency_row(&mut out, "Raw", raw);
    } else {
        latency_row(&mut out, "Latency", raw);
    }
    rate_row(&mut out, &tally.rates);
    match (setup.latency, setup.rate) {
        (false, _) => {}
        (true, None) => distribution(&mut out, "Latency Distribution", raw),
        (true, Some(_)) => {
            distribution(&mut out, "Latency Distribution (from when a request was due)", corrected);
            distribution(&mut out, "Raw Distribution (from when it was sent)", raw);
        }
    }
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "  {} requests in {}, {} read",
        summary.requests,
        time(summary.duration_s * 1e9, 2),
        bytes(summary.bytes_read as f64)
    );
    if tally.cut + tally.unsent > 0 && setup.rate.is_some() {
        let Tally { cut, unsent, .. } = tally;
        let _ = writeln!(out, "  Without an answer at the end: {cut} sent, {unsent} due and never sent");
    }
    failures(&mut out, tally);
    if summary.non_2xx_or_3xx > 0 {
        let _ = writeln!(out, "  Non-2xx or 3xx responses: {}", summary.non_2xx_or_3xx);
        let told: Vec<_> =
            summary.statuses.iter().map(|(status, count)| format!("{status} x {count}")).collect();
        let _ = writeln!(out, "  Statuses: {}", told.join(", "));
    }
    let _ = writeln!(out, "Requests/sec: {:>9.2}", summary.requests_per_s);
    let _ = writeln!(out, "Transfer/sec: {:>11}", bytes(summary.bytes_per_s));
    out
}

fn latency_row(out: &mut String, name: &str, latencies: &Histogram<u64>) {
    let (mean, stdev) = (latencies.mean(), latencies.stdev());
    let near = |value: u64| (latencies.median_equivalent(value) as f64 - mean).abs() <= stdev;
    let within: u64 =
        latencies.iter_recorded().filter(|v| near(v.value_iterated_to())).map(|v| v.count_at_value()).sum();
    let max = if latencies.is_empty() { 0 } else { latencies.max() };
    row(out, name, [mean, stdev, max as f64].map(|ns| time(ns, 2)), within, latencies.len());
}

fn rate_row(out: &mut String, rates: &[f64]) {
    let count = rates.len().max(1) as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let stdev = (rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count).sqrt();
    let max = rates.iter().copied().fold(0.0, f64::max);
    let within = rates.iter().filter(|&rate| (rate - mean).abs() <= stdev).count();
    row(out, "Req/Sec", [mean, stdev, max].map(metric), within as u64, rates.len() as u64);
}

fn row(out: &mut String, name: &str, [mean, stdev, max]: [String; 3], within: u64, of: u64) {
    let percent = if of > 0 { 100.0 * within as f64 / of as f64 } else { 0.0 };
    let _ = writeln!(out, "    {name:<10}{mean:>8}{stdev:>10}{max:>9}{percent:>8.2}%");
}

fn distribution(out: &mut String, title: &str, latencies: &Histogram<u64>) {
    let _ = writeln!(out, "  {title}");
    for (name, quantile) in
        [("50%", 0.5), ("75%", 0.75), ("90%", 0.9), ("95%", 0.95), ("99%", 0.99), ("99.9%", 0.999)]
    {
        let value = time(latencies.value_at_quantile(quantile) as f64, 2);
        let _ = writeln!(out, "  {name:>6}{value:>10}");
    }
}

fn failures(out: &mut String, tally: &Tally) {
    if tally.failures() == 0 {
        return;
    }
    let sum = |kinds: &[Failure]| kinds.iter().map(|&kind| tally.failed(kind)).sum::<u64>();
    let connect = sum(&[Failure::Refused, Failure::Connect]);
    let read = sum(&[Failure::Reset, Failure::Closed, Failure::ShortBody, Failure::Malformed]);
    let timeout = tally.failed(Failure::Timeout);
    // A write that fails is told by the reset that answers it.
    let _ = writeln!(out, "  Socket errors: connect {connect}, read {read}, write 0, timeout {timeout}");
    let kinds = Failure::ALL.into_iter().filter(|&kind| tally.failed(kind) > 0);
    let told: Vec<_> = kinds.map(|kind| format!("{} {}", kind.name(), tally.failed(kind))).collect();
    let _ = writeln!(out, "  Failures: {}", told.join(", "));
    if let Some(why) = &tally.connect_error {
        let _ = writeln!(out, "  The first that could not connect: {why}");
    }
}

/// A value in the largest of `units` that it fills; each is so many times the one before.
fn scaled(value: f64, units: &[(f64, &str)], decimals: usize) -> String {
    let (mut value, mut unit) = (value, "");
    for &(times, name) in units {
        if !unit.is_empty() && value < times {
            break;
        }
        (value, unit) = (value / times, name);
    }
    format!("{value:.decimals$}{unit}")
}

fn time(ns: f64, decimals: usize) -> String {
    scaled(ns, &[(1e3, "us"), (1e3, "ms"), (1e3, "s"), (60.0, "m"), (60.0, "h")], decimals)
}

fn bytes(count: f64) -> String {
    scaled(count, &[(1.0, "B"), (1024.0, "KB"), (1024.0, "MB"), (1024.0, "GB")], 2)
}

fn metric(value: f64) -> String {
    if value < 1e3 { format!("{value:.2}") } else { scaled(value, &[(1e3, "k"), (1e3, "M")], 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_largest_unit_that_they_fill() {
        let times =
            [(0.0, "0.00us"), (999_000.0, "999.00us"), (1e6, "1.00ms"), (1.5e9, "1.50s"), (9e10, "1.50m")];
        for (ns, shown) in times {
            assert_eq!(time(ns, 2), shown);
        }
        assert_eq!([bytes(1023.0), bytes(1536.0), bytes(3e6)], ["1023.00B", "1.50KB", "2.86MB"]);
        assert_eq!([metric(12.5), metric(28_930.0), metric(1.2e6)], ["12.50", "28.93k", "1.20M"]);
    }

    #[test]
    fn a_row_says_how_much_lies_within_one_deviation() {
        let mut out = String::new();
        rate_row(&mut out, &[10.0, 10.0, 10.0, 50.0]);
        assert_eq!(out, "    Req/Sec      20.00     17.32    50.00   75.00%\n");
        let mut latencies = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        latencies.record(1_000_000).unwrap();
        out.clear();
        latency_row(&mut out, "Latency", &latencies);
        assert!(out.starts_with("    Latency     1.00ms    0.00us   1.00ms  100.00%"), "{out}");
    }
}
