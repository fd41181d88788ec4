//! The promise: a request that comes back to where it was is answered at once, and proxies behind each other are no loop.

mod support;

use serde_json::json;
use support::admin::{Admin, with_admin};
use support::classifier::{classify, echoing};
use support::{Client, Launch, Origin, Proxy, url};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A proxy with this file, and its dashboard.
fn proxy(file: &str) -> (Proxy, Admin) {
    with_admin(Launch::proxy(&[], &["--admin=127.0.0.1:0"]).file(file))
}

fn settings(key: &str, urls: &[&str]) -> String {
    format!("{key} = {urls:?}\n")
}

/// Has the proxy go on with these settings.
fn reload(proxy: &Proxy, admin: &mut Admin, text: &str) {
    std::fs::write(proxy.file("tidegate.toml"), text).expect("written");
    let response = admin.post("/api/v1/reload");
    assert_eq!(response.status, 200, "{}", response.text());
}

fn cut(admin: &mut Admin) -> u64 {
    let metrics = admin.get("/metrics").text();
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("tidegate_loops_cut_total{} ")).expect("a count");
    line.parse::<f64>().expect("a number") as u64
}

#[test]
fn a_loop_of_two_proxies_ends_at_the_first_of_them() {
    let nobody = Origin::answering(HELLO);
    let (mut first, mut of_first) = proxy(&settings("backend", &[&nobody.url()]));
    let (second, mut of_second) = proxy(&settings("backend", &[&url(first.address)]));
    reload(&first, &mut of_first, &settings("backend", &[&url(second.address)]));
    let body = "x".repeat(100_000);
    let mut client = Client::connect(first.address);
    for request in [
        "GET / HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: t\r\nVia: 1.1 a\r\nVia: 1.0 b (c, d)\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        format!(
            "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n{body}\r\n0\r\n\r\n"
        ),
    ] {
        client.send(&request);
        let response = client.response();
        assert_eq!((response.status, response.reason()), (508, Some("loop-detected")), "{}", response.text());
    }
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.response_to_head().status, 508);
    first.says("a request came back from 127.0.0.1, and was answered with 508");
    of_first.wait_for_requests(5);
    assert_eq!((cut(&mut of_first), cut(&mut of_second)), (5, 0));
    // Each went round once.
    assert_eq!((first.stop().statuses(), second.stop().statuses()), (vec![508; 5], vec![508; 5]));
}

#[test]
fn a_loop_through_batches_ends_too() {
    let nobody = echoing();
    let (first, mut of_first) = proxy(&settings("classifier", &[&nobody.url()]));
    let (second, mut of_second) = proxy(&settings("classifier", &[&url(first.address)]));
    reload(&first, &mut of_first, &settings("classifier", &[&url(second.address)]));
    let body = json!({ "instances": ["a"] }).to_string();
    let mut client = Client::connect(first.address);
    let head = "POST /v1/models/m:predict HTTP/1.1\r\nHost: t\r\n";
    client.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    let response = client.response();
    assert_eq!(response.status, 508, "{}", response.text());
    of_first.wait_for_requests(1);
    assert_eq!((cut(&mut of_first), cut(&mut of_second)), (1, 0));
}

#[test]
fn proxies_behind_each_other_are_no_loop() {
    let origin = Origin::answering(HELLO);
    let inner = Proxy::start(&[&origin.url()], &[]);
    let middle = Proxy::start(&[&url(inner.address)], &[]);
    let outer = Proxy::start(&[&url(middle.address)], &[]);
    assert_eq!(Client::connect(outer.address).get("/").text(), "hello");
    let request = origin.next();
    let via: Vec<_> = request.field("Via").expect("a Via").split(", ").collect();
    assert_eq!(via.len(), 3, "{via:?}");
    assert!(via.iter().all(|element| element.starts_with("1.1 tidegate-")), "{via:?}");
    assert!(via[0] != via[1] && via[1] != via[2], "{via:?}");
}

#[test]
fn a_batch_tells_which_proxies_its_requests_came_by() {
    let classifier = echoing();
    let inner = Proxy::start_batching(&classifier.url(), &[]);
    let outer = Proxy::start(&[&url(inner.address)], &[]);
    let ask = |proxy: &Proxy, fields: &str| {
        let mut client = Client::connect(proxy.address);
        client.send(classify(fields, &json!({ "sequences": ["a"] }).to_string()));
        assert_eq!(client.response().status, 200);
        let head = classifier.next().head;
        head.lines().filter_map(|line| line.strip_prefix("Via: ").map(str::to_owned)).collect::<Vec<_>>()
    };
    let straight = ask(&inner, "Via: 1.1 edge\r\n");
    assert!(straight.len() == 1 && straight[0].starts_with("1.1 tidegate-"), "{straight:?}");
    let through = ask(&outer, "Via: 1.1 edge\r\n");
    assert!(through.len() == 2 && through[1] == straight[0] && through[0] != through[1], "{through:?}");
    assert!(through[0].starts_with("1.1 tidegate-"), "{through:?}");
}
