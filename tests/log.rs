//! The promise: whatever becomes of the log, requests are answered, rows are written, and what is missing is told.

mod support;

use std::io::{BufRead, BufReader};

use rustix::process::Signal;
use support::admin::{Admin, with_admin};
use support::{Client, Launch, Proxy, simulated, url};

const LOST: &str = "tidegate_log_lines_dropped_total{}";

/// At level debug each request has two lines or more.
fn debugging(backend: &str) -> Launch {
    Launch::proxy(&[backend], &["--admin=127.0.0.1:0", "--log-level=debug"])
}

/// So many requests, pipelined, each answered.
fn ask(proxy: &Proxy, requests: usize) {
    let mut client = Client::connect(proxy.address);
    for _ in 0..requests / 100 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(100));
        (0..100).for_each(|_| assert_eq!(client.response().status, 200));
    }
}

fn lost(admin: &mut Admin) -> u64 {
    let text = admin.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(LOST)).expect("the metric");
    line.trim().parse::<f64>().expect("a number") as u64
}

#[test]
fn a_reader_that_is_gone_costs_lines_and_nothing_else() {
    let backend = simulated('A', "0");
    let (proxy, log) = debugging(&url(backend.address())).start_with_log("the proxy", true);
    let mut admin = Admin::of(&proxy);
    assert_eq!(lost(&mut admin), 0);
    drop(log);
    ask(&proxy, 300);
    // It logs that files are opened again.
    proxy.signal(Signal::USR1);
    ask(&proxy, 100);
    while lost(&mut admin) < 400 {}
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 400]));
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_requests_nor_the_end() {
    let backend = simulated('A', "0");
    // More than pipe, chunk and queue hold together, at two lines each.
    let requests = 12_000;
    let (proxy, log) = debugging(&url(backend.address())).start_with_log("the proxy", true);
    ask(&proxy, requests);
    assert!(lost(&mut Admin::of(&proxy)) > 0);
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.statuses().len()), (0, requests));
    drop(log);
}

/// Of a log that is read late: each line is whole, and one tells how many are missing.
fn read_late(blocks: bool) {
    let backend = simulated('A', "0");
    let requests = 12_000;
    let (proxy, log) = debugging(&url(backend.address())).start_with_log("the proxy", blocks);
    ask(&proxy, requests);
    let mut admin = Admin::of(&proxy);
    let missing = lost(&mut admin);
    assert!(missing > 0);
    let mut lines = BufReader::new(log).lines().map(|line| line.expect("text"));
    let told = |line: &String| line.ends_with("missing here: the log could not be written, or not as fast");
    let notice = lines.by_ref().find(|line| {
        assert_eq!(line.matches(" [tidegate::").count(), 1, "{line}");
        told(line)
    });
    let notice = notice.expect("a notice");
    assert!(
        notice.contains(&format!("WARN  [tidegate::telemetry::logger] {missing} lines are ")),
        "{notice}"
    );
    // It is as if nothing had been.
    ask(&proxy, 100);
    proxy.signal(Signal::TERM);
    let rest: Vec<String> = lines.collect();
    assert!(rest.len() >= 200 && !rest.iter().any(told), "{} lines", rest.len());
    assert_eq!(proxy.end().code, 0);
}

#[test]
fn what_a_slow_reader_missed_is_told_when_it_reads_on() {
    read_late(true);
}

#[test]
fn a_standard_error_that_does_not_block_is_waited_for() {
    read_late(false);
}

#[test]
fn a_file_that_must_not_grow_costs_lines_and_rows_which_are_counted() {
    let backend = simulated('A', "0");
    let to = format!("--backend={}", url(backend.address()));
    let files = ["--csv=limited.csv", "--trace=limited.jsonl"];
    let ports = ["--listen=127.0.0.1:0", "--admin=127.0.0.1:0"];
    let launch = Launch::command(&[&["proxy", &to], &files[..], &ports[..]].concat());
    // 512 bytes or 1,024, by shell; the log is a pipe.
    let (proxy, admin) = with_admin(launch.after("ulimit -f 1"));
    ask(&proxy, 200);
    admin.wait_for("all rows written or dropped", |live| {
        let csv = &live["status"]["csv"];
        let figures = ["rows_dropped", "rows_written"].map(|key| csv[key].as_u64().expect("a number"));
        // One has its beginning in the file, and may be finished yet.
        figures[0] > 150 && figures[0] + figures[1] == 199
    });
    ask(&proxy, 100);
    let ended = proxy.stop();
    assert_eq!(ended.code, 0);
    for told in
        ["cannot write to the CSV file", "cannot write to the trace file", "rows are missing in the CSV file"]
    {
        assert!(ended.messages().iter().any(|line| line.contains(told)), "{told}: {:?}", ended.log);
    }
}

#[test]
fn a_log_file_that_must_not_grow_costs_lines_only() {
    let backend = simulated('A', "0");
    let to = format!("--backend={}", url(backend.address()));
    let own = ["--csv=off", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--log-level=debug"];
    let launch = Launch::command(&[&["proxy", &to], &own[..]].concat()).after("exec 2>log; ulimit -f 2");
    let proxy = launch.start_with_log_file("the proxy");
    let mut admin = Admin::of(&proxy);
    ask(&proxy, 300);
    while lost(&mut admin) < 500 {}
    let log = std::fs::read_to_string(proxy.file("log")).expect("the log");
    assert!(log.len() <= 2048, "{}", log.len());
    assert_eq!(proxy.stop().code, 0);
}

/// A folder with a pipe that has a name, and this end of it.
fn pipe(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    path.to_str().expect("text").to_owned()
}

#[test]
fn rows_for_a_pipe_that_nobody_has_opened_are_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = pipe(&folder);
    for option in ["csv", "trace"] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["proxy", "--listen=127.0.0.1:0", "--admin=off", &format!("--{option}={path}")])
            .args(if option == "csv" { None } else { Some("--csv=off") })
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        assert_eq!(support::end_of(&mut child).code(), Some(1), "{option}");
    }
}

#[test]
fn a_pipe_that_nobody_reads_costs_rows_which_are_counted_and_ends_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = pipe(&folder);
    // Open for both, so that the program finds a reader.
    let held = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the pipe");
    let backend = simulated('A', "0");
    let to = format!("--backend={}", url(backend.address()));
    let csv = format!("--csv={path}");
    let launch = Launch::command(&["proxy", &to, &csv, "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"]);
    let (proxy, _admin) = with_admin(launch);
    let requests = 3_000;
    ask(&proxy, requests);
    let ended = proxy.stop();
    assert_eq!(ended.code, 0, "{:?}", ended.log);
    let told = ended.messages().iter().find_map(|line| line.split_once(" rows are missing in the CSV file"));
    let missing: usize = told.expect("what is missing").0.parse().expect("a number");
    // The pipe holds 64 KiB: some hundred rows of the block that is being written, none of which counts before the block does.
    assert!(missing > requests - 2_000 && missing <= requests, "{missing}");
    drop(held);
}
