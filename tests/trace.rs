//! The promise: `--trace` tells all that is known of each exchange, and a file that was renamed is opened again.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::classifier::{asking, gated};
use support::{Client, Conn, Gate, Launch, Origin, PATIENCE, Proxy, Refusing, simulated, url};

const TRACED: &str = "--trace=trace.jsonl";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn number(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap_or_else(|| panic!("{field} of {line}"))
}

/// The points in time must be reached in this order.
fn assert_in_order(line: &Value, points: &[&str]) {
    let times: Vec<u64> = points.iter().map(|point| number(line, point)).collect();
    assert!(times.is_sorted(), "{points:?}: {times:?}");
}

const PHASES: [&str; 7] =
    ["received_ns", "selected_ns", "connected_ns", "sent_ns", "first_byte_ns", "last_byte_ns", "done_ns"];

#[test]
fn a_line_tells_where_the_time_went_and_why_it_went_there() {
    let backends = [simulated('A', "30"), simulated('B', "5")];
    let urls = backends.each_ref().map(|b| url(b.address()));
    let proxy = Proxy::start(&urls.each_ref().map(String::as_str), &[TRACED, "--routing=adaptive_sma"]);
    let mut client = Client::connect(proxy.address);
    let request = "GET /x?y=1 HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n\r\n";
    let mut bytes_out = Vec::new();
    for _ in 0..3 {
        client.send(request);
        let response = client.response();
        bytes_out.push((response.head.len() + response.body.len()) as u64);
    }
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.trace.len(), ended.rows.len()), (0, 3, 3));
    for ((line, row), bytes_out) in ended.trace.iter().zip(&ended.rows).zip(bytes_out) {
        for (field, value) in [
            ("id", json!("mine")),
            ("client", json!("127.0.0.1")),
            ("method", json!("GET")),
            ("target", json!("/x?y=1")),
            ("target_bytes", json!(6)),
            ("status", json!(200)),
            ("mode", json!("adaptive_sma")),
            ("backend", json!(row.url)),
            ("scores_left_out", json!(0)),
            ("attempts_made", json!(1)),
            ("batch", Value::Null),
            ("failure", Value::Null),
            ("bytes_in", json!(request.len())),
            ("bytes_out", json!(bytes_out)),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
        assert_in_order(line, &PHASES);
        assert_eq!((number(line, "latency_ns") + 500_000) / 1_000_000, row.latency_ms);
        assert_eq!(line["attempts"][0]["backend"], line["backend"]);
        let ended: jiff::Timestamp = line["ended"].as_str().expect("a time").parse().expect("RFC 3339");
        let local = ended.to_zoned(jiff::tz::TimeZone::system()).datetime().to_string();
        assert!(row.timestamp.starts_with(&local[..19]), "{} and {local}", row.timestamp);
    }
    let [first, second, third] = &ended.trace[..] else { unreachable!() };
    let score = |line: &Value, i: usize| line["scores_ns"][&urls[i]].as_u64();
    assert_eq!((score(first, 0), score(first, 1)), (None, None), "nothing is known yet: {first}");
    assert!(score(second, 0) >= Some(30_000_000) && score(second, 1).is_none(), "{second}");
    assert!(score(third, 0) > score(third, 1) && score(third, 1) >= Some(5_000_000), "{third}");
    assert_eq!([first, second, third].map(|l| l["reused"].as_bool().unwrap()), [false, false, true]);
    assert!(number(first, "first_byte_ns") - number(first, "sent_ns") >= 29_000_000, "{first}");
}

#[test]
fn a_connection_that_turned_out_closed_is_an_attempt_with_its_reason() {
    // The first connection closes after its first response, when the next request is on its way.
    let origin = Origin::start(|conn: &mut Conn| {
        let first = conn.number == 0;
        while conn.read_request().is_some() && conn.send(HELLO) {
            if first {
                conn.read_request();
                return;
            }
        }
    });
    let proxy = Proxy::start(&[&origin.url()], &[TRACED]);
    let mut client = Client::connect(proxy.address);
    assert_eq!([client.get("/1").status, client.get("/2").status], [200; 2]);
    let ended = proxy.stop();
    let line = &ended.trace[1];
    assert_eq!((number(line, "attempts_made"), &line["reused"]), (2, &json!(false)), "{line}");
    assert_eq!(line["attempts"][0]["retried"], "stale-connection");
    assert_eq!(line["attempts"][1]["retried"], Value::Null);
    assert_in_order(line, &PHASES);
}

#[test]
fn failures_are_told_with_as_much_as_was_reached() {
    let refusing = Refusing::new();
    let cut = Origin::start(|conn: &mut Conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    });
    let gate = Gate::default();
    let wait = gate.clone();
    let silent = Origin::start(move |conn: &mut Conn| {
        conn.read_request();
        wait.pass();
    });
    let options = [TRACED, "--retry-budget=0%"];
    let proxy = Proxy::start(&[&refusing.url(), &cut.url(), &silent.url()], &options);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 502);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200"));
    client.is_reset();
    let mut leaving = Client::connect(proxy.address);
    leaving.send("POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc");
    silent.next();
    leaving.reset();
    let ended = proxy.stop();
    gate.open();
    let told: Vec<_> = ended.trace.iter().map(|l| (l["failure"].as_str(), l["status"].as_u64())).collect();
    let names = [
        (Some("upstream-refused"), Some(502)),
        (Some("upstream-truncated-body"), Some(200)),
        (Some("client-gone"), Some(499)),
    ];
    assert_eq!(told, names);
    let [refused, cut, left] = &ended.trace[..] else { unreachable!() };
    assert_eq!((&refused["connected_ns"], &refused["first_byte_ns"]), (&Value::Null, &Value::Null));
    assert!(number(refused, "bytes_out") > 0, "{refused}");
    assert_in_order(cut, &["connected_ns", "sent_ns", "first_byte_ns", "done_ns"]);
    assert_eq!(cut["last_byte_ns"], Value::Null);
    assert_in_order(left, &["connected_ns", "sent_ns", "done_ns"]);
    assert_eq!((&left["first_byte_ns"], number(left, "bytes_out")), (&Value::Null, 0));
    assert_eq!(
        number(left, "bytes_in"),
        "POST /p HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc".len() as u64
    );
}

#[test]
fn a_tunnel_is_one_line_at_its_end_with_the_bytes_of_both_directions() {
    const SWITCH: &str = "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let origin = Origin::start(|conn: &mut Conn| {
        conn.read_head();
        conn.send(format!("{SWITCH}hello"));
        conn.read_rest();
    });
    let proxy = Proxy::start(&[&origin.url()], &[TRACED]);
    let mut client = Client::connect(proxy.address);
    let request = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: mine\r\n\r\n";
    client.send(request);
    let head = client.head();
    assert!(head.contains("X-Request-Id: mine\r\n"), "{head}");
    assert!(origin.next().head.contains("X-Request-Id: mine\r\n"));
    client.send("and back");
    client.finish_sending();
    assert_eq!(client.rest(), b"hello");
    let ended = proxy.stop();
    let [line] = &ended.trace[..] else { panic!("one line, not {:?}", ended.trace) };
    assert_eq!((number(line, "status"), &line["failure"], &line["id"]), (101, &Value::Null, &json!("mine")));
    assert_eq!(number(line, "bytes_in"), (request.len() + "and back".len()) as u64);
    assert_eq!(number(line, "bytes_out"), (head.len() + "hello".len()) as u64);
    assert_in_order(
        line,
        &["received_ns", "selected_ns", "connected_ns", "sent_ns", "first_byte_ns", "done_ns"],
    );
}

#[test]
fn a_batched_request_names_the_batch_by_which_the_classifier_knows_it() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &[TRACED, "--strategy=fcfs"]);
    let mut first = asking(proxy.address, "a", &["first", "x", "y", "z", "full"]);
    let batches = [classifier.next()];
    let mut waiting = ["second", "third"].map(|text| asking(proxy.address, "a", &[text]));
    // Both are in the queue once another request on another connection has been answered.
    assert_eq!(Client::connect(proxy.address).get("/strategy").status, 200);
    gate.open();
    assert_eq!(first.response().status, 200);
    assert!(waiting.iter_mut().all(|client| client.response().status == 200));
    let batches = [batches[0].clone(), classifier.next()];
    let ended = proxy.stop();
    assert_eq!((ended.trace.len(), ended.rows.len()), (3, 3));
    for (line, (batch, sequences, requests)) in
        ended.trace.iter().zip([(&batches[0], 5, 1), (&batches[1], 2, 2), (&batches[1], 2, 2)])
    {
        assert_eq!(line["batch"]["id"].as_str(), batch.field("X-Request-Id"), "{line}");
        assert_eq!(
            (number(&line["batch"], "sequences"), number(&line["batch"], "requests")),
            (sequences, requests)
        );
        let wait = number(line, "selected_ns") - number(line, "received_ns");
        assert_eq!((number(&line["batch"], "wait_ns"), &line["mode"]), (wait, &json!("fcfs")));
        assert_eq!(
            (&line["backend"], &line["target"]),
            (&json!(classifier.url()), &json!("/proxy_classify"))
        );
        assert_in_order(line, &PHASES);
        assert!(number(line, "bytes_in") > 0 && number(line, "bytes_out") > 0, "{line}");
    }
    let ids: BTreeSet<_> = ended.trace.iter().map(|line| line["id"].as_str().expect("a name")).collect();
    assert_eq!(ids.len(), 3);
}

/// Renames both files while requests come and go: every one is in the old or the new file, once.
#[test]
fn renamed_files_are_opened_again_and_no_line_is_lost() {
    let backend = simulated('A', "1");
    let mut proxy = Proxy::start(&[&url(backend.address())], &[TRACED]);
    let address = proxy.address;
    let (answered, answers) = std::sync::mpsc::sync_channel(0);
    let load: Vec<_> = (0..8)
        .map(|_| {
            let answered = answered.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut count = 0;
                loop {
                    assert_eq!(client.get("/").status, 200);
                    count += 1;
                    if answered.send(()).is_err() {
                        return count;
                    }
                }
            })
        })
        .collect();
    let wait = |n: usize| (0..n).for_each(|_| answers.recv_timeout(PATIENCE).expect("an answer"));
    let rotations = 3;
    for rotation in 1..=rotations {
        wait(500);
        for name in ["rows.csv", "trace.jsonl"] {
            std::fs::rename(proxy.file(name), proxy.file(&format!("{name}.{rotation}"))).expect("renamed");
        }
        proxy.signal(Signal::USR1);
        // Each on its own thread, in whatever order.
        let both = [proxy.says(" is open again"), proxy.says(" is open again")].concat();
        assert!(
            both.contains("the CSV file rows.csv") && both.contains("the trace file trace.jsonl"),
            "{both}"
        );
    }
    wait(500);
    drop(answers);
    let asked: usize = load.into_iter().map(|client| client.join().expect("no complaint")).sum();
    let old = |name: &str| {
        let read = |n| std::fs::read_to_string(proxy.file(&format!("{name}.{n}"))).expect("a renamed file");
        (1..=rotations).map(read).collect::<Vec<_>>()
    };
    let (csv, trace) = (old("rows.csv"), old("trace.jsonl"));
    let ended = proxy.stop();
    let header = ended.csv.lines().next().expect("a header");
    assert!(header.starts_with("timestamp,") && csv.iter().all(|text| text.lines().next() == Some(header)));
    let rows = csv.iter().map(|text| text.lines().count() - 1).sum::<usize>() + ended.rows.len();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let lines = trace.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let lines: Vec<Value> = lines.chain(ended.trace).collect();
    ids.extend(lines.iter().map(|line| line["id"].as_str().expect("a name").to_owned()));
    assert_eq!((rows, lines.len(), ids.len()), (asked, asked, asked));
    assert!(trace.iter().all(|text| !text.is_empty()), "the files changed under load");
}

#[test]
fn a_file_that_cannot_be_opened_again_is_written_on() {
    let origin = Origin::answering(HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    std::fs::rename(proxy.file("rows.csv"), proxy.file("old.csv")).expect("renamed");
    std::fs::create_dir(proxy.file("rows.csv")).expect("a folder in its place");
    proxy.signal(Signal::USR1);
    let said = proxy.says("cannot open the CSV file rows.csv again");
    assert!(said.contains("ERROR"), "{said}");
    assert_eq!(client.get("/").status, 200);
    std::fs::remove_dir(proxy.file("rows.csv")).expect("removed");
    std::fs::rename(proxy.file("old.csv"), proxy.file("rows.csv")).expect("renamed back");
    assert_eq!(proxy.stop().statuses(), [200; 2]);
}

#[test]
fn the_testbed_traces_and_opens_again_too() {
    let arguments = [
        "testbed",
        "--listen=127.0.0.1:0",
        "--backend-listen=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
        "--classifier-listen=127.0.0.1:0",
        "--csv=rows.csv",
        TRACED,
    ];
    let mut testbed = Launch::command(&arguments).start("the proxy");
    let mut client = Client::connect(testbed.address);
    assert_eq!(client.get("/").status, 200);
    testbed.signal(Signal::USR1);
    testbed.says(" is open again");
    testbed.says(" is open again");
    assert_eq!(client.get("/").status, 200);
    let ended = testbed.stop();
    assert_eq!((ended.code, ended.trace.len(), ended.statuses()), (0, 2, vec![200; 2]));
    assert_eq!(ended.csv.matches("timestamp").count(), 1, "the file was not renamed: its header stays alone");
}

#[test]
fn an_unwritable_trace_path_is_one_line_and_exit_code_1() {
    for (arguments, code, part) in [
        (&["--trace=none/trace.jsonl"][..], 1, "cannot write the trace file none/trace.jsonl: "),
        (&["--trace=t", "--request-id=off"], 2, "`explain` and `trace` need `request-id`"),
        (&["--explain=on", "--request-id=off"], 2, "`explain` and `trace` need `request-id`"),
        (&["--trace="], 2, "the path is empty"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["proxy", "--listen=127.0.0.1:0", "--csv=off"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
        assert!(stderr.starts_with("tidegate: ") && stderr.contains(part), "{stderr}");
    }
}
