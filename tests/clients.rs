//! `tidegate clients` by the real binary: what customers send, what they say of answers, how they end.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Conn, Origin, Request};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

fn clients(arguments: &[&str]) -> (i32, String) {
    let run = Command::new(PROGRAM).arg("clients").args(arguments).output().expect("the program runs");
    let Output { status, stdout, stderr } = run;
    let said = String::from_utf8(stdout).expect("text") + &String::from_utf8_lossy(&stderr);
    (status.code().expect("an exit code"), said)
}

fn sequences(request: &Request) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
    serde_json::from_value(body["sequences"].clone()).expect("a list of strings")
}

fn json(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A result for each of `count` sequences.
fn results(count: usize) -> String {
    json("200 OK", &format!(r#"{{"results": {:?}, "proxy_latency_ms": 11}}"#, vec!["code"; count]))
}

/// A proxy that classifies whatever comes.
fn classifier() -> Origin {
    Origin::start(|conn| {
        while let Some(request) = conn.read_request() {
            conn.send(results(sequences(&request).len()));
        }
    })
}

/// What each customer sent, in order.
fn by_customer(origin: &Origin) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut sent = BTreeMap::new();
    for request in origin.requests() {
        let name = request.field("X-Customer-Id").expect("a customer").to_owned();
        sent.entry(name).or_insert_with(Vec::new).push(request.body);
    }
    sent
}

#[test]
fn a_and_b_send_what_the_contract_says_and_tell_each_answer() {
    let origin = classifier();
    let (code, said) = clients(&["--proxy", &origin.url(), "--duration=1500ms"]);
    assert_eq!(code, 0, "{said}");
    let requests = origin.requests();
    for request in &requests {
        assert!(request.head.starts_with("POST /proxy_classify HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.field("Content-Type"), Some("application/json"));
        let (texts, name) = (sequences(request), request.field("X-Customer-Id").expect("a customer"));
        let (counts, lengths): (_, &dyn Fn(usize) -> bool) = match name {
            "A" => (1..=3, &|length| (5..=15).contains(&length)),
            "B" => (2..=5, &|length| length == 116 || length == 558),
            other => panic!("who is {other}?"),
        };
        assert!(counts.contains(&texts.len()) && texts.iter().all(|text| lengths(text.len())), "{texts:?}");
    }
    let sent = by_customer(&origin);
    // At most every 0.33 s and 0.67 s.
    assert!((2..=5).contains(&sent["A"].len()) && (1..=3).contains(&sent["B"].len()), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.ends_with(" ms (proxy said 11 ms)")).collect();
    assert_eq!(told.len(), requests.len());
    for line in told {
        let number = line.get(17..24).unwrap_or_default().trim();
        assert!(line[1..].starts_with(": ") && line[4..].starts_with(" seqs done in"), "{line}");
        assert!(number.parse::<f64>().is_ok(), "{line}");
    }
    let row = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a row");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("all")[1], requests.len().to_string());
    assert_eq!((&row("A")[1], &row("A")[7]), (&sent["A"].len().to_string(), &"0".to_owned()));
    // Each keeps its connection, behind the probe's.
    assert_eq!(origin.connections(), 3);
}

#[test]
fn requests_depend_on_the_seed_and_not_on_timing() {
    let run = |seed: &str, slow: bool| {
        let origin = Origin::start(move |conn: &mut Conn| {
            while let Some(request) = conn.read_request() {
                if slow {
                    conn.quiet(std::time::Duration::from_millis(20));
                }
                conn.send(results(sequences(&request).len()));
            }
        });
        let customers = ["--customer=C=1..5x5..50,1ms", "--customer=D=1..5x7@0.5|9,3ms"];
        let (code, said) = clients(
            &[&["--proxy", &origin.url(), "--duration=300ms", "--seed", seed][..], &customers].concat(),
        );
        assert_eq!(code, 0, "{said}");
        by_customer(&origin)
    };
    let (fast, slow, other) = (run("5", false), run("5", true), run("6", false));
    for name in ["C", "D"] {
        let shared = fast[name].len().min(slow[name].len());
        assert!(shared >= 3, "{shared}");
        assert_eq!(fast[name][..shared], slow[name][..shared]);
        assert_ne!(fast[name][..3], other[name][..3]);
    }
}

#[test]
fn in_an_open_loop_customers_do_not_wait_for_answers() {
    let origin = Origin::start(|conn| {
        while let Some(request) = conn.read_request() {
            conn.quiet(std::time::Duration::from_millis(400));
            conn.send(results(sequences(&request).len()));
        }
    });
    let proxy = format!("--proxy={}", origin.url());
    let (code, said) =
        clients(&[&proxy, "--customer=A", "--copies=3", "--open=40", "--duration=500ms", "--seed=1"]);
    assert_eq!(code, 0, "{said}");
    let sent = by_customer(&origin);
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["A-1", "A-2", "A-3"]);
    // One at a time it would be two each.
    assert!(sent.values().all(|sent| sent.len() >= 5), "{said}");
    let told = said.lines().filter(|line| line.contains(" seqs done in ")).count();
    assert_eq!(told, sent.values().map(Vec::len).sum::<usize>());
}

#[test]
fn errors_are_lines_with_status_and_detail() {
    let origin = Origin::start(|conn| {
        let mut answers = 0;
        while let Some(request) = conn.read_request() {
            let count = sequences(&request).len();
            match answers {
                0 => conn.send(results(count + 1)),
                1 => {
                    conn.send(json("503 Service Unavailable", r#"{"detail":"no classifier can be reached"}"#))
                }
                2 => conn.send(json("200 OK", "<html>")),
                3 => return,
                _ => conn.send(results(count)),
            };
            answers += 1;
        }
    });
    let arguments = ["--proxy", &origin.url(), "--customer=C=2x5,50ms", "--duration=600ms"];
    let (code, said) = clients(&arguments);
    assert_eq!(code, 0, "{said}");
    let lines: Vec<_> = said.lines().filter_map(|line| line.split_once(" ms: ")).collect();
    assert!(lines.iter().all(|(start, _)| start.starts_with("C: 2 seqs failed after ")), "{said}");
    let why: Vec<_> = lines.iter().map(|(_, why)| *why).take(4).collect();
    let closed = "connection closed before the answer";
    let expected = [
        "3 results for 2 sequences",
        "503 no classifier can be reached",
        "the answer has no list of results",
        closed,
    ];
    assert_eq!(why, expected);
}

#[test]
fn what_cannot_be_played_is_one_line() {
    for (arguments, line) in [
        (
            vec!["--customer=C=0x5,1s"],
            "--customer: bad customer `C=0x5,1s`: `0` is not a number of sequences from 1 to 1000",
        ),
        (vec!["--customer=A", "--customer=A"], "two customers are called `a` (case does not count)"),
        (
            vec!["--proxy=https://h"],
            "--proxy: bad URL `https://h`: https is not supported, there is no TLS here; give an http:// URL",
        ),
    ] {
        assert_eq!(clients(&arguments), (2, format!("tidegate: {line}\n")));
    }
}

#[test]
fn ctrl_c_ends_them_with_the_summary() {
    let origin = classifier();
    let proxy = format!("--proxy={}", origin.url());
    let mut child =
        Command::new(PROGRAM).args(["clients", &proxy]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its words"));
    let mut said = String::new();
    lines.read_line(&mut said).expect("a line");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it takes the signal");
    lines.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(130));
    assert!(said.contains("\ncustomer ") && said.contains("\nall "), "{said}");
}
