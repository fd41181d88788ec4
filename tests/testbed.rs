//! A simulated backend over real sockets: what it answers, when, and in which order.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tidegate::net::{OsNet, raise_descriptor_limit};
use tidegate::server::RunningServer;
use tidegate::testbed::{BackendOptions, spawn};

fn backend(id: char, profile: &str) -> RunningServer {
    let listener = OsNet::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    spawn(listener, BackendOptions::plain(id, profile.parse().expect("a profile"))).expect("a backend")
}

fn connect(backend: &RunningServer) -> TcpStream {
    let stream = TcpStream::connect(backend.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a read timeout");
    stream
}

/// Reads one response whose head tells its length; returns head and body.
fn response(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).expect("an answer in time"), 1, "closed after {bytes:?}");
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).expect("text");
    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("the body");
    (head, String::from_utf8(body).expect("text"))
}

fn get(stream: &mut TcpStream) -> (String, String) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").expect("sent");
    response(stream)
}

fn closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0))
}

#[allow(clippy::disallowed_methods, reason = "an outside judge has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_answer_is_the_contracts() {
    let backend = backend('A', "10");
    let (head, body) = get(&mut connect(&backend));
    let date = head.lines().find_map(|line| line.strip_prefix("Date: ")).expect("a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let expected = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 32\r\nDate: {date}\r\n\r\n"
    );
    assert_eq!((head, body.as_str()), (expected, "Hello from A – simulated 10ms\n"));
    assert_eq!(backend.answered(), 1);
}

#[test]
fn the_cycle_is_consumed_in_order_of_arrival_over_all_connections() {
    let backend = backend('B', "1,2,3x2");
    let mut connections = [connect(&backend), connect(&backend)];
    let said: Vec<String> = (0..9).map(|i| get(&mut connections[i % 2]).1).collect();
    let expected = [1, 2, 3, 3, 1, 2, 3, 3, 1].map(|ms| format!("Hello from B – simulated {ms}ms\n"));
    assert_eq!(said, expected);
}

#[test]
fn an_answer_is_never_early() {
    let backend = backend('A', "3,0.25,7");
    let mut stream = connect(&backend);
    for ms in [3.0, 0.25, 7.0].repeat(20) {
        let sent = now();
        let (_, body) = get(&mut stream);
        let took_ms = sent.elapsed().as_secs_f64() * 1e3;
        assert_eq!(body, format!("Hello from A – simulated {ms}ms\n"));
        assert!(took_ms >= ms, "{took_ms} ms instead of {ms}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = backend('A', "5,1");
    let mut stream = connect(&backend);
    stream.write_all(&b"GET / HTTP/1.1\r\nHost: b\r\n\r\n".repeat(4)).expect("sent");
    let said: Vec<String> = (0..4).map(|_| response(&mut stream).1).collect();
    assert_eq!(said, [5, 1, 5, 1].map(|ms| format!("Hello from A – simulated {ms}ms\n")));
}

#[test]
fn bodies_are_read_and_passed_over() {
    let backend = backend('A', "1");
    let mut stream = connect(&backend);
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n")
        .unwrap();
    let (interim, _) = response(&mut stream);
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&vec![b'x'; 300_000]).unwrap();
    assert!(response(&mut stream).0.starts_with("HTTP/1.1 200 "));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhel").unwrap();
    stream
        .write_all(b"lo\r\n0\r\nA: b\r\n\r\nHEAD / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert!(response(&mut stream).0.starts_with("HTTP/1.1 200 "));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the head, then the end");
    assert!(
        rest.contains("Content-Length: 31\r\n") && rest.ends_with("\r\nConnection: close\r\n\r\n"),
        "{rest}"
    );
}

#[test]
fn http_10_closes_unless_it_asks_to_keep() {
    let backend = backend('A', "0");
    let mut stream = connect(&backend);
    stream.write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert!(response(&mut stream).0.contains("Connection: keep-alive\r\n"));
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(response(&mut stream).0.contains("Connection: close\r\n"));
    assert!(closed(&mut stream));
}

#[test]
fn a_malformed_request_is_refused_and_the_connection_closed() {
    let backend = backend('A', "0");
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = connect(&backend);
        stream.write_all(bad).unwrap();
        assert!(response(&mut stream).0.starts_with("HTTP/1.1 400 "));
        assert!(closed(&mut stream));
    }
}

#[test]
fn many_requests_wait_at_once() {
    // Both ends of each are open in this process, beside those of the other tests.
    let count = (raise_descriptor_limit() / 2).saturating_sub(200).min(2000);
    let backend = backend('C', "300");
    let mut streams: Vec<TcpStream> = (0..count).map(|_| connect(&backend)).collect();
    let start = now();
    for stream in &mut streams {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").expect("sent");
    }
    for stream in &mut streams {
        assert!(response(stream).1.starts_with("Hello from C"));
    }
    // One after the other it would be ten minutes.
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn who_has_closed_its_sending_side_is_answered_still() {
    let backend = backend('A', "5");
    let mut stream = connect(&backend);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(response(&mut stream).1, "Hello from A – simulated 5ms\n");
    assert!(closed(&mut stream));
}

#[test]
fn a_client_that_leaves_takes_nothing_with_it() {
    let backend = backend('A', "20");
    let mut leaver = connect(&backend);
    leaver.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    drop(leaver);
    let mut stream = connect(&backend);
    for _ in 0..3 {
        assert_eq!(get(&mut stream).1, "Hello from A – simulated 20ms\n");
    }
    drop(stream);
    backend.stop().expect("a clean stop");
}

#[test]
fn a_stop_answers_what_waits_and_closes_what_rests() {
    let backend = backend('A', "100");
    let (mut waiting, mut resting) = (connect(&backend), connect(&backend));
    get(&mut resting);
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    // An answer on another connection, sent later, shows that the request has arrived.
    let mut later = connect(&backend);
    get(&mut later);
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    assert_eq!(response(&mut waiting).1, "Hello from A – simulated 100ms\n");
    backend.stop().expect("a clean stop");
    let (head, body) = response(&mut waiting);
    assert_eq!(body, "Hello from A – simulated 100ms\n");
    assert!(head.contains("Connection: close\r\n"));
    assert!(closed(&mut waiting) && closed(&mut resting) && closed(&mut later));
}
