//! The trace: a line of JSON for each exchange.
//!
//! Here: [`TraceSheet`], which turns traces into lines; their form is in the README. Not here: the file (`pen.rs`), who
//! fills traces (`proxy/trace.rs`). Floor 2.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::clock::CivilClock;
use super::counts::Lines;
use super::lane::{BLOCK, Entry};
use super::pen::{Pen, Scribe, Target};
use super::roster::Roster;
use crate::record::trace::{Attempts, BatchTrace, Phases, Scores, Text, Trace, span_ns};
use crate::time::Instant;

/// A line as it is written: the README says what its fields mean.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<Cow<'a, str>>,
    ended: &'a str,
    client: Cow<'a, str>,
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    target_bytes: u32,
    status: u16,
    mode: &'static str,
    backend: Option<&'a str>,
    reused: bool,
    latency_ns: u64,
    received_ns: Option<u64>,
    selected_ns: Option<u64>,
    connected_ns: Option<u64>,
    sent_ns: Option<u64>,
    first_byte_ns: Option<u64>,
    last_byte_ns: Option<u64>,
    done_ns: Option<u64>,
    #[serde(serialize_with = "scores")]
    scores_ns: Named<'a, Scores>,
    scores_left_out: usize,
    #[serde(serialize_with = "attempts")]
    attempts: Named<'a, (&'a Attempts, Instant)>,
    attempts_made: u32,
    batch: Option<Batch<'a>>,
    bytes_in: u64,
    bytes_out: u64,
    failure: Option<&'static str>,
    violation: Option<&'static str>,
}

#[derive(Serialize)]
struct Batch<'a> {
    id: Cow<'a, str>,
    sequences: u32,
    requests: u32,
    wait_ns: Option<u64>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    backend: Option<&'a str>,
    begun_ns: u64,
    retried: Option<&'static str>,
}

/// What is said of backends, with the names that they have.
struct Named<'a, T> {
    of: T,
    roster: &'a Roster,
}

fn scores<S: Serializer>(scores: &Named<'_, Scores>, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    for (id, score) in scores.of.kept() {
        let url = scores.roster.url(id).unwrap_or_default();
        map.serialize_entry(url, &score.map(|ns| ns.round() as u64))?;
    }
    map.end()
}

fn attempts<S: Serializer>(attempts: &Named<'_, (&Attempts, Instant)>, to: S) -> Result<S::Ok, S::Error> {
    let (all, arrived) = attempts.of;
    let mut list = to.serialize_seq(None)?;
    for attempt in all.kept() {
        list.serialize_element(&Attempt {
            backend: attempts.roster.url(attempt.backend),
            begun_ns: attempt.begun.nanos_since(arrived),
            retried: attempt.retried,
        })?;
    }
    list.end()
}

/// Turns traces into lines and writes them in blocks.
pub(super) struct TraceSheet<W: Write> {
    pen: Pen<W>,
    roster: Arc<Roster>,
    clock: CivilClock,
    gathered: Vec<u8>,
    lines: usize,
}

impl<W: Write> TraceSheet<W> {
    pub(super) fn new(target: Target<W>, roster: Arc<Roster>, lines: Arc<Lines>) -> TraceSheet<W> {
        let pen = Pen::new(target, lines);
        TraceSheet { pen, roster, clock: CivilClock::new(TimeZone::UTC), gathered: Vec::new(), lines: 0 }
    }
}

impl<W: Write> Scribe<Entry> for TraceSheet<W> {
    fn write(&mut self, entry: &Entry) {
        let Entry { record, trace } = entry;
        let mut ended = [b'Z'; 27];
        ended[..26].copy_from_slice(self.clock.format(record.ended));
        let Trace { phases, target, batch, .. } = trace;
        let since = |to| span_ns(phases.arrived, to);
        let line = Line {
            id: (trace.id.whole_bytes() > 0).then(|| shown(&trace.id)),
            ended: std::str::from_utf8(&ended).unwrap_or_default(),
            client: shown(&trace.client),
            method: shown(&trace.method),
            target: shown(target),
            target_bytes: target.whole_bytes(),
            status: record.status,
            mode: record.mode.name(),
            backend: record.backend.and_then(|id| self.roster.url(id)),
            reused: trace.reused,
            latency_ns: record.latency_ns,
            received_ns: since(phases.received),
            selected_ns: since(phases.selected),
            connected_ns: since(phases.connected),
            sent_ns: since(phases.sent),
            first_byte_ns: since(phases.first_byte),
            last_byte_ns: since(phases.last_byte),
            done_ns: since(phases.done),
            scores_ns: Named { of: trace.scores, roster: &self.roster },
            scores_left_out: trace.scores.left_out(),
            attempts: Named { of: (&trace.attempts, phases.arrived), roster: &self.roster },
            attempts_made: trace.attempts.made(),
            batch: batch.as_ref().map(|batch| shown_batch(batch, phases)),
            bytes_in: trace.bytes_in,
            bytes_out: trace.bytes_out,
            failure: trace.failure,
            violation: trace.violation,
        };
        // Keys are strings and a Vec takes all: there is nothing to fail.
        let _ = serde_json::to_writer(&mut self.gathered, &line);
        self.gathered.push(b'\n');
        self.lines += 1;
        if self.lines == BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // The pen takes all, and counts what the file refuses.
        let _ = self.pen.write(&self.gathered).and_then(|_| self.pen.flush());
        self.gathered.clear();
        self.lines = 0;
    }

    fn knowing(mut self, roster: &Arc<Roster>) -> TraceSheet<W> {
        self.roster = Arc::clone(roster);
        self
    }

    fn reopened(mut self) -> TraceSheet<W> {
        self.flush();
        self.pen.reopen();
        self
    }
}

/// Text as JSON can hold it; one that is cut ends with a whole character.
fn shown<const N: usize>(text: &Text<N>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let cut = text.whole_bytes() as usize > N;
    match std::str::from_utf8(bytes) {
        Err(e) if cut && e.error_len().is_none() => String::from_utf8_lossy(&bytes[..e.valid_up_to()]),
        _ => String::from_utf8_lossy(bytes),
    }
}

fn shown_batch<'a>(batch: &'a BatchTrace, phases: &Phases) -> Batch<'a> {
    let BatchTrace { id, sequences, requests } = batch;
    let wait_ns = span_ns(phases.received, phases.selected);
    Batch { id: shown(id), sequences: *sequences, requests: *requests, wait_ns }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
