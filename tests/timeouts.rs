//! The promise: each deadline runs for the side whose turn it is, and for no longer than it says.

mod support;

use std::time::Duration;

use support::{Client, Gate, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_client_that_takes_its_time_after_100_is_not_the_backends_fault() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().expect("a head");
        conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        conn.read_body(&head);
        conn.send(HELLO);
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=200ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(client.hears_nothing_for(Duration::from_millis(600)), "{:?}", client.response());
    client.send("hello");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_slow_upload_is_not_the_backends_fault() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=200ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe");
    assert!(client.hears_nothing_for(Duration::from_millis(600)), "{:?}", client.response());
    client.send("llo");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_backend_that_takes_no_more_of_an_upload_is_504() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        conn.read_head();
        wait.pass();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--body-timeout=300ms", "--upstream-timeout=100ms"]);
    let mut client = Client::connect(proxy.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", 1 << 30));
    // More than two connections hold; the proxy passes over what comes after its answer.
    client.try_send(vec![b'x'; 40 << 20]);
    let response = client.response();
    assert_eq!((response.status, response.reason()), (504, Some("upstream-timeout")));
    gate.open();
    drop(client);
    assert_eq!(proxy.stop().statuses(), [504]);
}

#[test]
fn a_client_that_takes_no_more_of_a_response_is_499() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n");
        conn.push(1 << 27, support::PATIENCE);
    });
    let mut proxy = Proxy::start(
        &[&origin.url()],
        &["--body-timeout=900ms", "--upstream-timeout=400ms", "--log-level=debug"],
    );
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    proxy.says("the client left");
    assert_eq!(proxy.stop().statuses(), [499], "it is the client that is slow, not the backend");
}

#[test]
fn a_head_that_comes_in_drops_is_in_time_or_not_as_a_whole() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nX: ");
        for _ in 0..100 {
            conn.quiet(Duration::from_millis(50));
            if !conn.send("x") {
                return;
            }
        }
    });
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=300ms"]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.status, response.reason()), (504, Some("upstream-timeout")));
    let row = proxy.stop().rows.remove(0);
    assert!((300..3_000).contains(&row.latency_ms), "{row:?}");
}

#[test]
fn a_request_head_that_comes_in_drops_is_in_time_or_not_as_a_whole() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--header-timeout=300ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nX: ");
    let drops =
        (0..100).take_while(|_| client.hears_nothing_for(Duration::from_millis(50)) && client.try_send("x"));
    assert!(drops.count() < 60);
    assert_eq!(client.response().status, 408);
}

#[test]
fn a_slow_upload_on_a_reused_connection_is_not_the_backends_fault_either() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=200ms"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe");
    assert!(client.hears_nothing_for(Duration::from_millis(600)), "{:?}", client.response());
    client.send("llo");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.connections(), 1, "the second request went on the first one's connection");
}

#[test]
fn a_backend_that_leaves_an_expectation_unanswered_is_504() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        conn.read_head();
        wait.pass();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=300ms", "--body-timeout=100ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.response().status, 504);
    gate.open();
}

#[test]
fn an_empty_line_behind_a_body_is_no_request_that_could_be_late() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--header-timeout=100ms"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi\r\n");
    assert_eq!(client.response().status, 200);
    assert!(client.hears_nothing_for(Duration::from_millis(400)), "{:?}", client.response());
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn an_event_stream_may_be_silent_for_longer_than_a_head_and_its_end_is_seen() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        wait.pass();
        conn.send("data: 2\n\n");
        conn.wait_for_end();
    });
    let options = [
        "--upstream-timeout=100ms",
        "--stream-idle-timeout=500ms",
        "--eject-after=1",
        "--eject-most=100%",
        "--trace=trace.jsonl",
    ];
    let proxy = Proxy::start(&[&origin.url()], &options);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let head = client.head();
    assert!(head.contains("text/event-stream"), "{head}");
    assert_eq!(client.exactly(14), b"9\r\ndata: 1\n\n\r\n");
    assert!(client.hears_nothing_for(Duration::from_millis(300)));
    gate.open();
    assert_eq!(client.rest(), b"9\r\ndata: 2\n\n\r\n", "and no last chunk");
    // The backend was not ejected.
    let mut other = Client::connect(proxy.address);
    other.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert!(other.head().contains("200 OK"));
    drop(other);
    let ended = proxy.stop();
    assert_eq!(ended.statuses()[0], 200);
    assert_eq!(ended.trace[0]["failure"], "stream-idle-timeout");
}
