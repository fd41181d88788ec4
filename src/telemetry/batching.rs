//! What others may know of batching.
//!
//! Here: [`BatchingState`], the queue's figures at a flush. Not here: counting (`batch/`) and any rendering. The proxy
//! makes one with each flush while it batches. Floor 2.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::batch::{CustomerFigures, Figures, ServiceEstimate, StrategyName};

/// The batching queue at one moment, and what it has counted since the start.
#[derive(Clone, Debug)]
pub struct BatchingState {
    /// The strategy in force.
    pub strategy: StrategyName,
    /// Requests that wait, wholly or in part.
    pub depth: usize,
    /// Batches in flight.
    pub in_flight: usize,
    /// Batches that may be in flight.
    pub most_in_flight: usize,
    /// How long the oldest of those that wait has waited.
    pub oldest_age: Option<Duration>,
    /// Sizes, waits and service times by flush reason; wasted length; ends.
    pub figures: Figures,
    /// What the classifier is expected to take; none before that can be relied on.
    pub service: Option<ServiceEstimate>,
    /// What customers have received, the one with most work first; no more than a metric may have labels.
    pub customers: Vec<(String, CustomerFigures)>,
    /// What all others have received together.
    pub other_customers: CustomerFigures,
    /// Requests that got no result, by the reason that their client was told.
    pub rejections: BTreeMap<&'static str, u64>,
    /// How many bytes are set aside for bodies that come, wait and are in flight.
    pub bytes: usize,
    /// How many that may be.
    pub bytes_limit: usize,
    /// How many more are set aside for messages to classifiers, their answers, and what clients do not read.
    pub bytes_made: usize,
}

/// How many customers are told apart.
pub const CUSTOMERS_TOLD: usize = 100;
