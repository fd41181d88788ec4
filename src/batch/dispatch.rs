//! What passes between the queue and its caller.
//!
//! Here: [`Batch`] with its [`Part`]s, why it was sent, how it ended, and what [`Queue::next`](super::Queue::next)
//! and [`Queue::admit`](super::Queue::admit) answer. Floor 1.

use std::fmt;
use std::time::Duration;

use super::customers::CustomerId;
use super::job::{JobId, KeyId, Sequences, Shape, Slice};
use crate::time::Instant;

/// Numbers batches in the order in which they were sent, halves of failed ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// Sequences to be sent to the classifier as one request, in the order of `parts`.
///
/// It is in flight until it is given back to [`finished`](super::Queue::finished) or
/// [`halve`](super::Queue::halve); there is no other copy, so it ends once.
#[derive(Debug)]
#[must_use = "a batch takes a place in flight until it is given back"]
pub struct Batch {
    /// Its number.
    pub id: BatchId,
    /// What all its jobs have in common.
    pub key: KeyId,
    /// Whose sequences it carries.
    pub parts: Vec<Part>,
    /// Why it was sent now; of a half, why the batch it comes from was.
    pub flush: FlushReason,
    /// What the classifier is expected to take for it when it has nothing else to do; `None` while that is unknown.
    pub predicted: Option<Duration>,
    pub(super) shape: Shape,
}

impl Batch {
    /// How many sequences it carries.
    pub fn sequences(&self) -> usize {
        self.shape.sequences as usize
    }

    /// The characters of all its sequences together.
    pub fn characters(&self) -> u64 {
        self.shape.characters
    }

    /// The characters of its longest sequence.
    pub fn longest(&self) -> u32 {
        self.shape.longest
    }

    /// Whether its parts are of more than one job.
    pub fn has_several_jobs(&self) -> bool {
        self.parts.iter().any(|part| part.job != self.parts[0].job)
    }
}

/// A job's sequences in one batch.
#[derive(Debug)]
pub struct Part {
    /// Whose they are. The job may be gone by the time the answer comes; then the answer is for nobody.
    pub job: JobId,
    /// Which of the job's sequences.
    pub sequences: Sequences,
    pub(super) slice: Slice,
    pub(super) customer: CustomerId,
    pub(super) shape: Shape,
}

/// Why a batch was sent when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushReason {
    /// It holds as many sequences as it may.
    Full,
    /// The wait for more was over (`fcfs`).
    Timeout,
    /// It was not full, but the classifier had nothing else to do.
    Idle,
    /// A job that had waited for as long as it should led it.
    Deadline,
    /// It was not full, but the queue is being emptied.
    Drain,
}

impl FlushReason {
    /// All reasons, in the order in which reports list them.
    pub const ALL: [FlushReason; 5] = [
        FlushReason::Full,
        FlushReason::Timeout,
        FlushReason::Idle,
        FlushReason::Deadline,
        FlushReason::Drain,
    ];

    /// The reason's name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            FlushReason::Full => "full",
            FlushReason::Timeout => "timeout",
            FlushReason::Idle => "idle",
            FlushReason::Deadline => "deadline",
            FlushReason::Drain => "drain",
        }
    }
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// Each sequence has its result.
    Answered {
        /// From sending the batch to the last byte of the answer.
        took: Duration,
    },
    /// It failed for all its jobs.
    Failed,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Next {
    /// Send this, then ask again.
    Dispatch(Batch),
    /// Ask again at this time, or after the next call that changes the queue.
    WaitUntil(Instant),
    /// Ask again after the next call that changes the queue.
    Idle,
}

/// A job that was queued.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    /// Its name.
    pub job: JobId,
    /// Whose place it has, if as many waited as may.
    pub gave_way: Option<GaveWay>,
}

/// A job that waited and has ended, since its customer had the most waiting when another's came.
#[derive(Clone, Copy, Debug)]
pub struct GaveWay {
    /// Its name, which is stale by now.
    pub job: JobId,
    /// When to try again.
    pub refused: Refused,
}

/// Why a job was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many jobs wait as may.
    Full {
        /// When to try again: whole seconds, at least 1, in which what waits is likely to be sent.
        retry_after_s: u64,
    },
    /// It has no sequence, or more than a batch may hold.
    Size {
        /// The most sequences of a job.
        most: usize,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Full { retry_after_s } => write!(f, "the queue is full; try again in {retry_after_s} s"),
            Refused::Size { most } => write!(f, "a request needs 1 to {most} sequences"),
        }
    }
}

impl std::error::Error for Refused {}
