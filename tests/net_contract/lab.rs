//! The two networks under one face.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidegate::net::{Event, Fabric, Net, OsNet, VirtualListener, VirtualNet, Wake, Waker};

/// A network to try, alone on its machine.
pub(crate) trait Lab {
    type N: Net;
    fn net(&mut self) -> &mut Self::N;
    fn listen(&mut self) -> (<Self::N as Net>::Listener, SocketAddr);
    /// Appends what the next poll reports; waits for at most `limit`, and not at all if nothing can come.
    fn poll(&mut self, events: &mut Vec<Event>, limit: Duration);
    fn wake(&mut self);
}

/// The kernel of this machine.
pub(crate) struct Kernel(pub(crate) OsNet, pub(crate) Waker);

impl Lab for Kernel {
    type N = OsNet;

    fn net(&mut self) -> &mut OsNet {
        &mut self.0
    }

    fn listen(&mut self) -> (mio::net::TcpListener, SocketAddr) {
        let listener = OsNet::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn poll(&mut self, events: &mut Vec<Event>, limit: Duration) {
        let now = self.0.now();
        self.0.poll(events, now, Some(now + limit)).unwrap();
    }

    fn wake(&mut self) {
        self.1.wake().unwrap();
    }
}

/// The network in memory.
pub(crate) struct Virtual(pub(crate) Fabric, pub(crate) VirtualNet);

impl Lab for Virtual {
    type N = VirtualNet;

    fn net(&mut self) -> &mut VirtualNet {
        &mut self.1
    }

    fn listen(&mut self) -> (VirtualListener, SocketAddr) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        (self.1.listen(address).unwrap(), address)
    }

    fn poll(&mut self, events: &mut Vec<Event>, _limit: Duration) {
        while !self.1.has_events()
            && let Some(next) = self.0.next_at()
        {
            self.0.advance(next);
        }
        self.1.poll(events, self.1.now(), None).unwrap();
    }

    fn wake(&mut self) {
        self.1.wake(Wake::Waker);
    }
}

/// Reads until the end, or until the socket refuses; the error, unless it was the end.
pub(crate) fn read_all(stream: &mut impl Read) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut all, mut block) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut block) {
            Ok(0) => return (all, None),
            Ok(n) => all.extend_from_slice(&block[..n]),
            Err(e) => return (all, Some(e.kind())),
        }
    }
}

/// Writes until the socket refuses; returns how much it took.
pub(crate) fn fill(stream: &mut impl Write) -> usize {
    let (block, mut taken) = ([b'f'; 8192], 0);
    loop {
        match stream.write(&block) {
            Ok(n) => taken += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return taken,
            Err(e) => panic!("{e}"),
        }
    }
}
