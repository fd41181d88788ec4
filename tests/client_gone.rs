//! Clients that leave while their request is in flight: it is cancelled, and the backend sees its connection end.

mod support;

use std::time::Duration;

use support::{Client, Gate, Launch, Origin, Proxy};

const ASK: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// An origin that never answers [`ASK`]: it waits for the end of its connection and opens the gate then. It answers all else.
fn silent_when_asked() -> (Origin, Gate) {
    let ended = Gate::default();
    let has_ended = ended.clone();
    let origin = Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            if request.head.starts_with("GET / ") {
                conn.wait_for_end();
                return has_ended.open();
            }
            conn.send(HELLO);
        }
    });
    (origin, ended)
}

#[test]
fn a_reset_cancels_the_request_at_once() {
    let (origin, ended) = silent_when_asked();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    // The pipelined one behind it is never begun.
    client.send(format!("{ASK}{ASK}"));
    origin.next();
    client.reset();
    ended.pass();
    assert_eq!(Client::connect(proxy.address).get("/hello").text(), "hello");
    assert_eq!(proxy.stop().statuses(), [499, 200]);
}

#[test]
fn a_reset_in_mid_response_cancels_it_too() {
    let ended = Gate::default();
    let has_ended = ended.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello");
        conn.wait_for_end();
        has_ended.open();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    client.head();
    client.exactly(5);
    client.reset();
    ended.pass();
    assert_eq!(proxy.stop().statuses(), [499]);
}

#[test]
fn a_half_close_is_a_departure_where_it_is_meant_to_be() {
    let (origin, ended) = silent_when_asked();
    let proxy = Launch::proxy(&[&origin.url()], &[]).file("half-close = \"cancel\"\n").start("the proxy");
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    origin.next();
    client.finish_sending();
    ended.pass();
    assert!(client.is_closed());
    // The end may come in the same breath as the request.
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    client.finish_sending();
    assert!(client.rest().is_empty());
    assert_eq!(Client::connect(proxy.address).get("/hello").text(), "hello");
    assert_eq!(proxy.stop().statuses(), [499, 499, 200]);
}

#[test]
fn a_half_closed_client_is_answered_by_default() {
    let answer = Gate::default();
    let may_answer = answer.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.quiet(Duration::from_millis(100));
        may_answer.pass();
        conn.send(HELLO);
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(ASK);
    client.finish_sending();
    origin.next();
    answer.open();
    assert_eq!(client.response().text(), "hello");
    assert!(client.is_closed());
    assert_eq!(proxy.stop().statuses(), [200]);
}
