//! The simulated classifier over real sockets: what it answers, when, and in which order.

mod support;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::classifier::{asking, post};
use support::{Client, Launch, Response, chunked};
use tidegate::net::OsNet;
use tidegate::server::RunningServer;
use tidegate::testbed::{ClassifierOptions, ServiceTime, spawn_classifier};

fn classifier(options: ClassifierOptions) -> RunningServer {
    let listener = OsNet::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    spawn_classifier(listener, options).expect("a classifier")
}

fn plain() -> RunningServer {
    classifier(ClassifierOptions::default())
}

fn classify_body(body: &str) -> String {
    post("/classify", "", body)
}

fn classify(sequences: &[&str]) -> String {
    classify_body(&json!({ "sequences": sequences }).to_string())
}

fn json_of(response: &Response) -> Value {
    assert_eq!(response.field("Content-Type"), Some("application/json"), "{}", response.head);
    serde_json::from_slice(&response.body).expect("JSON")
}

#[allow(clippy::disallowed_methods, reason = "an outside judge has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_answer_is_the_contracts() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    client.send(classify(&["x = 1;", "plain words", "def f(): pass", "a { b", "class A"]));
    let response = client.response();
    let expected = json!({ "results": ["code", "not code", "code", "code", "code"] });
    assert_eq!((response.status, json_of(&response)), (200, expected));
    assert_eq!(classifier.answered(), 1);
}

#[test]
fn what_cannot_be_classified_is_told_why() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    let need = json!({ "detail": "Need 1 - 5 sequences per request" });
    for body in [json!({ "sequences": [] }), json!({ "sequences": ["a", "b", "c", "d", "e", "f"] })] {
        client.send(classify_body(&body.to_string()));
        let response = client.response();
        assert_eq!((response.status, json_of(&response)), (400, need.clone()));
    }
    for body in ["", "no JSON", r#"{"texts":["a"]}"#, r#"{"sequences":[1]}"#, r#"["a"]"#] {
        client.send(classify_body(body));
        let response = client.response();
        assert_eq!(response.status, 422, "{body}");
        assert!(json_of(&response)["detail"].as_str().is_some_and(|detail| detail.contains("sequences")));
    }
    client.send(classify(&["still there"]));
    assert_eq!(client.response().status, 200);
}

#[test]
fn other_paths_are_404_and_other_methods_405() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    let docs = client.get("/docs?x=y");
    assert_eq!((docs.status, docs.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert!(docs.text().contains("POST /classify") && docs.text().contains("\"results\""), "{}", docs.text());
    client.send("HEAD /docs HTTP/1.1\r\nHost: c\r\n\r\n");
    let head = client.response_to_head();
    assert_eq!((head.status, head.field("Content-Length")), (200, docs.field("Content-Length")));
    for path in ["/", "/classify/", "/proxy_classify"] {
        let response = client.get(path);
        assert_eq!(response.status, 404, "{path}");
        assert!(json_of(&response)["detail"].is_string());
    }
    for (method, path, allow) in
        [("GET", "/classify", "POST"), ("PUT", "/classify?a", "POST"), ("POST", "/docs", "GET, HEAD")]
    {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{{}}"));
        let response = client.response();
        assert_eq!((response.status, response.field("Allow")), (405, Some(allow)), "{method} {path}");
    }
    client.send(
        "POST http://c/classify HTTP/1.1\r\nHost: c\r\nContent-Length: 19\r\n\r\n{\"sequences\":[\";\"]}",
    );
    assert_eq!(json_of(&client.response()), json!({ "results": ["code"] }));
}

#[test]
fn an_answer_is_never_early() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    for characters in [0, 20, 116, 50].repeat(10) {
        let request = classify(&["a", &"ü".repeat(characters)]);
        let sent = now();
        client.send(request);
        assert_eq!(client.response().status, 200);
        let took = sent.elapsed();
        assert!(took >= Duration::from_micros((characters * characters) as u64), "{took:?} for {characters}");
    }
}

#[test]
fn a_body_may_come_in_any_form() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    let head = "POST /classify HTTP/1.1\r\nHost: c\r\n";
    client.send(format!("{head}Expect: 100-continue\r\nContent-Length: 25\r\n\r\n"));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(r#"{"sequences":["a;", "b"]}"#);
    assert_eq!(json_of(&client.response()), json!({ "results": ["code", "not code"] }));
    let body = chunked(&[b"{\"seq", b"uences\":[\"", b"{\"]}"]);
    client.send([format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes(), body].concat());
    assert_eq!(json_of(&client.response()), json!({ "results": ["code"] }));
    // As large as it may be, with a sequence that takes no time to speak of.
    let filled = format!("{}{}", r#"{"sequences":["a"]}"#, " ".repeat((1 << 20) - 19));
    client.send(classify_body(&filled));
    assert_eq!(client.response().status, 200);
    client.try_send(classify_body(&format!("{filled} ")));
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let classifier = plain();
    let mut client = Client::connect(classifier.address());
    let slow = "s".repeat(150);
    client.send([classify(&[&slow]), classify(&["a;"]), classify(&[]), classify(&["b"])].concat());
    let said: Vec<_> = (0..4).map(|_| client.response().text()).collect();
    let need = r#"{"detail":"Need 1 - 5 sequences per request"}"#;
    assert_eq!(
        said,
        [r#"{"results":["not code"]}"#, r#"{"results":["code"]}"#, need, r#"{"results":["not code"]}"#]
    );
}

#[test]
fn a_half_closed_client_gets_its_answer_and_one_that_leaves_takes_nothing_with_it() {
    let classifier = plain();
    let mut half = Client::connect(classifier.address());
    half.send(classify(&[&"h".repeat(100)]));
    half.finish_sending();
    let mut leaver = Client::connect(classifier.address());
    leaver.send(classify(&[&"l".repeat(100)]));
    leaver.reset();
    assert_eq!(half.response().status, 200);
    assert!(half.is_closed());
    let mut other = Client::connect(classifier.address());
    other.send(classify(&["a"]));
    assert_eq!(other.response().status, 200);
    classifier.stop().expect("a clean stop");
}

#[test]
fn beyond_the_concurrency_requests_wait() {
    let service_time: ServiceTime = "affine:20,0".parse().expect("a service time");
    let concurrency = NonZeroUsize::new(2);
    let classifier = classifier(ClassifierOptions { concurrency, service_time, ..Default::default() });
    let mut clients: Vec<_> = (0..10).map(|_| Client::connect(classifier.address())).collect();
    let start = now();
    clients.iter_mut().for_each(|client| client.send(classify(&["a"])));
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}: more than two at once", start.elapsed());
}

#[test]
fn the_program_has_the_options() {
    let arguments = [
        "classifier",
        "--listen=127.0.0.1:0",
        "--concurrency=2",
        "--service-time=padded:1,0.1",
        "--max-sequences=2",
        "--drop-results=1",
    ];
    let program = Launch::command(&arguments).start("the classifier");
    let mut client = Client::connect(program.address);
    client.send(classify(&["a", "b", "c"]));
    let need = json!({ "detail": "Need 1 - 2 sequences per request" });
    assert_eq!(json_of(&client.response()), need);
    let sent = now();
    client.send(classify(&["a", &"b".repeat(50)]));
    assert_eq!(json_of(&client.response()), json!({ "results": ["not code"] }));
    assert!(sent.elapsed() >= Duration::from_millis(11));
    let ended = program.stop();
    assert_eq!((ended.code, ended.log.len()), (0, 1), "{:?}", ended.log);
    assert!(client.is_closed());

    let failing =
        Launch::command(&["classifier", "--listen=127.0.0.1:0", "--error-rate=1"]).start("the classifier");
    let mut client = Client::connect(failing.address);
    client.send(classify(&["a"]));
    let response = client.response();
    assert_eq!(response.status, 500);
    assert!(json_of(&response)["detail"].is_string());
}

#[test]
fn a_stop_answers_what_waits() {
    let arguments = ["classifier", "--listen=127.0.0.1:0", "--service-time=affine:300,0"];
    let program = Launch::command(&arguments).start("the classifier");
    let mut waiting = Client::connect(program.address);
    waiting.send(classify(&["a;"]));
    // It has arrived once a later request on another connection has been answered.
    assert_eq!(Client::connect(program.address).get("/docs").status, 200);
    let ended = program.stop();
    let response = waiting.response();
    assert_eq!(
        (response.text().as_str(), response.field("Connection")),
        (r#"{"results":["code"]}"#, Some("close"))
    );
    assert!(waiting.is_closed());
    assert_eq!(ended.code, 0, "{:?}", ended.log);
}

#[test]
fn the_testbed_has_one_and_batches_for_it() {
    let arguments = [
        "testbed",
        "--listen=127.0.0.1:0",
        "--backend-listen=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
        "--classifier-listen=127.0.0.1:0",
        "--admin=off",
        "--csv=off",
    ];
    let testbed = Launch::command(&arguments).start("the proxy");
    let line = testbed.log.iter().find_map(|line| line.split_once("the classifier listens on "));
    let address = line.expect("where the classifier listens").1.parse().expect("an address");
    let mut client = Client::connect(address);
    client.send(classify(&["def f(): pass"]));
    assert_eq!(client.response().text(), r#"{"results":["code"]}"#);
    let mut batched = asking(testbed.address, "a", &["plain", "{"]);
    assert_eq!(json_of(&batched.response())["results"], json!(["not code", "code"]));
    drop(batched);
    let ended = testbed.stop();
    assert_eq!(ended.code, 0, "{:?}", ended.log);
    assert!(client.is_closed());
}
