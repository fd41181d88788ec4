//! The promise: what goes beyond a limit is refused with its own status, and costs nobody else anything.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use support::{Client, Gate, Launch, Origin, PATIENCE, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A GET whose head is `bytes` long.
fn head_of(bytes: usize) -> String {
    let frame = "GET / HTTP/1.1\r\nHost: t\r\nX: \r\n\r\n";
    format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(bytes - frame.len()))
}

fn status(proxy: &Proxy, request: impl AsRef<[u8]>) -> u16 {
    let mut client = Client::connect(proxy.address);
    client.try_send(request);
    let status = client.response().status;
    assert!(status == 200 || client.is_closed(), "a connection is of no use after {status}");
    status
}

#[test]
fn a_head_has_so_many_bytes_and_fields_and_its_target_too() {
    let origin = Origin::answering(HELLO);
    let options = ["--max-head-bytes=1000", "--max-header-fields=5", "--max-target-bytes=100"];
    let proxy = Proxy::start(&[&origin.url()], &options);
    assert_eq!(status(&proxy, head_of(1000)), 200);
    assert_eq!(status(&proxy, head_of(1001)), 431);
    assert_eq!(status(&proxy, &head_of(1100)[..1050]), 431, "also while it is not complete");
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
    assert_eq!(status(&proxy, fields(5)), 200);
    assert_eq!(status(&proxy, fields(6)), 431);
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(n - 1));
    assert_eq!(status(&proxy, target(100)), 200);
    assert_eq!(status(&proxy, target(101)), 414);
    assert_eq!(status(&proxy, &target(2000)[..1500]), 414);
    assert_eq!(proxy.stop().statuses(), [200; 3], "no row for what is refused");
}

#[test]
fn a_body_announced_too_large_reaches_no_backend() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-body-bytes=10"]);
    let post =
        |n: usize| format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {n}\r\n\r\n{}", "x".repeat(n));
    assert_eq!(status(&proxy, post(10)), 200);
    assert_eq!(status(&proxy, post(11)), 413);
    let expects = "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(status(&proxy, expects), 413);
    let chunks = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n";
    assert_eq!(status(&proxy, format!("{chunks}4\r\nabcd\r\n0\r\n\r\n")), 200);
    assert_eq!(status(&proxy, format!("{chunks}5\r\nabcde\r\n0\r\n\r\n")), 413);
    assert_eq!(proxy.stop().statuses(), [200; 2]);
}

#[test]
fn a_body_that_grows_too_large_on_its_way_ends_the_exchange() {
    let (got, cut) = (Gate::default(), Gate::default());
    let (has_got, was_cut) = (got.clone(), cut.clone());
    let origin = Origin::start(move |conn| {
        conn.read_head().expect("a head");
        assert_eq!(conn.exactly(11), b"6\r\nabcdef\r\n");
        has_got.open();
        conn.wait_for_end();
        was_cut.open();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--max-body-bytes=10"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n");
    got.pass();
    client.send("5\r\nabcde\r\n");
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
    cut.pass();
    let rows = proxy.stop().rows;
    assert_eq!((rows.len(), rows[0].status, rows[0].url == origin.url()), (1, 413, true));
}

#[test]
fn a_response_that_has_begun_is_cut_off_when_the_request_body_grows_too_large() {
    let origin = Origin::start(|conn| {
        conn.read_head().expect("a head");
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        conn.wait_for_end();
    });
    let proxy = Proxy::start(&[&origin.url()], &["--max-body-bytes=10"]);
    let mut client = Client::connect(proxy.address);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(client.exactly(5), b"hello");
    client.try_send("5\r\nabcde\r\n");
    assert!(client.rest().is_empty(), "nothing may look like a complete response");
    assert_eq!(proxy.stop().statuses(), [200], "the status that the client saw");
}

#[test]
fn the_last_request_of_a_connection_is_told_so() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-requests-per-connection=3"]);
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n".repeat(5));
    let heads = [0; 3].map(|_| client.response().head);
    assert_eq!(heads.each_ref().map(|head| head.contains("Connection: close")), [false, false, true]);
    assert!(client.is_closed());
    assert_eq!(proxy.stop().statuses(), [200; 3]);
}

#[test]
fn pipelined_requests_are_answered_in_order_however_little_is_read_ahead() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Some(head) = conn.read_head() {
            wait.pass();
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
        }
    });
    let proxy = Proxy::start(&[&origin.url()], &["--max-pipelined-bytes=256"]);
    let mut client = Client::connect(proxy.address);
    let requests: String =
        (0..200).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(60))).collect();
    client.send(&requests);
    gate.open();
    for n in 0..200 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    assert_eq!(origin.connections(), 1, "one at a time");
}

#[test]
fn a_pool_keeps_so_many_and_the_oldest_goes() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &["--max-pool-per-backend=2", "--log-level=debug"]);
    let mut clients = [0; 5].map(|_| Client::connect(proxy.address));
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        proxy.says("opened");
    }
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    (0..3).for_each(|_| drop(proxy.says("closed")));
    assert_eq!(clients[0].get("/").status, 200);
    assert_eq!(origin.connections(), 5, "the two that are left serve on");
}

#[test]
fn a_host_has_so_many_connections_and_those_go_on() {
    let origin = Origin::answering(HELLO);
    let mut proxy = Proxy::start(&[&origin.url()], &["--max-connections-per-client=2"]);
    let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    assert!(Client::connect(proxy.address).is_closed());
    let line = proxy.says("--max-connections-per-client");
    assert!(line.contains("closed a connection from 127.0.0.1: it has 2 open already"), "{line}");
    let [mut first, second] = clients;
    assert_eq!(first.get("/").status, 200);
    second.finish_sending();
    let mut second = second;
    assert!(second.is_closed());
    assert_eq!(Client::connect(proxy.address).get("/").status, 200, "there is room for another one");
}

#[test]
fn the_client_that_has_been_idle_longest_makes_room() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-connections=3"]);
    let [mut a, mut b, mut c] = [0; 3].map(|_| {
        let mut client = Client::connect(proxy.address);
        assert_eq!(client.get("/").status, 200);
        client
    });
    assert_eq!(a.get("/").status, 200);
    let mut d = Client::connect(proxy.address);
    assert_eq!(d.get("/").status, 200, "the fourth comes in");
    assert!(b.is_closed(), "it had been idle longest");
    let mut e = Client::connect(proxy.address);
    assert_eq!(e.get("/").status, 200, "and the fifth");
    assert!(c.is_closed(), "now it was this one");
    assert_eq!([a.get("/").status, d.get("/").status, e.get("/").status], [200; 3]);
}

#[test]
fn nobody_is_closed_for_a_client_that_is_only_expected() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-connections=2"]);
    let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    }
}

#[test]
fn a_request_that_has_just_come_is_no_idleness() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-connections=2"]);
    let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    let [mut first, mut second] = clients;
    let mut third = None;
    proxy.held(|| {
        third = Some(Client::connect(proxy.address));
        first.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    });
    assert_eq!(third.expect("a client").get("/").status, 200);
    assert_eq!(first.response().status, 200, "it was the oldest, but not idle");
    assert!(second.is_closed());
}

#[test]
fn when_all_are_busy_others_wait_and_then_have_their_turn() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--max-connections=2"]);
    // The first two have asked before the others come: who has not might give way.
    let mut clients = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|before| {
        let mut client = Client::connect(proxy.address);
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        if before < 2 {
            origin.next();
        }
        client
    });
    assert!(clients[8].hears_nothing_for(Duration::from_millis(300)));
    assert_eq!(origin.connections(), 2, "two are in");
    gate.open();
    let heads = clients.each_mut().map(|client| client.response().head);
    // Once one of them has left, there is room again.
    let inside = &heads[..2];
    assert!(inside.iter().any(|head| head.contains("Connection: close")), "others wait: {inside:?}");
    drop(clients);
    assert_eq!(proxy.stop().statuses(), [200; 9]);
}

#[test]
fn idle_connections_give_up_their_descriptors() {
    let origin = Origin::answering(HELLO);
    let options = ["--max-connections=1000", "--connections=non-persistent"];
    let proxy = Launch::proxy(&[&origin.url()], &options).descriptors(40).start("the proxy");
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(proxy.address);
        assert_eq!(client.get("/").status, 200);
        clients.push(client);
    }
    assert!(clients[0].is_closed(), "the oldest had to go");
    assert_eq!(clients[99].get("/").status, 200);
    let ended = proxy.stop();
    assert_eq!(ended.statuses(), [200; 101]);
    let complaints = ended.messages().into_iter().filter(|said| said.contains("descriptor")).count();
    assert_eq!(complaints, 0, "nobody had to wait:\n{}", ended.log.join("\n"));
}

#[test]
fn pooled_connections_give_up_their_descriptors_too() {
    let gate = Gate::default();
    let origin = Origin::gated(&gate, HELLO);
    let mut proxy = Launch::proxy(&[&origin.url()], &["--max-connections=1000", "--log-level=debug"])
        .descriptors(40)
        .start("the proxy");
    let mut busy = [0; 10].map(|_| Client::connect(proxy.address));
    for client in &mut busy {
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        proxy.says("opened");
    }
    gate.open();
    busy.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    // Heads that are not whole are not idle: these clients stay, and the ten pooled connections go for them.
    drop(busy);
    let mut slow: Vec<_> = (0..22).map(|_| Client::connect(proxy.address)).collect();
    slow.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\n"));
    proxy.says("closed");
    for client in slow.iter_mut().take(3) {
        client.send("Host: t\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn a_connection_that_has_served_gives_up_its_descriptor_to_the_next_request() {
    let gate = Gate::default();
    let (answered, answers) = channel();
    let passing = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            let waits = request.head.starts_with("GET /waits ");
            if waits {
                passing.pass();
            }
            conn.send(HELLO);
            if waits {
                answered.send(()).expect("the test waits");
            }
        }
    });
    let options = ["--max-connections=1000", "--connections=non-persistent"];
    let proxy = Launch::proxy(&[&origin.url()], &options).descriptors(40).start("the proxy");
    let mut served = Client::connect(proxy.address);
    served.send("GET /waits HTTP/1.1\r\nHost: t\r\n\r\n");
    // Heads that are not whole are not idle: in the end nobody gives way any more.
    let mut slow = Vec::new();
    let mut next = loop {
        let mut client = Client::connect(proxy.address);
        if client.get("/").status == 503 {
            break client;
        }
        client.send("GET / HTTP/1.1\r\n");
        slow.push(client);
    };
    // The answer to one and the request of the other come at once.
    proxy.held(|| {
        gate.open();
        answers.recv_timeout(PATIENCE).expect("the answer in time");
        next.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    });
    let statuses = [&mut served, &mut next].map(|client| client.response().status);
    assert_eq!(statuses, [200; 2], "beside {} others", slow.len());
    assert_eq!(served.get("/").status, 200, "it gave way although nobody had to");
}

#[test]
fn heads_and_bodies_in_drops_do_not_starve_others() {
    let origin = Origin::answering(HELLO);
    let options = ["--header-timeout=500ms", "--body-timeout=500ms"];
    let proxy = Proxy::start(&[&origin.url()], &options);
    let mut slow: Vec<_> = (0..100)
        .map(|n| {
            let mut client = Client::connect(proxy.address);
            client.send(match n % 2 {
                0 => "GET / HTTP/1.1\r\nHost: t\r\nX: ",
                _ => "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nx",
            });
            client
        })
        .collect();
    let mut other = Client::connect(proxy.address);
    for _ in 0..8 {
        for client in &mut slow {
            client.try_send("x");
        }
        assert_eq!(other.get("/").status, 200);
        other.hears_nothing_for(Duration::from_millis(100));
    }
    for (n, client) in slow.iter_mut().enumerate() {
        // A body makes progress with each drop; a head must be whole in time.
        assert_eq!(client.response().status, 408, "{n}");
        assert!(client.is_closed());
    }
    assert_eq!(other.get("/").status, 200);
}
