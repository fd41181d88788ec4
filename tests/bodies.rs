//! The promise: bodies of any size pass as they are, with bounded memory, and at the pace of whoever reads.

mod support;

use std::io::Write;
use std::time::Duration;

use support::{Client, Gate, Origin, Proxy, chunked, pattern};

const LARGE: usize = 20 << 20;

/// What the proxy may hold in all while large bodies pass.
const MOST_MEMORY: u64 = 64 << 20;

/// What the kernel may hold on loopback in one direction over two connections, and what the proxy may: far below a
/// body of [`ENDLESS`] bytes.
const MOST_IN_TRANSIT: usize = 32 << 20;
const ENDLESS: usize = 128 << 20;

/// An origin that answers each request with the request's own body.
fn echo() -> Origin {
    Origin::start(|conn| {
        while let Some(request) = conn.read_request() {
            let head = match request.field("Transfer-Encoding") {
                Some(_) => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
                None => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()),
            };
            conn.send(head);
            let chunks: Vec<_> = request.body.chunks(100_000).collect();
            match request.field("Transfer-Encoding") {
                Some(_) => conn.send(chunked(&chunks)),
                None => conn.send(&request.body),
            };
        }
    })
}

#[test]
fn large_bodies_pass_both_ways_unchanged_in_bounded_memory() {
    let origin = echo();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let body = pattern(LARGE);
    let mut client = Client::connect(proxy.address);

    client.send(format!("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: {LARGE}\r\n\r\n"));
    client.send(&body);
    let response = client.response();
    assert_eq!((response.status, response.complete), (200, true));
    assert!(response.body == body, "the body has changed");

    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks: Vec<_> = body.chunks(77_777).collect();
    client.send(chunked(&chunks));
    let response = client.response();
    assert_eq!((response.status, response.complete), (200, true));
    assert!(response.body == body, "the chunked body has changed");

    let peak = proxy.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    assert_eq!(proxy.stop().statuses(), [200, 200]);
}

#[test]
fn a_slow_reader_stops_the_origin_and_costs_no_memory() {
    let (pushed, result) = std::sync::mpsc::channel();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n"));
        // So long that no reader that still reads would leave a writer without room.
        let sent = conn.push(ENDLESS, Duration::from_millis(500));
        pushed.send(sent).expect("the test waits");
        conn.push(ENDLESS - sent, support::PATIENCE);
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let sent = result.recv_timeout(support::PATIENCE).expect("the origin is stopped");
    assert!(sent < MOST_IN_TRANSIT, "{sent} bytes were taken for a client that reads none");
    let peak = proxy.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} bytes");
    // In the end it gets all of it.
    let response = client.response();
    assert_eq!((response.status, response.complete, response.body.len()), (200, true, ENDLESS));
    assert!(proxy.peak_memory() < MOST_MEMORY);
}

#[test]
fn a_slow_origin_stops_the_client_and_costs_no_memory() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        let head = conn.read_head().expect("a head");
        wait.pass();
        let body = conn.read_body(&head);
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Took: {}\r\n\r\n", body.len()));
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {ENDLESS}\r\n\r\n"));
    let mut sender = client.sender();
    sender.set_write_timeout(Some(Duration::from_millis(500))).expect("a write timeout");
    let block = vec![b'x'; 1 << 16];
    let mut sent = 0;
    while let Ok(n) = sender.write(&block[..block.len().min(ENDLESS - sent)]) {
        sent += n;
        assert!(sent < MOST_IN_TRANSIT, "{sent} bytes were taken for an origin that reads none");
    }
    assert!(proxy.peak_memory() < MOST_MEMORY);
    gate.open();
    sender.set_write_timeout(Some(support::PATIENCE)).expect("a write timeout");
    while sent < ENDLESS {
        sent += sender.write(&block[..block.len().min(ENDLESS - sent)]).expect("it goes on");
    }
    let took = ENDLESS.to_string();
    assert_eq!(client.response().field("X-Took"), Some(took.as_str()));
    assert!(proxy.peak_memory() < MOST_MEMORY);
}

#[test]
fn one_large_body_does_not_hold_up_others() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n"));
        conn.push(ENDLESS, support::PATIENCE);
        conn.wait_for_end();
    });
    let small = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = Proxy::start(&[&origin.url(), &small.url()], &[]);
    let mut large = Client::connect(proxy.address);
    large.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    large.head();
    // The rotation's next is the small one; the one after would be the large one again.
    let mut other = Client::connect(proxy.address);
    assert_eq!(other.get("/").text(), "hello");
    large.reset();
    drop(other);
    let mut statuses = proxy.stop().statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 499]);
}

#[test]
fn an_early_response_reaches_a_client_that_is_still_sending() {
    let origin = Origin::start(|conn| {
        conn.read_head();
        conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
        conn.close_sending();
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {LARGE}\r\n\r\n"));
    client.send(pattern(1000));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (413, "big"));
    assert_eq!(response.field("Connection"), Some("close"));
    // It may go on sending for a while without losing what it was told.
    client.try_send(pattern(100_000));
    assert!(client.is_closed());
    drop(client);
    assert_eq!(proxy.stop().statuses(), [413]);
}

#[test]
fn an_origin_that_answers_and_resets_during_an_upload_is_heard() {
    let origin = Origin::start(|conn| {
        conn.read_head();
        conn.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        // Closed with unread bytes: the kernel sends a reset.
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n");
    client.send(pattern(1000));
    let response = client.response();
    // The reset may overtake the answer; then it is a failure with a name, and never silence.
    assert!(
        (response.status, response.reason()) == (401, None)
            || (response.status, response.reason()) == (502, Some("upstream-reset")),
        "{}",
        response.head
    );
}

#[test]
fn a_truncated_response_is_seen_to_be_incomplete() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for truncated in
        ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", chunks, &format!("{chunks}5\r\nhe")]
    {
        let origin = Origin::start({
            let truncated = truncated.to_owned();
            move |conn| {
                conn.read_request();
                conn.send(&truncated);
            }
        });
        let proxy = Proxy::start(&[&origin.url()], &[]);
        let mut client = Client::connect(proxy.address);
        let response = client.get("/");
        assert_eq!((response.status, response.complete), (200, false), "{truncated:?}");
        assert!(response.text().starts_with("hello"));
        assert!(client.is_closed());
        assert_eq!(proxy.stop().statuses(), [200], "the status that the client saw");
    }
}

#[test]
fn a_truncated_response_is_seen_by_http_10_too() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.0\r\n\r\n");
    // To this client the end of the connection is the end of the body, unless it is a reset.
    assert!(client.is_reset(), "an orderly end says that the body is whole");
}

#[test]
fn bodies_may_take_longer_than_the_upstream_timeout() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..10 {
            conn.quiet(Duration::from_millis(150));
            conn.send("x");
        }
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--upstream-timeout=1s"]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.text().as_str(), response.complete), ("xxxxxxxxxx", true));
    let rows = proxy.stop().rows;
    assert!(rows[0].status == 200 && rows[0].latency_ms >= 1500, "{rows:?}");
}
