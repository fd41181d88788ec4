//! What one run cost, and what several of them say.
//!
//! Here: taking a sample, medians and the range of the rounds, and what a reader should know of them. Not here: tables.

use std::fmt;

use super::machine::{Cpu, Steal};
use super::wrk::Load;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) warmup: u64,
}

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
    /// Loads `proxy` by `load`, which takes seconds, first for `warmup` of them and then for those that count.
    pub(crate) fn take(
        proxy: u32,
        effort: &Effort,
        mut load: impl FnMut(u64) -> Result<Load, String>,
    ) -> Result<Sample, String> {
        load(effort.warmup)?;
        let (cpu, steal) = (Cpu::of(proxy)?, Steal::of_first_cpu()?);
        let load = load(effort.seconds)?;
        let (cpu, stolen) = (Cpu::of(proxy)? - cpu, Steal::of_first_cpu()?.share_since(&steal));
        let per_request = |seconds: f64| seconds * 1e6 / load.requests as f64;
        Ok(Sample {
            user_us: per_request(cpu.user),
            system_us: per_request(cpu.system),
            busy: (cpu.user + cpu.system) / load.seconds,
            stolen,
            load,
        })
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }

    pub(crate) fn rate(&self) -> f64 {
        self.load.requests as f64 / self.load.seconds
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} µs a request, {:.0} requests/s", self.cpu_us(), self.rate())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

/// The median, and the least and the most.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    format!("{:.digits$} ({least:.digits$}–{most:.digits$})", median(values.to_vec()))
}

/// What a reader should know of these rounds.
pub(crate) fn remarks(own: &[Sample]) -> Vec<String> {
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
