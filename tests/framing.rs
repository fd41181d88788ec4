//! The promise: each message has one meaning, the same on both sides, and what could have two is refused.

mod support;

use support::{Client, Origin, Proxy, chunked};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_request_head_is_forwarded_without_hop_by_hop_fields_and_with_our_own() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send(
        "GET /a?b=c%20d HTTP/1.1\r\nHost: shop.example:81\r\nUser-Agent: test/1\r\nConnection: keep-alive, X-Hop\r\n\
         Keep-Alive: timeout=5\r\nX-Hop: 1\r\nx-odd-CASE:  spaced \r\nTE: trailers\r\nProxy-Connection: close\r\n\
         Upgrade: h2c\r\nProxy-Authorization: Basic eA==\r\nTrailer: X\r\nVia: 1.0 edge\r\nX-Forwarded-For: 10.1.1.1\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: forged\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    let head = origin.next().head;
    let mut lines: Vec<_> = head.trim_end().lines().map(|line| line.to_lowercase()).collect();
    assert_eq!(lines.remove(0), "get /a?b=c%20d http/1.1");
    let via = lines.iter_mut().find(|line| line.starts_with("via: ")).expect("a Via");
    let run = via.split_off(via.rfind('-').expect("a number") + 1);
    assert!(run.len() == 16 && run.bytes().all(|b| b.is_ascii_hexdigit()), "{run}");
    lines.sort_unstable();
    // Proxy-Authorization may be kept or not (RFC 9110 §11.7.2).
    lines.retain(|line| !line.starts_with("proxy-authorization"));
    assert_eq!(
        lines,
        [
            "cookie: a=1",
            "cookie: b=2",
            "host: shop.example:81",
            "user-agent: test/1",
            "via: 1.0 edge, 1.1 tidegate-",
            "x-forwarded-for: 10.1.1.1, 127.0.0.1",
            "x-forwarded-host: shop.example:81",
            "x-forwarded-proto: http",
            "x-odd-case:  spaced ",
        ]
    );
}

#[test]
fn an_absolute_target_names_the_host() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET http://real.example/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let request = origin.next();
    assert!(request.head.starts_with("GET /x?y HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.field("Host"), Some("real.example"));
    assert_eq!(request.field("X-Forwarded-Host"), Some("real.example"));
}

#[test]
fn a_response_head_is_passed_on_without_hop_by_hop_fields() {
    let origin = Origin::answering(
        "HTTP/1.1 207 Multi Status\r\nServer: s\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nhi",
    );
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let response = Client::connect(proxy.address).get("/");
    assert_eq!(
        response.head,
        "HTTP/1.1 207 Multi Status\r\nServer: s\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n"
    );
    assert_eq!(response.text(), "hi");
}

/// Requests that could be read in two ways, or that nobody should read.
const REFUSED: &[(&str, &str)] = &[
    (
        "CL and TE",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE and CL",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    ("differing CL", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("CL list", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("CL with a sign", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\nhello"),
    ("CL too large", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    ("TE not chunked", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("TE ends in another", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    (
        "TE twice",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    ("TE with vertical tab", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: t\nX: y\r\n\r\n"),
    ("bare LF after the line", "GET / HTTP/1.1\nHost: t\r\n\r\n"),
    ("bare LF at the end", "GET / HTTP/1.1\r\nHost: t\r\n\n"),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n"),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n"),
    ("space before the colon", "GET / HTTP/1.1\r\nHost: t\r\nContent-Length : 5\r\n\r\nhello"),
    ("space before a field", "GET / HTTP/1.1\r\nHost: t\r\n X: y\r\n\r\n"),
    ("folded field", "GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n"),
    ("space in the target", "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("bad Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("no field name", "GET / HTTP/1.1\r\nHost: t\r\n: y\r\n\r\n"),
    ("relative target", "GET x HTTP/1.1\r\nHost: t\r\n\r\n"),
    (
        "bad chunk size",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "bare LF in chunks",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    (
        "trailer without a colon",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX y\r\n\r\n",
    ),
    (
        "space before a trailer's colon",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : a\r\n\r\n",
    ),
    (
        "folded trailer",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n",
    ),
    ("request for a trailer", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
    (
        "space behind a chunk size",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    ),
    (
        "chunk extension without a name",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n",
    ),
    ("not HTTP", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\r\n\r\n"),
];

#[test]
fn a_request_with_two_meanings_is_refused_and_its_connection_closed() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    for (what, request) in REFUSED {
        let mut client = Client::connect(proxy.address);
        // What a smuggler would have served as a second request.
        client.send(format!("{request}GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.status, response.complete), (400, true), "{what}: {}", response.head);
        assert_eq!(response.field("Connection"), Some("close"), "{what}");
        assert!(client.is_closed(), "{what}");
    }
    assert_eq!(origin.connections(), 0, "{:?}", origin.requests());
    let ended = proxy.stop();
    assert_eq!((ended.code, ended.rows.len()), (0, 0));
}

#[test]
fn a_refused_head_has_no_content() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    for request in [
        "HEAD / HTTP/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello",
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(request);
        let head = String::from_utf8(client.rest()).unwrap();
        assert!(head.starts_with("HTTP/1.1 400 ") && head.ends_with("\r\n\r\n"), "{head}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn what_is_too_large_or_unknown_has_a_status_of_its_own() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let long = "x".repeat(40_000);
    for (status, request) in [
        (414, format!("GET /{long} HTTP/1.1\r\nHost: t\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\nX: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(200))),
        (501, "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (501, "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\nHost: t\r\n\r\n".to_owned()),
    ] {
        let mut client = Client::connect(proxy.address);
        client.try_send(&request);
        assert_eq!(client.response().status, status, "{}", &request[..40]);
        assert!(client.is_closed());
    }
    assert_eq!((origin.connections(), proxy.stop().rows.len()), (0, 0));
}

#[test]
fn a_refused_request_behind_a_good_one_does_not_harm_it() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET /good HTTP/1.1\r\nHost: t\r\n\r\nGET /bad HTTP/1.1\nHost: t\n\n");
    assert_eq!((client.response().text().as_str(), client.response().status), ("hello", 400));
    assert!(client.is_closed());
    drop(client);
    assert_eq!((origin.requests().len(), proxy.stop().statuses()), (1, vec![200]));
}

#[test]
fn a_chunked_upload_keeps_its_bytes() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nX-Sum: abc\r\n\r\n");
    client.send("5;ext=\"a b\"\r\nhello\r\n000");
    client.send("1\r\n \r\nA\r\n0\r\n\r\n01234");
    client.send("\r\n0;last\r\nX-Trailer: late\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let request = origin.next();
    assert_eq!(String::from_utf8_lossy(&request.body), "hello 0\r\n\r\n01234");
    assert_eq!(request.field("Transfer-Encoding"), Some("chunked"));
    assert_eq!((request.field("Content-Length"), request.field("X-Sum")), (None, Some("abc")));
    assert_eq!(client.get("/").status, 200, "the next request begins where the body ended");
}

/// What follows a good chunk, with a request behind it.
const WRONG: [&str; 5] = [
    "zz\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "5 \r\nagain\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "0\r\nX y\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "0\r\nX: y\r\n z\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "0\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
];

#[test]
fn a_chunk_or_trailer_that_goes_wrong_on_the_way_ends_the_exchange_with_400() {
    let origin = Origin::start(|conn| {
        conn.read_head();
        conn.read_rest();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    for wrong in WRONG {
        let mut client = Client::connect(proxy.address);
        client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        assert_eq!(origin.next().field("Transfer-Encoding"), Some("chunked"));
        client.send(wrong);
        assert_eq!(client.response().status, 400, "{wrong:?}");
        assert!(client.is_closed(), "{wrong:?}");
        assert_eq!(origin.next().wire, b"5\r\nhello\r\n", "the origin must not take it for whole: {wrong:?}");
    }
}

#[test]
fn a_response_whose_chunks_or_trailers_go_wrong_is_not_whole() {
    for wrong in WRONG {
        let origin = Origin::answering([CHUNKED, "5\r\nhello\r\n", wrong].concat());
        let proxy = Proxy::start(&[&origin.url()], &[]);
        let mut client = Client::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let response = client.response();
        assert!((response.status, response.complete) != (200, true), "{wrong:?}: {}", response.head);
        assert!(response.status == 502 || client.is_closed(), "{wrong:?}");
    }
}

#[test]
fn a_chunked_download_keeps_its_bytes() {
    let wire = [CHUNKED.as_bytes(), &chunked(&[b"hello", b" ", b"0\r\n\r\n01234"])].concat();
    let cut = wire.len();
    // Whole, and byte by byte.
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send(&wire);
        conn.read_request();
        assert!((0..cut).all(|at| conn.send([wire[at]])));
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.text().as_str(), response.complete), ("hello 0\r\n\r\n01234", true));
        assert_eq!(
            (response.field("Transfer-Encoding"), response.field("Content-Length")),
            (Some("chunked"), None)
        );
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let origin = Origin::start(|conn| {
        while let Some(request) = conn.read_request() {
            conn.send(match request.head.split(' ').nth(1) {
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n",
                _ if request.head.starts_with("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                _ => HELLO,
            });
        }
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/204").status, 204);
    let not_modified = client.get("/304");
    assert_eq!((not_modified.status, not_modified.field("ETag")), (304, Some("\"x\"")));
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    let head = client.response_to_head();
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("5")));
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(origin.connections(), 1, "none of them costs the connection");
}

#[test]
fn a_body_until_close_is_passed_on_with_an_end_of_its_own() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\n\r\nhello");
        conn.send(" and bye");
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.text().as_str(), response.complete), ("hello and bye", true));
        assert_eq!(response.field("Transfer-Encoding"), Some("chunked"));
    }
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text().as_str(), response.field("Transfer-Encoding")), ("hello and bye", None));
    assert!(client.is_closed());
}

#[test]
fn interim_responses_are_passed_on_but_not_to_http_10() {
    let interim =
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let origin = Origin::answering(format!("{interim}{HELLO}"));
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    let response = client.get("/");
    assert_eq!((response.interim.concat(), response.text().as_str()), (interim.to_owned(), "hello"));
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.interim.len(), response.text().as_str()), (0, "hello"));
    assert_eq!(proxy.stop().statuses(), [200, 200]);
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_origin() {
    let origin = Origin::start(|conn| {
        let head = conn.read_head().expect("a head");
        conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = conn.read_body(&head);
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        conn.send(body);
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("later");
    assert_eq!(client.response().text(), "later");
    assert_eq!(origin.next().field("Expect"), Some("100-continue"));
}

#[test]
fn a_client_that_expects_100_may_be_refused_instead() {
    let origin = Origin::start(|conn| {
        conn.read_head();
        conn.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (417, "no"));
    // Whether the body will come is not known, so nothing can follow.
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.is_closed());
    drop(client);
    assert_eq!(proxy.stop().statuses(), [417]);
}
