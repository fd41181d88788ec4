//! The promise: a connection costs what the README's table says, and memory is bounded by its formula.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use support::admin::{Admin, administered};
use support::classifier::classify;
use support::{Client, Gate, Launch, Proxy};

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

/// What the process takes at most, in KiB, with so many clients in each state of the first table and the terms of the second.
fn formula(clients: &[(&str, usize)], terms: &[&str], room_kib: f64) -> f64 {
    let readme = include_str!("../README.md");
    let of_term = |term: &&str| {
        let begins = format!("| {term} |");
        let row = readme.lines().find_map(|line| line.strip_prefix(&begins)).expect("a row of the table");
        let mib: f64 = row.split('|').next().expect("a cell").trim().parse().expect("a figure");
        1024.0 * mib
    };
    let of_clients = clients.iter().map(|&(state, count)| promised(state).end() / 1.2 * count as f64);
    of_clients.sum::<f64>() + terms.iter().map(of_term).sum::<f64>() + 2.0 * room_kib
}

/// Fills several terms of the formula at once: it is not exceeded, and not so large that it says nothing.
#[test]
fn the_whole_process_takes_what_the_formula_says() {
    const ROOM_KIB: usize = 16 << 10;
    const CLIENTS: [(&str, usize); 3] =
        [("idle", 4_000), ("part of a head has come", 3_000), ("does not read its answer", 60)];
    let answer: &[u8] =
        [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", &vec![b'x'; 32 << 20][..]].concat().leak();
    let backend = format!("http://{}", deaf(answer));
    let gate = Gate::default();
    let classifier = {
        let gate = gate.clone();
        support::classifier::answering(move |_, sequences| {
            if sequences[0].len() > 1 {
                gate.pass();
            }
            (200, "{\"results\":[1]}".to_owned())
        })
    };
    let classifier = format!("--classifier={}", classifier.url());
    let options = [
        &classifier,
        "--queue-bytes=16MiB",
        "--batch-size=1",
        "--strategy=fcfs",
        "--log-level=debug",
        "--admin=127.0.0.1:0",
        "--upstream-timeout=2m",
        "--header-timeout=2m",
        "--body-timeout=2m",
    ];
    // Nobody reads its log.
    let (proxy, _log) = Launch::proxy(&[&backend], &options).start_with_log("the proxy", true);
    let mut admin = Admin::of(&proxy);
    let request = |customer: &str, text: &str| {
        classify(&format!("X-Customer-Id: {customer}\r\n"), &format!("{{\"sequences\":[\"{text}\"]}}"))
    };
    let mut customers = Client::connect(proxy.address);
    let mut ask = |customer: &str| {
        customers.send(request(customer, "x"));
        assert_eq!(customers.response().status, 200);
    };
    // Names that are counted are of 256 bytes; some are forgotten.
    (0..5_000).for_each(|i| ask(&format!("{i:0256}")));
    let get = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(400));
    let mut held: Vec<TcpStream> = Vec::new();
    for ((_, count), text) in CLIENTS.into_iter().zip(["", &get[..300], &get]) {
        for _ in 0..count {
            let mut stream = TcpStream::connect(proxy.address).expect("a connection");
            SockRef::from(&stream).set_recv_buffer_size(SMALL).expect("a small buffer");
            stream.write_all(text.as_bytes()).expect("taken");
            held.push(stream);
        }
    }
    let large = request("large", &"x".repeat(19 * (ROOM_KIB << 10) / 160));
    for _ in 0..8 {
        let mut stream = TcpStream::connect(proxy.address).expect("a connection");
        stream.write_all(large.as_bytes()).expect("taken");
        held.push(stream);
    }
    let mut pause = Client::connect(proxy.address);
    while admin.json("/api/v1/status")["in_flight"].as_u64() < Some(60) {
        assert!(pause.hears_nothing_for(Duration::from_millis(50)));
    }
    let held = settled(&proxy) as f64 / 1024.0;
    let most = formula(&CLIENTS, &["the program at rest", "customers", "the log"], ROOM_KIB as f64);
    println!("{held:.0} KiB of {most:.0}");
    assert!(held <= most, "it holds {held:.0} KiB, more than {most:.0}");
    assert!(held >= 0.6 * most, "it holds {held:.0} KiB, the formula says {most:.0}");
    gate.open();
}
