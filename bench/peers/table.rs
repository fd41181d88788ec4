//! The figures of a scenario as a table.
//!
//! Here: medians, the range of the rounds, and ratios within them. Not here: where figures come from (`main.rs`).

use std::fmt;

use super::contenders::Contender;
use super::wrk::Load;

/// Below this share of its processor a proxy was waiting for load: then requests/s say nothing of it.
const IDLING: f64 = 0.95;

/// More than this taken by the hypervisor is worth a word.
const STOLEN: f64 = 0.02;

/// One timed run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Processor time for a request, in microseconds: the program's own, and the kernel's for it.
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    /// Which share of its processor it used.
    pub(crate) busy: f64,
    /// Which share the hypervisor took.
    pub(crate) stolen: f64,
    pub(crate) load: Load,
}

impl Sample {
    fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }

    fn rate(&self) -> f64 {
        self.load.requests as f64 / self.load.seconds
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} µs a request, {:.0} requests/s", self.cpu_us(), self.rate())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

/// The median, and the least and the most.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(values.to_vec()))
}

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

/// What a reader should know of these rounds.
fn remarks(own: &[Sample]) -> Vec<String> {
    let mut remarks = Vec::new();
    let busy = median(own.iter().map(|sample| sample.busy).collect());
    if busy < IDLING {
        remarks.push(format!("used {:.0} % of its processor: something else was the limit", busy * 100.0));
    }
    let stolen = own.iter().map(|sample| sample.stolen).fold(0.0, f64::max);
    if stolen > STOLEN {
        remarks.push(format!("up to {:.0} % of it was stolen", stolen * 100.0));
    }
    remarks.extend(own.iter().flat_map(|sample| sample.load.errors.iter().cloned()));
    remarks
}
