//! What a world under stress is made of, and what comes of it.
//!
//! Here: [`StressPlan`], [`UserGroup`], [`Rows`], [`StressOutcome`]. Not here: the world itself (`mod.rs`). Floor 4.

use std::time::Duration;

use super::super::actor::LongestTurn;
use super::super::stalls::Stalls;
use super::names::LookUps;
use super::script::Script;
use crate::net::Weather;
use crate::proxy::{Options, Resident};
use crate::telemetry::Counters;
use crate::testbed::ClassifierOptions;

/// What a user does over and over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UserKind {
    /// Asks, and when it has its answer asks again.
    Asks {
        /// How it is to be answered.
        script: Script,
        /// The length of its body; with 0 it is a GET, else a PUT.
        body: usize,
        /// The body comes so long after the head, in a write of its own.
        body_after: Option<Duration>,
        /// From an answer to the next request.
        pause: Duration,
        /// Each request comes on a connection of its own.
        alone: bool,
    },
    /// Has texts classified, over and over.
    Classifies {
        /// In whose name.
        customer: u32,
        /// How many texts.
        texts: usize,
        /// How many bytes they have together.
        bytes: usize,
        /// From an answer to the next request.
        pause: Duration,
    },
    /// Sends a head, one byte each time.
    SlowHead(Duration),
    /// Sends a head, and then a body one byte each time.
    SlowBody(Duration),
    /// Asks for a large answer, and reads few bytes each time.
    SlowReader(Duration),
    /// Sends the half of a head, and nothing more.
    HalfHead,
    /// Connects, and says nothing.
    Silent,
}

impl UserKind {
    /// Whether it asks for something.
    pub(super) fn asks(self) -> bool {
        matches!(self, UserKind::Asks { .. } | UserKind::Classifies { .. })
    }

    /// How long it rests after an answer, and whether each request has a connection of its own.
    pub(super) fn pace(self) -> (Duration, bool) {
        match self {
            UserKind::Asks { pause, alone, .. } => (pause, alone),
            UserKind::Classifies { pause, .. } => (pause, false),
            _ => (Duration::ZERO, true),
        }
    }
}

/// Users who do the same.
#[derive(Clone, Debug)]
pub struct UserGroup {
    /// How many.
    pub users: usize,
    /// What they do.
    pub kind: UserKind,
    /// From how many addresses.
    pub hosts: usize,
    /// Which the first is.
    pub first_host: u8,
    /// They begin within this time.
    pub begin_within: Duration,
    /// Each answer comes so long after the request was wanted at most, whatever became of connections meanwhile; nothing is said of
    /// those that are not to be served.
    pub served_within: Option<Duration>,
    /// The statuses that they may get.
    pub statuses: &'static [u16],
    /// The proxy may close a connection without an answer to the request on it.
    pub may_be_cut: bool,
    /// Whose answers may come to them, where backends answer twice.
    pub deceit: Deceit,
}

/// Whose answers may come to a user instead of its own, if backends answer twice: nothing in HTTP/1.1 tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deceit {
    /// Nobody's.
    None,
    /// Earlier ones of its own on the same connection: as where each user has connections of its own.
    Own,
    /// Anybody's but to a connection's first request, and until the proxy has noticed that a backend answers twice.
    NotFirst,
    /// Anybody's, and until the proxy has noticed.
    Anybody,
}

impl UserGroup {
    /// Users at one address who ask for `script` over and over, without a pause.
    pub fn asking(users: usize, script: Script) -> UserGroup {
        let (body, body_after, pause, alone) = (0, None, Duration::ZERO, false);
        UserGroup {
            users,
            kind: UserKind::Asks { script, body, body_after, pause, alone },
            hosts: 1,
            first_host: 1,
            begin_within: Duration::from_millis(1),
            served_within: Some(Duration::from_secs(5)),
            statuses: &[200],
            may_be_cut: false,
            deceit: Deceit::None,
        }
    }

    /// Users at another address who do what nobody is served for.
    pub fn idling(users: usize, kind: UserKind) -> UserGroup {
        UserGroup {
            kind,
            first_host: 9,
            served_within: None,
            statuses: &[],
            may_be_cut: true,
            ..UserGroup::asking(users, Script::Silence)
        }
    }
}

/// Who takes the rows, on another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Each at once.
    Taken,
    /// All for so long, then none for as long.
    Halting(Duration),
    /// None until the proxy has ended.
    Blocked,
}

/// What a world under stress is made of.
#[derive(Clone, Debug)]
pub struct StressPlan {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// What the proxy is told; the world puts its backends in the place of those in it, and a classifier if there is batching.
    pub options: Options,
    /// What the classifier is like.
    pub classifier: ClassifierOptions,
    /// If there are any, the ways in which it answers instead, one drawn for each batch.
    pub classifier_ways: Vec<Script>,
    /// How many backends.
    pub backends: usize,
    /// Who asks.
    pub groups: Vec<UserGroup>,
    /// How the links behave.
    pub weather: Weather,
    /// How many descriptors the proxy has for connections.
    pub descriptors: usize,
    /// How long the proxy is at work for each of its calls: so much later it looks again.
    pub work_a_call: Duration,
    /// When it stands still.
    pub stalls: Option<Stalls>,
    /// How the backends' names are looked up again.
    pub look_ups: Option<LookUps>,
    /// Who takes its rows.
    pub rows: Rows,
    /// No backend may be ejected.
    pub blameless: bool,
    /// The proxy is told to stop while the users still ask.
    pub stops_under_load: bool,
    /// How long the users keep asking.
    pub duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct StressOutcome {
    /// Answers to users.
    pub answers: u64,
    /// Of them, those with 200.
    pub well: u64,
    /// Of them, those to other requests.
    pub deceived: u64,
    /// Connections that ended before the answer.
    pub cut: u64,
    /// The longest wait for an answer of those who are to be served.
    pub longest_wait: Duration,
    /// What the proxy has counted.
    pub counters: Counters,
    /// How often a backend was ejected.
    pub ejections: u64,
    /// Rows that were lost because nobody took them.
    pub rows_lost: u64,
    /// How often the proxy stood still.
    pub stalls: u64,
    /// The proxy's turn with the most calls.
    pub longest_turn: LongestTurn,
    /// The most idle connections to one backend beside those that were in use at once.
    pub most_pooled: usize,
    /// The most bytes that the proxy has kept: for connections, for batching, and in empty buffers.
    pub most_bytes: Resident,
    /// How many events it took.
    pub steps: u64,
    /// Equal for equal runs.
    pub digest: u64,
}
