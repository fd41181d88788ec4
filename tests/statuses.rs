//! The promise: an answer is an answer, unless `--eject-on` or `--retry-on` says that one of its status is a failure.

mod support;

use support::admin::administered;
use support::{Client, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi";

fn failing(status: u16) -> String {
    format!("HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nbusy")
}

/// The statuses that `count` requests in a row get.
fn ask(proxy: &Proxy, request: &str, count: usize) -> Vec<u16> {
    let mut client = Client::connect(proxy.address);
    let answer = |_| {
        client.send(request);
        client.response().status
    };
    (0..count).map(answer).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|&&other| other == status).count()
}

#[test]
fn a_status_that_counts_as_a_failure_ejects_and_no_other_does() {
    let (bad, good) = (Origin::answering(failing(503)), Origin::answering(HELLO));
    let eject = ["--eject-after=3", "--eject-for=1h", "--eject-for-most=1h"];
    for (option, failures) in [
        ("--eject-on=none", 20),
        ("--eject-on=502,504", 20),
        ("--eject-on=503", 3),
        ("--eject-on=5xx", 3),
        ("--eject-on=429,5xx", 3),
    ] {
        let proxy = Proxy::start(&[&bad.url(), &good.url()], &[&eject[..], &[option]].concat());
        assert_eq!(count(&ask(&proxy, GET, 40), 503), failures, "{option}");
    }
}

#[test]
fn failures_are_counted_in_a_row() {
    let some = Origin::start(|conn| {
        let mut n = 0;
        while conn.read_request().is_some() {
            n += 1;
            conn.send(if n % 3 == 0 { HELLO.to_owned() } else { failing(500) });
        }
    });
    let options = ["--eject-on=5xx", "--eject-after=3", "--eject-for=1h", "--eject-most=100%"];
    let proxy = Proxy::start(&[&some.url()], &options);
    assert_eq!(count(&ask(&proxy, GET, 30), 500), 20);
}

#[test]
fn what_may_be_sent_again_goes_to_another_backend_within_the_budget() {
    let (bad, good) = (Origin::answering(failing(503)), Origin::answering(HELLO));
    let urls = [bad.url(), good.url()];
    let urls = [urls[0].as_str(), urls[1].as_str()];
    let large = format!("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 20000\r\n\r\n{}", "x".repeat(20_000));
    for (option, request, failures) in [
        ("--retry-on=502,503,504", GET, 0),
        ("--retry-on=none", GET, 10),
        ("--retry-on=500", GET, 10),
        // It may have taken effect.
        ("--retry-on=503", POST, 10),
        // It is not kept.
        ("--retry-on=503", &large, 10),
    ] {
        let proxy = Proxy::start(&urls, &[option, "--retry-budget=100%"]);
        assert_eq!(count(&ask(&proxy, request, 20), 503), failures, "{option} {}", &request[..4]);
    }
    let proxy = Proxy::start(&urls, &["--retry-on=503", "--retry-budget=0%"]);
    assert_eq!(count(&ask(&proxy, GET, 20), 503), 10, "no budget");
}

#[test]
fn an_answer_is_passed_on_whole_where_there_is_no_other_backend() {
    let bad = Origin::answering(failing(503));
    let proxy = Proxy::start(&[&bad.url()], &["--retry-on=503"]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.field("X-Tidegate-Reason")),
            (503, "busy", None)
        );
    }
    assert_eq!((bad.requests().len(), bad.connections()), (3, 1), "and the connection is kept");
    let worse = Origin::answering(failing(504));
    let proxy = Proxy::start(&[&bad.url(), &worse.url()], &["--retry-on=5xx", "--retry-budget=100%"]);
    // Once is enough: the second answer is the client's. A retry is a choice of its own in the rotation.
    assert_eq!(ask(&proxy, GET, 4), [504; 4]);
    assert_eq!(worse.requests().len(), 4);
}

#[test]
fn row_trace_and_metrics_tell_who_answered_in_the_end() {
    let (bad, good) = (Origin::answering(failing(503)), Origin::answering(HELLO));
    let options = ["--retry-on=503", "--retry-budget=100%", "--trace=trace.jsonl"];
    let (proxy, mut admin) = administered(&[&bad.url(), &good.url()], &options);
    assert_eq!(ask(&proxy, GET, 2), [200, 200]);
    admin.wait_for_requests(2);
    let metrics = admin.get("/metrics").text();
    assert!(metrics.contains("tidegate_retries_total{reason=\"another-backend\"} 2.0"), "{metrics}");
    let ended = proxy.stop();
    assert_eq!((ended.statuses(), ended.share(&good.url())), (vec![200, 200], 2));
    let moved: Vec<_> = ended.trace.iter().filter(|line| line["attempts_made"] == 2).collect();
    assert_eq!(moved.len(), 2, "a retry is a choice of its own in the rotation");
    assert_eq!(moved[0]["attempts"][0]["retried"], "status", "{}", moved[0]);
}

#[test]
fn a_head_in_pieces_is_judged_when_it_is_whole_and_one_that_breaks_off_is_no_answer() {
    let in_pieces = Origin::start(|conn| {
        while conn.read_request().is_some() {
            conn.send("HTTP/1.1 50");
            conn.quiet(std::time::Duration::from_millis(20));
            conn.send("3 No\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let good = Origin::answering(HELLO);
    let options = ["--retry-on=503", "--retry-budget=100%"];
    let proxy = Proxy::start(&[&in_pieces.url(), &good.url()], &options);
    assert_eq!(ask(&proxy, GET, 10), [200; 10]);
    let breaks_off = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 50");
    });
    let proxy = Proxy::start(&[&breaks_off.url(), &good.url()], &options);
    // Part of an answer came: the request is not sent again.
    assert_eq!(ask(&proxy, GET, 4), [502, 200, 502, 200]);
}

#[test]
fn nothing_goes_elsewhere_once_a_byte_was_passed_on() {
    let hints = Origin::answering(format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", failing(503)));
    let good = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&hints.url(), &good.url()], &["--retry-on=503", "--retry-budget=100%"]);
    assert_eq!(ask(&proxy, GET, 4), [503, 200, 503, 200]);
}

#[test]
fn a_batch_goes_to_another_classifier() {
    let bad = Origin::answering(failing(503));
    let good = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"results\":[\"ok\"]}");
    let classifiers = format!("{},{}", bad.url(), good.url());
    let body = "{\"sequences\":[\"x\"]}";
    let request = format!(
        "POST /proxy_classify HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let options = ["--retry-on=503", "--retry-budget=100%", "--halve=off"];
    let proxy = Proxy::start_batching(&classifiers, &options);
    assert_eq!(ask(&proxy, &request, 6), [200; 6]);
    assert!(!bad.requests().is_empty());
}
