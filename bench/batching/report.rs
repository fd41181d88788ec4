//! Latencies of a workload over its runs.

use tidegate::batch::QueueOptions;
use tidegate::time::Instant;

use super::scenes::{Pace, Scene};
use super::simulation::play;

/// Milliseconds, as the mean over runs of each run's figure; `mean_ms` and `others_p99_ms` of all requests together.
/// In an open loop a request that was not answered counts with its age at the end.
pub(crate) struct Report {
    /// Requests answered in a run.
    pub(crate) answered: f64,
    pub(crate) mean_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Of all but the greedy customer.
    pub(crate) others_p99_ms: f64,
    /// Share of requests that were not answered by the end.
    pub(crate) unanswered: f64,
}

/// Plays all runs of a scene.
pub(crate) fn report(scene: &Scene, options: &QueueOptions) -> Report {
    let end = Instant::ZERO + scene.length;
    let is_open = scene.customers.iter().all(|customer| matches!(customer.pace, Pace::Open(_)));
    let (mut all, mut others, mut requests, mut answered) = (Vec::new(), Vec::new(), 0, 0);
    let mut by_run = [0.0; 4];
    for seed in 1..=scene.runs {
        let mut run = Vec::new();
        for request in play(scene, options.clone(), seed).0 {
            if request.arrived < Instant::ZERO + scene.warm_up {
                continue;
            }
            requests += 1;
            answered += usize::from(request.answered.is_some());
            if request.answered.is_none() && !is_open {
                continue;
            }
            let ms = (request.answered.unwrap_or(end) - request.arrived).as_secs_f64() * 1e3;
            run.push(ms);
            if scene.greedy != Some(request.customer) {
                others.push(ms);
            }
        }
        run.sort_by(f64::total_cmp);
        for (sum, q) in by_run.iter_mut().zip([0.5, 0.95, 0.99, 1.0]) {
            *sum += quantile(&run, q) / scene.runs as f64;
        }
        all.extend(run);
    }
    others.sort_by(f64::total_cmp);
    let [median_ms, p95_ms, p99_ms, max_ms] = by_run;
    Report {
        answered: answered as f64 / scene.runs as f64,
        mean_ms: all.iter().sum::<f64>() / all.len() as f64,
        median_ms,
        p95_ms,
        p99_ms,
        max_ms,
        others_p99_ms: quantile(&others, 0.99),
        unanswered: 1.0 - answered as f64 / requests as f64,
    }
}

/// The least value that a share `q` of them do not exceed.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}
