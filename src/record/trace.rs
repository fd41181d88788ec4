//! An exchange in full: where its time went and why it went where it did.
//!
//! Here: [`Trace`], of fixed size, filled in place while the exchange lives and copied by value to telemetry at its end;
//! what has no room is cut and counted. Not here: filling it (`proxy/trace.rs`), its rendering (`telemetry/trace.rs`).
//! Floor 1.

use crate::balance::BackendId;
use crate::h1::request_id::MAX_ID_BYTES;
use crate::time::Instant;

/// Of how many backends the scores are kept.
pub const SCORES_KEPT: usize = 8;

/// How many attempts are kept.
pub const ATTEMPTS_KEPT: usize = 4;

/// How many bytes of a target are kept.
pub const TARGET_KEPT: usize = 256;

/// Text kept in place; what goes beyond `N` bytes is cut.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    whole: u32,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Text { bytes: [0; N], whole: 0 }
    }
}

impl<const N: usize> Text<N> {
    /// Keeps the beginning of `text`.
    pub fn new(text: &[u8]) -> Text<N> {
        let mut kept = Text { bytes: [0; N], whole: u32::try_from(text.len()).unwrap_or(u32::MAX) };
        let len = text.len().min(N);
        kept.bytes[..len].copy_from_slice(&text[..len]);
        kept
    }

    /// What is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..(self.whole as usize).min(N)]
    }

    /// How many bytes the whole text had.
    pub const fn whole_bytes(&self) -> u32 {
        self.whole
    }
}

/// When an exchange reached which point; [`Instant::NEVER`] where it did not, or has not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// The first bytes of the request head.
    pub arrived: Instant,
    /// The request head was whole; of a request that is batched, the body too.
    pub received: Instant,
    /// The backend was chosen; of a request that is batched, its first batch was formed.
    pub selected: Instant,
    /// The upstream connection stood, or was taken from the pool.
    pub connected: Instant,
    /// The last byte of the request was handed to the kernel.
    pub sent: Instant,
    /// The first bytes of the response were read.
    pub first_byte: Instant,
    /// The last bytes of the response were read.
    pub last_byte: Instant,
    /// The exchange was over.
    pub done: Instant,
}

impl Phases {
    /// Of a request whose first bytes came then.
    pub const fn arrived(at: Instant) -> Phases {
        let never = Instant::NEVER;
        Phases {
            arrived: at,
            received: never,
            selected: never,
            connected: never,
            sent: never,
            first_byte: never,
            last_byte: never,
            done: never,
        }
    }
}

/// Nanoseconds between two points; none if either was not reached.
pub fn span_ns(from: Instant, to: Instant) -> Option<u64> {
    (from != Instant::NEVER && to != Instant::NEVER).then(|| to.nanos_since(from))
}

/// One sending of a request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// To whom.
    pub backend: BackendId,
    /// When.
    pub begun: Instant,
    /// Why there was another; none of the last one.
    pub retried: Option<&'static str>,
}

/// The sendings of one request, the first [`ATTEMPTS_KEPT`] of them in full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    kept: [Option<Attempt>; ATTEMPTS_KEPT],
    made: u32,
}

impl Attempts {
    /// The request is sent to `backend`.
    pub fn begin(&mut self, backend: BackendId, now: Instant) {
        if let Some(room) = self.kept.get_mut(self.made as usize) {
            *room = Some(Attempt { backend, begun: now, retried: None });
        }
        self.made += 1;
    }

    /// The last of them came to nothing for that reason, and there will be another.
    pub fn retry(&mut self, why: &'static str) {
        let last = self.made.checked_sub(1).and_then(|last| self.kept.get_mut(last as usize));
        if let Some(Some(attempt)) = last {
            attempt.retried = Some(why);
        }
    }

    /// Those that are kept, in order.
    pub fn kept(&self) -> impl Iterator<Item = &Attempt> {
        self.kept.iter().flatten()
    }

    /// How many there were.
    pub const fn made(&self) -> u32 {
        self.made
    }
}

/// What a choice compared, in configuration order: nanoseconds, none if unmeasured or not compared in that mode.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    kept: [Option<f64>; SCORES_KEPT],
    ids: [BackendId; SCORES_KEPT],
    all: u16,
}

impl Scores {
    /// Keeps those of the first [`SCORES_KEPT`] of `backends` backends.
    pub fn new(backends: u16, scores: impl Iterator<Item = (BackendId, Option<f64>)>) -> Scores {
        let (mut kept, mut ids) = ([None; SCORES_KEPT], [BackendId(0); SCORES_KEPT]);
        for (i, (id, score)) in scores.take(SCORES_KEPT).enumerate() {
            (ids[i], kept[i]) = (id, score);
        }
        Scores { kept, ids, all: backends }
    }

    /// Those that are kept, in configuration order.
    pub fn kept(&self) -> impl Iterator<Item = (BackendId, Option<f64>)> {
        self.ids.into_iter().zip(self.kept).take(usize::from(self.all))
    }

    /// Of how many backends there is no room for the score.
    pub fn left_out(&self) -> usize {
        usize::from(self.all).saturating_sub(SCORES_KEPT)
    }
}

impl Default for Scores {
    /// Of no backend.
    fn default() -> Scores {
        Scores { kept: [None; SCORES_KEPT], ids: [BackendId(0); SCORES_KEPT], all: 0 }
    }
}

/// The batch that a request went with, the last one if there were several.
#[derive(Clone, Copy)]
pub struct BatchTrace {
    /// The id of the merged request.
    pub id: Text<MAX_ID_BYTES>,
    /// Sequences in it.
    pub sequences: u32,
    /// Requests that had a part in it.
    pub requests: u32,
}

/// All of an exchange that a [`crate::record::Record`] does not say.
#[derive(Clone, Copy)]
pub struct Trace {
    /// Its id, as the backend and the client were told.
    pub id: Text<MAX_ID_BYTES>,
    /// The method as it came.
    pub method: Text<16>,
    /// The target as it came.
    pub target: Text<TARGET_KEPT>,
    /// The client's address.
    pub client: Text<45>,
    /// Where its time went.
    pub phases: Phases,
    /// What the choice of its backend compared; empty of a request that was batched.
    pub scores: Scores,
    /// How often it was sent.
    pub attempts: Attempts,
    /// Whether the upstream connection had served an exchange before.
    pub reused: bool,
    /// With which batch it went.
    pub batch: Option<BatchTrace>,
    /// Bytes of the request, head and body, as they came from the client.
    pub bytes_in: u64,
    /// Bytes of the response, head and body, as they went to the client.
    pub bytes_out: u64,
    /// Why it failed.
    pub failure: Option<&'static str>,
    /// The rule of HTTP that an answer to it breaks.
    pub violation: Option<&'static str>,
}

impl Trace {
    /// Of a request whose first bytes came then.
    pub fn arrived(at: Instant) -> Trace {
        Trace {
            id: Text::default(),
            method: Text::default(),
            target: Text::default(),
            client: Text::default(),
            phases: Phases::arrived(at),
            scores: Scores::default(),
            attempts: Attempts::default(),
            reused: false,
            batch: None,
            bytes_in: 0,
            bytes_out: 0,
            failure: None,
            violation: None,
        }
    }

    /// Whether it says anything of this server.
    pub fn mentions(&self, id: BackendId) -> bool {
        self.scores.kept().any(|(other, _)| other == id) || self.attempts.kept().any(|a| a.backend == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut_and_counted() {
        let text = Text::<3>::new(b"abcd");
        assert_eq!((text.as_bytes(), text.whole_bytes()), (&b"abc"[..], 4));
        assert_eq!(Text::<3>::new(b"a").as_bytes(), b"a");

        let scores = Scores::new(10, (0..10).map(|i| (BackendId(i), Some(f64::from(i)))));
        assert_eq!((scores.kept().count(), scores.left_out()), (8, 2));
        assert_eq!(scores.kept().last(), Some((BackendId(7), Some(7.0))));
        let two = [(BackendId(5), None), (BackendId(1), Some(1.0))];
        assert!(Scores::new(2, two.into_iter()).kept().eq(two));

        let mut attempts = Attempts::default();
        for n in 0..6 {
            attempts.begin(BackendId(n), Instant::from_nanos(n.into()));
            attempts.retry("why");
        }
        let kept: Vec<u16> = attempts.kept().map(|a| a.backend.0).collect();
        assert_eq!((kept, attempts.made()), (vec![0, 1, 2, 3], 6));
        assert!(attempts.kept().all(|a| a.retried == Some("why")));
    }

    #[test]
    fn a_span_needs_both_its_ends() {
        let (at, never) = (Instant::from_nanos(5), Instant::NEVER);
        assert_eq!(span_ns(at, Instant::from_nanos(9)), Some(4));
        assert_eq!((span_ns(at, never), span_ns(never, at)), (None, None));
    }
}
