//! What can be chosen about a queue.
//!
//! Here: [`QueueOptions`], plain values with the contract's defaults. Not here: their names on the command line
//! (`config/`). Floor 1.

use std::time::Duration;

use super::strategy::StrategyName;

/// The options of a [`Queue`](super::Queue).
#[derive(Clone, Debug, PartialEq)]
pub struct QueueOptions {
    /// The strategy to begin with.
    pub strategy: StrategyName,
    /// The most sequences of a batch; at least 1.
    pub batch_size: usize,
    /// How many batches may be in flight, at least 1. `None` for 1, and for what it learns in `adaptive`.
    pub batches_in_flight: Option<usize>,
    /// How many jobs may wait; those in flight do not count.
    pub limit: usize,
    /// Whether `adaptive` may split a job's sequences over batches by length.
    pub split: bool,
    /// Whether a batch of several jobs that failed may be sent again in halves.
    pub halve: bool,
    /// How long a job may wait in `sjf` before it goes ahead of shorter ones.
    pub sjf_max_wait: Option<Duration>,
    /// By name of customer, how much more it may have than a customer that is not named: turns in `fair`, work in
    /// `adaptive`, and in `sjf` its lengths are divided by it. At least 1.
    pub weights: Vec<(String, u32)>,
}

impl Default for QueueOptions {
    fn default() -> QueueOptions {
        QueueOptions {
            strategy: StrategyName::Sjf,
            batch_size: 5,
            batches_in_flight: None,
            limit: 10_000,
            split: true,
            halve: true,
            sjf_max_wait: None,
            weights: Vec::new(),
        }
    }
}
