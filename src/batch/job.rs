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
// In unit tests `work.rs` compares them, and counts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash)]
#[cfg_attr(not(test), derive(PartialEq, PartialOrd, Ord))]
#[cfg_attr(test, allow(clippy::derived_hash_with_manual_eq, reason = "it compares the same field"))]
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
    /// The sequences of a job that was split that are at most twice as long as its shortest.
    Short,
    /// The others of a job that was split.
    Long,
}

impl Slice {
    const ALL: [Slice; 3] = [Slice::Whole, Slice::Short, Slice::Long];

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

    pub(super) fn clear(&mut self) {
        self.0 = 0;
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
    /// What the classifier would take for it alone, as predicted when it was queued.
    pub(super) own_ns: u64,
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
    /// What it adds to a batch's message at most, in bytes.
    pub(super) bytes: usize,
    pub(super) waiting: Slices,
    pub(super) in_flight: Slices,
    pub(super) answered: Slices,
    /// The most characters of a sequence of the short part, if the job is split.
    pub(super) longest_of_short: u32,
    /// What the classifier would take for the whole or the short part alone, and for the long part, as predicted when
    /// it was queued.
    pub(super) own_ns: [u64; 2],
    /// Neighbours among the jobs with a part that waits; kept by `arrivals.rs`.
    pub(super) older: Option<JobId>,
    pub(super) newer: Option<JobId>,
}

impl Job {
    /// A job of which nothing waits yet.
    pub(super) fn new(
        customer: CustomerId,
        key: KeyId,
        number: u64,
        arrived: Instant,
        lengths: &[u32],
    ) -> Job {
        Job {
            customer,
            key,
            number,
            arrived,
            lengths: lengths.into(),
            bytes: 0,
            waiting: Slices::default(),
            in_flight: Slices::default(),
            answered: Slices::default(),
            longest_of_short: 0,
            own_ns: [0; 2],
            older: None,
            newer: None,
        }
    }

    /// Whether no part of it was ever sent.
    pub(super) fn is_untouched(&self) -> bool {
        self.in_flight.is_empty() && self.answered.is_empty()
    }

    /// The sequences of a part together.
    pub(super) fn shape(&self, slice: Slice) -> Shape {
        let lengths = self.lengths.iter().copied();
        Shape::of(lengths.filter(|&length| self.is_in(slice, length)))
    }

    /// Which sequences a part carries.
    pub(super) fn sequences(&self, slice: Slice) -> Sequences {
        if slice == Slice::Whole {
            return Sequences::All;
        }
        let positions = (0..self.lengths.len()).filter(|&i| self.is_in(slice, self.lengths[i]));
        Sequences::Only(positions.collect())
    }

    /// What a strategy is to know of a part of this job, whose name is `id`.
    pub(super) fn describe(&self, id: JobId, slice: Slice, weight: u32) -> Waiting {
        let shape = self.shape(slice);
        Waiting {
            member: Member { job: id, slice, sequences: shape.sequences },
            number: 2 * self.number + u64::from(slice == Slice::Long),
            arrived: self.arrived,
            key: self.key,
            customer: self.customer,
            weight,
            own_ns: self.own_ns[usize::from(slice == Slice::Long)],
            shape,
        }
    }

    fn is_in(&self, slice: Slice, length: u32) -> bool {
        match slice {
            Slice::Whole => true,
            Slice::Short => length <= self.longest_of_short,
            Slice::Long => length > self.longest_of_short,
        }
    }
}
