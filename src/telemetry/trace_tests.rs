//! Tests of the trace file.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::balance::{BackendId, RoutingMode};
use crate::batch::StrategyName;
use crate::record::{Averages, Mode, Record};
use crate::telemetry::Output;
use crate::time::WallTime;

fn record(mode: Mode) -> Record {
    Record {
        // 2025-05-09T20:04:04.679379 UTC
        ended: WallTime::from_nanos(1_746_821_044_679_379_999),
        latency_ns: 42_000_000,
        backend: Some(BackendId(1)),
        status: 200,
        mode,
        failed: false,
        reused: true,
        connect_us: 0,
        averages: Averages::UNMEASURED,
    }
}

fn at(ns: u64) -> Instant {
    Instant::from_nanos(1_000 + ns)
}

fn roster() -> Arc<Roster> {
    Arc::new(Roster::first(&[("http://a:1", "a:1"), ("http://b:2", "b:2")], &[]))
}

fn sheet(out: Vec<u8>, roster: Arc<Roster>) -> TraceSheet<Vec<u8>> {
    let open: fn(&Path, Output) -> io::Result<Vec<u8>> = |_, _| Err(io::ErrorKind::Unsupported.into());
    let target = Target { kind: Output::Trace, path: PathBuf::new(), out, open };
    TraceSheet::new(target, roster, Arc::default())
}

fn line(record: Record, trace: Trace) -> Value {
    let mut sheet = sheet(Vec::new(), roster());
    sheet.write(&Entry { record, trace });
    assert_eq!(sheet.gathered.iter().filter(|&&b| b == b'\n').count(), 1);
    serde_json::from_slice(&sheet.gathered).expect("JSON")
}

#[test]
fn a_line_says_all_that_is_known() {
    let mut trace = Trace::arrived(at(0));
    trace.id = Text::new(b"abc");
    trace.method = Text::new(b"GET");
    trace.target = Text::new("/x?\"é\"".as_bytes());
    trace.client = Text::new(b"127.0.0.1");
    trace.phases.received = at(10);
    trace.phases.selected = at(20);
    trace.phases.connected = at(30);
    trace.phases.done = at(70);
    trace.scores = Scores::new(2, [(BackendId(0), Some(10.4e6)), (BackendId(1), None)].into_iter());
    trace.attempts.begin(BackendId(1), at(20));
    trace.attempts.retry("stale-connection");
    trace.attempts.begin(BackendId(0), at(25));
    trace.reused = true;
    (trace.bytes_in, trace.bytes_out) = (100, 200);
    assert_eq!(
        line(record(Mode::Routing(RoutingMode::AdaptiveSma)), trace),
        json!({
            "id": "abc", "ended": "2025-05-09T20:04:04.679379Z", "client": "127.0.0.1", "method": "GET",
            "target": "/x?\"é\"", "target_bytes": 7, "status": 200, "mode": "adaptive_sma",
            "backend": "http://b:2", "reused": true, "latency_ns": 42_000_000, "received_ns": 10,
            "selected_ns": 20, "connected_ns": 30, "sent_ns": null, "first_byte_ns": null, "last_byte_ns": null,
            "done_ns": 70, "scores_ns": {"http://a:1": 10_400_000, "http://b:2": null}, "scores_left_out": 0,
            "attempts": [
                {"backend": "http://b:2", "begun_ns": 20, "retried": "stale-connection"},
                {"backend": "http://a:1", "begun_ns": 25, "retried": null},
            ],
            "attempts_made": 2, "batch": null, "bytes_in": 100, "bytes_out": 200, "failure": null,
            "violation": null,
        })
    );
}

#[test]
fn a_batched_request_names_its_batch_and_its_wait() {
    let mut trace = Trace::arrived(at(0));
    (trace.phases.received, trace.phases.selected) = (at(5), at(35));
    trace.batch = Some(BatchTrace { id: Text::new(b"b1"), sequences: 5, requests: 2 });
    trace.failure = Some("upstream-reset");
    let line = line(record(Mode::Strategy(StrategyName::Fair)), trace);
    assert_eq!(line["batch"], json!({"id": "b1", "sequences": 5, "requests": 2, "wait_ns": 30}));
    assert_eq!((&line["mode"], &line["failure"]), (&json!("fair"), &json!("upstream-reset")));
    assert_eq!((&line["id"], &line["scores_ns"]), (&Value::Null, &json!({})));
}

/// A cut within a character, bytes that are no text, quotes and controls: the line stays one line of JSON.
#[test]
fn whatever_the_target_the_line_is_one_line_of_json() {
    let mut trace = Trace::arrived(at(0));
    let long = "é".repeat(200);
    trace.target = Text::new(&[b"/", long.as_bytes()].concat());
    let mode = Mode::Routing(RoutingMode::RoundRobin);
    let cut = line(record(mode), trace);
    assert_eq!(cut["target"].as_str().map(|t| (t.len(), t.ends_with('é'))), Some((255, true)));
    assert_eq!(cut["target_bytes"], 401);
    trace.target = Text::new(b"/\xff\n\"\\\0");
    assert_eq!(line(record(mode), trace)["target"], "/\u{fffd}\n\"\\\0");
}

#[test]
fn a_file_that_cannot_be_opened_again_is_written_on() {
    let mode = Mode::Routing(RoutingMode::RoundRobin);
    let mut sheet = sheet(Vec::new(), roster());
    let entry = Entry { record: record(mode), trace: Trace::arrived(at(0)) };
    sheet.write(&entry);
    let mut sheet = sheet.reopened();
    sheet.write(&entry);
    sheet.flush();
    assert_eq!(sheet.pen.out().iter().filter(|&&b| b == b'\n').count(), 2);
}
