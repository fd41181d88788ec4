//! The program, started, watched and stopped.

use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crossbeam_channel::after;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use tempfile::TempDir;

use super::PATIENCE;

/// How the program is to be started.
pub struct Launch {
    arguments: Vec<String>,
    folder: TempDir,
    file: Option<String>,
    /// What a shell does before the program takes its place.
    before: Option<String>,
}

impl Launch {
    /// Any command.
    pub fn command(arguments: &[&str]) -> Launch {
        let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        Launch { arguments, folder, file: None, before: None }
    }

    /// The proxy on a free port, unless an option says where, in front of these backends, with a CSV file of its own.
    pub fn proxy(backends: &[&str], options: &[&str]) -> Launch {
        let mut launch = Launch::command(&["proxy", "--csv=rows.csv"]);
        if !options.iter().any(|option| option.starts_with("--listen=")) {
            launch.arguments.push("--listen=127.0.0.1:0".to_owned());
        }
        launch.arguments.extend(backends.iter().map(|backend| format!("--backend={backend}")));
        launch.arguments.extend(options.iter().map(|&option| option.to_owned()));
        launch
    }

    /// The same with a classifier, and no other backend.
    pub fn batching(classifier: &str, options: &[&str]) -> Launch {
        let mut launch = Launch::proxy(&[], options);
        launch.arguments.push(format!("--backend={classifier}"));
        launch.arguments.push(format!("--classifier={classifier}"));
        launch
    }

    /// With a configuration file that says this.
    pub fn file(mut self, text: &str) -> Launch {
        self.file = Some(text.to_owned());
        self
    }

    /// With no more than this many descriptors.
    pub fn descriptors(self, most: u32) -> Launch {
        self.after(&format!("ulimit -n {most}"))
    }

    /// After a shell has done this.
    pub fn after(mut self, commands: &str) -> Launch {
        self.before = Some(commands.to_owned());
        self
    }

    /// Rows of an earlier run.
    pub fn rows(self, text: &str) -> Launch {
        std::fs::write(self.folder.path().join("rows.csv"), text).expect("written");
        self
    }

    /// Starts it and waits for the line that tells that `who` listens, and where.
    pub fn start(self, who: &str) -> Proxy {
        let (log, stderr) = std::io::pipe().expect("a pipe");
        let (child, folder) = self.spawn(stderr.into());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            // Reads to the end even when nobody listens any more, so that the program never waits to be heard.
            BufReader::new(log).lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Proxy { child, address: unknown, lines, log: Vec::new(), folder };
        let line = proxy.says(&format!("{who} listens on "));
        proxy.address = address_in(&line);
        proxy
    }

    /// The same with a log that the test reads, or not, from there on. One that does not block tells the program when it is full.
    pub fn start_with_log(self, who: &str, blocks: bool) -> (Proxy, BufReader<PipeReader>) {
        let (log, stderr) = std::io::pipe().expect("a pipe");
        if !blocks {
            fcntl_setfl(&stderr, OFlags::NONBLOCK).expect("a pipe that does not block");
        }
        let (child, folder) = self.spawn(stderr.into());
        let mut log = BufReader::with_capacity(1, log);
        let heard = format!("{who} listens on ");
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(&heard)) {
            let mut line = String::new();
            assert!(log.read_line(&mut line).is_ok_and(|n| n > 0), "it ends, having said {said:?}");
            said.push(line.trim_end().to_owned());
        }
        let address = said.last().map(|line| address_in(line)).expect("a line");
        (Proxy { child, address, lines: channel().1, log: said, folder }, log)
    }

    /// The same with a log that a shell sends to the file `log`.
    pub fn start_with_log_file(self, who: &str) -> Proxy {
        let (child, folder) = self.spawn(Stdio::null());
        let (heard, limit) = (format!("{who} listens on "), after(PATIENCE));
        loop {
            let text = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            let log: Vec<String> =
                text.split_inclusive('\n').map(|line| line.trim_end().to_owned()).collect();
            if let Some(line) = text.split_inclusive('\n').find(|l| l.contains(&heard) && l.ends_with('\n')) {
                let address = address_in(line.trim_end());
                return Proxy { child, address, lines: channel().1, log, folder };
            }
            assert!(limit.is_empty(), "it does not listen, but says {log:?}");
        }
    }

    /// Starts it in its folder.
    fn spawn(self, stderr: Stdio) -> (Child, TempDir) {
        let program = env!("CARGO_BIN_EXE_tidegate");
        let mut command = match self.before {
            None => Command::new(program),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        command.args(&self.arguments).current_dir(self.folder.path());
        if let Some(text) = self.file {
            std::fs::write(self.folder.path().join("tidegate.toml"), text).expect("written");
            command.arg("--config=tidegate.toml");
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        for name in ["PORT", "SERVER_ID", "PROXY_STRATEGY", "DASHBOARD_PORT"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        (command.spawn().expect("the program starts"), self.folder)
    }
}

/// The address at the end of a line.
fn address_in(line: &str) -> SocketAddr {
    line.rsplit(' ').next().and_then(|address| address.parse().ok()).expect("an address")
}

/// The running program.
pub struct Proxy {
    child: Child,
    pub address: SocketAddr,
    lines: Receiver<String>,
    /// What it has said so far, as far as that was waited for.
    pub log: Vec<String>,
    folder: TempDir,
}

/// The program after its end.
pub struct Ended {
    pub code: i32,
    pub rows: Vec<Row>,
    /// The CSV file.
    pub csv: String,
    /// The lines of the trace, if it was asked for as `trace.jsonl`.
    pub trace: Vec<serde_json::Value>,
    pub log: Vec<String>,
}

/// A row of the CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub timestamp: String,
    pub url: String,
    pub latency_ms: u64,
    pub status: u16,
    pub mode: String,
}

impl Proxy {
    pub fn start(backends: &[&str], options: &[&str]) -> Proxy {
        Launch::proxy(backends, options).start("the proxy")
    }

    pub fn start_batching(classifier: &str, options: &[&str]) -> Proxy {
        Launch::batching(classifier, options).start("the proxy")
    }

    /// Waits for a line that contains `part`, among those not waited for yet.
    pub fn says(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(e) => panic!("no line with {part:?} ({e}), but these:\n{}", self.log.join("\n")),
            }
        }
    }

    /// The most memory that it has held, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.held_memory("VmHWM:")
    }

    /// How much memory it holds, in bytes.
    pub fn memory(&self) -> u64 {
        self.held_memory("VmRSS:")
    }

    fn held_memory(&self, which: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find_map(|l| l.strip_prefix(which)).expect("its size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a size") * 1024
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, signal).expect("it takes the signal");
    }

    /// Holds the program while `meanwhile` runs, so that it hears of all that at once.
    pub fn held(&self, meanwhile: impl FnOnce()) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("its state");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "it does not stop");
        meanwhile();
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and the end.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for the end: of its words first, which is its own.
    pub fn end(mut self) -> Ended {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it does not end; it said:\n{}", self.log.join("\n"))
                }
            }
        }
        // Its words may have another end than it has.
        let code = end_of(&mut self.child).code().expect("an exit code");
        let csv = std::fs::read_to_string(self.file("rows.csv")).unwrap_or_default();
        let rows = csv.lines().skip(1).map(row).collect();
        let trace = std::fs::read_to_string(self.file("trace.jsonl")).unwrap_or_default();
        let trace = trace.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        Ended { code, rows, csv, trace, log: std::mem::take(&mut self.log) }
    }

    /// A file of the folder that it runs in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// How long a process may take that does not end by a signal: some work meanwhile, on a machine with other work to do.
const LONG: Duration = Duration::from_secs(60);

/// How a process ends, which it does in time.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("its descriptor");
    let limit = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
    if ended != Ok(1) {
        // Nothing of a failed test must run on.
        let _ = child.kill();
        panic!("it does not end: {ended:?}");
    }
    child.wait().expect("its end")
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row(line: &str) -> Row {
    let fields: Vec<_> = line.split(',').collect();
    let [timestamp, url, latency_ms, status, mode] = fields[..] else { panic!("not a row: {line}") };
    Row {
        timestamp: timestamp.to_owned(),
        url: url.to_owned(),
        latency_ms: latency_ms.parse().expect("whole milliseconds"),
        status: status.parse().expect("a status"),
        mode: mode.to_owned(),
    }
}

impl Ended {
    /// The statuses of the rows, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.rows.iter().map(|row| row.status).collect()
    }

    /// How many rows name that backend.
    pub fn share(&self, url: &str) -> usize {
        self.rows.iter().filter(|row| row.url == url).count()
    }

    /// Its log lines from the message on, without time, level and room.
    pub fn messages(&self) -> Vec<&str> {
        self.log.iter().map(|line| line.split_once("] ").map_or(line.as_str(), |(_, said)| said)).collect()
    }
}
