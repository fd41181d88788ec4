//! The promise: whatever fails has a status, a reason and a row, and never makes a backend look good.

mod support;

use std::time::Duration;

use support::admin::administered;
use support::{Client, Gate, Launch, Origin, PATIENCE, Proxy, Refusing, Response, simulated, url};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// No other backend makes up for a failure, and nobody is left alone for it.
const ON_ITS_OWN: [&str; 2] = ["--retry-budget=0%", "--eject-after=off"];

fn start_in(mode: &str, urls: &[String; 2]) -> Proxy {
    let [budget, ejection] = ON_ITS_OWN;
    Proxy::start(&urls.each_ref().map(String::as_str), &[&format!("--routing={mode}"), budget, ejection])
}

/// One GET through a proxy in front of `backend`: its response; and its row, which names the backend and the status.
fn one_get(backend: &str, options: &[&str]) -> (Response, support::Row) {
    let proxy = Proxy::start(&[backend], options);
    let response = Client::connect(proxy.address).get("/");
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len()), (0, 1), "{:?}", ended.rows);
    let row = ended.rows[0].clone();
    assert_eq!((row.url.as_str(), row.status), (backend, response.status));
    (response, row)
}

fn assert_own(response: &Response, status: u16, reason: &str) {
    assert_eq!((response.status, response.reason()), (status, Some(reason)), "{}", response.head);
    assert!(response.complete && response.text().starts_with(&format!("{status} ")), "{}", response.text());
    assert_eq!(response.field("Content-Type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn a_refused_connection_is_502() {
    let nobody = Refusing::new();
    let (response, _) = one_get(&nobody.url(), &[]);
    assert_own(&response, 502, "upstream-refused");
}

#[test]
fn a_reset_before_the_response_is_502() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.reset();
    });
    let (response, _) = one_get(&origin.url(), &[]);
    assert_own(&response, 502, "upstream-reset");
}

#[test]
fn a_close_before_the_response_is_502() {
    for sent in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let origin = Origin::start(move |conn| {
            conn.read_request();
            conn.send(sent);
        });
        let (response, _) = one_get(&origin.url(), &[]);
        assert_own(&response, 502, "upstream-reset");
    }
}

#[test]
fn a_malformed_response_is_502() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        &endless,
    ] {
        let origin = Origin::answering(garbage);
        let (response, _) = one_get(&origin.url(), &[]);
        assert_own(&response, 502, "upstream-malformed");
    }
}

/// Answers, the rule that each breaks as metrics name it, and the words of it.
const BROKEN: [(&str, &str, &str); 12] = [
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded-line", "a folded line (obs-fold)"),
    ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "space-in-name", "white space in or behind a field's name"),
    ("HTTP/1.1 200 OK\r\nA : c\r\n\r\n", "space-in-name", "white space in or behind a field's name"),
    ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "space-in-name", "white space in or behind a field's name"),
    ("HTTP/1.1 200 OK\r\ncolon\r\n\r\n", "no-colon", "a field without a colon"),
    ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "control-character", "a control character in a line"),
    ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "bare-cr", "CR without LF"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "coding-after-chunked",
        "a transfer coding after chunked",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "several-lengths",
        "more than one Content-Length",
    ),
    (
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "unasked-switch",
        "a switch to a protocol that was not asked for",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "chunk-size",
        "a chunk's size is not a number",
    ),
    ("many", "too-many-fields", "too many fields in the header section"),
];

#[test]
fn a_malformed_answer_is_told_by_its_rule_in_log_trace_and_metrics() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().expect("a head");
        let case: usize = head.split(['/', ' ']).nth(2).and_then(|n| n.parse().ok()).expect("a number");
        match BROKEN[case].0 {
            "many" => conn.send(format!("HTTP/1.1 200 OK\r\n{}\r\n", "Set-Cookie: a=b\r\n".repeat(150))),
            answer => conn.send(answer),
        };
        conn.wait_for_end();
    });
    let options = ["--eject-after=off", "--trace=trace.jsonl"];
    let (mut proxy, mut admin) = administered(&[&origin.url()], &options);
    let mut client = Client::connect(proxy.address);
    for case in 0..BROKEN.len() {
        assert_own(&client.get(&format!("/{case}")), 502, "upstream-malformed");
    }
    let line = proxy.says("the answer is malformed: ");
    assert!(line.contains(&origin.url()) && line.ends_with("a folded line (obs-fold)"), "{line}");
    admin.wait_for_requests(BROKEN.len() as u64);
    let metrics = admin.get("/metrics").text();
    for (_, name, _) in BROKEN {
        let count = BROKEN.iter().filter(|(_, other, _)| *other == name).count();
        let sample = format!("tidegate_malformed_answers_total{{reason=\"{name}\"}} {count}.0\n");
        assert!(metrics.contains(&sample), "no {sample} in {metrics}");
    }
    let ended = proxy.stop();
    for (line, (answer, _, words)) in ended.trace.iter().zip(BROKEN) {
        assert_eq!(
            (line["violation"].as_str(), line["status"].as_u64()),
            (Some(words), Some(502)),
            "{answer:?}"
        );
    }
    assert_eq!(ended.trace.len(), BROKEN.len());
}

#[test]
fn a_malformed_answer_to_a_check_is_told_too() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n");
    let mut proxy = Proxy::start(&[&origin.url()], &["--health-check=/up"]);
    let line = proxy.says("the answer to a health check is malformed: ");
    assert!(line.ends_with("a folded line (obs-fold)"), "{line}");
}

#[test]
fn a_malformed_body_is_seen_to_be_incomplete() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        // In a piece of its own: the head has gone by then.
        conn.quiet(Duration::from_millis(100));
        conn.send("zz\r\nbye\r\n0\r\n\r\n");
        conn.wait_for_end();
    });
    let (response, _) = one_get(&origin.url(), &[]);
    assert_eq!((response.text().as_str(), response.complete), ("hello", false));
}

#[test]
fn a_silent_backend_is_504_after_the_upstream_timeout() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.wait_for_end();
    });
    let (response, row) = one_get(&origin.url(), &["--upstream-timeout=300ms"]);
    assert_own(&response, 504, "upstream-timeout");
    assert!((300..5_000).contains(&row.latency_ms), "{row:?}");
}

#[test]
fn a_gap_within_a_head_counts_as_silence() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-");
        conn.wait_for_end();
    });
    let (response, _) = one_get(&origin.url(), &["--upstream-timeout=300ms"]);
    assert_own(&response, 504, "upstream-timeout");
}

#[test]
fn a_gap_within_a_body_ends_it_incomplete() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        conn.wait_for_end();
    });
    let (response, row) = one_get(&origin.url(), &["--stream-idle-timeout=300ms"]);
    assert_eq!((response.status, response.text().as_str(), response.complete), (200, "hello", false));
    assert!(row.latency_ms >= 300, "{row:?}");
}

#[test]
fn a_connection_that_nobody_accepts_is_504_after_the_connect_timeout() {
    // A listener whose backlog is full leaves further connections without an answer.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().expect("an address").as_socket().expect("an IP address");
    let wait = Duration::from_millis(200);
    let waiting: Vec<_> =
        (0..16).map_while(|_| std::net::TcpStream::connect_timeout(&address, wait).ok()).collect();
    assert!(waiting.len() < 16, "a backlog without an end");
    let (response, row) = one_get(&url(address), &["--connect-timeout=300ms"]);
    assert_own(&response, 504, "upstream-timeout");
    assert!((300..5_000).contains(&row.latency_ms), "{row:?}");
}

#[test]
fn without_a_backend_it_is_503_and_the_row_has_no_url() {
    let origin = Origin::answering(HELLO);
    let (proxy, mut admin) = administered(&[&origin.url()], &[]);
    let drain = format!("/api/v1/backends/{}/drain", origin.url().trim_start_matches("http://"));
    assert_eq!(admin.ask("POST", &drain, "", "").status, 200);
    let mut client = Client::connect(proxy.address);
    // Pipelined: each is answered.
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(2));
    for _ in 0..2 {
        assert_own(&client.response(), 503, "no-backend");
    }
    let ended = proxy.stop();
    assert!(ended.rows.iter().all(|row| (row.url.as_str(), row.status) == ("-", 503)), "{:?}", ended.rows);
    assert_eq!(ended.rows.len(), 2);
}

#[test]
fn the_client_keeps_its_connection_after_a_failure() {
    let nobody = Refusing::new();
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&nobody.url(), &origin.url()], &ON_ITS_OWN);
    let mut client = Client::connect(proxy.address);
    let statuses: Vec<_> = (0..4).map(|_| client.get("/").status).collect();
    assert_eq!(statuses, [502, 200, 502, 200]);
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    let response = client.response_to_head();
    assert_eq!((response.status, response.reason()), (502, Some("upstream-refused")));
    assert_eq!(client.get("/").text(), "hello", "an answer to HEAD has no body, a failure neither");
}

#[test]
fn a_stalled_head_is_408_and_no_row() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--header-timeout=200ms"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    client.send("GET / HTTP/1.1\r\nHost:");
    let response = client.response();
    assert_eq!((response.status, response.field("Connection")), (408, Some("close")));
    assert!(client.is_closed());
    drop(client);
    assert_eq!((proxy.stop().statuses(), origin.requests().len()), (vec![200], 1));
}

#[test]
fn a_stalled_upload_is_408() {
    let origin = Origin::start(|conn| {
        conn.read_head();
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--body-timeout=200ms", "--upstream-timeout=100ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(client.response().status, 408, "it is the client that is slow, not the backend");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_leaves_is_499() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.wait_for_end();
    });
    let mut proxy = Proxy::start(&[&origin.url()], &["--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    origin.next();
    client.reset();
    proxy.says("connection closed");
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe");
    client.finish_sending();
    assert!(client.is_closed(), "an upload that will never be whole");
    assert_eq!(proxy.stop().statuses(), [499, 499]);
}

#[test]
fn a_failing_backend_never_wins_in_adaptive_modes() {
    for mode in ["adaptive_sma", "adaptive_ewma"] {
        let nobody = Refusing::new();
        let slow = simulated('B', "50");
        let urls = [nobody.url(), url(slow.address())];
        let proxy = start_in(mode, &urls);
        let mut client = Client::connect(proxy.address);
        // Far more requests than one try a second would explain.
        let statuses: Vec<_> = (0..40).map(|_| client.get("/").status).collect();
        let ended = proxy.stop();
        let seconds = ended.rows.iter().map(|row| row.latency_ms).sum::<u64>() as usize / 1000;
        let failures = statuses.iter().filter(|&&status| status == 502).count();
        assert_eq!(statuses[0], 502, "{mode}: unmeasured, and first");
        assert!((1..=seconds + 2).contains(&failures), "{mode}: {failures} failures in about {seconds} s");
        assert_eq!((ended.share(&urls[0]), ended.share(&urls[1])), (failures, 40 - failures));
    }
}

#[test]
fn a_backend_that_begins_to_fail_fast_is_left_in_the_end() {
    for mode in ["adaptive_sma", "adaptive_ewma"] {
        let origin = Origin::start(|conn| {
            if conn.number == 0 {
                conn.read_request();
                conn.quiet(Duration::from_millis(10));
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        let slow = simulated('B', "60");
        let urls = [origin.url(), url(slow.address())];
        let proxy = start_in(mode, &urls);
        let mut client = Client::connect(proxy.address);
        let first = [0; 3].map(|_| client.get("/").status);
        assert_eq!(first, [200, 200, 502], "{mode}: both are tried, then the faster one");
        // Each failure enters as just above the mean of both averages, so they come closer, and cross in the end.
        // No more is promised: from then on they lie so close that an answer may turn the order round again.
        assert!((0..500).any(|_| client.get("/").status == 200), "{mode}: the averages never crossed");
    }
}

#[test]
fn running_out_of_descriptors_is_told_and_recovered_from() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy =
        Launch::proxy(&[&origin.url()], &["--max-connections=1000"]).descriptors(40).start("the proxy");
    let mut clients = Vec::new();
    // All of them have asked before it hears of the first, so that none is idle.
    proxy.held(|| {
        for _ in 0..60 {
            let mut client = Client::connect(proxy.address);
            client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
            clients.push(client);
        }
    });
    let line = proxy.says("raise the descriptor limit");
    assert!(line.contains(" ERROR "), "{line}");
    gate.open();
    let mut statuses: Vec<_> = clients.iter_mut().map(|client| client.response().status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    // Whoever came in but found no socket to the backend left was told so; nobody was left without an answer.
    assert!(statuses == [200] || statuses == [200, 503], "{statuses:?}");
    drop(clients);
    assert_eq!(Client::connect(proxy.address).get("/").text(), "hello");
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len()), (0, 61));
    assert!(ended.log.len() < 20, "a flood of lines:\n{}", ended.log.join("\n"));
}

#[test]
fn a_client_that_closes_while_it_waits_is_499() {
    let (asked, answer) = (Gate::default(), Gate::default());
    let (was_asked, may_answer) = (asked.clone(), answer.clone());
    let origin = Origin::start(move |conn| {
        conn.read_request();
        was_asked.open();
        may_answer.pass();
        // More than the sockets on the way hold: the reset that answers the first bytes comes before the last.
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        conn.push(100_000_000, PATIENCE);
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    asked.pass();
    drop(client);
    answer.open();
    assert_eq!(proxy.stop().statuses(), [499]);
}
