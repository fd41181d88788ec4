//! A job: one client's request as the queue sees it.
//!
//! Here: [`Job`] with its lengths and which of its parts wait or are in flight, and [`Waiting`], what a strategy is
//! told of a part. Not here: the order of jobs (the strategies). Floor 1.

use super::customers::CustomerId;
use crate::slots::SlotId;
use crate::time::Instant;

/// Names a job for as long as any part of it waits or is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub(super) SlotId);

impl JobId {
    /// Index and generation, for callers that keep what they know of a job in a table of their own. The index is
    /// below the highest number of jobs that lived at once.
    pub fn slot(self) -> SlotId {
        self.0
    }
}

/// What two requests must have in common to share a batch; interned by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// Which sequences of a job a part carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequences {
    /// All, in order.
    All,
    /// These positions, ascending.
    Only(Box<[usize]>),
}

/// Sequences added up, as far as they decide how long a batch takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many sequences.
    pub(super) sequences: u32,
    /// Their characters together.
    pub(super) characters: u64,
    /// The characters of the longest.
    pub(super) longest: u32,
}

impl Shape {
    pub(super) fn of(lengths: impl IntoIterator<Item = u32>) -> Shape {
        lengths.into_iter().fold(Shape::default(), |sum, length| {
            sum.with(Shape { sequences: 1, characters: u64::from(length), longest: length })
        })
    }

    pub(super) fn with(self, other: Shape) -> Shape {
        Shape {
            sequences: self.sequences + other.sequences,
            characters: self.characters + other.characters,
            longest: self.longest.max(other.longest),
        }
    }
}

/// A job or a piece of it; what is queued, sent and answered as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slice {
    Whole,
}

impl Slice {
    const ALL: [Slice; 1] = [Slice::Whole];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slices(u8);

impl Slices {
    pub(super) fn insert(&mut self, slice: Slice) {
        self.0 |= slice.bit();
    }

    pub(super) fn remove(&mut self, slice: Slice) {
        self.0 &= !slice.bit();
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Slice> {
        Slice::ALL.into_iter().filter(move |slice| self.0 & slice.bit() != 0)
    }
}

/// A part that waits, as a strategy is told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) member: Member,
    /// Orders parts by arrival; no two have the same.
    pub(super) number: u64,
    pub(super) arrived: Instant,
    pub(super) key: KeyId,
    pub(super) customer: CustomerId,
    /// The weight of the customer.
    pub(super) weight: u32,
    pub(super) shape: Shape,
}

/// What is enough to take a part into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) job: JobId,
    pub(super) slice: Slice,
    pub(super) sequences: u32,
}

/// A request that waits or is in flight.
pub(super) struct Job {
    pub(super) customer: CustomerId,
    pub(super) key: KeyId,
    /// Position in the order of arrival.
    pub(super) number: u64,
    pub(super) arrived: Instant,
    pub(super) lengths: Box<[u32]>,
    pub(super) waiting: Slices,
    pub(super) in_flight: Slices,
    /// Neighbours among the jobs with a part that waits; kept by `arrivals.rs`.
    pub(super) older: Option<JobId>,
    pub(super) newer: Option<JobId>,
}

impl Job {
    /// All its sequences together.
    pub(super) fn shape(&self) -> Shape {
        Shape::of(self.lengths.iter().copied())
    }

    /// What a strategy is to know of the `slice` of this job, whose name is `id`.
    pub(super) fn describe(&self, id: JobId, slice: Slice, weight: u32) -> Waiting {
        let shape = self.shape();
        Waiting {
            member: Member { job: id, slice, sequences: shape.sequences },
            number: self.number,
            arrived: self.arrived,
            key: self.key,
            customer: self.customer,
            weight,
            shape,
        }
    }
}
