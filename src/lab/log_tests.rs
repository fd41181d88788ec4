//! Tests of the reading of request logs.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
const A: &str = "2025-05-09T20:04:04.679379,http://localhost:8081,42,200,adaptive_sma\n";
const B: &str = "2025-05-09T20:04:05,http://localhost:8082,200,502,round-robin\n";

fn log(text: &str) -> Log {
    read_from(text.as_bytes()).unwrap()
}

fn example(line: u64, why: &str) -> Malformed {
    Malformed { line, why: why.to_owned() }
}

#[test]
fn rows_are_read_as_the_contract_writes_them() {
    let log = log(&format!("{HEADER}{A}{B}"));
    let first_us = 1_746_821_044_679_379;
    assert_eq!(
        log.rows,
        [
            Row { ended_us: first_us, latency_ms: 42.0, backend: 0, mode: 0, status: 200 },
            Row { ended_us: first_us + 320_621, latency_ms: 200.0, backend: 1, mode: 1, status: 502 },
        ]
    );
    assert_eq!(log.backends, ["http://localhost:8081", "http://localhost:8082"]);
    assert_eq!(log.modes, ["adaptive_sma", "round-robin"]);
    assert_eq!((log.malformed, log.remarks.len()), (0, 0));
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_nothing() {
    let text = format!("\u{feff}{HEADER}{A}{B}");
    assert_eq!(log(&text.replace('\n', "\r\n")), log(&format!("{HEADER}{A}{B}")));
}

#[test]
fn columns_stand_in_any_order_among_others() {
    let other = "status_code, timestamp ,bytes,routing_mode,latency_ms,backend_url\n\
                 200,2025-05-09T20:04:04.679379,17,adaptive_sma,42,http://localhost:8081\n";
    assert_eq!(log(other).rows, log(&format!("{HEADER}{A}")).rows);
}

#[test]
fn a_quoted_url_is_one_field() {
    let row = A.replace("http://localhost:8081", "\"http://localhost:8081/a,b\"");
    assert_eq!(log(&format!("{HEADER}{row}")).backends, ["http://localhost:8081/a,b"]);
}

#[test]
fn nothing_at_all_and_a_header_alone_are_logs_without_rows() {
    assert_eq!(log(""), Log::default());
    assert_eq!(log(HEADER), Log::default());
}

#[test]
fn without_a_header_the_columns_are_those_of_the_contract() {
    let read = log(&format!("{A}{B}"));
    assert_eq!(read.rows.len(), 2);
    assert_eq!(read.remarks, ["no header; the columns are taken in the contract's order"]);
}

#[test]
fn two_logs_in_one_file_are_one_log() {
    assert_eq!(log(&format!("{HEADER}{A}{HEADER}{B}")), log(&format!("{HEADER}{A}{B}")));
}

#[test]
fn what_is_no_log_is_named_with_what_it_lacks() {
    let why = read_from("time,backend_url,status_code\n1,2,3\n".as_bytes()).unwrap_err();
    let error = LogError { path: PathBuf::from("x.csv"), why };
    assert_eq!(
        error.to_string(),
        "x.csv:1: not a request log: no column timestamp, latency_ms, routing_mode; the first line must be \
         `timestamp,backend_url,latency_ms,status_code,routing_mode`, in any order"
    );
}

#[test]
fn malformed_rows_are_named_counted_and_passed_over() {
    let bad = [
        "2025-05-09T20:04:04.679379,http://localhost:8081,42,200\n",
        "2025-13-09T20:04:04,http://localhost:8081,42,200,adaptive_sma\n",
        "2025-05-09T20:04:04,,42,200,adaptive_sma\n",
        "2025-05-09T20:04:04,http://localhost:8081,NaN,200,adaptive_sma\n",
        "2025-05-09T20:04:04,http://localhost:8081,-1,200,adaptive_sma\n",
        "2025-05-09T20:04:04,http://localhost:8081,42,ok,adaptive_sma\n",
        "2025-05-09T20:04:04,http://localhost:8081,42,200,\n",
    ];
    let log = log(&format!("{HEADER}{A}{}{B}", bad.concat()));
    assert_eq!(log.rows.len(), 2, "{log:?}");
    assert_eq!(log.malformed, 7);
    let expected = [
        example(3, "4 fields, too few for a routing_mode"),
        example(4, "the timestamp `2025-13-09T20:04:04` is not like 2025-05-09T20:04:04.679379"),
        example(5, "the backend_url is empty"),
        example(6, "the latency_ms `NaN` is not a number from 0"),
        example(7, "the latency_ms `-1` is not a number from 0"),
        example(8, "the status_code `ok` is not an HTTP status"),
        example(9, "the routing_mode is empty"),
    ];
    assert_eq!(log.examples, expected);
}

#[test]
fn bytes_that_are_no_text_harm_only_their_row() {
    let mut bytes = format!("{HEADER}{A}").into_bytes();
    bytes.extend_from_slice(b"\xff\xfe,http://localhost:8081,1,200,x\n");
    bytes.extend_from_slice(B.as_bytes());
    let log = read_from(bytes.as_slice()).unwrap();
    assert_eq!(log.rows.len(), 2);
    assert_eq!(log.examples, [example(3, "the timestamp is not UTF-8")]);
}

#[test]
fn a_quote_that_is_not_closed_tells_how_much_it_swallowed() {
    let torn = "2025-05-09T20:04:04,\"http://localho\n";
    let log = log(&format!("{HEADER}{A}{torn}{B}{B}"));
    assert_eq!(log.rows.len(), 1);
    assert_eq!(log.examples, [example(3, "a quote opens that is closed 2 lines further on")]);
}

#[test]
fn only_the_first_malformed_rows_are_described() {
    let log = log(&format!("{HEADER}{}{A}", "x\n".repeat(1_000)));
    assert_eq!((log.malformed, log.examples.len(), log.rows.len()), (1_000, DESCRIBED, 1));
    assert_eq!(log.examples[9].line, 11);
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_told_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("misnamed.csv");
    // Two members, as `cat a.gz b.gz` and rotated logs have.
    let bytes = [gzipped(&format!("{HEADER}{A}")), gzipped(B)].concat();
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(&path).unwrap(), log(&format!("{HEADER}{A}{B}")));
}

#[test]
fn a_gzipped_log_that_ends_early_keeps_its_rows_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.csv.gz");
    let rows = (0..20_000).map(|n| A.replace(",42,", &format!(",{},", n * 7919 % 1_000)));
    let bytes = gzipped(&format!("{HEADER}{}", rows.collect::<String>()));
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let log = read(&path).unwrap();
    assert!(log.rows.len() > 1_000 && log.rows.len() < 20_000, "{}", log.rows.len());
    assert!(log.remarks[0].starts_with("cut short after line "), "{:?}", log.remarks);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = read(Path::new("/nowhere/log.csv")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/log.csv: "), "{error}");
}
