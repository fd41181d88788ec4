//! What the tests over real sockets share: the program itself, origins that follow a script, raw clients.
//!
//! Nothing waits by sleeping: it waits for bytes, lines or an end, and for no longer than [`PATIENCE`].

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part of it")]

pub mod admin;
pub mod browser;
pub mod classifier;
mod client;
mod message;
mod origin;
mod proxy;
pub mod rig;

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tidegate::net::OsNet;
use tidegate::server::RunningServer;
use tidegate::testbed::{BackendOptions, spawn};

pub use client::Client;
pub use message::{Response, chunked, head_end, pattern};
pub use origin::{Conn, Origin, Request};
pub use proxy::{Ended, Launch, Proxy, Row, end_of};

/// How long anything may take before a test fails with what it has seen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A simulated backend on a free port.
pub fn simulated(id: char, profile: &str) -> RunningServer {
    let listener = OsNet::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    spawn(listener, BackendOptions::plain(id, profile.parse().expect("a profile"))).expect("a backend")
}

/// The URL of what listens on `address`.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An address where nobody listens, and nobody else can begin to while this lives.
pub struct Refusing(socket2::Socket);

impl Refusing {
    pub fn new() -> Refusing {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        Refusing(socket)
    }

    pub fn url(&self) -> String {
        url(self.0.local_addr().expect("an address").as_socket().expect("an IP address"))
    }
}

/// Something that others wait for.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; a gate that nobody opens in time fails the test that counts on it.
    pub fn pass(&self) {
        let (open, changed) = &*self.0;
        let (_guard, waited) =
            changed.wait_timeout_while(open.lock().unwrap(), PATIENCE, |open| !*open).unwrap();
        assert!(!waited.timed_out(), "nobody opened the gate");
    }
}
