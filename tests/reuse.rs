//! The promise: whose turn a connection to a backend is, is settled by `--reuse`; what a backend says unasked reaches nobody if that
//! can be told, and ends the sharing of its connections.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::admin::{Admin, administered};
use support::{Client, Conn, Gate, Origin, Proxy};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn path(head: &str) -> String {
    head.split(' ').nth(1).expect("a path").to_owned()
}

/// Answers with the path; to `/double` once more, in a second write that the system holds back until the next request
/// acknowledges the first.
fn speaks_twice() -> Origin {
    Origin::start(|conn| {
        conn.holds_back();
        while let Some(request) = conn.read_request() {
            let path = path(&request.head);
            conn.send(ok(&path));
            if path == "/double" {
                conn.send(ok("another"));
            }
        }
    })
}

fn unasked(admin: &mut Admin) -> u64 {
    let metrics = admin.get("/metrics").text();
    let told = metrics.lines().find_map(|l| l.strip_prefix("tidegate_upstream_connections_unasked_total{} "));
    told.and_then(|count| count.parse::<f64>().ok()).expect("a metric") as u64
}

/// How many of `users` with a connection each, one after another, get an answer that is not theirs. Each comes after a request to
/// which the backend answers twice.
fn misled(proxy: &Proxy, users: usize) -> usize {
    let wrong = |n: &usize| {
        let mut before = Client::connect(proxy.address);
        before.get("/double");
        let own = format!("/{n}");
        Client::connect(proxy.address).get(&own).text() != own
    };
    (0..users).filter(wrong).count()
}

#[test]
fn where_connections_are_not_shared_nobody_gets_the_answer_of_another() {
    let origin = speaks_twice();
    for reuse in ["--reuse=never", "--reuse=safe"] {
        assert_eq!(misled(&Proxy::start(&[&origin.url()], &[reuse]), 100), 0, "{reuse}");
    }
}

/// The first time nothing tells the second answer from that to the next request, unless it comes before. From then on it is known.
#[test]
fn a_backend_that_speaks_unasked_misleads_hardly_anybody() {
    let origin = speaks_twice();
    let (mut proxy, mut admin) = administered(&[&origin.url()], &[]);
    let misled = misled(&proxy, 200);
    assert!(misled <= 20, "{misled} of 200");
    let line = proxy.says("no connection to it passes from one client to another");
    assert!(line.contains("WARN") && line.contains(&origin.url()), "{line}");
    assert!(unasked(&mut admin) > 0);
}

/// One answer too many, and each later one would go to the user after its own for ever, while the connection hardly rests.
#[test]
fn answers_do_not_go_to_the_next_user_for_ever() {
    let origin = speaks_twice();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    let mut first = Client::connect(proxy.address);
    (0..100).for_each(|_| assert_eq!(first.get("/").text(), "/"));
    first.get("/double");
    let wrong = |n: &usize| Client::connect(proxy.address).get(&format!("/{n}")).text() != format!("/{n}");
    let misled = (0..500).filter(wrong).count();
    assert!(misled <= 100, "{misled} of 500");
}

#[test]
fn an_idle_connection_that_speaks_is_counted_told_and_the_last_one_shared() {
    let (speak, spoken) = (Gate::default(), Gate::default());
    let (may_speak, has_spoken) = (speak.clone(), spoken.clone());
    let origin = Origin::start(move |conn| {
        while conn.read_request().is_some() && conn.send(HELLO) {
            if conn.number == 0 {
                may_speak.pass();
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked");
                has_spoken.open();
            }
        }
    });
    let (mut proxy, mut admin) = administered(&[&origin.url()], &[]);
    let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
    assert_eq!((clients[0].get("/").text().as_str(), unasked(&mut admin)), ("hello", 0));
    speak.open();
    spoken.pass();
    let line = proxy.says("bytes that no request asked for");
    assert!(line.contains("HTTP/1.1 200 OK"), "{line}");
    let mut used = Vec::new();
    for n in [0, 1, 0, 1] {
        assert_eq!(clients[n].get("/").text(), "hello");
        used.push(origin.requests().last().expect("a request").connection);
    }
    assert_eq!(used, [1, 2, 1, 2], "each client has its own now");
    admin.wait_for("it is counted", |_| unasked(&mut Admin::of(&proxy)) == 1);
    let [one, _other] = clients;
    drop(one);
    let gone = admin.wait_for("its connection goes with it", |live| live["status"]["pool"]["open"] == 1);
    assert_eq!(gone["status"]["pool"]["unasked"], 1, "{gone}");
}

#[test]
fn more_than_the_answer_is_counted_too() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let (mut proxy, mut admin) = administered(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    // A body behind a head alone.
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(client.response_to_head().status, 200);
    proxy.says("more than its answer");
    admin.wait_for("it is counted", |live| live["status"]["pool"]["unasked"] == 1);
    assert_eq!(unasked(&mut admin), 1);
}

/// So some servers close connections that have rested for long.
#[test]
fn a_408_on_an_idle_connection_is_a_farewell() {
    let speak = Gate::default();
    let may_speak = speak.clone();
    let origin = Origin::start(move |conn| {
        while conn.read_request().is_some() && conn.send(HELLO) {
            if conn.number == 0 {
                may_speak.pass();
                conn.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                return;
            }
        }
    });
    let (mut proxy, mut admin) = administered(&[&origin.url()], &["--log-level=debug"]);
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").text(), "hello");
    speak.open();
    proxy.says("connection closed");
    assert_eq!((client.get("/").text().as_str(), unasked(&mut admin)), ("hello", 0));
    assert_eq!((Client::connect(proxy.address).get("/").status, origin.connections()), (200, 2), "shared");
}

/// On which connections these clients' requests come, in order.
fn connections(origin: &Origin, clients: &mut [Client], order: &[usize]) -> Vec<usize> {
    let asked = order.iter().map(|&n| {
        assert_eq!(clients[n].get("/").status, 200);
        origin.next().connection
    });
    asked.collect()
}

#[test]
fn a_safe_connection_does_not_serve_a_clients_first_request() {
    let origin = Origin::answering(HELLO);
    let proxy = Proxy::start(&[&origin.url()], &["--reuse=safe"]);
    let mut clients = [0; 3].map(|_| Client::connect(proxy.address));
    // An empty line before a request is none.
    clients[1].send("\r\n");
    assert_eq!(connections(&origin, &mut clients, &[0, 0, 1, 0, 1, 2, 1, 0]), [0, 0, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn each_client_has_its_own_and_they_end_together() {
    let (open, ended) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let (at_origin, tells) = (open.clone(), ended.clone());
    let origin = Origin::start(move |conn: &mut Conn| {
        at_origin.fetch_add(1, Ordering::SeqCst);
        while conn.read_request().is_some() && conn.send(HELLO) {}
        at_origin.fetch_sub(1, Ordering::SeqCst);
        if conn.number == 0 {
            tells.open();
        }
    });
    let (proxy, admin) = administered(&[&origin.url()], &["--reuse=never"]);
    let mut clients = [0; 2].map(|_| Client::connect(proxy.address));
    assert_eq!(connections(&origin, &mut clients, &[0, 1, 1, 0, 0, 1]), [0, 1, 1, 0, 0, 1]);
    let idle = |admin: &mut Admin| {
        let metrics = admin.get("/metrics").text();
        metrics
            .lines()
            .filter(|l| l.starts_with("tidegate_idle_upstream_connections{") && l.ends_with(" 2.0"))
            .count()
    };
    admin.wait_for("both rest", |_| idle(&mut Admin::of(&proxy)) == 1);
    let [one, mut other] = clients;
    drop(one);
    ended.pass();
    assert_eq!((other.get("/").status, origin.next().connection), (200, 1));
    assert_eq!(open.load(Ordering::SeqCst), 1);
    admin.wait_for("one is left", |live| live["status"]["pool"]["open"] == 1);
}

#[test]
fn a_client_has_one_of_its_own_to_each_of_five_backends_at_most() {
    let origins: Vec<_> = (0..7).map(|_| Origin::answering(HELLO)).collect();
    let urls: Vec<_> = origins.iter().map(Origin::url).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let (proxy, admin) = administered(&urls, &["--reuse=never"]);
    let mut client = Client::connect(proxy.address);
    (0..21).for_each(|_| assert_eq!(client.get("/").status, 200));
    admin.wait_for("five are open", |live| live["status"]["pool"]["open"] == 5);
    let (proxy, admin) = administered(&urls[..3], &["--reuse=never"]);
    let mut client = Client::connect(proxy.address);
    (0..21).for_each(|_| assert_eq!(client.get("/").status, 200));
    let live = admin.wait_for("three are open", |live| live["status"]["pool"]["open"] == 3);
    assert_eq!(live["status"]["pool"]["opened"], 3);
}

const SEQUENCE: &str = "POST /proxy_classify HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"sequences\":[\"x\"]}";

/// The results that users get, one after another, from a classifier which answers each third batch twice.
fn results(reuse: &[&str]) -> Vec<String> {
    let batches = AtomicUsize::new(0);
    let classifier = Origin::start(move |conn| {
        conn.holds_back();
        while conn.read_request().is_some() {
            let n = batches.fetch_add(1, Ordering::SeqCst);
            conn.send(ok(&format!("{{\"results\":[\"{n}\"]}}")));
            // On a connection that is in use for a while, the system acknowledges late.
            if n % 3 == 2 {
                conn.send(ok("{\"results\":[\"another\"]}"));
            }
        }
    });
    let proxy = Proxy::start_batching(&classifier.url(), reuse);
    let ask = |_| {
        let mut client = Client::connect(proxy.address);
        client.send(SEQUENCE);
        let text = client.response().text();
        text.split('"').nth(3).expect("a result").to_owned()
    };
    (0..50).map(ask).collect()
}

#[test]
fn no_batch_gets_what_was_said_to_another() {
    let all: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for reuse in ["--reuse=never", "--reuse=safe"] {
        assert_eq!(results(&[reuse]), all, "{reuse}");
    }
    let wrong = results(&[]).iter().zip(&all).filter(|(got, own)| got != own).count();
    assert!(wrong <= 8, "{wrong} of 50");
}
