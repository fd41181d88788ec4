//! The promise: a connection costs what the README's table says, and memory is bounded by its formula.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use support::admin::{Admin, administered};
use support::{Client, Proxy};

/// How much the kernel may hold for who does not read: little, so that the proxy has to.
const SMALL: usize = 4096;

/// A server that takes connections, reads nothing and says this to each, as long as it is taken.
fn deaf(says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    // What it accepts has the same.
    SockRef::from(&listener).set_recv_buffer_size(SMALL).expect("a small buffer");
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            match says {
                [] => held.push(stream),
                _ => push(stream, says),
            }
        }
    });
    address
}

/// Says this on a thread of its own, as long as it is taken, and holds the connection.
fn push(mut stream: TcpStream, bytes: &'static [u8]) {
    thread::spawn(move || {
        // It ends when the other side does.
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0]);
    });
}

/// The row of the README's table that begins so: the least and the most KiB for each.
fn promised(state: &str) -> RangeInclusive<f64> {
    let readme = include_str!("../README.md");
    let begins = format!("| {state} |");
    let row = readme.lines().find_map(|line| line.strip_prefix(&begins)).expect("a row of the table");
    let cell = row.split('|').next().expect("a cell").trim();
    let figure = |text: &str| text.parse::<f64>().expect("a figure");
    match cell.strip_prefix("up to ") {
        Some(most) => 0.0..=1.2 * figure(most),
        None => 0.8 * figure(cell)..=1.2 * figure(cell),
    }
}

/// Brings `count` clients into a state, in which each has a request in flight if it `asks`, and compares what the proxy has grown
/// by with what is promised.
fn holds(
    state: &str,
    (proxy, mut admin): (Proxy, Admin),
    (count, asks): (usize, bool),
    enter: impl Fn(&mut TcpStream),
) {
    let mut enter = |many: usize| {
        let mut count = || {
            let status = admin.json("/api/v1/status");
            let figure = if asks { &status["in_flight"] } else { &status["clients"]["accepted"] };
            figure.as_u64().expect("a number")
        };
        let all = count() + many as u64;
        let entered: Vec<_> = (0..many)
            .map(|_| {
                let mut stream = TcpStream::connect(proxy.address).expect("a connection");
                enter(&mut stream);
                stream
            })
            .collect();
        let mut pause = Client::connect(proxy.address);
        while count() < all {
            assert!(pause.hears_nothing_for(Duration::from_millis(50)));
        }
        (entered, settled(&proxy))
    };
    // What is allocated once is there then.
    let (_first, before) = enter(3);
    let (_rest, after) = enter(count);
    let each = after.saturating_sub(before) as f64 / 1024.0 / count as f64;
    let promised = promised(state);
    println!("{state}: {each:.2} KiB each of {count}");
    assert!(promised.contains(&each), "{state}: {each:.2} KiB each, not {promised:?}");
}

/// How much memory the proxy holds once that changes no more.
fn settled(proxy: &Proxy) -> u64 {
    let mut pause = Client::connect(proxy.address);
    let (mut last, mut since) = (0, 0);
    loop {
        let now = proxy.memory();
        since = if now == last { since + 1 } else { 0 };
        if since == 4 {
            return now;
        }
        last = now;
        assert!(pause.hears_nothing_for(Duration::from_millis(200)));
    }
}

#[test]
fn a_client_costs_what_the_table_says_in_each_state() {
    let leaked = |head: &str| -> &'static [u8] { [head.as_bytes(), &vec![b'x'; 32 << 20]].concat().leak() };
    let answer = leaked("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    let upload = leaked("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n");
    let (silent, talkative) = (format!("http://{}", deaf(b"")), format!("http://{}", deaf(answer)));
    let to = |backend: &str| administered(&[backend], &["--upstream-timeout=1m", "--header-timeout=1m"]);
    let get = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(400));
    let send = |stream: &mut TcpStream, text: &str| stream.write_all(text.as_bytes()).expect("taken");
    holds("idle", to(&silent), (8_000, false), |_| ());
    holds("part of a head has come", to(&silent), (4_000, false), |stream| send(stream, &get[..300]));
    holds("a request in flight", to(&silent), (2_000, true), |stream| send(stream, &get));
    holds("does not read its answer", to(&talkative), (40, true), |stream| {
        SockRef::from(&*stream).set_recv_buffer_size(SMALL).expect("a small buffer");
        send(stream, &get);
    });
    holds("sends to a backend that does not read", to(&silent), (40, true), |stream| {
        push(stream.try_clone().expect("a handle"), upload);
    });
}
