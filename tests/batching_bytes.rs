//! The promise: what is kept of requests to be batched is bounded in bytes, and one customer's do not shut out others'.

mod support;

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;
use support::admin::{Admin, with_admin};
use support::classifier::{asking, classify, gated};
use support::{Client, Gate, Launch, Origin, PATIENCE, Proxy, Response};

const QUEUED: &str = "tidegate_queue_accepted_total";
const HELD: &str = "tidegate_queue_bytes{";
const MADE: &str = "tidegate_queue_made_bytes";

const MIB: usize = 1 << 20;

/// What of the room there is in these tests.
const ROOM: usize = 16 * MIB;

/// A classifier whose result for each sequence is a text of so many bytes.
fn saying(bytes: usize) -> Origin {
    support::classifier::answering(move |_, sequences| {
        let results: Vec<_> = sequences.iter().map(|_| "r".repeat(bytes)).collect();
        (200, json!({ "results": results }).to_string())
    })
}

fn start(classifier: &Origin, options: &[&str]) -> (Proxy, Admin) {
    start_with("--queue-bytes=16MiB", classifier, options)
}

fn start_with(room: &str, classifier: &Origin, options: &[&str]) -> (Proxy, Admin) {
    let options = [&[room, "--admin=127.0.0.1:0"], options].concat();
    with_admin(Launch::batching(&classifier.url(), &options))
}

/// What a metric says now; 0 before it says anything.
fn figure(admin: &mut Admin, name: &str) -> u64 {
    let metrics = admin.get("/metrics").text();
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
    value.map_or(0, |value| value.parse::<f64>().expect("a number") as u64)
}

/// Waits until that is at least so much.
fn reaches(admin: &mut Admin, name: &str, least: u64) {
    let mut pause = Client::connect(admin.address);
    for _ in 0..PATIENCE.as_millis() / 10 {
        if figure(admin, name) >= least {
            return;
        }
        assert!(pause.hears_nothing_for(Duration::from_millis(10)));
    }
    panic!("{name} is {}, not {least}", figure(admin, name));
}

/// Waits until that is at most so much.
fn falls(admin: &mut Admin, name: &str, most: u64) {
    let mut pause = Client::connect(admin.address);
    while figure(admin, name) > most {
        assert!(pause.hears_nothing_for(Duration::from_millis(10)));
    }
}

/// A request of a customer with this body, sent by a thread of its own, which gives its answer.
fn sent(proxy: &Proxy, customer: &str, body: &str) -> thread::JoinHandle<Response> {
    let request = classify(&format!("X-Customer-Id: {customer}\r\n"), body);
    let address = proxy.address;
    thread::spawn(move || {
        let mut client = Client::connect(address);
        client.try_send(request);
        client.response()
    })
}

/// One text of about so many bytes.
fn text(bytes: usize) -> String {
    format!("{{\"sequences\":[\"{}\"]}}", "x".repeat(bytes))
}

/// Has so many clients send such bodies at once: 200 or 429 for each. Returns how many were served. The process may grow by
/// twice the room.
fn grows_little(what: &str, classifier: &Origin, options: &[&str], bodies: Vec<String>) -> usize {
    let (proxy, _admin) = start(classifier, options);
    assert_eq!(asking(proxy.address, "a", &["warm"]).response().status, 200);
    let before = proxy.memory();
    let all = bodies.len();
    let clients: Vec<_> = bodies.iter().map(|body| sent(&proxy, "a", body)).collect();
    let statuses: Vec<u16> = clients.into_iter().map(|c| c.join().expect("an answer").status).collect();
    let grown = proxy.peak_memory().saturating_sub(before) as usize;
    let count = |status| statuses.iter().filter(|&&s| s == status).count();
    println!("{what}: {} of {all} served, {} KiB more", count(200), grown >> 10);
    assert_eq!(count(200) + count(429) + count(503), all, "{what}: {statuses:?}");
    assert!(grown <= 2 * ROOM, "{what}: grown by {} KiB", grown >> 10);
    count(200)
}

#[test]
fn whatever_bodies_are_like_the_process_grows_by_twice_the_room_at_most() {
    let few = saying(10);
    let large = vec![text(2 * MIB - 64); 60];
    assert!(
        grows_little("large bodies, one by one", &few, &["--batch-size=1", "--body-timeout=3s"], large) > 7
    );
    let large = vec![text(2 * MIB - 64); 60];
    assert!(
        grows_little("large bodies, many to a batch", &few, &["--batch-size=20", "--body-timeout=3s"], large)
            > 7
    );
    // An element is three bytes of the body, and 24 of memory.
    let tiny = format!("{{\"sequences\":[{}\"\"]}}", "\"\",".repeat(60_000));
    let options = ["--batch-size=100000", "--body-timeout=3s", "--strategy=adaptive"];
    assert!(grows_little("tiny elements", &few, &options, vec![tiny; 150]) > 7);
    // Of each only its number in what others would have to have in common with it.
    let unlike =
        (0..60).map(|i| format!("{{\"id\":{i},\"more\":\"{}\",\"sequences\":[\"x\"]}}", "m".repeat(MIB)));
    assert!(grows_little("unlike bodies", &few, &["--body-timeout=3s"], unlike.collect()) > 7);
    // Members are refused by their number before they cost anything.
    let members: String = (0..150_000).map(|i| format!("\"{i}\":1,")).collect();
    let (proxy, _admin) = start(&few, &[]);
    assert_eq!(asking(proxy.address, "a", &["warm"]).response().status, 200);
    let before = proxy.memory();
    let many = format!("{{{members}\"sequences\":[\"x\"]}}");
    assert_eq!(sent(&proxy, "a", &many).join().expect("an answer").status, 400);
    let grown = proxy.peak_memory() - before;
    assert!(grown < 5 << 20, "grown by {} KiB for {} of members", grown >> 10, many.len() >> 10);
}

#[test]
fn whatever_answers_are_like_the_process_grows_by_twice_the_room_at_most() {
    let long = saying(MIB);
    let options = ["--batches-in-flight=40", "--batch-size=1"];
    assert!(grows_little("long answers", &long, &options, vec![text(100); 200]) > 7);
}

/// Clients that read nothing, while others are served.
#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    const CLIENTS: usize = 30;
    // More than the kernel takes.
    let long = saying(15 * MIB / 2);
    let (proxy, mut admin) = start_with("--queue-bytes=64MiB", &long, &["--batch-size=1"]);
    assert_eq!(asking(proxy.address, "a", &["warm"]).response().status, 200);
    let before = proxy.memory();
    let request = classify("", &text(10));
    let deaf: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            socket.connect(&proxy.address.into()).expect("connected");
            let mut stream = TcpStream::from(socket);
            std::io::Write::write_all(&mut stream, request.as_bytes()).expect("taken");
            assert!(SockRef::from(&stream).recv_buffer_size().is_ok_and(|size| size < 20_000));
            stream
        })
        .collect();
    reaches(&mut admin, QUEUED, 1 + CLIENTS as u64);
    reaches(&mut admin, "tidegate_queue_rejected_total{reason=\"answer-unread\"}", CLIENTS as u64 / 2);
    assert_eq!(asking(proxy.address, "b", &["x"]).response().status, 200);
    let grown = (proxy.peak_memory() - before) as usize;
    println!("{} KiB more", grown >> 10);
    falls(&mut admin, MADE, 8 * MIB as u64);
    assert!(grown <= 64 * MIB, "grown by {} KiB", grown >> 10);
    drop(deaf);
    falls(&mut admin, MADE, 0);
}

#[test]
fn the_customer_that_holds_most_gives_way() {
    for strategy in ["sjf", "fair", "fcfs", "adaptive"] {
        let gate = Gate::default();
        let classifier = gated(&gate);
        let (proxy, mut admin) = start(&classifier, &["--batch-size=1", "--strategy", strategy]);
        let greedy: Vec<_> = (0..8)
            .map(|i| {
                let answer = sent(&proxy, "greedy", &text(19 * MIB / 10));
                reaches(&mut admin, QUEUED, 1 + i);
                answer
            })
            .collect();
        assert!(figure(&mut admin, HELD) > 15 * MIB as u64);
        let more = sent(&proxy, "greedy", &text(MIB)).join().expect("an answer");
        assert_eq!((more.status, more.reason()), (429, Some("queue-full")), "it has most itself");
        let modest: Vec<_> = (0..3).map(|_| sent(&proxy, "modest", &text(MIB))).collect();
        reaches(&mut admin, QUEUED, 8 + 3);
        gate.open();
        for answer in modest {
            assert_eq!(answer.join().expect("an answer").status, 200, "{strategy}");
        }
        let answers: Vec<_> = greedy.into_iter().map(|answer| answer.join().expect("an answer")).collect();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let (served, refused) =
            statuses.split_at(statuses.iter().take_while(|&&status| status == 200).count());
        assert!(
            (2..=4).contains(&refused.len()) && refused.iter().all(|&s| s == 429),
            "{strategy}: {statuses:?}"
        );
        for answer in &answers[served.len()..] {
            assert_eq!(answer.reason(), Some("queue-full"));
            assert!(answer.field("Retry-After").is_some_and(|s| s.parse::<u64>().is_ok_and(|s| s > 0)));
        }
        falls(&mut admin, HELD, 0);
    }
}

#[test]
fn a_reload_with_less_room_loses_nothing_that_waits() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let file = |room: &str| format!("classifier = [\"{}\"]\nqueue-bytes = \"{room}\"\n", classifier.url());
    let options = ["--admin=127.0.0.1:0", "--batch-size=1"];
    let (proxy, mut admin) = with_admin(Launch::proxy(&[], &options).file(&file("16MiB")));
    let waiting: Vec<_> = (0..4).map(|_| sent(&proxy, "a", &text(MIB))).collect();
    reaches(&mut admin, QUEUED, 4);
    std::fs::write(proxy.file("tidegate.toml"), file("1MiB")).expect("written");
    assert_eq!(admin.post("/api/v1/reload").status, 200);
    let mut pause = Client::connect(admin.address);
    while figure(&mut admin, "tidegate_queue_bytes_limit") != MIB as u64 {
        assert!(pause.hears_nothing_for(Duration::from_millis(10)));
    }
    assert_eq!(sent(&proxy, "a", &text(1000)).join().expect("an answer").status, 429, "there is no room");
    assert_eq!(
        sent(&proxy, "a", &text(MIB)).join().expect("an answer").status,
        413,
        "an eighth is all one may have"
    );
    gate.open();
    for answer in waiting {
        let answer = answer.join().expect("an answer");
        assert_eq!(answer.status, 200);
    }
    falls(&mut admin, HELD, 0);
    assert_eq!(sent(&proxy, "a", &text(1000)).join().expect("an answer").status, 200);
}
