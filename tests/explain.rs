//! The promise: a request has one name on all its way, and with `--explain on` a response says who answered and where the
//! time went.

mod support;

use serde_json::json;
use support::classifier::{classify, echoing};
use support::{Client, Origin, Proxy, Refusing, Response, chunked, simulated, url};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// All values of the fields of that name.
fn all<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

fn is_made(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The metrics of a `Server-Timing` value, in order, with their milliseconds.
fn timing(value: &str) -> Vec<(&str, f64)> {
    value
        .split(", ")
        .map(|metric| {
            let (name, dur) = metric.split_once(";dur=").expect("a metric");
            (name, dur.parse().expect("milliseconds"))
        })
        .collect()
}

#[test]
fn a_sane_name_is_kept_on_all_the_way_and_any_other_is_replaced() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nX-Request-Id: own\r\nx-request-id: more\r\nContent-Length: 0\r\n\r\n",
    );
    let proxy = Proxy::start(&[&origin.url()], &["--request-id=on"]);
    let mut client = Client::connect(proxy.address);
    let mut names = Vec::new();
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (fields, sane) in [
        ("", None),
        ("X-REQUEST-ID: 7b92f7a2-6a1e-4b0e\r\n", Some("7b92f7a2-6a1e-4b0e")),
        (&format!("X-Request-Id: {longest}\r\n"), Some(longest.as_str())),
        (&format!("X-Request-Id: {too_long}\r\n"), None),
        ("X-Request-Id:\r\n", None),
        ("X-Request-Id: a b\r\n", None),
        ("X-Request-Id: a\"b\r\n", None),
        ("X-Request-Id: \u{e9}\r\n", None),
        ("X-Request-Id: a\r\nX-Request-Id: a\r\n", None),
        ("X-Request-Id: a, b\r\n", None),
        ("Connection: X-Request-Id\r\nX-Request-Id: a\r\n", None),
    ] {
        client.send(get(fields));
        let head = client.response().head;
        let (returned, sent) = (all(&head, "X-Request-Id"), origin.next().head);
        assert_eq!(returned, all(&sent, "X-Request-Id"), "{fields:?}: {head}{sent}");
        let [name] = returned[..] else { panic!("{fields:?}: one name, not {returned:?}") };
        match sane {
            Some(sane) => assert_eq!(name, sane),
            None => {
                assert!(is_made(name), "{fields:?}: {name}");
                names.push(name.to_owned());
            }
        }
    }
    let made = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), made, "a name was given twice");
}

#[test]
fn runs_do_not_share_names() {
    let origin = Origin::answering(HELLO);
    let names = [(); 2].map(|()| {
        let proxy = Proxy::start(&[&origin.url()], &["--request-id=on"]);
        let response = Client::connect(proxy.address).get("/");
        response.field("X-Request-Id").expect("a name").to_owned()
    });
    assert_ne!(names[0], names[1]);
}

#[test]
fn switched_off_the_field_is_as_any_other() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nX-Request-Id: own\r\nX-Tidegate-Backend: own\r\nContent-Length: 0\r\n\r\n",
    );
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(get("X-Request-Id: a b\r\n"));
    let response = client.response();
    assert_eq!(all(&origin.next().head, "X-Request-Id"), ["a b"]);
    assert_eq!(
        (response.field("X-Request-Id"), response.field("X-Tidegate-Backend")),
        (Some("own"), Some("own"))
    );
    client.send(get(""));
    client.response();
    assert!(all(&origin.next().head, "X-Request-Id").is_empty());
}

#[test]
fn a_response_of_our_own_has_the_name_too() {
    let refusing = Refusing::new();
    let proxy = Proxy::start(&[&refusing.url()], &["--explain=on"]);
    let mut client = Client::connect(proxy.address);
    client.send(get("X-Request-Id: mine\r\n"));
    let response = client.response();
    assert_eq!((response.status, response.field("X-Request-Id")), (502, Some("mine")));
    assert_eq!(response.field("X-Tidegate-Backend"), refusing.url().strip_prefix("http://"));
    let metrics = timing(response.field("Server-Timing").expect("where the time went"));
    assert_eq!(metrics.iter().map(|m| m.0).collect::<Vec<_>>(), ["queue", "total"]);
    client.send("GET / HTTP/1.1\r\n\r\n");
    let refused = client.response();
    assert_eq!(
        (refused.status, refused.field("X-Request-Id")),
        (400, None),
        "what is no request has no name"
    );
}

#[test]
fn explained_a_response_says_who_answered_and_where_the_time_went() {
    let own = "Server-Timing: db;dur=53\r\nX-Tidegate-Backend: forged\r\nx-tidegate-backend: again\r\n";
    let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\n{own}Content-Length: 5\r\n\r\nhello"));
    let slow = simulated('B', "40");
    let proxy = Proxy::start(&[&origin.url(), &url(slow.address())], &["--explain=on"]);
    let mut client = Client::connect(proxy.address);
    let mut explained = |backend: &str| {
        let Response { head, .. } = client.get("/");
        assert_eq!(all(&head, "X-Tidegate-Backend"), [backend], "{head}");
        all(&head, "Server-Timing").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let names = |value: &str| timing(value).iter().map(|m| m.0.to_owned()).collect::<Vec<_>>();
    for metrics in [&["queue", "connect", "upstream", "total"][..], &["queue", "upstream", "total"]] {
        let of_origin = explained(origin.url().strip_prefix("http://").unwrap());
        assert_eq!((of_origin.len(), of_origin[0].as_str()), (2, "db;dur=53"));
        assert_eq!(names(&of_origin[1]), metrics);
        let of_slow = explained(&slow.address().to_string());
        assert_eq!(
            (of_slow.len(), names(&of_slow[0])),
            (1, metrics.iter().map(|m| (*m).to_owned()).collect())
        );
        let metrics = timing(&of_slow[0]);
        let of = |name| metrics.iter().find(|m| m.0 == name).map_or(0.0, |m| m.1);
        assert!(
            of("upstream") >= 40.0 && of("total") >= of("queue") + of("connect") + of("upstream"),
            "{metrics:?}"
        );
    }
}

#[test]
fn a_body_in_chunks_does_not_disturb_the_explanation() {
    let body = chunked(&[b"hello", b"world"]);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let origin = Origin::answering([head, body].concat());
    let proxy = Proxy::start(&[&origin.url()], &["--explain=on"]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!((response.text().as_str(), response.complete), ("helloworld", true));
    assert_eq!(all(&response.head, "X-Tidegate-Backend").len(), 1);
}

#[test]
fn a_batched_request_has_its_name_and_the_batch_its_own() {
    let classifier = echoing();
    let proxy = Proxy::start_batching(&classifier.url(), &["--explain=on"]);
    let mut client = Client::connect(proxy.address);
    let body = json!({"sequences": ["a"]}).to_string();
    client.send(classify("X-Request-Id: mine\r\n", &body));
    let response = client.response();
    assert_eq!(
        (response.status, all(&response.head, "X-Request-Id")),
        (200, vec!["mine"]),
        "{}",
        response.head
    );
    assert_eq!(response.field("X-Tidegate-Backend"), classifier.url().strip_prefix("http://"));
    let metrics = timing(response.field("Server-Timing").expect("where the time went"));
    assert_eq!(metrics.iter().map(|m| m.0).collect::<Vec<_>>(), ["queue", "connect", "upstream", "total"]);
    let merged = classifier.next().head;
    let [own] = all(&merged, "X-Request-Id")[..] else { panic!("one name: {merged}") };
    assert!(is_made(own), "{merged}");
    client.send(classify("", "{}"));
    let refused = client.response();
    assert!(refused.status == 422 && refused.field("X-Request-Id").is_some_and(is_made), "{}", refused.head);
}
