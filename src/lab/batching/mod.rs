//! What `experiment batching` tells of the strategies that it played.
//!
//! Here: [`Strategy`], the answers that customers got under one, and the [`summary`] and the [`picture`] of several. Not
//! here: how they are played, how charts are drawn (`plot/`), files. Values in, text and pictures out. Floor 4.

mod panels;
mod summary;

use std::time::Duration;

use jiff::civil::DateTime;

pub use panels::picture;
pub use summary::summary;

/// A request that got its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its end, since the start of the strategy (of the repeat that it belongs to).
    pub at: Duration,
    /// How long the customer waited.
    pub latency: Duration,
}

impl Served {
    /// The latency in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.latency.as_secs_f64() * 1e3
    }
}

/// What one customer got under one strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerSeries {
    /// The customer, as `A`.
    pub name: String,
    /// The requests with results, in any order.
    pub requests: Vec<Served>,
    /// The requests without; they are in no figure of latency.
    pub errors: u64,
}

impl CustomerSeries {
    /// All latencies in milliseconds, ascending.
    pub fn latencies_ms(&self) -> Vec<f64> {
        ascending(self.requests.iter())
    }
}

/// What all customers got under one strategy, all repeats together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// Its name, as `sjf`.
    pub name: String,
    /// The customers, in the same order under each strategy.
    pub customers: Vec<CustomerSeries>,
}

impl Strategy {
    /// All latencies in milliseconds, ascending.
    pub fn latencies_ms(&self) -> Vec<f64> {
        ascending(self.customers.iter().flat_map(|customer| &customer.requests))
    }

    /// The requests with results of the customer of that name.
    pub fn of_customer<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Served> {
        self.customers
            .iter()
            .filter(move |customer| customer.name == name)
            .flat_map(|customer| &customer.requests)
    }

    /// Requests without results.
    pub fn errors(&self) -> u64 {
        self.customers.iter().map(|customer| customer.errors).sum()
    }
}

fn ascending<'a>(requests: impl Iterator<Item = &'a Served>) -> Vec<f64> {
    let mut latencies: Vec<f64> = requests.map(Served::latency_ms).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    latencies
}

/// How the strategies were played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// When the experiment ended, in local time.
    pub generated: DateTime,
    /// How long each repeat of each strategy was.
    pub length: Duration,
    /// How often each was played; all of it stands in its [`Strategy`].
    pub repeats: u32,
    /// Whether in virtual time.
    pub simulated: bool,
}
