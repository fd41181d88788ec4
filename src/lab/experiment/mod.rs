//! Experiments: variants of the proxy under the same load, in front of the same servers.
//!
//! Here: what a [`Study`] is, and the order of its [`Run`]s. Beside: playing one over sockets (`live.rs`) or in virtual time
//! (`simulated.rs`), what was seen (`rows.rs`, `outcome.rs`), the folder it is kept in (`folder.rs`). Not here: reading a
//! study from a file (`config/study/`), the command (`cli/experiment/`), which calls this. Floor 4.

mod conduct;
mod demand;
mod environment;
mod folder;
mod live;
mod outcome;
mod rows;
mod simulated;
mod strategies;
mod summary;
mod switching;
mod watch;
mod wrk;

use std::fmt;
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use crate::load::customers::Customer;
use crate::proxy;
use crate::testbed::{BackendOptions, ClassifierOptions, Meter};

pub use conduct::{Findings, Ground, conduct};
pub use environment::Environment;
pub use folder::Folder;
pub use live::{Driver, Live};
pub use outcome::{Load, Outcome, Rows};
pub use rows::{Observed, Served};
pub use simulated::play as simulate;
pub use watch::{Glimpse, Watch, Watcher};

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Study {
    /// Part of the folder's name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A heading for its report.
    pub title: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// How often each variant is played.
    pub repeats: u32,
    /// How long figures are taken in each run.
    pub duration: Duration,
    /// How long load is put on before.
    pub warm_up: Duration,
    /// What is behind the proxy.
    pub servers: Servers,
    /// What is in front.
    pub demand: Demand,
    /// What is compared.
    pub variants: Vec<Variant>,
    /// The study as it was written, for its folder.
    pub text: String,
}

/// One setting of the proxy.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name, different from the others'.
    pub name: String,
    /// What the proxy is told; its servers are those of the study.
    pub options: proxy::Options,
}

/// What is behind the proxy.
#[derive(Clone, Debug)]
pub enum Servers {
    /// Backends; their ids, numbers and seeds are given by each run: A, B, C and so on.
    Backends(Vec<BackendOptions>),
    /// One classifier, called `classifier`.
    Classifier(ClassifierOptions),
}

/// What is in front of the proxy.
#[derive(Clone, Debug)]
pub enum Demand {
    /// Requests for `/`.
    Requests {
        /// When they are sent.
        pace: Pace,
        /// Over how many threads, over sockets; in virtual time there is one.
        threads: usize,
        /// The length of each request's body; 0 for a GET without one.
        body_bytes: usize,
        /// How long one may take.
        timeout: Duration,
    },
    /// Customers of batching.
    Customers {
        /// Who, and at how many requests a second in an open loop.
        customers: Vec<(Customer, Option<f64>)>,
        /// How long a request may take.
        timeout: Duration,
        /// Whether all variants of a repeat have one proxy, whose strategy is switched by a request. In virtual time each has
        /// a proxy of its own.
        switching: bool,
    },
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many users, each of whom sends the next request when the last is answered and the pause is over.
    Closed {
        /// How many, each with its connection.
        connections: usize,
        /// How long each rests.
        pause: Duration,
    },
    /// So many requests a second, whether or not earlier ones are answered.
    Open {
        /// A second.
        rate: f64,
        /// Independent of each other, or evenly spaced.
        poisson: bool,
        /// The most connections.
        connections: usize,
    },
}

/// A variant, played once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its position in [`Study::variants`].
    pub variant: usize,
    /// Counted from 1.
    pub repeat: u32,
    /// The seed of its load and its servers: the same for all variants of a repeat.
    pub seed: u64,
}

impl Study {
    /// All runs: each repeat plays each variant once, in an order of its own.
    pub fn runs(&self) -> Vec<Run> {
        let mut rng = Pcg64Mcg::seed_from_u64(self.seed);
        let repeat = |repeat| {
            let seed = seed_of(self.seed, repeat);
            let mut runs: Vec<_> =
                (0..self.variants.len()).map(|variant| Run { variant, repeat, seed }).collect();
            runs.shuffle(&mut rng);
            runs
        };
        (1..=self.repeats).flat_map(repeat).collect()
    }

    /// How long a run puts load on.
    pub fn run_time(&self) -> Duration {
        self.warm_up + self.duration
    }
}

impl Servers {
    /// The backends as they are in a run of this seed, each with its name and a meter of its own that counts after `warm_up`.
    fn backends(&self, seed: u64, warm_up: Duration) -> Vec<(String, BackendOptions)> {
        let Servers::Backends(all) = self else { return Vec::new() };
        let named = |(n, options): (usize, &BackendOptions)| {
            let meter = Some(Meter::since(warm_up));
            let options = BackendOptions { id: letter(n), seed, number: n as u64, meter, ..options.clone() };
            (letter(n).to_string(), options)
        };
        all.iter().enumerate().map(named).collect()
    }
}

/// The seed of a repeat (SplitMix64: Steele, Lea and Flood 2014): near numbers give seeds that have nothing in common.
fn seed_of(seed: u64, repeat: u32) -> u64 {
    let mut mixed = seed.wrapping_add(u64::from(repeat).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Why an experiment could not be played.
#[derive(Debug)]
pub enum ExperimentError {
    /// The system refused something.
    System {
        /// What was tried, after "cannot": `start a backend`.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The world found something that must not happen.
    Violation(String),
    /// wrk failed.
    Wrk(String),
}

impl fmt::Display for ExperimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExperimentError::System { what, source } => write!(f, "cannot {what}: {source}"),
            ExperimentError::Violation(what) => write!(f, "the simulation is wrong: {what}"),
            ExperimentError::Wrk(what) => write!(f, "wrk: {what}"),
        }
    }
}

impl std::error::Error for ExperimentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExperimentError::System { source, .. } => Some(source),
            ExperimentError::Violation(_) | ExperimentError::Wrk(_) => None,
        }
    }
}

/// What turns an error of the system into one of ours; `what` as in [`ExperimentError::System`].
fn cannot(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ExperimentError {
    |source| ExperimentError::System { what: what.into(), source }
}

/// What the `n`-th backend calls itself.
pub fn letter(n: usize) -> char {
    // Letters, then Greek and what follows: the body of an answer tells who gave it.
    let letters = ('A'..='Z').chain('a'..='z').chain('\u{391}'..='\u{3a1}').chain('\u{3a3}'..);
    letters.into_iter().nth(n).unwrap_or('?')
}
