//! The processes of the soak: backends and a classifier with faults, and the proxies.
//!
//! Here: starting, asking and ending them. Not here: what is done to them (`trouble.rs`) and what must hold (`main.rs`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// What goes wrong at each backend, beside its own times; the intervals have no common divisor worth the name.
const BACKENDS: [(&str, &[&str]); 3] = [
    ("lognormal:2,0.8", &["stall,from=3s,for=700ms,every=11s", "reset:0.2,from=7s,for=1s,every=23s"]),
    ("uniform:1-4", &["error:0.3,from=5s,for=2s,every=17s", "slow:x20,from=13s,for=1500ms,every=29s"]),
    ("constant:2", &["refuse,from=9s,for=3s,every=19s"]),
];

/// A process of ours, ended with its owner.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program and waits for each line that tells where it listens.
fn launch(arguments: &[String], listeners: usize) -> (Child, Vec<SocketAddr>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut addresses = Vec::new();
    while addresses.len() < listeners {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("its words") > 0, "{arguments:?} ended");
        let last = line.trim().rsplit(' ').next().unwrap_or_default();
        addresses.extend(last.parse::<SocketAddr>().ok().filter(|_| line.contains(" listens on ")));
    }
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    (child, addresses)
}

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

/// The three backends, then the classifier.
pub(crate) fn start() -> Vec<Server> {
    let backends = BACKENDS.iter().enumerate().map(|(seed, (profile, faults))| {
        let mut arguments = words(&["backend", "--listen=127.0.0.1:0", "--profile", profile]);
        arguments.push(format!("--seed={seed}"));
        arguments.extend(faults.iter().map(|fault| format!("--fault={fault}")));
        arguments
    });
    let classifier = words(&["classifier", "--listen=127.0.0.1:0"]);
    let server = |arguments: Vec<String>| {
        let (child, addresses) = launch(&arguments, 1);
        Server { child, url: format!("http://{}", addresses[0]) }
    };
    backends.chain([classifier]).map(server).collect()
}

/// What a process holds.
pub(crate) struct Footprint {
    pub(crate) descriptors: usize,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
}

/// A proxy with its admin listener.
pub(crate) struct Proxy {
    pub(crate) mode: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    server: Server,
}

impl Proxy {
    pub(crate) fn start(mode: &'static str, servers: &[Server]) -> Proxy {
        let mut arguments = words(&["proxy", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--csv=off"]);
        arguments.extend(words(&["--pool-idle-timeout=1s", "--idle-timeout=2s", "--header-timeout=1s"]));
        arguments.extend(words(&["--upstream-timeout=5s", "--health-check=/", "--log-level=info"]));
        arguments.push(format!("--connections={mode}"));
        let (classifier, backends) = servers.split_last().expect("a classifier");
        arguments.extend(backends.iter().map(|backend| format!("--backend={}", backend.url)));
        arguments.push(format!("--classifier={}", classifier.url));
        let (child, addresses) = launch(&arguments, 2);
        let url = format!("http://{}", addresses[1]);
        Proxy { mode, address: addresses[1], admin: addresses[0], server: Server { child, url } }
    }

    fn status(&self) -> Value {
        let body = ask(self.admin, "GET", "/api/v1/status", "");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
    }

    /// How many requests it has counted.
    pub(crate) fn requests(&self) -> u64 {
        self.status()["requests"].as_u64().expect("a number")
    }

    /// Whether no client is there, nothing is in flight and no connection is kept.
    pub(crate) fn is_at_rest(&self) -> bool {
        let status = self.status();
        status["in_flight"] == 0 && status["clients"]["open"] == 0 && status["pool"]["open"] == 0
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let process = format!("/proc/{}", self.server.child.id());
        let status = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of /proc");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        Footprint {
            descriptors: std::fs::read_dir(format!("{process}/fd")).expect("it runs").count(),
            resident_kib: field("VmRSS:"),
            peak_kib: field("VmHWM:"),
        }
    }
}

/// Asks the admin listener, or the proxy itself; returns the body.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Waits until `condition` holds, half a minute at most.
#[allow(clippy::disallowed_methods, reason = "there is no event to wait for in another process")]
pub(crate) fn wait(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..300 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("half a minute, and still not so: {what}");
}
