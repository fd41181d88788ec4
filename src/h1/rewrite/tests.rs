//! Heads in, heads out: what is forwarded, and what is refused before.

use super::*;
use crate::h1::Violation;
use crate::h1::request::field_space;
use crate::h1::request_id::IdField;
use proptest::prelude::*;

/// What a head is forwarded with.
fn context(via: &Via) -> RequestContext<'_> {
    RequestContext { client: b"127.0.0.1", authority: "b:81", close: false, via, request_id: None }
}

/// What the proxy of these tests calls itself.
fn own() -> Via {
    Via::new(0xab)
}

fn forwarded(bytes: &str) -> Result<String, Violation> {
    let mut space = field_space();
    let head = RequestHead::parse(bytes.as_bytes(), &mut space)?.expect("complete");
    let mut out = Vec::new();
    request(&head, &context(&own()), &mut out);
    Ok(String::from_utf8(out).unwrap())
}

fn refused(bytes: &str) -> u16 {
    forwarded(bytes).expect_err(bytes).status()
}

#[test]
fn a_plain_request_gains_what_a_proxy_adds() {
    assert_eq!(
        forwarded("GET /a?b=%20 HTTP/1.1\r\nHost: h:1\r\nX-Empty:\r\n\r\n").unwrap(),
        "GET /a?b=%20 HTTP/1.1\r\nHost: h:1\r\nX-Empty:\r\nVia: 1.1 tidegate-00000000000000ab\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: h:1\r\n\r\n"
    );
}

#[test]
fn hop_by_hop_fields_go_and_what_connection_names() {
    let out = forwarded(
        "GET / HTTP/1.1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: secret\r\nKeep-Alive: timeout=5\r\nHost: h\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Forwarded-Proto: https\r\nX-End: stays\r\n\
         X-Forwarded-Host: evil\r\nTrailer: X-T\r\nConnection: Close\r\nclose: x\r\n\r\n",
    )
    .unwrap();
    assert_eq!(
        out,
        "GET / HTTP/1.1\r\nHost: h\r\nX-End: stays\r\nVia: 1.1 tidegate-00000000000000ab\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n\r\n"
    );
}

#[test]
fn connection_cannot_remove_what_framing_and_routing_rest_on() {
    let out = forwarded(
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: content-length, host\r\nContent-Length: 5\r\n\r\n",
    );
    assert!(out.unwrap().starts_with("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"));
}

#[test]
fn list_fields_gain_our_element_at_their_end() {
    let out = forwarded(
        "GET / HTTP/1.1\r\nVia: 1.0 a\r\nX-Forwarded-For: 1.1.1.1\r\nHost: h\r\nVia: 1.1 b\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n",
    )
    .unwrap();
    let first = out.find("Via: 1.0 a\r\n").unwrap();
    assert!(first < out.find("Via: 1.1 b, 1.1 tidegate-00000000000000ab\r\n").unwrap());
    // Some who read `X-Forwarded-For` look at its first line alone, others at its last.
    assert!(out.contains("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1\r\n"), "{out}");
    assert_eq!(out.matches("X-Forwarded-For").count(), 1);
}

#[test]
fn absolute_form_becomes_origin_form_and_its_authority_wins() {
    let out = forwarded("GET http://shop:8443/x?y HTTP/1.1\r\nHost: other\r\nA: b\r\n\r\n").unwrap();
    assert!(out.starts_with("GET /x?y HTTP/1.1\r\nHost: shop:8443\r\nA: b\r\n"), "{out}");
    assert!(out.contains("X-Forwarded-Host: shop:8443\r\n") && !out.contains("other"));
    assert!(
        forwarded("GET HTTP://h?q HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().starts_with("GET /?q HTTP/1.1\r\n")
    );
    assert!(
        forwarded("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap()
            .starts_with("OPTIONS * HTTP/1.1\r\n")
    );
    assert!(
        forwarded("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().starts_with("OPTIONS * HTTP/1.1\r\n")
    );
}

#[test]
fn an_http_10_request_goes_on_as_11_with_a_host() {
    let out = forwarded("GET /x HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(
        out,
        "GET /x HTTP/1.1\r\nHost: b:81\r\nVia: 1.0 tidegate-00000000000000ab\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
    );
}

#[test]
fn malformed_heads_are_refused_and_never_forwarded() {
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: one\r\n two\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\nX-A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rX-B: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GE@T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET foo HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /caf\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h/\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET https:///x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET https://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/01.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: h\r\n\r\n",
        "GET / HTTP/1\r\nHost: h\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://u@h/x HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(refused(bad), 400, "{bad:?}");
    }
    assert_eq!(refused("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
    assert_eq!(refused("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
    for secure in ["https://h/x", "HTTPS://h:443", "https://[::1]?q"] {
        assert_eq!(refused(&format!("GET {secure} HTTP/1.1\r\nHost: h\r\n\r\n")), 421, "{secure}");
    }
    assert_eq!(refused(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000))), 414);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(40_000))), 431);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(200))), 431);
    for good in ["h", "h:80", "[::1]:80", "", "a.b-c_d%20", "10.0.0.1:"] {
        assert!(forwarded(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")).is_ok(), "{good:?}");
    }
}

fn relayed(bytes: &str, version: Version, to_head: bool) -> String {
    let mut space = field_space();
    let head = ResponseHead::parse(bytes.as_bytes(), to_head, &mut space).unwrap().expect("complete");
    let coding = Coding::of(head.body, version);
    let close =
        version == Version::Http10 && matches!(head.body, BodyLength::Chunked | BodyLength::UntilClose);
    let persistence = if close { Persistence::Close } else { Persistence::KeepAlive };
    let mut out = Vec::new();
    response(&head, &ResponseContext { version, coding, persistence, date: "D", told: None }, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_response_goes_on_under_our_version_framed_for_its_receiver() {
    use Version::{Http10, Http11};
    let sized = "HTTP/1.1 201 Made\r\nConnection: X-Hop\r\nX-Hop: s\r\nETag: W/\"a\"\r\nDate: x\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(
        relayed(sized, Http11, false),
        "HTTP/1.1 201 Made\r\nETag: W/\"a\"\r\nDate: x\r\nContent-Length: 1\r\n\r\n"
    );
    assert!(relayed(sized, Http10, false).ends_with("Connection: keep-alive\r\n\r\n"));
    let open = "HTTP/1.0 200 OK\r\nA: b\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nDate: D\r\n\r\n";
    assert_eq!(relayed(open, Http11, false), expected);
    assert_eq!(
        relayed(open, Http10, false),
        "HTTP/1.1 200 OK\r\nA: b\r\nDate: D\r\nConnection: close\r\n\r\n"
    );
    let chunked = "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        relayed(chunked, Http11, false),
        "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nDate: D\r\n\r\n"
    );
    assert!(!relayed(chunked, Http10, false).contains("Transfer-Encoding"));
    assert!(!relayed(chunked, Http11, true).contains("Transfer-Encoding"));
    let empty = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nDate: x\r\n\r\n";
    assert_eq!(relayed(empty, Http11, false), "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n");
}

#[test]
fn malformed_responses_are_refused() {
    for bad in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\nX-A: b\n\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
    ] {
        let mut space = field_space();
        assert!(ResponseHead::parse(bad.as_bytes(), false, &mut space).is_err(), "{bad:?}");
    }
}

#[test]
fn a_wish_for_a_websocket_is_the_one_upgrade_that_is_passed_on() {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for fields in [
        "Connection: upgrade\r\nUpgrade: websocket",
        "Connection: keep-alive\r\nUpgrade: h2c,, WebSocket\r\nConnection: x , UPGRADE",
        "Upgrade: h2c\r\nContent-Length: 0\r\nUpgrade: websocket\r\nConnection: Upgrade",
    ] {
        let out = forwarded(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n")).unwrap();
        assert!(out.ends_with(upgrade) && out.matches("pgrade").count() == 2, "{out}");
    }
    for (line, fields) in [
        ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c"),
        ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket/13"),
        ("GET / HTTP/1.1", "Connection: keep-alive\r\nUpgrade: websocket"),
        ("GET / HTTP/1.1", "Connection: Upgrade"),
        ("GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket"),
        ("PUT / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket"),
        ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1"),
        ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked"),
    ] {
        let out = forwarded(&format!("{line}\r\nHost: h\r\n{fields}\r\n\r\n")).unwrap();
        assert!(!out.contains("pgrade"), "{out}");
    }
}

#[test]
fn a_switch_to_websocket_keeps_its_two_fields_and_loses_those_of_a_body() {
    let parse = |bytes: &str| {
        let mut space = field_space();
        let head = ResponseHead::parse(bytes.as_bytes(), false, &mut space).unwrap().unwrap();
        let mut out = Vec::new();
        switching(&head, None, &mut out);
        (head.switches_to_websocket(), String::from_utf8(out).unwrap())
    };
    let (switches, out) = parse(
        "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: X-Hop, upgrade\r\nX-Hop: a\r\nContent-Length: 5\r\n\
         Sec-WebSocket-Accept: k\r\n\r\n",
    );
    assert!(switches);
    assert_eq!(
        out,
        "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    for other in [
        "HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.0 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 102 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        assert!(!parse(other).0, "{other}");
    }
}

const ID: &[u8] = b"X-Request-Id: ours\r\n";

#[test]
fn our_name_of_a_request_takes_the_place_of_all_others() {
    let bytes = "GET / HTTP/1.1\r\nX-Request-Id: a b\r\nHost: h\r\nx-request-id: c\r\n\r\n";
    let mut space = field_space();
    let head = RequestHead::parse(bytes.as_bytes(), &mut space).unwrap().unwrap();
    let mut out = Vec::new();
    request(
        &head,
        &RequestContext { request_id: Some((head.request_id().0, ID)), ..context(&own()) },
        &mut out,
    );
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.starts_with("GET / HTTP/1.1\r\nHost: h\r\nVia: ")
            && out.ends_with("\r\nX-Request-Id: ours\r\n\r\n")
    );
    assert!(forwarded(bytes).unwrap().contains("X-Request-Id: a b\r\nHost: h\r\nx-request-id: c\r\n"));
}

#[test]
fn a_response_says_what_we_say_of_it_and_keeps_what_others_measured() {
    let bytes = "HTTP/1.1 200 OK\r\nDate: x\r\nX-Request-Id: theirs\r\nServer-Timing: db;dur=1\r\n\
                 X-Tidegate-Backend: forged\r\nContent-Length: 0\r\n\r\n";
    let mut space = field_space();
    let head = ResponseHead::parse(bytes.as_bytes(), false, &mut space).unwrap().unwrap();
    let context = ResponseContext {
        version: Version::Http11,
        coding: Coding::Identity,
        persistence: Persistence::KeepAlive,
        date: "D",
        told: Some(Told {
            request_id: Some(ID),
            explanation: Some(b"X-Tidegate-Backend: b:1\r\nServer-Timing: total;dur=2.000\r\n"),
        }),
    };
    let mut out = Vec::new();
    response(&head, &context, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\nDate: x\r\nServer-Timing: db;dur=1\r\nContent-Length: 0\r\nX-Request-Id: ours\r\n\
         X-Tidegate-Backend: b:1\r\nServer-Timing: total;dur=2.000\r\n\r\n"
    );
    assert_eq!(relayed(bytes, Version::Http11, false), bytes);

    let bytes = "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: theirs\r\n\r\n";
    let mut space = field_space();
    let head = ResponseHead::parse(bytes.as_bytes(), false, &mut space).unwrap().unwrap();
    let mut out = Vec::new();
    switching(&head, Some(&Told { request_id: Some(ID), explanation: None }), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 101 S\r\nX-Request-Id: ours\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

proptest! {
    /// Whatever stands in the field: it goes on unchanged if it is sane and alone, else ours alone does; no other field
    /// appears or goes.
    #[test]
    fn a_name_goes_on_unchanged_or_not_at_all(
        values in prop::collection::vec("[ -~\t\u{80}-\u{ff}]{0,140}", 0..3),
        hop in any::<bool>(),
    ) {
        let mut bytes = "GET / HTTP/1.1\r\nHost: h\r\n".to_owned();
        values.iter().for_each(|value| bytes += &format!("X-Request-Id: {value}\r\n"));
        bytes += if hop { "Connection: x-request-id\r\n\r\n" } else { "\r\n" };
        let mut space = field_space();
        let head = RequestHead::parse(bytes.as_bytes(), &mut space).unwrap().unwrap();
        let (all, only) = head.request_id();
        let request_id = if only.and_then(IdField::received).is_some() { None } else { Some((all, ID)) };
        let mut out = Vec::new();
        request(&head, &RequestContext { request_id, ..context(&own()) }, &mut out);
        let mut space = field_space();
        let again = RequestHead::parse(&out, &mut space).unwrap().unwrap();
        prop_assert_eq!(again.len, out.len());
        let names: Vec<_> = again.fields.iter().filter(|f| f.name.eq_ignore_ascii_case("x-request-id")).collect();
        prop_assert_eq!((names.len(), again.fields.len()), (1, 6));
        let sane = values.len() == 1 && !hop && IdField::received(values[0].trim().as_bytes()).is_some();
        let expected = if sane { values[0].trim().as_bytes() } else { b"ours" };
        prop_assert_eq!(names[0].value, expected);
    }
}

proptest! {
    /// No prefix of a head is taken for the whole, and what is added behind it changes nothing.
    #[test]
    fn a_head_is_the_same_in_every_split(
        path in "/[a-z%?=&]{0,20}",
        fields in prop::collection::vec(("[A-Za-z-]{1,18}", "[ -~]{0,30}"), 0..10),
        rest in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = format!("GET {path} HTTP/1.1\r\nHost: h\r\n").into_bytes();
        for (name, value) in &fields {
            bytes.extend_from_slice(format!("X{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let len = bytes.len();
        for cut in 0..len {
            let mut space = field_space();
            prop_assert!(matches!(RequestHead::parse(&bytes[..cut], &mut space), Ok(None)), "cut at {}", cut);
        }
        bytes.extend_from_slice(&rest);
        let mut space = field_space();
        let head = RequestHead::parse(&bytes, &mut space).unwrap().unwrap();
        prop_assert_eq!(head.len, len);
        let mut out = Vec::new();
        request(&head, &context(&own()), &mut out);
        let mut space = field_space();
        let again = RequestHead::parse(&out, &mut space).unwrap().unwrap();
        prop_assert_eq!(again.len, out.len());
        for (name, value) in &fields {
            let kept = again.fields.iter().any(|f| f.name == format!("X{name}") && f.value == value.trim().as_bytes());
            prop_assert!(kept, "{} is lost", name);
        }
    }

    /// Whatever the bytes: no panic, and what is forwarded reads as one head of the same framing.
    #[test]
    fn any_bytes_are_refused_or_forwarded_unambiguously(
        bytes in "(GET|POST) /[ -~]{0,5} HTTP/1.[01]\r\n((Host|Content-Length|Transfer-Encoding|Connection|A)[: ]{0,2}(h|5|chunked|close|host)?[\r\n ]{1,3}){0,5}\r\n",
    ) {
        let mut space = field_space();
        if let Ok(Some(head)) = RequestHead::parse(bytes.as_bytes(), &mut space) {
            let mut out = Vec::new();
            request(&head, &context(&own()), &mut out);
            let mut space = field_space();
            let again = RequestHead::parse(&out, &mut space).unwrap().unwrap();
            prop_assert_eq!(again.len, out.len());
            prop_assert_eq!(again.body, head.body);
        }
    }
}
