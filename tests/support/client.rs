//! A client that says exactly what it is told to.

use std::io::Write;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::message::{Reader, Response};

pub struct Client(Reader<TcpStream>);

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE).expect("a connection"))
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        stream.set_nodelay(true).expect("no delay");
        Client(Reader { stream, held: Vec::new() })
    }

    /// Connects from an address of this machine.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of this machine");
        socket.connect_timeout(&address.into(), PATIENCE).expect("a connection");
        Client::over(socket.into())
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.stream.write_all(bytes.as_ref()).expect("the proxy takes what a client sends");
    }

    /// Sends although the other side may have closed already; whether all of it could be handed over.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// A second handle, for sending while another thread receives.
    pub fn sender(&self) -> TcpStream {
        self.0.stream.try_clone().expect("a handle")
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    pub fn response(&mut self) -> Response {
        self.receive(false)
    }

    /// The response to a HEAD request.
    pub fn response_to_head(&mut self) -> Response {
        self.receive(true)
    }

    /// A head of whatever status.
    pub fn head(&mut self) -> String {
        self.0.head().expect("a head")
    }

    /// The response; or `None` if the connection ends without a byte of one.
    pub fn response_or_end(&mut self) -> Option<Response> {
        let ended = self.0.held.is_empty() && !self.0.more();
        (!ended).then(|| self.receive(false))
    }

    fn receive(&mut self, to_head: bool) -> Response {
        let mut interim = Vec::new();
        loop {
            let Some(head) = self.0.head() else {
                panic!("closed instead of a response; {} came before", self.0.held.escape_ascii())
            };
            let status = head[9..12].parse().expect("a status");
            if status < 200 {
                interim.push(head);
                continue;
            }
            let (_, body, complete) = match status {
                _ if to_head => (vec![], vec![], true),
                204 | 304 => (vec![], vec![], true),
                _ => self.0.body(&head, true),
            };
            return Response { status, head, body, interim, complete };
        }
    }

    /// Listens for `time`; whether there was neither a byte nor the end.
    pub fn hears_nothing_for(&mut self, time: Duration) -> bool {
        self.0.stream.set_read_timeout(Some(time)).expect("a read timeout");
        let heard = self.0.stream.peek(&mut [0]);
        self.0.stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        self.0.held.is_empty() && heard.is_err()
    }

    /// Whether the connection ends here, without a further byte.
    pub fn is_closed(&mut self) -> bool {
        self.0.held.is_empty() && !self.0.more()
    }

    /// Whether the connection ends, after whatever comes, with a reset.
    pub fn is_reset(&mut self) -> bool {
        self.0.held.clear();
        let ended = std::io::copy(&mut self.0.stream, &mut std::io::sink());
        ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// The next `n` bytes; fewer if the end comes before.
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        self.0.exactly(n)
    }

    /// Reads to the end.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.0.more() {}
        std::mem::take(&mut self.0.held)
    }

    /// What comes next, in pieces as they come; none at the end.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        (!self.0.held.is_empty() || self.0.more()).then(|| std::mem::take(&mut self.0.held))
    }

    pub fn finish_sending(&self) {
        self.0.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Leaves, so that the other side is told at once.
    pub fn reset(self) {
        socket2::SockRef::from(&self.0.stream).set_linger(Some(Duration::ZERO)).expect("a linger option");
    }
}
