//! Processes that a comparison needs, started and ended.
//!
//! Here: waiting until one listens, asking it something, an nginx as the backend, and Tidegate in front of it. Not here: other
//! proxies, the load (`wrk.rs`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::machine::PROXY_CPU;

/// What `/tiny` and `/post` are answered with.
pub(crate) const TINY: &str = "hello, world\n";

/// So long may anything take to listen or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

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
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> Result<Running, String> {
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

    /// That `request`, which ends its connection, is answered by 200 with so many bytes.
    pub(crate) fn expect(&self, request: &str, body_bytes: usize) -> Result<(), String> {
        let answer = ask(self.address, request)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if !head.starts_with("HTTP/1.1 200 ") || body.len() != body_bytes {
            return Err(format!(
                "expected 200 and {body_bytes} bytes, got {} bytes after {head}",
                body.len()
            ));
        }
        Ok(())
    }
}

/// What `server` says to `request`, which ends its connection.
pub(crate) fn ask(server: SocketAddr, request: &str) -> Result<String, String> {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().map_err(|e| format!("{server}: {e}"))
}

/// So many ports that nobody listens on.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let cannot = |e| format!("no {count} free ports: {e}");
    // All are held until the last is known, else one would be found twice.
    let bound = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>();
    let ports = bound.map_err(cannot)?;
    ports
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()
        .map_err(cannot)
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// An nginx that answers at once: `/tiny` and `/post` with [`TINY`], a number with so many bytes from a file.
pub(crate) struct Backend {
    ports: Vec<u16>,
    _running: Running,
}

impl Backend {
    /// Where it listens.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().copied().map(local)
    }

    /// Starts it on so many ports, with bodies of these sizes.
    pub(crate) fn start(folder: &Path, ports: usize, bodies: &[usize]) -> Result<Backend, String> {
        let ports = free_ports(ports)?;
        let mut locations = String::new();
        for bytes in bodies {
            write(&folder.join(bytes.to_string()), &"x".repeat(*bytes))?;
            locations += &format!("location = /{bytes} {{ root {}; }}\n", folder.display());
        }
        let listen: String =
            ports.iter().map(|port| format!("listen 127.0.0.1:{port} backlog=16384; ")).collect();
        let tiny = TINY.trim_end().to_owned() + "\\n";
        let server = format!(
            "sendfile on; tcp_nopush on; open_file_cache max=16; default_type text/plain; client_body_buffer_size 128k;
             large_client_header_buffers 4 32k;
             server {{
                 {listen}
                 location = /tiny {{ return 200 \"{tiny}\"; }}
                 location = /post {{ return 200 \"{tiny}\"; }}
                 {locations}
             }}"
        );
        let command = nginx(folder, "backend", &server, Command::new("nginx"))?;
        let first = local(ports[0]);
        Ok(Backend { ports, _running: Running::start(command, first)? })
    }
}

/// An nginx with one worker and this within `http`.
pub(crate) fn nginx(folder: &Path, name: &str, http: &str, mut command: Command) -> Result<Command, String> {
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

/// A program on the processor of the proxy under test.
pub(crate) fn alone(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", PROXY_CPU, program]);
    command
}

/// Starts Tidegate in front of these backends, with nothing on that is not needed; of the admin port `options` decide.
pub(crate) fn tidegate(
    backends: impl IntoIterator<Item = SocketAddr>,
    options: &[String],
) -> Result<Running, String> {
    let address = local(free_ports(1)?[0]);
    let mut command = alone(env!("CARGO_BIN_EXE_tidegate"));
    command.args([
        "proxy",
        "--csv=off",
        "--max-connections=18000",
        "--log-level=warn",
        "--idle-timeout=600s",
    ]);
    command.arg(format!("--listen={address}")).args(options);
    command.args(backends.into_iter().map(|backend| format!("--backend={backend}")));
    Running::start(without_settings(command), address)
}

/// `command`, which starts Tidegate, without settings of the environment.
pub(crate) fn without_settings(mut command: Command) -> Command {
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_") || name == "PROXY_STRATEGY")
    {
        command.env_remove(name);
    }
    command
}
