//! The proxies that are compared.
//!
//! Here: starting and checking them, each with one thread, no log, round robin over the same three ports and
//! `X-Forwarded-For`. Not here: the backend behind them (`common/server.rs`), the load (`main.rs`).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::common::server::{Backend, Running, TINY, alone, free_ports, local, nginx, tidegate, write};

/// The length of the body that wrk posts.
pub(crate) const POST_BYTES: usize = 10 * 1024;

/// The length of the long body in answers, and its path.
pub(crate) const LARGE_BYTES: usize = 64 * 1024;
pub(crate) const LARGE: &str = "/65536";

/// Whether upstream connections are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Persistent,
    NonPersistent,
}

impl Mode {
    /// As our option says it.
    const fn name(self) -> &'static str {
        match self {
            Mode::Persistent => "persistent",
            Mode::NonPersistent => "non-persistent",
        }
    }
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
        let address = local(free_ports(1)?[0]);
        let command = match self {
            Contender::Tidegate => {
                return tidegate(
                    backend.addresses(),
                    &["--admin=off".to_owned(), format!("--connections={}", mode.name())],
                );
            }
            Contender::Nginx => {
                nginx(folder, "proxy", &nginx_proxy(address, mode, backend), alone(self.program()))?
            }
            Contender::Haproxy => haproxy(address, mode, backend, folder)?,
        };
        Running::start(command, address)
    }
}

/// That a proxy passes on what the scenarios ask for, whole.
pub(crate) fn check(proxy: &Running) -> Result<(), String> {
    let body = "x".repeat(POST_BYTES);
    let post = format!(
        "POST /post HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {POST_BYTES}\r\n\r\n{body}"
    );
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    proxy.expect(&get("/tiny"), TINY.len())?;
    proxy.expect(&get(LARGE), LARGE_BYTES)?;
    proxy.expect(&post, TINY.len())
}

const HAPROXY_CLIENTS: usize = 9000;

fn nginx_proxy(address: SocketAddr, mode: Mode, backend: &Backend) -> String {
    let (keep, connection) = match mode {
        Mode::Persistent => ("keepalive 8192; keepalive_requests 1000000000; keepalive_timeout 600s;", ""),
        Mode::NonPersistent => ("", "close"),
    };
    let servers: String = backend.addresses().map(|backend| format!("server {backend}; ")).collect();
    format!(
        "upstream pool {{ {servers} {keep} }}
         server {{
             listen {address} backlog=16384;
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

fn haproxy(address: SocketAddr, mode: Mode, backend: &Backend, folder: &Path) -> Result<Command, String> {
    let reuse = match mode {
        Mode::Persistent => "option http-keep-alive\n  http-reuse always",
        Mode::NonPersistent => "option http-server-close\n  http-reuse never",
    };
    let servers: String =
        backend.addresses().map(|backend| format!("  server s{} {backend}\n", backend.port())).collect();
    let text = format!(
        "global\n  nbthread 1\n  maxconn {HAPROXY_CLIENTS}\n\
         defaults\n  mode http\n  {reuse}\n  option forwardfor\n  timeout connect 5s\n  timeout client 600s\n  \
         timeout server 600s\n  timeout http-keep-alive 600s\n\
         frontend clients\n  bind {address} backlog 16384\n  default_backend servers\n\
         backend servers\n  balance roundrobin\n{servers}"
    );
    let file = folder.join("haproxy.cfg");
    write(&file, &text)?;
    let mut command = alone(Contender::Haproxy.program());
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
