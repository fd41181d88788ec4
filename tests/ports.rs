//! The promise: several processes serve one port, each for itself, and connections to backends come from where they are
//! told to.

mod support;

use rustix::process::Signal;
use support::{Client, Gate, Origin, Proxy};

/// A backend that answers `name`, and what is held once the gate is open.
fn named(name: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |conn| {
        while let Some(request) = conn.read_request() {
            if request.head.starts_with("GET /held ") {
                gate.pass();
            }
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"));
        }
    })
}

/// A backend that answers with the address that the connection comes from.
fn telling_where_from() -> Origin {
    Origin::start(|conn| {
        let from = conn.peer().ip().to_string();
        while conn.read_request().is_some() {
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{from}", from.len()));
        }
    })
}

#[test]
fn two_processes_share_a_port_and_one_may_leave() {
    let gate = Gate::default();
    let origins = ["A", "B"].map(|name| named(name, &gate));
    let mut a = Proxy::start(&[&origins[0].url()], &["--reuse-port=on"]);
    let listen = format!("--listen={}", a.address);
    let b = Proxy::start(&[&origins[1].url()], &["--reuse-port=on", &listen]);
    assert_eq!(b.address, a.address);
    // The kernel chooses among the two by the client's port.
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        let mut client = Client::connect(a.address);
        match client.get("/").text().as_str() {
            "A" => of_a.push(client),
            _ => of_b.push(client),
        }
        if of_a.len() >= 6 && of_b.len() >= 6 {
            break;
        }
    }
    let mut idle = of_a.pop().expect("A has served somebody");
    let held = &mut of_a;
    let asked = (held.len() + 1, of_b.len());
    assert!(asked.0 >= 6 && asked.1 >= 6, "{asked:?} of 500");
    for client in held.iter_mut() {
        client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    while origins[0].requests().iter().filter(|r| r.head.starts_with("GET /held ")).count() < held.len() {
        origins[0].next();
    }
    a.signal(Signal::TERM);
    a.says(&format!("stopping: {} requests in flight", held.len()));
    assert!(idle.is_closed(), "A has shut its door");
    for _ in 0..20 {
        let mut client = Client::connect(b.address);
        assert_eq!(client.get("/").text(), "B");
    }
    of_b.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "B"));
    gate.open();
    held.iter_mut().for_each(|client| assert_eq!(client.response().text(), "A"));
    let ended = a.end();
    assert_eq!((ended.code, ended.statuses()), (0, vec![200; 2 * asked.0 - 1]), "each keeps its own rows");
    assert_eq!(b.stop().statuses(), vec![200; 2 * asked.1 + 20]);
}

#[test]
fn connections_to_backends_come_from_the_named_addresses_in_turn() {
    let origin = telling_where_from();
    let options = ["--connections=non-persistent", "--source-address=127.0.0.2,127.0.0.3,::1"];
    let proxy = Proxy::start(&[&origin.url()], &options);
    let mut client = Client::connect(proxy.address);
    let from = [0; 6].map(|_| client.get("/").text());
    assert_eq!(from, ["127.0.0.2", "127.0.0.3"].repeat(3)[..]);
}

#[test]
fn the_system_chooses_where_connections_come_from_unless_told() {
    let origin = telling_where_from();
    let proxy = Proxy::start(&[&origin.url()], &[]);
    assert_eq!(Client::connect(proxy.address).get("/").text(), "127.0.0.1");
}
