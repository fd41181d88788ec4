//! The promise: heads that others read otherwise, or not at all, go on in one form that all read alike.

mod support;

use support::{Client, Launch, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_response_head_with_bare_lf_goes_on_with_cr_lf() {
    // Cut within the head, once between its last two line ends.
    let cuts = ["HTTP/1.1 200 OK\nX-A: b\r\nContent-Le", "HTTP/1.1 200 OK\nX-A: b\nContent-Length: 5\n"];
    let origin = Origin::start(move |conn| {
        let whole = "HTTP/1.1 200 OK\nX-A: b\nContent-Length: 5\n\nhello";
        conn.read_request();
        conn.send(whole);
        for cut in cuts {
            conn.read_request();
            conn.send(cut);
            conn.send(if cut.ends_with("Le") { "ngth: 5\r\n\nhello" } else { "\nhello" });
        }
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!((response.text().as_str(), response.complete), ("hello", true));
        assert!(response.head.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n"));
        assert_eq!(response.head.matches('\n').count(), response.head.matches("\r\n").count());
    }
    assert_eq!(origin.connections(), 1, "it costs no connection");
}

#[test]
fn a_response_head_with_bare_lf_is_refused_where_that_is_wanted() {
    let origin = Origin::answering("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello");
    let options = ["--strict-upstream=on", "--trace=trace.jsonl"];
    let proxy = Proxy::start(&[&origin.url()], &options);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.status, response.reason()), (502, Some("upstream-malformed")));
    assert_eq!(proxy.stop().trace[0]["violation"], "a line does not end in CR LF");
}

/// RFC 9112 §2.2 speaks of the start line and of fields; a chunk's line ends in CR LF (§7.1).
#[test]
fn a_chunk_line_with_bare_lf_is_refused_whatever_the_head_had() {
    let origin = Origin::answering("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\r\n0\r\n\r\n");
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.status, response.reason()), (502, Some("upstream-malformed")));
}

#[test]
fn a_content_length_is_written_anew_in_both_directions() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 010\r\n\r\n0123456789");
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for (came, goes, body) in [("05", "5", "hello"), ("010", "10", "hello hell"), ("00", "0", "")] {
        client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {came}\r\nX-A: b\r\n\r\n{body}"));
        let response = client.response();
        assert_eq!((response.field("Content-Length"), response.text().as_str()), (Some("10"), "0123456789"));
        let request = origin.next();
        assert_eq!((request.field("Content-Length"), request.body.as_slice()), (Some(goes), body.as_bytes()));
        assert_eq!(request.field("X-A"), Some("b"));
    }
    for refused in ["5, 5", "5,5", " 5 5", "0x5"] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {refused}\r\n\r\nhello"));
        assert_eq!(client.response().status, 400, "{refused:?}");
    }
}

#[test]
fn later_minor_versions_are_served_as_1_1() {
    let origin = Origin::answering(HELLO.replace("1.1", "1.5"));
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for minor in 2..=9 {
        client.send(format!("GET /{minor} HTTP/1.{minor}\r\nHost: t\r\n\r\n"));
        let response = client.response();
        assert!(response.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", response.head);
        assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", None));
        let request = origin.next();
        assert!(request.head.starts_with(&format!("GET /{minor} HTTP/1.1\r\n")), "{}", request.head);
        let via = request.field("Via").unwrap_or_default();
        assert!(via.starts_with(&format!("1.{minor} tidegate-")), "{via}");
    }
    for (version, status) in [("HTTP/01.1", 400), ("HTTP/1.10", 400), ("HTTP/1", 400), ("HTTP/3.0", 505)] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("GET / {version}\r\nHost: t\r\n\r\n"));
        assert_eq!(client.response().status, status, "{version}");
        assert!(client.is_closed(), "{version}");
    }
}

#[test]
fn a_request_for_https_on_clear_text_is_misdirected() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET https://a/x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    let expected = "421 Misdirected Request: the target is for https, and this connection is clear text\n";
    assert_eq!((response.status, response.text().as_str()), (421, expected));
    assert_eq!(response.reason(), Some("secure-target"));
    assert_eq!(origin.connections(), 0);
}

#[test]
fn raw_bytes_pass_in_targets_where_that_is_wanted() {
    let origin = Origin::answering(HELLO);
    let ask = |proxy: &Proxy, target: &[u8]| {
        let mut client = Client::connect(proxy.address);
        client.send([b"GET ", target, b" HTTP/1.1\r\nHost: t\r\n\r\n"].concat());
        client.response().status
    };
    let strict = Proxy::start(&[&origin.url()], &[]);
    for target in [&b"/caf\xe9"[..], "/caf\u{e9}".as_bytes(), b"/a#b"] {
        assert_eq!(ask(&strict, target), 400, "{}", target.escape_ascii());
    }
    assert_eq!(origin.connections(), 0);
    let launch = Launch::proxy(&[&origin.url()], &["--trace=trace.jsonl"]);
    let proxy = launch.file("target-bytes = \"pass\"\n").start("the proxy");
    assert_eq!((ask(&proxy, "/caf\u{e9}".as_bytes()), ask(&proxy, b"/caf\xe9?\xff")), (200, 200));
    assert_eq!((ask(&proxy, b"/\xe9#b"), ask(&proxy, b"/a#b")), (400, 400));
    let lines = [0, 1].map(|_| origin.next().head.lines().next().unwrap_or_default().to_owned());
    assert_eq!(lines, ["GET /caf\u{e9} HTTP/1.1", "GET /caf\u{fffd}?\u{fffd} HTTP/1.1"]);
    let ended = proxy.stop();
    assert_eq!(ended.trace[1]["target"], "/caf\u{fffd}?\u{fffd}");
}

#[test]
fn options_and_trace_go_no_further_than_they_may() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--request-id=on"]);
    let mut client = Client::connect(proxy.address);
    client.send("OPTIONS /x HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n");
    let response = client.response();
    let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";
    assert_eq!((response.status, response.field("Allow")), (200, Some(allow)));
    assert!(response.field("X-Request-Id").is_some());
    let trace = "TRACE /x?y HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\nX-Api-Key: c\r\nX-A:  d\r\n\r\n";
    client.send(trace);
    let response = client.response();
    assert_eq!((response.status, response.field("Content-Type")), (200, Some("message/http")));
    assert_eq!(response.text(), "TRACE /x?y HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\nX-A: d\r\n\r\n");
    assert_eq!(origin.connections(), 0, "neither is forwarded");
    for method in ["OPTIONS", "TRACE"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 3\r\n\r\n"));
        assert_eq!(client.response().text(), "hello");
        assert_eq!(origin.next().field("Max-Forwards"), Some("2"));
    }
    client.send("GET / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!((client.response().status, origin.next().field("Max-Forwards")), (200, Some("0")));
    // Where its body ends matters no more.
    client.send("OPTIONS / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response();
    assert_eq!((response.status, response.field("Connection")), (200, Some("close")));
    assert!(client.is_closed());
    let mut client = Client::connect(proxy.address);
    client.send("TRACE / HTTP/1.1\r\nHost: t\r\nMax-Forwards: no\r\n\r\n");
    assert_eq!(client.response().status, 400);
    assert_eq!(proxy.stop().statuses(), [200, 200, 200], "rows of what was forwarded");
}

#[test]
fn forwarded_for_goes_on_as_one_list() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\nHost: t\r\nx-forwarded-for:\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let head = origin.next().head;
    assert_eq!(head.to_ascii_lowercase().matches("x-forwarded-for").count(), 1, "{head}");
    assert!(head.contains("\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1\r\n"), "{head}");
}

#[test]
fn a_426_keeps_its_upgrade() {
    let answer = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3, HTTP/1.1\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n";
    let origin = Origin::answering(answer);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status, response.field("Upgrade")), (426, Some("TLS/1.3, HTTP/1.1")));
        assert_eq!(response.field("Connection"), Some("Upgrade"));
    }
    assert_eq!(origin.connections(), 1);
}
