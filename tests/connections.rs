//! The promise: connections on both sides are kept, reused and closed as HTTP/1.1 and the options say.

mod support;

use support::{Client, Gate, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn persistent_mode_uses_one_upstream_connection_for_requests_in_a_row() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    // The client's own connection makes no difference.
    for _ in 0..3 {
        let mut client = Client::connect(proxy.address);
        (0..3).for_each(|_| assert_eq!(client.get("/").text(), "hello"));
    }
    assert_eq!((origin.connections(), origin.requests().len()), (1, 9));
    assert!(origin.requests().iter().all(|request| request.field("Connection").is_none()));
}

#[test]
fn as_many_upstream_connections_as_requests_at_once_and_the_newest_is_used_again() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        origin.next();
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "hello");
    }
    let first = clients[0].get("/").status;
    let again: Vec<_> = (0..3).map(|_| (clients[1].get("/").status, origin.next().connection)).collect();
    assert_eq!((first, origin.connections()), (200, 4));
    assert!(again.windows(2).all(|pair| pair[0] == pair[1]), "{again:?}");
}

#[test]
fn non_persistent_mode_opens_one_for_each_request_and_says_so() {
    let origin = Origin::start(|conn| {
        conn.read_request();
        conn.send(HELLO);
        // It is the proxy that closes.
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--connections=non-persistent"]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..5 {
        let response = client.get("/");
        assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", None));
    }
    let requests = origin.requests();
    let connections: Vec<_> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 4]);
    assert!(requests.iter().all(|request| request.field("Connection") == Some("close")));
}

/// An origin that answers one request on each connection, waits for a second one and then closes without a word.
fn closes_on_the_second_request() -> Origin {
    Origin::start(|conn| {
        conn.read_request();
        conn.send(HELLO);
        conn.read_request();
    })
}

#[test]
fn a_get_that_meets_a_connection_just_closed_is_sent_again_on_a_fresh_one() {
    let origin = closes_on_the_second_request();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!((client.get("/1").status, client.get("/2").status), (200, 200));
    let seen: Vec<_> = origin.requests().iter().map(|r| (r.connection, r.head[..6].to_owned())).collect();
    assert_eq!(seen, [(0, "GET /1".to_owned()), (0, "GET /2".to_owned()), (1, "GET /2".to_owned())]);
    assert_eq!(proxy.stop().statuses(), [200, 200], "one row for a request, however often it was sent");
}

#[test]
fn a_large_get_or_put_never_meets_a_connection_just_closed() {
    let origin = closes_on_the_second_request();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    let field = "a".repeat(20_000);
    for request in [
        format!("GET / HTTP/1.1\r\nHost: t\r\nX: {field}\r\n\r\n"),
        format!("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{field}", field.len()),
    ] {
        assert_eq!(client.get("/").status, 200);
        client.send(request);
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let origin = closes_on_the_second_request();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    client.send(POST);
    let response = client.response();
    assert_eq!((response.status, response.reason()), (502, Some("upstream-reset")));
    let posts = origin.requests().iter().filter(|request| request.head.starts_with("POST")).count();
    assert_eq!((posts, proxy.stop().statuses()), (1, vec![200, 502]));
}

#[test]
fn a_get_on_a_fresh_connection_is_not_sent_again() {
    let origin = Origin::start(|conn| drop(conn.read_request()));
    let proxy = Proxy::start(&[&origin.url()], &[]);
    assert_eq!(Client::connect(proxy.address).get("/").status, 502);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_connection_that_the_origin_closes_while_idle_is_noticed() {
    let closed = Gate::default();
    let close = closed.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send(HELLO);
        if conn.number == 0 {
            close.pass();
            return;
        }
        while conn.read_request().is_some() && conn.send(HELLO) {}
    });
    let mut proxy = Proxy::start(&[&origin.url()], &["--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    closed.open();
    proxy.says("connection closed");
    client.send(POST);
    assert_eq!(client.response().text(), "hello");
    assert_eq!(origin.requests().last().map(|request| request.connection), Some(1));
}

#[test]
fn an_idle_connection_that_speaks_is_not_used_again() {
    let speak = Gate::default();
    let now = speak.clone();
    let origin = Origin::start(move |conn| {
        conn.read_request();
        conn.send(HELLO);
        if conn.number == 0 {
            now.pass();
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        }
        while conn.read_request().is_some() && conn.send(HELLO) {}
    });
    let mut proxy = Proxy::start(&[&origin.url()], &["--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").text(), "hello");
    speak.open();
    proxy.says("connection closed");
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn bytes_after_a_complete_response_poison_nobody() {
    let poisoned = format!("{HELLO}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    let origin = Origin::answering(poisoned);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(origin.connections(), 3, "a connection that said too much is not used again");
    client.finish_sending();
    assert!(client.is_closed());
}

#[test]
fn a_connection_whose_origin_says_close_is_not_used_again() {
    for response in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let origin = Origin::answering(response);
        let proxy = Proxy::start(&[&origin.url()], &[]);
        let mut client = Client::connect(proxy.address);
        (0..3).for_each(|_| assert_eq!(client.get("/").field("Connection"), None));
        assert_eq!(origin.connections(), 3, "{response}");
    }
}

#[test]
fn client_keepalive_off_closes_after_each_response() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--client-keepalive=off"]);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address);
        let response = client.get("/");
        assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", Some("close")));
        assert!(client.is_closed());
    }
    assert_eq!(origin.connections(), 1, "the upstream connection is another matter");
}

#[test]
fn a_client_that_says_close_is_closed() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let response = client.response();
    assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", Some("close")));
    assert!(client.is_closed());
}

#[test]
fn an_http_10_client_is_closed_unless_it_asks_to_stay() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let sized = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url(), &sized.url()], &[]);

    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(response.field("Transfer-Encoding"), None, "HTTP/1.0 knows no chunks");
    assert_eq!((response.text().as_str(), response.field("Connection")), ("hello", Some("close")));
    assert!(client.is_closed());
    let request = origin.next();
    assert!(request.head.starts_with("GET / HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.field("Via").is_some_and(|via| via.starts_with("1.0 tidegate-")), "{}", request.head);
    assert_eq!(Some(request.field("Host").expect("a Host")), origin.url().strip_prefix("http://"));

    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().field("Connection"), Some("keep-alive"));
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().field("Connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|conn| {
        while let Some(request) = conn.read_request() {
            let said = request.head.split(' ').nth(1).unwrap_or_default().to_owned()
                + &String::from_utf8_lossy(&request.body);
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len()));
        }
    });
    let urls = [origin.url(), Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother").url()];
    let proxy = Proxy::start(&urls.each_ref().map(String::as_str), &[]);
    let mut client = Client::connect(proxy.address);
    let mut batch = String::new();
    for n in 0..20 {
        batch += &match n % 4 {
            0 => format!("POST /{n} HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nGET "),
            2 => format!(
                "POST /{n} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n"
            ),
            _ => format!("GET /{n} HTTP/1.1\r\nHost: t\r\n\r\n"),
        };
    }
    client.send(batch);
    for n in 0..20 {
        let expected = if n % 2 == 0 { format!("/{n}GET ") } else { "other".to_owned() };
        assert_eq!(client.response().text(), expected, "request {n}");
    }
}

#[test]
fn a_request_in_single_bytes_is_one_request() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for byte in POST.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response().text(), "hello");
    assert_eq!(origin.requests().iter().map(|r| r.body.clone()).collect::<Vec<_>>(), [b"hi"]);
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.finish_sending();
    assert_eq!(client.response().text(), "hello");
    assert!(client.is_closed());
}

#[test]
fn idle_clients_are_closed_in_time() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--idle-timeout=200ms"]);
    let mut silent = Client::connect(proxy.address);
    let mut used = Client::connect(proxy.address);
    assert_eq!(used.get("/").status, 200);
    assert!(silent.is_closed() && used.is_closed());
    assert_eq!(proxy.stop().rows.len(), 1);
}

#[test]
fn idle_upstream_connections_are_closed_in_time() {
    let origin = Origin::answering(HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &["--pool-idle-timeout=200ms", "--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").status, 200);
    proxy.says("connection closed");
    assert_eq!((client.get("/").status, origin.connections()), (200, 2));
}

/// Both come to the proxy's ears in one turn, the client first: the connection must be given up before it is used.
#[test]
fn a_pooled_connection_that_speaks_unasked_is_not_used_by_a_request_of_the_same_turn() {
    let (speak, spoken) = (Gate::default(), Gate::default());
    let (may_speak, has_spoken) = (speak.clone(), spoken.clone());
    let origin = Origin::start(move |conn| {
        while conn.read_request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked");
            if conn.number == 0 {
                may_speak.pass();
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked");
                has_spoken.open();
            }
        }
    });
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").text(), "asked");
    proxy.held(|| {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        speak.open();
        spoken.pass();
    });
    assert_eq!(client.response().text(), "asked");
    assert_eq!(origin.connections(), 2);
}
