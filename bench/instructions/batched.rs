//! What drives requests that are batched: a classifier and five clients in one thread, in lock-step with the proxy.
//!
//! One batch is under way at all times. While it is, the five clients of the next send their requests, each in a turn of
//! its own; then its answer comes, upon which the proxy answers its five clients and sends the next. An exchange is a
//! client's request with its answer, so that a fifth of what a batch costs is in it.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::traffic::{PATIENCE, Pace, now, received};

/// Sequences of a batch, and requests, since each has one.
const BATCH: usize = 5;

const REQUEST: &[u8] =
    b"POST /proxy_classify HTTP/1.1\r\nHost: bench.local\r\nContent-Type: application/json\r\n\
                         Content-Length: 31\r\n\r\n{\"sequences\":[\"def f(): pass\"]}";
/// How the body of a batch ends, of however many requests it is.
const MERGED_END: &[u8] = b"]}";

/// Takes the batches.
pub(crate) struct Classifier(TcpListener);

impl Classifier {
    /// On a free port.
    pub(crate) fn listen() -> Result<Classifier, String> {
        TcpListener::bind(("127.0.0.1", 0)).map(Classifier).map_err(|e| format!("no free port: {e}"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a listener's address")
    }

    /// The proxy's connection.
    fn accept(&self) -> Result<TcpStream, String> {
        self.0.set_nonblocking(true).expect("a listener that does not wait");
        let end = now() + PATIENCE;
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    prepare(&stream);
                    return Ok(stream);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock && now() < end => thread::yield_now(),
                Err(e) => return Err(format!("no connection from the proxy: {e}")),
            }
        }
    }

    /// Drives the proxy with this many exchanges in full batches, and one before them.
    pub(crate) fn drive(&self, proxy: SocketAddr, pace: &Pace, exchanges: u32) -> Result<(), String> {
        let mut groups = Vec::new();
        for _ in 0..2 {
            groups.push((0..BATCH).map(|_| connect(proxy)).collect::<Result<Vec<_>, _>>()?);
        }
        // The first request finds nothing under way and goes alone.
        let mut first = connect(proxy)?;
        ask(&mut first, pace)?;
        let mut batches = self.accept()?;
        let mut waiting = vec![first];
        for batch in 0..exchanges / BATCH as u32 {
            let mut next = groups.remove(0);
            for client in &mut next {
                ask(client, pace)?;
            }
            end(&mut batches, &mut waiting, pace).map_err(|e| format!("batch {batch}: {e}"))?;
            if waiting.len() == BATCH {
                groups.push(waiting);
            }
            waiting = next;
        }
        end(&mut batches, &mut waiting, pace)
    }
}

fn connect(proxy: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(proxy).map_err(|e| format!("cannot connect to the proxy: {e}"))?;
    prepare(&stream);
    Ok(stream)
}

fn prepare(stream: &TcpStream) {
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
}

fn ask(client: &mut TcpStream, pace: &Pace) -> Result<(), String> {
    pace.wait()?;
    client.write_all(REQUEST).map_err(|e| format!("the proxy takes no request: {e}"))
}

/// Ends the batch under way, which has the requests of these clients.
fn end(batches: &mut TcpStream, clients: &mut [TcpStream], pace: &Pace) -> Result<(), String> {
    pace.wait()?;
    answer(batches, clients.len())?;
    clients.iter_mut().try_for_each(expect_result)
}

/// Answers a batch, which must be of so many sequences.
fn answer(batches: &mut TcpStream, sequences: usize) -> Result<(), String> {
    let request = received(batches, |bytes| bytes.ends_with(MERGED_END)).ok_or("it did not come whole")?;
    let came = String::from_utf8_lossy(&request).matches("def f(): pass").count();
    if came != sequences {
        return Err(format!("it has {came} sequences instead of {sequences}"));
    }
    let body = format!("{{\"results\":[{}]}}", vec!["\"code\""; sequences].join(","));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    batches.write_all((head + &body).as_bytes()).map_err(|e| format!("the proxy takes no answer: {e}"))
}

fn expect_result(client: &mut TcpStream) -> Result<(), String> {
    let answer = received(client, |bytes| bytes.ends_with(b"}")).ok_or("no whole answer to a client")?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"results\":[\"code\"]") {
        true => Ok(()),
        false => Err(format!("not the result of a client: {answer}")),
    }
}
