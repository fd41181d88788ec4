//! The promise: a request whose answer is late is sent once more where that is worth it, within a budget, and never if it must not be.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::admin::{Admin, administered};
use support::{Client, Origin, PATIENCE, Proxy, simulated, url};
use tidegate::server::RunningServer;

/// Most answers take a millisecond, one in ten 150.
const UNEVEN: &str = "1,1,1,1,1,1,1,1,1,150";

const BUDGET: &[&str] = &["--routing=adaptive", "--hedge=auto", "--hedge-budget=5%", "--trace=trace.jsonl"];

fn backends() -> [RunningServer; 2] {
    ['A', 'B'].map(|id| simulated(id, UNEVEN))
}

fn start(backends: &[RunningServer; 2], options: &[&str]) -> (Proxy, Admin) {
    let urls = backends.each_ref().map(|backend| url(backend.address()));
    administered(&urls.each_ref().map(String::as_str), options)
}

/// Sends `count` requests, one after another, on each of four connections.
fn ask(proxy: &Proxy, request: &str, count: usize) {
    let address = proxy.address;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..count {
                    client.send(request);
                    assert_eq!(client.response().status, 200);
                }
            });
        }
    });
}

fn hedges(admin: &mut Admin, requests: u64) -> (u64, u64) {
    admin.wait_for_requests(requests);
    let status: Value = admin.json("/api/v1/status");
    let count = |name: &str| status["hedges"][name].as_u64().expect("a number");
    (count("sent") + count("shadows"), count("won"))
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

const GET: &str = "GET /search HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &str = "POST /search?q=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn late_requests_are_sent_once_more_within_the_budget_and_the_row_names_who_answered() {
    let backends = backends();
    let (proxy, mut admin) = start(&backends, BUDGET);
    ask(&proxy, GET, 100);
    let (sent, won) = hedges(&mut admin, 400);
    // A tenth of the requests are late, and more than a budget of a twentieth would like to be.
    assert!(won > 0 && won <= sent && sent as f64 <= 10.0 + 0.05 * 400.0, "{won} of {sent} won");
    let metrics = admin.get("/metrics").text();
    let told = metrics.lines().find_map(|line| line.strip_prefix("tidegate_hedges_won_total{} "));
    assert_eq!(told.and_then(|count| count.parse().ok()), Some(won as f64), "{metrics}");
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len(), ended.trace.len()), (0, 400, 400));
    let hedged = ended.trace.iter().filter(|line| line["attempts"][0]["retried"] == "hedge");
    let moved = hedged.clone().filter(|line| line["backend"] != line["attempts"][0]["backend"]).count();
    assert!(hedged.count() > 0 && moved > 0, "no trace tells of a copy that won elsewhere");
    for (row, line) in ended.rows.iter().zip(&ended.trace) {
        assert_eq!(line["backend"], row.url.as_str(), "{line}");
        assert_eq!((row.status, line["attempts_made"].as_u64() <= Some(4)), (200, true), "{line}");
    }
}

#[test]
fn what_must_not_be_repeated_is_sent_once_unless_its_path_says_otherwise() {
    let backends = backends();
    let (proxy, mut admin) = start(&backends, BUDGET);
    ask(&proxy, GET, 60);
    let before = hedges(&mut admin, 240);
    ask(&proxy, POST, 30);
    assert_eq!(hedges(&mut admin, 360), before, "a POST was sent more than once");
    drop(proxy);
    let (proxy, mut admin) = start(&backends, &[BUDGET, &["--repeatable=/list,/search"]].concat());
    ask(&proxy, POST, 60);
    let (_, won) = hedges(&mut admin, 240);
    assert!(won > 0, "no POST was sent more than once");
}

/// The probe of a backend that was slow is a copy: of the whole request, with its body.
#[test]
#[allow(clippy::disallowed_methods, reason = "how long this test may take, and not what it expects")]
fn a_slow_backend_is_asked_again_beside_a_request_and_with_all_of_it() {
    let fast = Origin::answering(HELLO);
    let slow = Origin::start(|conn| {
        while conn.read_request().is_some() {
            conn.quiet(Duration::from_millis(60));
            conn.send(HELLO);
        }
    });
    let options = [BUDGET, &["--repeatable=/search"]].concat();
    let (proxy, mut admin) = administered(&[&fast.url(), &slow.url()], &options);
    let mut client = Client::connect(proxy.address);
    let mut shadows = 0;
    let begun = Instant::now();
    while shadows == 0 {
        assert!(begun.elapsed() < PATIENCE, "no copy was sent to learn from");
        for _ in 0..200 {
            client.send(POST);
            assert_eq!(client.response().status, 200);
        }
        shadows = admin.json("/api/v1/status")["hedges"]["shadows"].as_u64().expect("a number");
    }
    for request in fast.requests().iter().chain(&slow.requests()) {
        assert_eq!((&request.wire[..], request.field("Content-Length")), (&b"abc"[..], Some("3")));
    }
}

#[test]
fn what_may_take_effect_is_not_sent_while_it_is_waited_for() {
    let backends = backends();
    let (proxy, mut admin) = start(&backends, BUDGET);
    ask(&proxy, GET, 60);
    let before = hedges(&mut admin, 240);
    ask(&proxy, "PUT /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n.", 15);
    ask(&proxy, "GET /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 15);
    assert_eq!(hedges(&mut admin, 360), before);
}

#[test]
fn there_are_none_unless_asked_for() {
    let backends = backends();
    let (proxy, mut admin) = start(&backends, &["--routing=adaptive"]);
    ask(&proxy, GET, 30);
    assert_eq!(hedges(&mut admin, 120), (0, 0));
}

#[test]
fn another_mode_has_none_and_says_so() {
    let backends = backends();
    let (proxy, mut admin) = start(&backends, &["--routing=least_requests", "--hedge=auto"]);
    let told = "hedges are sent in routing mode adaptive alone";
    assert!(proxy.log.iter().any(|line| line.contains(told)), "{:?}", proxy.log);
    ask(&proxy, GET, 30);
    assert_eq!(hedges(&mut admin, 120), (0, 0));
}
