//! The promise: at the limit of connections everybody is served in turn, and nobody loses a request that was on its way.

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use rustix::process::Signal;
use support::{Client, Gate, Launch, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

fn at_the_limit(origin: &Origin, most: usize) -> Proxy {
    Proxy::start(&[&origin.url()], &[&format!("--max-connections={most}")])
}

#[test]
fn clients_whose_requests_have_come_all_at_once_are_answered_and_so_are_those_who_wait() {
    let origin = Origin::answering(HELLO);
    let proxy = at_the_limit(&origin, 100);
    let mut inside: Vec<_> = (0..100).map(|_| Client::connect(proxy.address)).collect();
    inside.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    let mut outside = Vec::new();
    proxy.held(|| {
        outside.extend((0..100).map(|_| Client::connect(proxy.address)));
        inside.iter_mut().chain(&mut outside).for_each(|client| client.send(GET));
    });
    inside.iter_mut().chain(&mut outside).for_each(|client| assert_eq!(client.response().status, 200));
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 300]));
}

/// A user who asks `requests` times, on a new connection whenever the last response says so: how often it had to be.
fn user(from: Ipv4Addr, to: SocketAddr, requests: usize) -> usize {
    let mut connections = 1;
    let mut client = Client::connect_from(IpAddr::V4(from), to);
    for n in 0..requests {
        let response = client.get("/");
        assert_eq!(response.status, 200);
        if response.head.contains("Connection: close") && n + 1 < requests {
            connections += 1;
            client = Client::connect_from(IpAddr::V4(from), to);
        }
    }
    connections
}

#[test]
fn twice_as_many_users_as_places_lose_no_request() {
    let origin = Origin::answering(HELLO);
    let proxy = at_the_limit(&origin, 50);
    let to = proxy.address;
    let connections: usize = thread::scope(|scope| {
        let users = [0; 100].map(|_| scope.spawn(move || user(Ipv4Addr::LOCALHOST, to, 100)));
        users.into_iter().map(|user| user.join().expect("every request is answered")).sum()
    });
    assert!(connections < 5_000, "{connections} connections for 10,000 requests");
    assert_eq!(proxy.stop().statuses(), [200; 10_000]);
}

#[test]
fn a_host_with_more_than_its_share_gives_way_and_others_keep_their_places() {
    let origin = Origin::answering(HELLO);
    let proxy = at_the_limit(&origin, 10);
    let (few, many) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let to = proxy.address;
    thread::scope(|scope| {
        let quiet = [0; 2].map(|_| scope.spawn(move || user(few, to, 2_000)));
        let crowd = [0; 30].map(|_| scope.spawn(move || user(many, to, 200)));
        for user in quiet {
            assert_eq!(user.join().expect("every request is answered"), 1, "it has kept its connection");
        }
        crowd.into_iter().for_each(|user| assert!(user.join().expect("every request is answered") > 0));
    });
    assert_eq!(proxy.stop().rows.len(), 10_000);
}

#[test]
fn a_draining_proxy_answers_who_was_not_told_that_the_connection_closes() {
    let gate = Gate::default();
    let passing = gate.clone();
    let origin = Origin::start(move |conn| {
        while conn.read_head().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
            passing.pass();
            conn.send("llo");
        }
    });
    let mut proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    assert!(!client.head().contains("close"), "the connection is kept");
    proxy.signal(Signal::TERM);
    proxy.says("stopping");
    client.send(GET);
    gate.open();
    assert_eq!(client.exactly(5), b"hello");
    let last = client.response();
    assert_eq!((last.text(), last.head.contains("Connection: close")), ("hello".to_owned(), true));
    assert!(client.is_closed());
    let ended = proxy.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 2]));
}

#[test]
fn as_many_are_let_in_as_descriptors_allow_and_the_others_have_their_turn() {
    let origin = Origin::answering(HELLO);
    let proxy = Launch::proxy(&[&origin.url()], &[]).descriptors(64).start("the proxy");
    let to = proxy.address;
    thread::scope(|scope| {
        let users = [0; 100].map(|_| scope.spawn(move || user(Ipv4Addr::LOCALHOST, to, 20)));
        users.into_iter().for_each(|user| assert!(user.join().expect("every request is answered") > 0));
    });
    assert_eq!(proxy.stop().statuses(), [200; 2_000]);
}
