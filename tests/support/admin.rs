//! The admin listener as scripts, scrapers and browsers see it.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Client, Launch, Proxy, Response};

/// The program with an admin listener, and a connection to it.
pub struct Admin {
    pub address: SocketAddr,
    client: Client,
}

/// The proxy in front of these backends, with an admin listener on a free port.
pub fn administered(backends: &[&str], options: &[&str]) -> (Proxy, Admin) {
    with_admin(Launch::proxy(backends, &[options, &["--admin=127.0.0.1:0"]].concat()))
}

/// Starts a program that has an admin listener.
pub fn with_admin(launch: Launch) -> (Proxy, Admin) {
    let proxy = launch.start("the proxy");
    let admin = Admin::of(&proxy);
    (proxy, admin)
}

impl Admin {
    /// The admin listener of a program that has said where it is.
    pub fn of(proxy: &Proxy) -> Admin {
        let line = proxy.log.iter().find_map(|line| line.split_once("the dashboard listens on "));
        let address = line.expect("where the dashboard listens").1.parse().expect("an address");
        Admin { address, client: Client::connect(address) }
    }

    /// A request with the Host of this machine and further fields.
    pub fn ask(&mut self, method: &str, path: &str, fields: &str, body: &str) -> Response {
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        self.client
            .send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n{body}"));
        self.client.response()
    }

    /// The head of the answer to one who has this version of it.
    pub fn not_modified(&mut self, path: &str, tag: &str) -> String {
        self.client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n"));
        let head = self.client.head();
        assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{head}");
        head
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, "", "")
    }

    /// A document that is there.
    pub fn json(&mut self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(
            (response.status, response.field("Content-Type")),
            (200, Some("application/json")),
            "{path}: {}",
            response.text()
        );
        serde_json::from_slice(&response.body).expect("JSON")
    }

    pub fn put(&mut self, path: &str, document: &Value) -> Response {
        self.ask("PUT", path, "Content-Type: application/json\r\n", &document.to_string())
    }

    pub fn post(&mut self, path: &str) -> Response {
        self.ask("POST", path, "", "")
    }

    /// Watches until `condition` holds of what is told; the document then.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut feed = Feed::open(self.address);
        for _ in 0..20 {
            let document = feed.next();
            if condition(&document) {
                return document;
            }
        }
        panic!("ten seconds of events, and still not so: {what}");
    }

    /// Waits until so many finished requests are told of.
    pub fn wait_for_requests(&self, requests: u64) -> Value {
        self.wait_for(&format!("{requests} requests"), |live| live["status"]["requests"] == requests)
    }
}

/// A feed of server-sent events.
pub struct Feed {
    client: Client,
    pub head: String,
    text: String,
}

impl Feed {
    pub fn open(address: SocketAddr) -> Feed {
        let mut client = Client::connect(address);
        client.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
        let head = client.head();
        Feed { client, head, text: String::new() }
    }

    /// The next lines up to an empty one.
    pub fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            let more = self.client.piece().expect("the feed goes on");
            self.text.push_str(&String::from_utf8(more).expect("text"));
        }
    }

    /// The document of the next event.
    pub fn next(&mut self) -> Value {
        loop {
            let block = self.block();
            if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }

    /// Whether the feed ends.
    pub fn ends(mut self) -> bool {
        while self.client.piece().is_some() {}
        true
    }
}
