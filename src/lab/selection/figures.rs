//! What came out of a run.
//!
//! Here: [`Figures`] and how they are taken. Not here: what happens (`simulation.rs`). Floor 4.

use std::time::Duration;

/// Figures of one contender in one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Mean latency in milliseconds, of answers and, in an open load, of what was not answered at the end, by its age.
    pub mean_ms: f64,
    /// Quantiles of the same.
    pub p50_ms: f64,
    /// 95 %.
    pub p95_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// Requests answered in a second, errors included.
    pub per_second: f64,
    /// How many times a request was sent, on the average.
    pub copies: f64,
    /// What backends worked for a request, in milliseconds.
    pub work_ms: f64,
    /// Share of the answers that were errors.
    pub errors: f64,
    /// Share of the requests by backend.
    pub shares: Vec<f64>,
}

/// What is counted during a run.
#[derive(Debug)]
pub(super) struct Tally {
    latencies_ms: Vec<f64>,
    errors: usize,
    work: Duration,
    sent: Vec<u64>,
}

impl Tally {
    pub(super) fn new(backends: usize) -> Tally {
        Tally { latencies_ms: Vec::new(), errors: 0, work: Duration::ZERO, sent: vec![0; backends] }
    }

    pub(super) fn sent(&mut self, backend: usize, work: Duration) {
        self.sent[backend] += 1;
        self.work += work;
    }

    pub(super) fn waited(&mut self, latency: Duration) {
        self.latencies_ms.push(latency.as_secs_f64() * 1e3);
    }

    pub(super) fn failed(&mut self) {
        self.errors += 1;
    }

    /// How many were answered until now.
    pub(super) fn answered(&self) -> usize {
        self.latencies_ms.len() + self.errors
    }

    /// Of `answered` requests in `span`.
    pub(super) fn figures(mut self, answered: usize, span: Duration) -> Figures {
        self.latencies_ms.sort_by(f64::total_cmp);
        let waited = &self.latencies_ms;
        let quantile = |q: f64| {
            let rank = (q * waited.len() as f64).ceil() as usize;
            waited.get(rank.clamp(1, waited.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
        };
        let (sent, answered) = (self.sent.iter().sum::<u64>() as f64, answered as f64);
        Figures {
            mean_ms: waited.iter().sum::<f64>() / waited.len() as f64,
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            per_second: answered / span.as_secs_f64(),
            copies: sent / answered,
            work_ms: self.work.as_secs_f64() * 1e3 / answered,
            errors: self.errors as f64 / answered,
            shares: self.sent.iter().map(|&n| n as f64 / sent).collect(),
        }
    }
}
