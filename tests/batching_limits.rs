//! The promise: whatever clients send to be batched, what is kept of it is bounded, and everyone gets an answer.

mod support;

use support::admin::with_admin;
use support::classifier::{asking, classify, echoing, gated, post};
use support::{Client, Gate, Launch, Proxy};

const BODY: &str = "{\"sequences\":[\"x\"]}";

/// The status of a request of the customer of this name, and what it was told.
fn asked_by(client: &mut Client, name: &[u8]) -> (u16, String) {
    let request = classify("X-Customer-Id: NAME\r\n", BODY);
    let (before, after) = request.split_once("NAME").expect("its place");
    client.send([before.as_bytes(), name, after.as_bytes()].concat());
    let response = client.response();
    (response.status, response.text())
}

#[test]
fn a_customers_name_has_at_most_256_bytes() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(asked_by(&mut client, &[b'n'; 256]).0, 200);
    let padded = [&[b' '; 300][..], &[b'n'; 256], &[b'\t'; 300]].concat();
    assert_eq!(asked_by(&mut client, &padded).0, 200, "blanks are no part of it");
    for (name, bytes) in [
        (vec![b'n'; 257], 257),
        (vec![b'n'; 20_000], 20_000),
        // Each is three bytes once it is replaced, and each of these is three in lower case.
        (vec![0xff; 86], 258),
        ("İ".repeat(86).into_bytes(), 258),
    ] {
        let (status, text) = asked_by(&mut client, &name);
        let told = format!("{{\"detail\":\"the name in X-Customer-Id has {bytes} bytes, more than 256\"}}");
        assert_eq!((status, text), (431, told));
    }
    assert_eq!(asked_by(&mut client, b"a").0, 200, "the connection was kept");
    assert_eq!(proxy.stop().statuses(), [200; 3]);
}

#[test]
fn metrics_stay_small_however_many_customers_have_long_names() {
    let classifier = echoing();
    let (proxy, mut admin) = with_admin(Launch::batching(&classifier.url(), &["--admin=127.0.0.1:0"]));
    let mut client = Client::connect(proxy.address);
    for i in 0..200 {
        let name = format!("{i:03}{}", "\"".repeat(253));
        assert_eq!(asked_by(&mut client, name.as_bytes()).0, 200);
    }
    let (metrics, status) = (admin.get("/metrics").body.len(), admin.get("/api/v1/status").body.len());
    assert!(metrics < 100_000 && status < 100_000, "{metrics} and {status} bytes");
}

#[test]
fn an_answer_repeats_little_of_what_a_client_wrote() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    let long = "\u{e9}".repeat(10_000);
    for (request, status) in [
        (classify(&format!("X-Request-Timeout-Ms: {long}\r\n"), BODY), 400),
        (post(&format!("/strategy?new_strategy={}", "x".repeat(4_000)), "", ""), 422),
        (post("/strategy", "", &format!("\"{long}\"")), 422),
        (classify("", &format!("{{\"{long}\":1,\"{long}\":2,\"sequences\":[\"x\"]}}")), 422),
        (classify("", &format!("\"{long}\"")), 422),
        (classify("", &format!("{{\"sequences\":\"{long}\"}}")), 422),
        (classify("", &format!("{{\"sequences\":[\"x\"], {long}}}")), 422),
    ] {
        client.send(&request);
        let response = client.response();
        let told = response.body.len();
        assert!(response.status == status && told < 1_000, "{} and {told} bytes", response.status);
    }
}

#[test]
fn a_body_that_nobody_needs_is_not_kept() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let large = format!("[{}1]", "1,".repeat(40_000));
    for (request, status) in [
        (post("/strategy", "", &large), 413),
        (format!("GET /docs HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{large}", large.len()), 413),
        (post("/docs", "", &large), 405),
        (classify("X-Request-Timeout-Ms: soon\r\n", &large), 400),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(&request);
        let response = client.response();
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(response.field("Connection"), Some("close"));
    }
    assert_eq!(asking(proxy.address, "a", &["x"]).response().status, 200);
}

/// A place waits for the requests of two customers; those who were sent first are told first.
#[test]
fn the_customer_with_the_most_waiting_gives_way_at_the_queue_limit() {
    for strategy in ["sjf", "fair", "fcfs", "adaptive"] {
        let gate = Gate::default();
        let classifier = gated(&gate);
        let options = ["--queue-limit=50", "--strategy", strategy];
        let proxy = Proxy::start_batching(&classifier.url(), &options);
        let mut greedy = vec![asking(proxy.address, "greedy", &["x"])];
        classifier.next();
        greedy.extend((1..80).map(|_| asking(proxy.address, "greedy", &["x"])));
        Client::connect(proxy.address).get("/strategy");
        let mut modest: Vec<_> = (0..2).map(|_| asking(proxy.address, "modest", &["x"])).collect();
        Client::connect(proxy.address).get("/strategy");
        gate.open();
        for client in &mut modest {
            assert_eq!(client.response().status, 200, "{strategy}");
        }
        let responses: Vec<_> = greedy.iter_mut().map(Client::response).collect();
        let refused: Vec<_> = responses.iter().filter(|response| response.status == 429).collect();
        assert_eq!((responses.len() - refused.len(), refused.len()), (49, 31), "{strategy}");
        for response in refused {
            assert_eq!(response.reason(), Some("queue-full"));
            let seconds: u64 = response.field("Retry-After").expect("Retry-After").parse().expect("seconds");
            assert!(seconds >= 1);
        }
        for client in &mut greedy {
            client.send(classify("", BODY));
            assert_eq!(client.response().status, 200, "{strategy}: its connection was kept");
        }
        // Who waited and gave way has a row, as everyone who was queued.
        let statuses = proxy.stop().statuses();
        assert_eq!(statuses.iter().filter(|&&status| status == 429).count(), 2, "{strategy}");
        assert_eq!(statuses.len(), 49 + 2 + 2 + 80);
    }
}

#[test]
fn large_bodies_take_no_more_than_twice_the_queues_bytes() {
    const CLIENTS: usize = 60;
    let classifier = echoing_few();
    let options = ["--queue-bytes=64MiB", "--body-timeout=5s", "--batch-size=1"];
    let proxy = Proxy::start_batching(&classifier.url(), &options);
    assert_eq!(asking(proxy.address, "a", &["warm"]).response().status, 200);
    let before = proxy.memory();
    let body = format!("{{\"sequences\":[\"{}\"]}}", "x".repeat((8 << 20) - 20));
    let request = std::sync::Arc::new(classify("", &body));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, request) = (proxy.address, std::sync::Arc::clone(&request));
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                client.try_send(&*request);
                client.response().status
            })
        })
        .collect();
    let statuses: Vec<u16> = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
    let served = statuses.iter().filter(|&&status| status == 200).count();
    let refused = statuses.iter().filter(|&&status| status == 429).count();
    let grown = proxy.peak_memory() - before;
    println!("{served} served, {refused} refused, {} MiB more", grown >> 20);
    assert_eq!(served + refused, CLIENTS, "{statuses:?}");
    assert!(served >= 7, "{served} served");
    assert!(grown <= 2 * (64 << 20), "grown by {} MiB", grown >> 20);
}

/// A classifier that answers each sequence with its length, which is short.
fn echoing_few() -> support::Origin {
    support::classifier::answering(|_, sequences| {
        let lengths: Vec<String> = sequences.iter().map(|s| s.len().to_string()).collect();
        (200, serde_json::json!({ "results": lengths }).to_string())
    })
}
