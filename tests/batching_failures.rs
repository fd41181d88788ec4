//! The promise: a classifier that fails costs only the requests of that batch, overload is told honestly, and nobody
//! waits for ever.

mod support;

use std::time::Duration;

use support::classifier::{answering, asking, classify, echo, gated, sequences};
use support::{Client, Gate, Origin, Proxy, Refusing, Response};

/// The contract's form of an error.
fn assert_error(response: &Response, status: u16, reason: Option<&str>) {
    let text = response.text();
    assert_eq!((response.status, response.reason()), (status, reason), "{text}");
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    assert!(body["detail"].as_str().is_some_and(|d| !d.is_empty()), "{text}");
    assert_eq!(response.field("Content-Type"), Some("application/json"));
}

/// One request to a classifier that does `script` with the first batch and answers all later ones.
fn first_fails(
    script: impl Fn(&mut support::Conn) -> bool + Send + Sync + 'static,
    status: u16,
    reason: &str,
) {
    let classifier = Origin::start(move |conn| {
        for number in 0.. {
            let Some(request) = conn.read_request() else { return };
            if conn.number == 0 && number == 0 {
                if script(conn) {
                    continue;
                }
                return;
            }
            let answer = echo(&sequences(&request.body));
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()));
        }
    });
    let proxy = Proxy::start_batching(&classifier.url(), &["--classifier-timeout=300ms"]);
    let response = asking(proxy.address, "a", &["x"]).response();
    assert_error(&response, status, Some(reason));
    assert_eq!(asking(proxy.address, "a", &["y"]).response().status, 200, "the next one is not touched");
    let ended = proxy.stop();
    assert_eq!(ended.statuses(), [status, 200]);
    assert!(ended.rows.iter().all(|row| row.url == classifier.url()));
}

#[test]
fn a_classifier_that_is_not_there_is_503() {
    let nobody = Refusing::new();
    let proxy = Proxy::start_batching(&nobody.url(), &[]);
    for _ in 0..2 {
        let response = asking(proxy.address, "a", &["x"]).response();
        assert_error(&response, 503, Some("upstream-refused"));
    }
    assert_eq!(proxy.stop().statuses(), [503, 503]);
}

#[test]
fn a_classifier_that_is_slow_is_504() {
    first_fails(
        |conn| {
            conn.wait_for_end();
            false
        },
        504,
        "upstream-timeout",
    );
}

#[test]
fn a_classifier_that_drips_is_504() {
    first_fails(
        |conn| {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while conn.send(" ") {
                conn.quiet(Duration::from_millis(50));
            }
            false
        },
        504,
        "upstream-timeout",
    );
}

#[test]
fn a_classifier_that_breaks_off_is_502() {
    first_fails(
        |conn| {
            conn.reset();
            false
        },
        502,
        "upstream-reset",
    );
    first_fails(
        |conn| {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\":[");
            false
        },
        502,
        "upstream-reset",
    );
}

#[test]
fn an_answer_that_cannot_be_read_is_502() {
    for body in ["{\"results\":", "[]", "{\"labels\":[\"x\"]}", "\u{7f}"] {
        first_fails(
            move |conn| conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())),
            502,
            "upstream-malformed",
        );
    }
}

#[test]
fn a_wrong_number_of_results_is_502() {
    for body in ["{\"results\":[]}", "{\"results\":[\"a\",\"b\"]}"] {
        first_fails(
            move |conn| conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())),
            502,
            "wrong-result-count",
        );
    }
}

/// A classifier that refuses batches with `bad` in them, and the answers of five requests that wait together, of which
/// the third is bad.
fn one_bad_among_five(options: &[&str]) -> (Vec<Response>, Vec<Vec<String>>) {
    let gate = Gate::default();
    let held = gate.clone();
    let classifier = answering(move |_, sequences| {
        held.pass();
        match sequences.iter().any(|s| s == "bad") {
            true => (418, "{\"error\":\"teapot\"}".to_owned()),
            false => (200, echo(sequences)),
        }
    });
    let options = [&["--strategy=fcfs"], options].concat();
    let proxy = Proxy::start_batching(&classifier.url(), &options);
    let mut first = asking(proxy.address, "a", &["0"]);
    classifier.next();
    let texts = ["1", "2", "bad", "4", "5"];
    let mut clients: Vec<_> = texts.iter().map(|text| asking(proxy.address, "a", &[text])).collect();
    Client::connect(proxy.address).get("/strategy");
    gate.open();
    first.response();
    let responses = clients.iter_mut().map(Client::response).collect();
    assert_eq!(proxy.stop().rows.len(), 6);
    (responses, classifier.requests()[1..].iter().map(|r| sequences(&r.body)).collect())
}

#[test]
fn one_bad_request_fails_alone_with_the_classifiers_own_answer() {
    let (responses, batches) = one_bad_among_five(&[]);
    let statuses: Vec<_> = responses.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 200, 418, 200, 200]);
    assert_eq!(responses[2].text(), "{\"error\":\"teapot\"}");
    assert_eq!(responses[2].field("Content-Type"), Some("application/json; of=classifier"));
    let sizes: Vec<_> = batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 3, 2, 2, 1], "halves go first: {batches:?}");
}

#[test]
fn without_halving_all_of_the_batch_get_502() {
    let (responses, batches) = one_bad_among_five(&["--halve=off"]);
    responses.iter().for_each(|r| assert_error(r, 502, Some("upstream-malformed")));
    assert_eq!(batches.len(), 1);
}

#[test]
fn a_full_queue_is_429_and_says_when_to_come_back() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &["--queue-limit=2"]);
    let mut waiting = vec![asking(proxy.address, "a", &["0"])];
    classifier.next();
    waiting.extend([asking(proxy.address, "a", &["1"]), asking(proxy.address, "a", &["2"])]);
    Client::connect(proxy.address).get("/strategy");
    let mut refused = asking(proxy.address, "a", &["3"]);
    let response = refused.response();
    assert_error(&response, 429, Some("queue-full"));
    let seconds: u64 = response.field("Retry-After").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
    gate.open();
    waiting.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    refused.send(classify("", "{\"sequences\":[\"4\"]}"));
    assert_eq!(refused.response().status, 200, "its connection was kept");
    assert_eq!(proxy.stop().statuses(), [200; 4]);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &["--queue-timeout=100ms"]);
    let mut first = asking(proxy.address, "a", &["0"]);
    classifier.next();
    let response = asking(proxy.address, "a", &["1"]).response();
    assert_error(&response, 504, Some("queue-timeout"));
    let mut hurried = Client::connect(proxy.address);
    hurried.send(classify("X-Request-Timeout-Ms: 20\r\n", "{\"sequences\":[\"2\"]}"));
    assert_error(&hurried.response(), 504, Some("client-deadline"));
    gate.open();
    assert_eq!(first.response().status, 200, "what is with the classifier has its time");
    hurried.send(classify("X-Request-Timeout-Ms: soon\r\n", "{\"sequences\":[\"3\"]}"));
    assert_error(&hurried.response(), 400, None);
    let ended = proxy.stop();
    assert_eq!(ended.statuses(), [504, 504, 200]);
    assert_eq!(ended.rows[0].url, "-", "it was never sent");
    assert_eq!(classifier.requests().len(), 1);
}

#[test]
fn a_deadline_of_the_client_also_ends_what_is_with_the_classifier() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut client = Client::connect(proxy.address);
    client.send(classify("X-Request-Timeout-Ms: 100\r\n", "{\"sequences\":[\"0\"]}"));
    classifier.next();
    assert_error(&client.response(), 504, Some("client-deadline"));
    gate.open();
    client.send(classify("", "{\"sequences\":[\"1\"]}"));
    assert_eq!(client.response().text().split(',').next(), Some("{\"results\":[\"1!\"]"));
}

#[test]
fn work_for_a_client_that_has_left_is_not_sent() {
    let gate = Gate::default();
    let classifier = gated(&gate);
    let proxy = Proxy::start_batching(&classifier.url(), &[]);
    let mut first = asking(proxy.address, "a", &["0"]);
    classifier.next();
    let (closed, reset) = (asking(proxy.address, "a", &["closed"]), asking(proxy.address, "a", &["reset"]));
    Client::connect(proxy.address).get("/strategy");
    drop(closed);
    reset.reset();
    let mut last = asking(proxy.address, "a", &["last"]);
    Client::connect(proxy.address).get("/strategy");
    gate.open();
    assert_eq!((first.response().status, last.response().status), (200, 200));
    let sent: Vec<_> = classifier.requests().iter().flat_map(|r| sequences(&r.body)).collect();
    assert_eq!(sent, ["0", "last"]);
    let mut statuses = proxy.stop().statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 499, 499]);
}

#[test]
fn the_drain_limit_cuts_off_what_waits() {
    let classifier = Origin::start(|conn| {
        conn.read_request();
        conn.wait_for_end();
    });
    let mut proxy = Proxy::start_batching(&classifier.url(), &["--drain-timeout=200ms"]);
    let mut clients = vec![asking(proxy.address, "a", &["0"])];
    classifier.next();
    clients.push(asking(proxy.address, "a", &["1"]));
    Client::connect(proxy.address).get("/strategy");
    proxy.signal(rustix::process::Signal::TERM);
    proxy.says("stopping");
    for client in &mut clients {
        assert_error(&client.response(), 503, Some("draining"));
    }
    let ended = proxy.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![503, 503]));
}
