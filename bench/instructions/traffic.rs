//! What the program is driven with: a client and backends that speak only while the proxy sleeps.
//!
//! So each turn of its loop has the same events however fast it is beside them: a response that may come with the
//! event of its connection's opening, or after it, makes 7 % of difference. Both sides compare every byte of every
//! body, so that nothing is measured that did not work.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than an exchange takes, even on a slow machine under valgrind.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const TINY: &[u8] = b"hello, world\n";
const CHUNKED_TINY: &[u8] = b"d\r\nhello, world\n\r\n0\r\n\r\n";

/// Tells when the proxy waits for events: nothing that it has been sent is left to do.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<OnceLock<u32>>);

impl Pace {
    /// Who is followed from now on.
    pub(crate) fn follow(&self, process: u32) {
        self.0.set(process).expect("one process");
    }

    /// Waits until the main thread sleeps, which is the reactor's.
    pub(crate) fn wait(&self) -> Result<(), String> {
        let process = self.0.get().ok_or("nobody is followed")?;
        let path = format!("/proc/{process}/stat");
        let end = now() + PATIENCE;
        while now() < end {
            let stat = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {path}: {e}"))?;
            // proc_pid_stat(5): the state comes behind the name, which may hold anything.
            match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
                Some('S') => return Ok(()),
                Some('Z' | 'X') | None => return Err("the proxy has ended".to_owned()),
                Some(_) => thread::yield_now(),
            }
        }
        Err(format!("the proxy has been busy for {PATIENCE:?}"))
    }
}

#[allow(clippy::disallowed_methods, reason = "an outside judge has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A kind of exchange to be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// GET with one field, 13 bytes back, connections kept.
    Persistent,
    /// The same on a fresh upstream connection each time.
    NonPersistent,
    /// A request with the fields of a browser.
    Browser,
    /// A response with 16 KiB.
    Body16k,
    /// Chunked bodies both ways.
    Chunked,
    /// A sequence to classify, in batches of five (`batched.rs`).
    Batched,
}

impl Exchange {
    pub(crate) const ALL: [Exchange; 6] = [
        Exchange::Persistent,
        Exchange::NonPersistent,
        Exchange::Browser,
        Exchange::Body16k,
        Exchange::Chunked,
        Exchange::Batched,
    ];

    /// Its name in the figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Exchange::Persistent => "persistent",
            Exchange::NonPersistent => "non-persistent",
            Exchange::Browser => "browser",
            Exchange::Body16k => "body-16k",
            Exchange::Chunked => "chunked",
            Exchange::Batched => "batched",
        }
    }

    /// The value of `--connections`.
    pub(crate) const fn connections(self) -> &'static str {
        match self {
            Exchange::NonPersistent => "non-persistent",
            _ => "persistent",
        }
    }

    fn request_fields(self) -> &'static str {
        match self {
            Exchange::Browser => {
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                 Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                 Accept-Language: en-US,en;q=0.5\r\n\
                 Accept-Encoding: gzip, deflate, br, zstd\r\n\
                 Referer: http://bench.local/articles/overview\r\n\
                 DNT: 1\r\n\
                 Cookie: session=7d9f6c1e0b5a4c3f8e2d1a0b9c8d7e6f; theme=dark; consent=1\r\n\
                 Upgrade-Insecure-Requests: 1\r\n\
                 Sec-Fetch-Dest: document\r\n\
                 Sec-Fetch-Mode: navigate\r\n\
                 Sec-Fetch-Site: same-origin\r\n"
            }
            Exchange::Chunked => "Transfer-Encoding: chunked\r\n",
            _ => "",
        }
    }

    fn request_body(self) -> &'static [u8] {
        if self == Exchange::Chunked { CHUNKED_TINY } else { b"" }
    }

    fn request(self) -> Vec<u8> {
        let method = if self == Exchange::Chunked { "POST" } else { "GET" };
        let head = format!("{method} /tiny HTTP/1.1\r\nHost: bench.local\r\n{}\r\n", self.request_fields());
        [head.as_bytes(), self.request_body()].concat()
    }

    fn response_body(self) -> Vec<u8> {
        match self {
            Exchange::Body16k => vec![b'x'; 16 * 1024],
            Exchange::Chunked => CHUNKED_TINY.to_vec(),
            _ => TINY.to_vec(),
        }
    }

    fn response(self) -> Vec<u8> {
        let body = self.response_body();
        let framing = match self {
            Exchange::Chunked => "Transfer-Encoding: chunked".to_owned(),
            _ => format!("Content-Length: {}", body.len()),
        };
        let connection = if self == Exchange::NonPersistent { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 21 Nov 2026 05:47:20 GMT\r\n\
             Content-Type: text/plain\r\n{framing}\r\nConnection: {connection}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    }

    /// A backend on a free port, for the rest of the process.
    ///
    /// It leaves closing to the proxy, also when a connection is for one exchange only: its FIN would come with the
    /// response or after it, as chance has it.
    pub(crate) fn backend(self, pace: Pace) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            let (end, response) = ([b"\r\n\r\n", self.request_body()].concat(), self.response());
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection from the proxy");
                stream.set_nodelay(true).expect("TCP_NODELAY");
                while received(&mut stream, |bytes| bytes.ends_with(&end)).is_some() {
                    pace.wait().expect("a pause");
                    stream.write_all(&response).expect("the proxy takes the response");
                }
            }
        });
        address
    }

    /// Drives the proxy with this many exchanges, one after the other over one connection.
    pub(crate) fn drive(self, proxy: SocketAddr, pace: &Pace, exchanges: u32) -> Result<(), String> {
        let mut stream =
            TcpStream::connect(proxy).map_err(|e| format!("cannot connect to the proxy: {e}"))?;
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        let (request, end) = (self.request(), [&b"\r\n\r\n"[..], &self.response_body()].concat());
        for n in 0..exchanges {
            pace.wait()?;
            stream.write_all(&request).map_err(|e| format!("the proxy takes no request: {e}"))?;
            match received(&mut stream, |bytes| bytes.ends_with(&end)) {
                Some(response) if response.starts_with(b"HTTP/1.1 200 ") => {}
                Some(other) => {
                    return Err(format!(
                        "exchange {n}: not a 200: {}",
                        other[..60.min(other.len())].escape_ascii()
                    ));
                }
                None => return Err(format!("exchange {n}: no whole response from the proxy")),
            }
        }
        Ok(())
    }
}

/// What comes until it is whole; `None` if the stream ends, or nothing comes for long, before.
pub(crate) fn received(stream: &mut TcpStream, whole: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let (mut all, mut block) = (Vec::new(), [0; 32 * 1024]);
    while !whole(&all) {
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(n) => all.extend_from_slice(&block[..n]),
        }
    }
    Some(all)
}
