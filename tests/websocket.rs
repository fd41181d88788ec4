//! WebSocket tunnels over real sockets: the handshake, bytes both ways, every way to end.

mod support;

use std::io::Write;
use std::time::Duration;

use support::{Client, Conn, Gate, Origin, Proxy, pattern};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Grants every upgrade and then does as it is told; answers other requests.
fn granting(then: impl Fn(&mut Conn) + Send + Sync + 'static) -> Origin {
    Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            match request.field("Upgrade") {
                Some(_) => {
                    conn.send(GRANT);
                    return then(conn);
                }
                None => conn.send(HELLO),
            };
        }
    })
}

/// A client whose connection has become a tunnel.
fn tunnel(proxy: &Proxy) -> Client {
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

#[test]
fn the_handshake_passes_and_bytes_go_both_ways() {
    for connections in ["persistent", "non-persistent"] {
        let origin = granting(Conn::echo);
        let proxy = Proxy::start(&[&origin.url()], &[&format!("--connections={connections}")]);
        let mut client = Client::connect(proxy.address);
        client.send(ASK);
        let head = client.head().to_lowercase();
        for field in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-accept: s3pplmbi"] {
            assert_eq!(head.matches(field).count(), 1, "{field:?} in {head}");
        }
        let request = origin.next();
        let connection = if connections == "persistent" { "Upgrade" } else { "close, Upgrade" };
        assert_eq!(request.field("Connection"), Some(connection));
        assert_eq!(request.field("Upgrade"), Some("websocket"));
        assert_eq!(request.field("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        for message in [&b"\x81\x05hello"[..], &pattern(256), b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"] {
            client.send(message);
            assert_eq!(client.exactly(message.len()), message);
        }
        client.finish_sending();
        assert!(client.is_closed());
        let ended = proxy.stop();
        assert_eq!((ended.statuses(), ended.code), (vec![101], 0));
    }
}

#[test]
fn much_more_than_any_buffer_holds_arrives_in_order() {
    let origin = granting(Conn::echo);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = tunnel(&proxy);
    let bytes = pattern(20_000_000);
    let (mut sender, out) = (client.sender(), bytes.clone());
    let sending = std::thread::spawn(move || {
        sender.write_all(&out).expect("the proxy takes it");
        sender.shutdown(std::net::Shutdown::Write).expect("shut down");
    });
    assert!(client.exactly(bytes.len()) == bytes, "the echo differs");
    assert!(client.is_closed());
    sending.join().expect("sent");
    assert!(proxy.peak_memory() < 60_000_000, "{} bytes held", proxy.peak_memory());
}

#[test]
fn a_receiver_that_does_not_read_stops_its_sender() {
    let (pushed, told) = std::sync::mpsc::channel();
    let origin = granting(move |conn| {
        let _ = pushed.send(conn.push(100_000_000, Duration::from_millis(300)));
        conn.close_sending();
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = tunnel(&proxy);
    let sent = told.recv_timeout(support::PATIENCE).expect("the sender was stopped");
    assert!(sent < 50_000_000, "{sent} bytes went somewhere");
    assert!(proxy.peak_memory() < 30_000_000, "{} bytes held", proxy.peak_memory());
    let got = client.rest();
    assert!(got.len() == sent && got.iter().all(|&b| b == b'x'), "{} of {sent} bytes", got.len());
}

#[test]
fn what_comes_behind_a_head_goes_through_first_and_not_before_the_101() {
    let (grant, early) = (Gate::default(), Gate::default());
    let (may_grant, was_early) = (grant.clone(), early.clone());
    let origin = Origin::start(move |conn| {
        conn.read_head();
        was_early.pass();
        conn.quiet(Duration::from_millis(100));
        may_grant.pass();
        conn.send(format!("{GRANT}first words"));
        assert_eq!(conn.exactly(10), b"early late");
        conn.send(b"heard");
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(format!("{ASK}early"));
    early.open();
    client.send(" late");
    grant.open();
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(16), b"first wordsheard");
}

#[test]
fn a_declined_upgrade_is_an_ordinary_answer_and_what_follows_the_next_request() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(format!("{ASK}GET /next HTTP/1.1\r\nHost: t\r\n\r\n"));
    assert_eq!((client.response().status, client.response().status), (200, 200));
    // Frames that came too early are no request.
    client.send(format!("{ASK}\u{1}\u{2}\u{3}\u{4}\r\n\r\n"));
    assert_eq!((client.response().status, client.response().status), (200, 400));
    assert!(client.is_closed());
    let targets: Vec<_> =
        origin.requests().iter().map(|r| r.head.lines().next().map(str::to_owned)).collect();
    let chat = Some("GET /chat HTTP/1.1".to_owned());
    assert_eq!(targets, [chat.clone(), Some("GET /next HTTP/1.1".to_owned()), chat]);
    assert_eq!(proxy.stop().statuses(), [200, 200, 200]);
}

#[test]
fn only_a_get_without_a_body_in_http_11_asks_for_a_websocket() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let fields = "Host: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for request in [
        format!("POST / HTTP/1.1\r\n{fields}Content-Length: 2\r\n\r\nhi"),
        format!("GET / HTTP/1.1\r\n{fields}Content-Length: 2\r\n\r\nhi"),
        format!("GET / HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("HEAD / HTTP/1.1\r\n{fields}\r\n"),
        format!("GET / HTTP/1.0\r\n{fields}\r\n"),
        "GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocketx\r\n\r\n".to_owned(),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(&request);
        assert!(client.head().starts_with("HTTP/1.1 200 "), "{request}");
        let forwarded = origin.next();
        assert_eq!((forwarded.field("Upgrade"), forwarded.field("Connection")), (None, None), "{request}");
    }
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, WebSocket\r\nHTTP2-Settings: A\r\n\r\n");
    client.response();
    let forwarded = origin.next();
    assert_eq!((forwarded.field("Upgrade"), forwarded.field("HTTP2-Settings")), (Some("websocket"), None));
}

#[test]
fn a_101_that_was_not_asked_for_is_malformed() {
    let ask_nothing = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    for (ask, grant) in [
        (ask_nothing, GRANT),
        (ASK, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (ASK, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n"),
        (ASK, "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n"),
        (ASK, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n"),
        (ASK, "HTTP/1.0 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    ] {
        let origin = Origin::answering(grant);
        let proxy = Proxy::start(&[&origin.url()], &[]);
        let mut client = Client::connect(proxy.address);
        client.send(ask);
        let response = client.response();
        assert_eq!((response.status, response.reason()), (502, Some("upstream-malformed")), "{grant}");
        assert_eq!(proxy.stop().statuses(), [502]);
    }
}

#[test]
fn an_end_is_passed_on_and_the_other_direction_goes_on() {
    let origin = granting(|conn| {
        assert_eq!(conn.exactly(100), b"bye");
        conn.send(b"still here");
        conn.close_sending();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = tunnel(&proxy);
    client.send(b"bye");
    client.finish_sending();
    assert_eq!(client.rest(), b"still here");

    let (heard, hears) = std::sync::mpsc::channel();
    let origin = granting(move |conn| {
        conn.send(b"bye");
        conn.close_sending();
        let _ = heard.send(conn.exactly(100));
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = tunnel(&proxy);
    assert_eq!(client.rest(), b"bye");
    client.send(b"still here");
    client.finish_sending();
    assert_eq!(hears.recv_timeout(support::PATIENCE).as_deref(), Ok(&b"still here"[..]));
    assert_eq!(proxy.stop().statuses(), [101]);
}

#[test]
fn a_reset_of_either_side_ends_both() {
    let (left, ended) = (Gate::default(), Gate::default());
    let (has_left, has_ended) = (left, ended.clone());
    let origin = granting(move |conn| {
        has_left.open();
        conn.wait_for_end();
        has_ended.open();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    tunnel(&proxy).reset();
    ended.pass();
    assert_eq!(proxy.stop().statuses(), [101]);

    let origin = granting(|conn| {
        conn.exactly(2);
        conn.reset();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = tunnel(&proxy);
    client.send(b"go");
    assert!(client.is_closed());
    assert_eq!(proxy.stop().statuses(), [101]);
}

#[test]
fn a_tunnel_at_rest_is_closed_after_its_time_and_a_half_closed_one_sooner() {
    let origin = granting(Conn::wait_for_end);
    let proxy = Proxy::start(&[&origin.url()], &["--tunnel-idle-timeout=100ms"]);
    assert!(tunnel(&proxy).is_closed());
    assert_eq!(proxy.stop().statuses(), [101]);

    let origin = granting(|conn| {
        conn.wait_for_end();
        conn.quiet(support::PATIENCE / 2);
    });
    let proxy = Proxy::start(&[&origin.url()], &["--body-timeout=100ms"]);
    let mut client = tunnel(&proxy);
    client.finish_sending();
    assert!(client.is_closed(), "the backend never ends its side");
    assert_eq!(proxy.stop().statuses(), [101]);
}

#[test]
fn a_tunnel_outlives_other_timeouts_and_is_left_until_the_drain_limit() {
    let origin = granting(Conn::echo);
    let short = ["idle", "body", "header", "upstream"].map(|name| format!("--{name}-timeout=50ms"));
    let mut options: Vec<_> = short.iter().map(String::as_str).collect();
    options.push("--drain-timeout=300ms");
    let mut proxy = Proxy::start(&[&origin.url()], &options);
    let mut client = tunnel(&proxy);
    assert!(client.hears_nothing_for(Duration::from_millis(200)), "no other timeout is its own");
    proxy.signal(rustix::process::Signal::TERM);
    proxy.says("1 requests in flight");
    client.send(b"still");
    assert_eq!(client.exactly(5), b"still", "draining lets it be");
    proxy.says("cutting off 1 requests");
    assert!(client.is_closed());
    let ended = proxy.end();
    assert_eq!((ended.statuses(), ended.code), (vec![101], 0));
}

/// The row tells how long the handshake took, and so do the averages.
#[test]
#[allow(clippy::disallowed_methods, reason = "the handshake takes no longer than its client sees it take")]
fn the_latency_of_a_tunnel_is_that_of_its_handshake() {
    let origin = granting(|conn| conn.quiet(Duration::from_millis(300)));
    let mut proxy = Proxy::start(&[&origin.url()], &["--routing=adaptive_sma", "--log-level=debug"]);
    let start = std::time::Instant::now();
    let mut client = tunnel(&proxy);
    let handshake_ms = start.elapsed().as_secs_f64() * 1e3;
    assert!(client.is_closed());
    client = Client::connect(proxy.address);
    client.get("/");
    let line = proxy.says("SMAs: ");
    let mean: f64 =
        line.split('=').nth(1).and_then(|m| m.strip_suffix("ms")).expect(&line).parse().expect(&line);
    assert!(mean <= handshake_ms + 0.1, "{line}, after {handshake_ms} ms");
    let ended = proxy.stop();
    assert_eq!(ended.statuses(), [101, 200]);
    assert!(ended.rows[0].latency_ms as f64 <= handshake_ms + 0.5, "{:?}", ended.rows[0]);
}
