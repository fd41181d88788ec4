//! The processes of the soak: backends and a classifier with faults, and the proxies.
//!
//! Here: starting, asking, signalling and ending them. Not here: what is done to them (`trouble.rs`) and what must hold (`main.rs`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What goes wrong at each backend, beside its own times; the intervals have no common divisor worth the name.
const BACKENDS: [(&str, &[&str]); 3] = [
    ("lognormal:2,0.8", &["stall,from=3s,for=700ms,every=11s", "reset:0.2,from=7s,for=1s,every=23s"]),
    ("uniform:1-4", &["error:0.3,from=5s,for=2s,every=17s", "slow:x20,from=13s,for=1500ms,every=29s"]),
    ("constant:2", &["refuse,from=9s,for=3s,every=19s"]),
];

/// How many clients a proxy lets in: fewer than there are users.
const PLACES: usize = 30;

/// How large a file of a proxy's may be, in blocks of 512 bytes: not all rows have room.
const ROW_BLOCKS: usize = 20_000;

/// The configuration file of a proxy after so many changes.
fn settings(changes: u64) -> String {
    format!("retry-budget = 0.{}\nmax-pool-per-backend = {}\n", 1 + changes % 2, 10 + changes % 3)
}

/// What can be done to a proxy while it is under load.
pub(crate) struct Handle {
    pid: Pid,
    config: PathBuf,
}

impl Handle {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    /// Lets it read other settings.
    pub(crate) fn reload(&self, changes: u64) {
        std::fs::write(&self.config, settings(changes)).expect("written");
        self.signal(Signal::HUP);
    }
}

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

/// Starts the program and waits for each line that tells where it listens; returns what it says after that.
fn launch(mut command: Command, listeners: usize) -> (Child, Vec<SocketAddr>, BufReader<ChildStderr>) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut addresses = Vec::new();
    while addresses.len() < listeners {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("its words") > 0, "{command:?} ended");
        let last = line.trim().rsplit(' ').next().unwrap_or_default();
        addresses.extend(last.parse::<SocketAddr>().ok().filter(|_| line.contains(" listens on ")));
    }
    (child, addresses, said)
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments);
        let (child, addresses, mut said) = launch(command, 1);
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
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

/// A proxy with its admin listener, of which more users want something than it lets in; its log and its rows have no good place.
pub(crate) struct Proxy {
    pub(crate) mode: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    server: Server,
    /// Its configuration file, and the rows.
    folder: TempDir,
    /// Its log, which nobody reads; or none, if nobody even could.
    _log: Option<ChildStderr>,
}

/// What becomes of a proxy's log.
#[derive(Clone, Copy)]
pub(crate) enum Log {
    /// Its reader is gone.
    Gone,
    /// Its reader sleeps.
    Unread,
}

impl Proxy {
    pub(crate) fn start(mode: &'static str, log: Log, servers: &[Server]) -> Proxy {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("tidegate.toml");
        std::fs::write(&config, settings(0)).expect("written");
        let mut arguments = words(&["proxy", "--listen=127.0.0.1:0", "--admin=127.0.0.1:0"]);
        arguments.push(format!("--config={}", config.display()));
        arguments.push(format!("--csv={}", folder.path().join("rows.csv").display()));
        arguments.extend(words(&["--pool-idle-timeout=1s", "--idle-timeout=2s", "--header-timeout=1s"]));
        arguments.extend(words(&["--upstream-timeout=5s", "--health-check=/", "--log-level=debug"]));
        arguments.push(format!("--max-connections={PLACES}"));
        arguments.push(format!("--connections={mode}"));
        let (classifier, backends) = servers.split_last().expect("a classifier");
        arguments.extend(backends.iter().map(|backend| format!("--backend={}", backend.url)));
        arguments.push(format!("--classifier={}", classifier.url));
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -f {ROW_BLOCKS}; exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_tidegate")]).args(&arguments);
        let (child, addresses, said) = launch(shell, 2);
        let log = match log {
            Log::Gone => None,
            Log::Unread => Some(said.into_inner()),
        };
        let url = format!("http://{}", addresses[1]);
        let server = Server { child, url };
        Proxy { mode, address: addresses[1], admin: addresses[0], server, folder, _log: log }
    }

    /// What else can be done to it while it is under load.
    pub(crate) fn handle(&self) -> Handle {
        let pid = Pid::from_raw(self.server.child.id() as i32).expect("a process");
        Handle { pid, config: self.folder.path().join("tidegate.toml") }
    }

    fn status(&self) -> Value {
        let body = ask(self.admin, "GET", "/api/v1/status", "");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
    }

    /// How many rows are in the file, and how many had no room there.
    pub(crate) fn rows(&self) -> (u64, u64) {
        let metrics = ask(self.admin, "GET", "/metrics", "");
        let metric = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("a metric");
            line.trim_start_matches("{}").trim().parse::<f64>().expect("a number") as u64
        };
        (metric("tidegate_csv_rows_written_total"), metric("tidegate_csv_rows_dropped_total"))
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
