//! The promise: whatever clients ask for, no more connections to a backend are kept than were needed at once lately.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use support::admin::{Admin, administered};
use support::{Client, Gate, Origin, Refusing};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Connections open now, and how many were opened in all: when the first number is what it must be.
fn pool(admin: &Admin, open: usize) -> u64 {
    let live = admin.wait_for(&format!("{open} connections are open"), |live| {
        live["status"]["pool"]["open"] == json!(open)
    });
    live["status"]["pool"]["opened"].as_u64().expect("a number")
}

/// An origin that counts the connections that are open at its end.
fn counting(open: &Arc<AtomicUsize>) -> Origin {
    let open = open.clone();
    Origin::start(move |conn| {
        open.fetch_add(1, Ordering::SeqCst);
        while conn.read_request().is_some() && conn.send(HELLO) {}
        open.fetch_sub(1, Ordering::SeqCst);
    })
}

/// Each goes on a connection of its own, since it is too long to be kept for another sending.
#[test]
fn large_uploads_one_after_another_leave_one_connection() {
    let open = Arc::new(AtomicUsize::new(0));
    let origin = counting(&open);
    let (proxy, admin) = administered(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    let body = "x".repeat(20_000);
    for _ in 0..300 {
        client.send(format!("PUT /x HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(pool(&admin, 1), 300);
    assert!(open.load(Ordering::SeqCst) <= 2, "{} are open at the backend", open.load(Ordering::SeqCst));
    assert_eq!((client.get("/").status, origin.connections()), (200, 300), "the fresh one is kept");
}

#[test]
fn small_uploads_in_two_writes_leave_one_connection() {
    let origin = Origin::start(|conn| {
        while let Some(head) = conn.read_head() {
            conn.read_body(&head);
            conn.send(HELLO);
        }
    });
    let (proxy, admin) = administered(&[&origin.url()], &[]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..100 {
        client.send("PUT /x HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n");
        origin.next();
        client.send("0123456789");
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(pool(&admin, 1), 100);
}

#[test]
fn requests_that_were_sent_to_another_backend_leave_one_connection() {
    let (down, up) = (Refusing::new(), Origin::answering(HELLO));
    let options = ["--retry-budget=100%", "--eject-after=off"];
    let (proxy, admin) = administered(&[&down.url(), &up.url()], &options);
    let mut client = Client::connect(proxy.address);
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(pool(&admin, 1) > 90);
}

#[test]
fn a_fluctuating_number_of_users_opens_as_many_as_the_most_need_and_closes_none() {
    let open = Gate::default();
    open.open();
    let gates = Arc::new(std::sync::Mutex::new(open));
    let at_origin = gates.clone();
    let origin = Origin::start(move |conn| {
        while conn.read_request().is_some() {
            let gate = at_origin.lock().unwrap().clone();
            gate.pass();
            conn.send(HELLO);
        }
    });
    let (proxy, admin) = administered(&[&origin.url()], &[]);
    let mut clients: Vec<_> = (0..20).map(|_| Client::connect(proxy.address)).collect();
    for users in [20, 1, 13, 20, 5, 2, 19, 20] {
        let gate = Gate::default();
        *gates.lock().unwrap() = gate.clone();
        for client in &mut clients[..users] {
            client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
            origin.next();
        }
        gate.open();
        for client in &mut clients[..users] {
            assert_eq!(client.response().status, 200);
        }
    }
    assert_eq!(pool(&admin, 20), 20);
}

#[test]
fn without_a_limit_all_are_kept() {
    let origin = Origin::answering(HELLO);
    let (proxy, admin) = administered(&[&origin.url()], &["--max-pool-per-backend=off"]);
    let mut client = Client::connect(proxy.address);
    let body = "x".repeat(20_000);
    for _ in 0..10 {
        client.send(format!("PUT /x HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(pool(&admin, 10), 10);
}
