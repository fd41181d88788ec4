//! `tidegate load` by the real binary over real sockets: what it sends, what it counts, how it ends.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Conn, Origin, Refusing, simulated, url};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

fn load(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("load").args(arguments).output().expect("the program runs")
}

/// The standard output of a run that ended with `code`.
fn said(arguments: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } = load(arguments);
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{stderr}");
    String::from_utf8(stdout).expect("text")
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&said(&[arguments, &["--json", "-"]].concat(), 0)).expect("JSON and nothing else")
}

/// The number behind `name` on a line of its own.
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
    line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn the_lines_are_those_of_wrk_and_the_counts_are_the_servers() {
    let backend = simulated('A', "2");
    let text = said(&[&url(backend.address()), "-c6", "-t2", "-d500ms", "--latency"], 0);
    for line in [
        "Running 500ms test @ http://127.0.0.1:",
        "  2 threads and 6 connections\n",
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency ",
        "\n    Req/Sec ",
        "  Latency Distribution\n     50% ",
        "     99% ",
        "Transfer/sec: ",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("the total");
    let answered: u64 = requests.0.parse().expect("a number");
    let under_way = backend.answered() - answered;
    assert!(answered >= 6 && under_way <= 6, "{answered} of {}", backend.answered());
    assert!(figure(&text, "Requests/sec:") > 0.0 && figure(&text, "Requests/sec:") <= 2.0 * answered as f64);
    assert!(!text.contains("errors") && !text.contains("Non-2xx"), "{text}");
}

#[test]
fn json_has_the_same_figures_and_each_connection_is_kept() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let figures = json(&[&origin.url(), "-c3", "-t3", "-d300ms"]);
    let requests = figures["requests"].as_u64().expect("a count");
    assert_eq!(figures["statuses"]["200"].as_u64(), Some(requests));
    assert_eq!(figures["bytes_read"].as_u64(), Some(requests * 40));
    assert_eq!((figures["connections_opened"].as_u64(), figures["threads"].as_u64()), (Some(3), Some(3)));
    // One more is opened before, to see whether the server can be reached.
    assert_eq!(origin.connections(), 4);
    let latency = &figures["latency_ms"];
    let ordered =
        ["min", "p50", "p90", "p99", "p99_9", "max"].map(|name| latency[name].as_f64().expect(name));
    assert!(ordered.is_sorted() && ordered[0] > 0.0, "{ordered:?}");
    let windows = figures["answers_per_window"].as_array().expect("a time line");
    let in_windows: u64 = windows.iter().filter_map(serde_json::Value::as_u64).sum();
    assert!(windows.len() >= 2 && in_windows > 0 && in_windows <= requests, "{windows:?}");
}

#[test]
fn the_request_is_as_asked_for() {
    let origin = Origin::answering("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    let address = format!("{}/a/b?c=d#e", origin.url());
    let figures = json(&[&address, "-c1", "-d200ms", "--body", "{\"é\": 1}", "-H", "X-Customer-Id: B"]);
    assert_eq!(figures["failures"], serde_json::json!({}));
    let requests = origin.requests();
    let first = &requests[0];
    assert!(first.head.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!((first.field("X-Customer-Id"), first.body.as_slice()), (Some("B"), "{\"é\": 1}".as_bytes()));
    assert_eq!(first.field("Host"), Some(origin.url().trim_start_matches("http://")));
    assert!(requests.iter().all(|request| request.head == first.head && request.body == first.body));
}

#[test]
fn errors_are_named_by_kind() {
    // The probe that comes first has number 0, or may be later than others.
    let origin = Origin::start(|conn: &mut Conn| {
        if conn.read_request().is_none() {
            return;
        }
        match conn.number % 4 {
            0 => drop(conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")),
            1 => conn.reset(),
            2 => drop(conn.send("220 smtp ready\r\n\r\n")),
            _ => drop(conn.send("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")),
        }
    });
    let text = said(&[&origin.url(), "-c1", "-d500ms"], 0);
    let kinds = text.lines().find_map(|line| line.trim().strip_prefix("Failures: ")).expect("failures");
    for kind in ["short-body ", "reset ", "malformed "] {
        assert!(kinds.contains(kind), "{text}");
    }
    let read = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors: connect 0, read "));
    assert!(
        read.is_some_and(|rest| rest.ends_with(", write 0, timeout 0") && !rest.starts_with('0')),
        "{text}"
    );
    assert!(figure(&text, "Non-2xx or 3xx responses:") >= 1.0 && text.contains("Statuses: 404 x "), "{text}");
}

#[test]
fn a_server_that_says_nothing_is_given_up_after_the_timeout() {
    let origin = Origin::start(|conn| while conn.read_request().is_some() {});
    let figures = json(&[&origin.url(), "-c2", "-d1s", "--timeout=300ms"]);
    let timeouts = figures["failures"]["timeout"].as_u64().expect("a count");
    assert_eq!(figures["failures"], serde_json::json!({ "timeout": timeouts }));
    assert!((2..=6).contains(&timeouts), "{timeouts} in a second");
    assert_eq!((figures["requests"].as_u64(), figures["cut"].as_u64()), (Some(0), Some(2)));
}

#[test]
fn an_open_loop_sends_at_its_rate_and_counts_from_when_requests_were_due() {
    let backend = simulated('A', "150");
    let backend_url = url(backend.address());
    let arguments = [&backend_url, "-t2", "-d500ms", "--rate=100"];
    // 50 requests at 100 a second, each of which takes 150 ms: 15 at once, and all are waited for.
    let figures = json(&arguments);
    assert_eq!((figures["requests"].as_u64(), figures["unsent"].as_u64()), (Some(50), Some(0)));
    assert_eq!(figures["rate"].as_f64(), Some(100.0));
    assert!(figures["connections_opened"].as_u64() >= Some(15), "{figures}");
    // With two connections only two are under way at a time: the rest waits unsent, which raw latency does not see.
    let few = json(&[&arguments[..], &["-c2"]].concat());
    let [raw, corrected] =
        ["latency_ms", "corrected_latency_ms"].map(|name| few[name]["p50"].as_f64().expect(name));
    assert!(raw >= 149.0 && corrected > 5.0 * raw, "{raw} ms raw, {corrected} ms corrected");
    assert_eq!((few["requests"].as_u64(), few["connections_opened"].as_u64()), (Some(50), Some(2)));
    let text = said(&[&arguments[..], &["--latency", "--arrivals=poisson"]].concat(), 0);
    for line in [
        "2 threads and at most 1000 connections, 100 requests/s (poisson)\n",
        "    Latency ",
        "    Raw ",
        "Latency Distribution (from when a request was due)",
        "Raw Distribution (from when it was sent)",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[test]
fn what_cannot_be_asked_is_one_line() {
    let refusing = Refusing::new();
    for (arguments, code, line) in [
        (
            vec!["https://localhost/"],
            2,
            "bad URL `https://localhost/`: https is not supported, there is no TLS here; give an http:// URL"
                .to_owned(),
        ),
        (vec![&refusing.url()], 1, format!("cannot reach {}/: connection refused", refusing.url())),
        (
            vec!["http://h/", "-c1", "-t2"],
            2,
            "--threads 2 is more than --connections 1; each thread needs a connection of its own".to_owned(),
        ),
        (vec!["http://h/", "-d", "5"], 2, "--duration: `5` needs a unit: 5s or 5ms, for instance".to_owned()),
    ] {
        let Output { status, stdout, stderr } = load(&arguments);
        assert_eq!(String::from_utf8_lossy(&stderr), format!("tidegate: {line}\n"));
        assert_eq!((status.code(), stdout.len()), (Some(code), 0));
    }
}

#[test]
fn ctrl_c_ends_it_early_with_what_was_measured() {
    let backend = simulated('A', "1");
    let arguments = ["load", &url(backend.address()), "-c2", "-t2", "-d1m"];
    let mut child = Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its words"));
    let mut opening = String::new();
    (0..2).for_each(|_| drop(lines.read_line(&mut opening)));
    assert!(opening.ends_with("2 threads and 2 connections\n"), "{opening}");
    while backend.answered() < 20 {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it takes the signal");
    let mut text = String::new();
    lines.read_to_string(&mut text).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(130));
    assert!(figure(&text, "Requests/sec:") > 0.0, "{text}");
}
