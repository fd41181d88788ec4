//! What a scenario consists of.
//!
//! Here: [`Scenario`], backends and load. Not here: those that there are (`scenarios.rs`). Floor 4.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::testbed::{BackendOptions, Fault, Meter, Profile};

/// Backends before which requests are distributed, and how the requests come.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its short name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// The backends.
    pub groups: Vec<Group>,
    /// The load.
    pub arrivals: Arrivals,
    /// Figures are of what happens after this.
    pub warm_up: Duration,
    /// When it ends, from the beginning of the warm-up.
    pub end: Duration,
    /// Independent proxies; each request comes to one of them at random.
    pub proxies: usize,
}

/// Equal backends.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// How many there are.
    pub copies: usize,
    /// How long each request takes.
    pub profile: Profile,
    /// How many requests each works on at once; `None`: all.
    pub capacity: Option<NonZeroUsize>,
    /// What goes wrong with each.
    pub faults: Vec<Fault>,
}

impl Group {
    /// `copies` backends that work on all requests at once, without a fault.
    ///
    /// # Panics
    /// If the profile cannot be read.
    pub fn new(copies: usize, profile: &str) -> Group {
        let profile = profile.parse().unwrap_or_else(|e| panic!("a scenario's profile: {e}"));
        Group { copies, profile, capacity: None, faults: Vec::new() }
    }

    /// The same, which work on so many requests at once; 0 stands for all.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Group {
        Group { capacity: NonZeroUsize::new(capacity), ..self }
    }

    /// The same with one more fault.
    ///
    /// # Panics
    /// If the fault cannot be read.
    #[must_use]
    pub fn fault(mut self, fault: &str) -> Group {
        self.faults.push(fault.parse().unwrap_or_else(|e| panic!("a scenario's fault: {e}")));
        self
    }
}

/// How requests come.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// So many clients, each of whom asks again when it is answered.
    Closed(usize),
    /// At random, independently of the answers: from each moment on so many a second.
    Open(Vec<(Duration, f64)>),
}

impl Arrivals {
    /// Always so many requests a second.
    pub fn open(per_second: f64) -> Arrivals {
        Arrivals::Open(vec![(Duration::ZERO, per_second)])
    }

    /// Whether requests come independently of the answers.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Arrivals::Open(_))
    }

    /// How many requests a second there are at `at`; `None` if that depends on the answers.
    pub(super) fn rate(&self, at: Duration) -> Option<f64> {
        match self {
            Arrivals::Closed(_) => None,
            Arrivals::Open(steps) => steps.iter().rev().find(|step| step.0 <= at).map(|step| step.1),
        }
    }
}

/// The backends of `scenario`, whose meters count from the end of its warm-up on.
pub(super) fn backends(scenario: &Scenario, seed: u64) -> Vec<BackendOptions> {
    let groups = scenario.groups.iter().flat_map(|group| std::iter::repeat_n(group, group.copies));
    let backend = |(number, group): (u64, &Group)| BackendOptions {
        capacity: group.capacity,
        faults: group.faults.clone(),
        seed,
        number,
        meter: Some(Meter::since(scenario.warm_up)),
        ..BackendOptions::plain('A', group.profile.clone())
    };
    (0..).zip(groups).map(backend).collect()
}
