//! A client that asks when it is told to.
//!
//! Here: one connection, kept. Not here: wrk's, which always ask (`wrk.rs`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::server::TINY;

/// A client between requests, or waiting for an answer.
pub(crate) struct Client(TcpStream);

impl Client {
    /// Connects and is served once.
    pub(crate) fn connect(proxy: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect(proxy)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // Thousands of them would keep their ports for a minute otherwise.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        let mut client = Client(stream);
        client.ask()?;
        Ok(client)
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self) -> std::io::Result<()> {
        self.send()?;
        self.receive()
    }

    /// Asks for the short body.
    pub(crate) fn send(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"GET /tiny HTTP/1.1\r\nHost: t\r\n\r\n")
    }

    /// Waits for the whole answer.
    pub(crate) fn receive(&mut self) -> std::io::Result<()> {
        let (mut answer, mut block) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(TINY.as_bytes()) {
            match self.0.read(&mut block)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(&block[..n]),
            }
        }
        Ok(())
    }
}
