//! The tables of a study's file.
//!
//! Here: which keys there are. Not here: what they come to (`mod.rs`); the settings of variants, which are those of the
//! configuration file. Floor 5.

use serde::Deserialize;

use super::super::read;
use super::super::values::{Bytes, Count, Grace, Period, Share, Switch};
use super::super::{Rate, Spacing};
use crate::load::customers::Customer;
use crate::testbed::{Fault, Profile, ServiceTime};

/// The file, without `[proxy]` and `[[variant]]`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(super) struct StudyForm {
    /// Part of the folder's name.
    pub(super) name: Option<String>,
    /// The heading.
    pub(super) title: Option<String>,
    /// From which everything random follows.
    pub(super) seed: Option<u64>,
    /// How often each variant is played.
    #[serde(deserialize_with = "read::one")]
    pub(super) repeats: Option<Count>,
    /// How long figures are taken.
    #[serde(deserialize_with = "read::one")]
    pub(super) duration: Option<Period>,
    /// How long load is put on before.
    #[serde(deserialize_with = "read::one")]
    pub(super) warm_up: Option<Grace>,
    /// Simulated backends.
    pub(super) backend: Vec<BackendForm>,
    /// A simulated classifier.
    pub(super) classifier: Option<ClassifierForm>,
    /// Requests for backends.
    pub(super) load: Option<LoadForm>,
    /// Customers of the classifier.
    pub(super) customer: Vec<CustomerForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct BackendForm {
    /// How long its answers take.
    #[serde(deserialize_with = "read::must")]
    pub(super) profile: Profile,
    /// How many requests it works on at once.
    #[serde(default, deserialize_with = "read::one")]
    pub(super) capacity: Option<Count>,
    /// What goes wrong with it, counted from the start of the run.
    #[serde(default, deserialize_with = "read::texts")]
    pub(super) fault: Option<Vec<Fault>>,
    /// How many there are of it.
    #[serde(default, deserialize_with = "read::one")]
    pub(super) copies: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(super) struct ClassifierForm {
    /// How long a request takes.
    #[serde(deserialize_with = "read::one")]
    pub(super) service_time: Option<ServiceTime>,
    /// How many requests are worked on at once.
    #[serde(deserialize_with = "read::one")]
    pub(super) concurrency: Option<Count>,
    /// The share of requests that fail.
    #[serde(deserialize_with = "read::one")]
    pub(super) error_rate: Option<Share>,
    /// The share of answers with a result too few.
    #[serde(deserialize_with = "read::one")]
    pub(super) drop_results: Option<Share>,
    /// The most sequences of a request.
    #[serde(deserialize_with = "read::one")]
    pub(super) max_sequences: Option<Count>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(super) struct LoadForm {
    /// How many, or in an open loop how many at most.
    #[serde(deserialize_with = "read::one")]
    pub(super) connections: Option<Count>,
    /// Over how many threads.
    #[serde(deserialize_with = "read::one")]
    pub(super) threads: Option<Count>,
    /// How long a user rests after an answer.
    #[serde(deserialize_with = "read::one")]
    pub(super) pause: Option<Grace>,
    /// Requests a second in an open loop.
    #[serde(deserialize_with = "read::one")]
    pub(super) rate: Option<Rate>,
    /// How they follow each other.
    #[serde(deserialize_with = "read::one")]
    pub(super) arrivals: Option<Spacing>,
    /// The length of each body.
    #[serde(deserialize_with = "read::one")]
    pub(super) request_bytes: Option<Bytes>,
    /// How long a request may take.
    #[serde(deserialize_with = "read::one")]
    pub(super) timeout: Option<Period>,
    /// Whether strategies are switched while the proxy runs.
    #[serde(deserialize_with = "read::one")]
    pub(super) switching: Option<Switch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CustomerForm {
    /// Who.
    #[serde(deserialize_with = "read::must")]
    pub(super) customer: Customer,
    /// How many there are of it.
    #[serde(default, deserialize_with = "read::one")]
    pub(super) copies: Option<Count>,
    /// Requests a second of each, in place of its pause.
    #[serde(default, deserialize_with = "read::one")]
    pub(super) rate: Option<Rate>,
}
