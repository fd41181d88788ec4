//! A server that follows a script, a thread for each connection, and remembers what it was sent.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::message::{Reader, field};
use super::{Gate, PATIENCE};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of the connection, counted from 0.
    pub connection: usize,
    pub head: String,
    /// The body with its coding.
    pub wire: Vec<u8>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

pub struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
    arrivals: Receiver<Request>,
}

impl Origin {
    /// Runs `script` for each connection; it ends when the script does.
    pub fn start(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (arrived, arrivals) = channel();
        let origin =
            Origin { address, connections: connections.clone(), requests: requests.clone(), arrivals };
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let mut conn = Conn::new(stream, number, requests.clone(), arrived.clone());
                let script = script.clone();
                std::thread::spawn(move || script(&mut conn));
            }
        });
        origin
    }

    /// Answers each request with `response`, for as long as the connection lasts.
    pub fn answering(response: impl Into<Vec<u8>>) -> Origin {
        let response = response.into();
        Origin::start(move |conn| while conn.read_request().is_some() && conn.send(&response) {})
    }

    /// The same, but answers nothing before the gate is open.
    pub fn gated(gate: &Gate, response: impl Into<Vec<u8>>) -> Origin {
        let (gate, response) = (gate.clone(), response.into());
        Origin::start(move |conn| {
            while conn.read_request().is_some() {
                gate.pass();
                conn.send(&response);
            }
        })
    }

    pub fn url(&self) -> String {
        super::url(self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The next request that has come, in order.
    pub fn next(&self) -> Request {
        self.arrivals.recv_timeout(PATIENCE).expect("a request in time")
    }
}

/// One connection of an origin.
pub struct Conn {
    pub number: usize,
    reader: Reader<TcpStream>,
    requests: Arc<Mutex<Vec<Request>>>,
    arrived: Sender<Request>,
}

impl Conn {
    fn new(
        stream: TcpStream,
        number: usize,
        requests: Arc<Mutex<Vec<Request>>>,
        arrived: Sender<Request>,
    ) -> Conn {
        stream.set_read_timeout(Some(2 * PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        stream.set_nodelay(true).expect("no delay");
        Conn { number, reader: Reader { stream, held: Vec::new() }, requests, arrived }
    }

    /// Where the connection comes from.
    pub fn peer(&self) -> SocketAddr {
        self.reader.stream.peer_addr().expect("an address")
    }

    /// Reads a head and its body; `None` when the connection ends.
    pub fn read_request(&mut self) -> Option<Request> {
        let head = self.reader.head()?;
        let (wire, body, complete) = self.reader.body(&head, false);
        let request = Request { connection: self.number, head, wire, body };
        self.note(request.clone());
        complete.then_some(request)
    }

    /// Reads a head alone, and leaves its body.
    pub fn read_head(&mut self) -> Option<String> {
        let head = self.reader.head()?;
        self.note(Request { connection: self.number, head: head.clone(), wire: vec![], body: vec![] });
        Some(head)
    }

    /// Reads the body that `head` announces.
    pub fn read_body(&mut self, head: &str) -> Vec<u8> {
        self.reader.body(head, false).1
    }

    /// Reads to the end of the connection; notes it as a request without a head.
    pub fn read_rest(&mut self) {
        while self.reader.more() {}
        let wire = std::mem::take(&mut self.reader.held);
        self.note(Request { connection: self.number, head: String::new(), wire, body: vec![] });
    }

    fn note(&self, request: Request) {
        self.requests.lock().unwrap().push(request.clone());
        // The test may have ended.
        let _ = self.arrived.send(request);
    }

    /// Whether all of it could be handed over.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.reader.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Lets the system hold back a small write until what was sent before is acknowledged, as it does by default (Nagle).
    pub fn holds_back(&mut self) {
        self.reader.stream.set_nodelay(false).expect("delay");
    }

    /// The next `n` bytes; fewer if the end comes before.
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        self.reader.exactly(n)
    }

    /// Sends back what comes until the end comes.
    pub fn echo(&mut self) {
        loop {
            let held = std::mem::take(&mut self.reader.held);
            if !self.send(&held) || !self.reader.more() {
                return;
            }
        }
    }

    /// Sends until `limit` bytes are handed over or none could be for `patience`; returns how many were.
    pub fn push(&mut self, limit: usize, patience: Duration) -> usize {
        self.reader.stream.set_write_timeout(Some(patience)).expect("a write timeout");
        let block = [b'x'; 16 * 1024];
        let mut sent = 0;
        while sent < limit {
            match self.reader.stream.write(&block[..block.len().min(limit - sent)]) {
                Ok(n) => sent += n,
                Err(_) => break,
            }
        }
        self.reader.stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        sent
    }

    /// Listens for `time` without a word; a peer that waits for an answer has none for so long.
    pub fn quiet(&mut self, time: Duration) {
        self.reader.stream.set_read_timeout(Some(time)).expect("a read timeout");
        let heard = self.reader.stream.peek(&mut [0]);
        assert!(!matches!(heard, Ok(1..)), "a peer that was to wait has spoken");
        self.reader.stream.set_read_timeout(Some(2 * PATIENCE)).expect("a read timeout");
    }

    /// Sends no more; still takes what comes.
    pub fn close_sending(&mut self) {
        let _ = self.reader.stream.shutdown(Shutdown::Write);
    }

    /// Waits for the other side's end.
    pub fn wait_for_end(&mut self) {
        while self.reader.more() {}
    }

    /// Leaves what has come unread and resets the connection.
    pub fn reset(&mut self) {
        socket2::SockRef::from(&self.reader.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a linger option");
    }
}
