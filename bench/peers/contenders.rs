//! The proxies that are compared, and the backend behind them.
//!
//! Here: starting, checking and ending them, each with one thread, no log, round robin over the same three ports and
//! `X-Forwarded-For`. Not here: the load (`wrk.rs`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::machine::PROXY_CPU;

/// The length of the body that wrk posts.
pub(crate) const POST_BYTES: usize = 10 * 1024;

const TINY: &str = "hello, world\n";
const LARGE_BYTES: usize = 64 * 1024;

/// So long may anything take to listen or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether upstream connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Persistent,
    NonPersistent,
}

/// A process of ours, ended with its owner.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts `command` and waits until it listens on `address`.
    #[allow(clippy::disallowed_methods, reason = "there is no event to wait for in another process")]
    fn start(mut command: Command, address: SocketAddr) -> Result<Running, String> {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().map_err(|e| format!("cannot run {name}: {e}"))?;
        let mut running = Running { child, address };
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(format!("{name} ended with {status}"));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{name} does not listen on {address}"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// That it passes on what the scenarios ask for, whole.
    pub(crate) fn check(&self) -> Result<(), String> {
        let body = "x".repeat(POST_BYTES);
        let post = format!(
            "POST /post HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {POST_BYTES}\r\n\r\n{body}"
        );
        let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        for (request, expected) in
            [(get("/tiny"), TINY.len()), (get("/64k"), LARGE_BYTES), (post, TINY.len())]
        {
            let answer = self.ask(&request).map_err(|e| format!("{}: {e}", self.address))?;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            if !head.starts_with("HTTP/1.1 200 ") || body.len() != expected {
                return Err(format!(
                    "expected 200 and {expected} bytes, got {} bytes after {head}",
                    body.len()
                ));
            }
        }
        Ok(())
    }

    fn ask(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn free_port() -> Result<u16, String> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// An nginx that answers at once, on three ports.
pub(crate) struct Backend {
    ports: [u16; 3],
    _running: Running,
}

impl Backend {
    /// One of its ports.
    pub(crate) fn address(&self) -> SocketAddr {
        local(self.ports[0])
    }

    pub(crate) fn start(folder: &Path) -> Result<Backend, String> {
        let ports = [free_port()?, free_port()?, free_port()?];
        write(&folder.join("64k"), &"x".repeat(LARGE_BYTES))?;
        let listen: String =
            ports.iter().map(|port| format!("listen 127.0.0.1:{port} backlog=16384; ")).collect();
        let server = format!(
            "sendfile on; tcp_nopush on; open_file_cache max=16; default_type text/plain; client_body_buffer_size 128k;
             server {{
                 {listen}
                 location = /tiny {{ return 200 \"{}\"; }}
                 location = /post {{ return 200 \"{}\"; }}
                 location = /64k {{ root {}; }}
             }}",
            TINY.trim_end().to_owned() + "\\n",
            TINY.trim_end().to_owned() + "\\n",
            folder.display()
        );
        let command = nginx(folder, "backend", &server, Command::new("nginx"))?;
        Ok(Backend { ports, _running: Running::start(command, local(ports[0]))? })
    }
}

/// An nginx with one worker and this within `http`.
fn nginx(folder: &Path, name: &str, http: &str, mut command: Command) -> Result<Command, String> {
    // Its worker must read our folder.
    let user = if geteuid().is_root() { "user root;" } else { "" };
    let at = |kind: &str| format!("{}/{name}-{kind}", folder.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}; ", at(kind)))
        .collect();
    let text = format!(
        "daemon off; {user} worker_processes 1; worker_rlimit_nofile 20000; pid {}; error_log stderr crit;
         events {{ worker_connections 18000; }}
         http {{
             access_log off; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 1000000000; {temporary}
             {http}
         }}\n",
        at("pid")
    );
    let file = folder.join(format!("{name}.conf"));
    write(&file, &text)?;
    command.arg("-c").arg(file).args(["-e", "stderr"]);
    Ok(command)
}

/// A proxy to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Tidegate,
    Nginx,
    Haproxy,
}

impl Contender {
    /// All, this one first.
    pub(crate) const ALL: [Contender; 3] = [Contender::Tidegate, Contender::Nginx, Contender::Haproxy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Contender::Tidegate => "Tidegate",
            Contender::Nginx => "nginx",
            Contender::Haproxy => "HAProxy",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Contender::Tidegate => env!("CARGO_BIN_EXE_tidegate"),
            Contender::Nginx => "nginx",
            Contender::Haproxy => "haproxy",
        }
    }

    /// The line with which it says who it is.
    pub(crate) fn version(self) -> Result<String, String> {
        let flag = if self == Contender::Tidegate { "--version" } else { "-v" };
        let cannot =
            |e| format!("cannot run {}: {e} (`make peers` installs what is missing)", self.program());
        let output = Command::new(self.program()).arg(flag).output().map_err(cannot)?;
        let said = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&said).into_owned();
        text.lines()
            .next()
            .map(str::to_owned)
            .ok_or_else(|| format!("{} does not say its version", self.program()))
    }

    /// How many idle clients it is shown; HAProxy reckons two descriptors for each, and starts with no more than it has.
    pub(crate) const fn idle_clients(self) -> usize {
        match self {
            Contender::Tidegate | Contender::Nginx => 15_000,
            Contender::Haproxy => HAPROXY_CLIENTS,
        }
    }

    /// Starts it in front of `backend`, on the processor of its own.
    pub(crate) fn start(self, mode: Mode, backend: &Backend, folder: &Path) -> Result<Running, String> {
        let port = free_port()?;
        let mut command = Command::new("taskset");
        command.args(["-c", PROXY_CPU, self.program()]);
        let command = match self {
            Contender::Tidegate => tidegate(port, mode, backend, command),
            Contender::Nginx => nginx(folder, "proxy", &nginx_proxy(port, mode, backend), command)?,
            Contender::Haproxy => haproxy(port, mode, backend, folder, command)?,
        };
        Running::start(command, local(port))
    }
}

const HAPROXY_CLIENTS: usize = 9000;

fn tidegate(port: u16, mode: Mode, backend: &Backend, mut command: Command) -> Command {
    let connections = match mode {
        Mode::Persistent => "persistent",
        Mode::NonPersistent => "non-persistent",
    };
    command.args([
        "proxy",
        "--csv=off",
        "--admin=off",
        "--max-connections=18000",
        "--log-level=warn",
        "--idle-timeout=600s",
    ]);
    command.args([format!("--listen=127.0.0.1:{port}"), format!("--connections={connections}")]);
    command.args(backend.ports.map(|port| format!("--backend=127.0.0.1:{port}")));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_") || name == "PROXY_STRATEGY")
    {
        command.env_remove(name);
    }
    command
}

fn nginx_proxy(port: u16, mode: Mode, backend: &Backend) -> String {
    let (keep, connection) = match mode {
        Mode::Persistent => ("keepalive 8192; keepalive_requests 1000000000; keepalive_timeout 600s;", ""),
        Mode::NonPersistent => ("", "close"),
    };
    let servers: String = backend.ports.iter().map(|port| format!("server 127.0.0.1:{port}; ")).collect();
    format!(
        "upstream pool {{ {servers} {keep} }}
         server {{
             listen 127.0.0.1:{port} backlog=16384;
             client_body_buffer_size 64k; proxy_buffer_size 8k; proxy_buffers 16 16k; proxy_busy_buffers_size 128k;
             proxy_max_temp_file_size 0;
             location / {{
                 proxy_pass http://pool;
                 proxy_http_version 1.1;
                 proxy_set_header Host $http_host;
                 proxy_set_header Connection \"{connection}\";
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
             }}
         }}"
    )
}

fn haproxy(
    port: u16,
    mode: Mode,
    backend: &Backend,
    folder: &Path,
    mut command: Command,
) -> Result<Command, String> {
    let reuse = match mode {
        Mode::Persistent => "option http-keep-alive\n  http-reuse always",
        Mode::NonPersistent => "option http-server-close\n  http-reuse never",
    };
    let servers: String =
        backend.ports.iter().map(|port| format!("  server s{port} 127.0.0.1:{port}\n")).collect();
    let text = format!(
        "global\n  nbthread 1\n  maxconn {HAPROXY_CLIENTS}\n\
         defaults\n  mode http\n  {reuse}\n  option forwardfor\n  timeout connect 5s\n  timeout client 600s\n  \
         timeout server 600s\n  timeout http-keep-alive 600s\n\
         frontend clients\n  bind 127.0.0.1:{port} backlog 16384\n  default_backend servers\n\
         backend servers\n  balance roundrobin\n{servers}"
    );
    let file = folder.join("haproxy.cfg");
    write(&file, &text)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
