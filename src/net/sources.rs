//! Which local address a connection comes from.
//!
//! Here: [`Sources`], spreading connections over addresses of this machine, each of which has its own ephemeral ports to a
//! server. Not here: where connections go (the handlers). `net/os.rs` calls it. Floor 2.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};

/// The addresses to connect from; with none, the kernel chooses.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    address: IpAddr,
    /// How many connections have begun from it.
    used: u64,
}

impl Source {
    /// A loopback address leads nowhere else, and one of another family nowhere at all.
    fn leads_to(&self, to: IpAddr) -> bool {
        self.address.is_ipv4() == to.is_ipv4() && (to.is_loopback() || !self.address.is_loopback())
    }
}

impl Sources {
    /// These, if all of them are addresses of this machine.
    ///
    /// # Errors
    /// The first one that is not, and what the kernel says of it.
    pub(super) fn new(addresses: &[IpAddr]) -> Result<Sources, (IpAddr, io::Error)> {
        let source = |&address: &IpAddr| match socket_from(address) {
            Ok(_) => Ok(Source { address, used: 0 }),
            Err(e) => Err((address, e)),
        };
        addresses.iter().map(source).collect::<Result<_, _>>().map(Sources)
    }

    /// The address for one more connection to `to`: of those that lead there the one that has had the fewest. `None` leaves
    /// it to the kernel.
    pub(super) fn next(&mut self, to: IpAddr) -> Option<IpAddr> {
        let source =
            self.0.iter_mut().filter(|source| source.leads_to(to)).min_by_key(|source| source.used)?;
        source.used += 1;
        Some(source.address)
    }
}

/// Begins to connect to `to` from `from`.
///
/// # Errors
/// Those of socket, setsockopt, bind and connect.
pub(super) fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<mio::net::TcpStream> {
    let socket = socket_from(from)?;
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(e),
        _ => Ok(mio::net::TcpStream::from_std(socket.into())),
    }
}

/// A socket with this address and no port yet: connecting finds one that is free towards that server, where binding would
/// take one that is free towards all (ip(7), IP_BIND_ADDRESS_NO_PORT).
fn socket_from(address: IpAddr) -> io::Result<Socket> {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    setsockopt(&socket, IpBindAddressNoPort, &true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sources(addresses: &[&str]) -> Sources {
        Sources(addresses.iter().map(|a| Source { address: ip(a), used: 0 }).collect())
    }

    #[test]
    fn connections_are_spread_evenly_whatever_else_is_connected_to() {
        let mut sources = sources(&["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"]);
        let mut from = [0; 4];
        for _ in 0..10 {
            for to in ["10.9.9.9", "2001:db8::9"] {
                let address = sources.next(ip(to)).unwrap();
                assert_eq!(address.is_ipv4(), ip(to).is_ipv4());
                from[sources.0.iter().position(|source| source.address == address).unwrap()] += 1;
            }
        }
        assert_eq!(from, [5; 4]);
    }

    #[test]
    fn an_address_is_used_only_for_what_it_leads_to() {
        let mut some = sources(&["127.0.0.2"]);
        assert_eq!(some.next(ip("127.0.0.1")), Some(ip("127.0.0.2")));
        assert_eq!(some.next(ip("10.0.0.1")), None, "not on this machine");
        assert_eq!(some.next(ip("::1")), None, "of another family");
        assert_eq!(sources(&[]).next(ip("127.0.0.1")), None);
    }

    #[test]
    fn a_port_is_taken_only_when_it_is_known_where_to() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = socket_from(ip("127.0.0.2")).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket(), Some("127.0.0.2:0".parse().unwrap()));
        let stream = connect_from(ip("127.0.0.2"), server.local_addr().unwrap()).unwrap();
        let (_, from) = server.accept().unwrap();
        assert_eq!((from, from.ip()), (stream.local_addr().unwrap(), ip("127.0.0.2")));
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let (address, error) = Sources::new(&[ip("127.0.0.2"), ip("192.0.2.1")]).unwrap_err();
        assert_eq!((address, error.kind()), (ip("192.0.2.1"), io::ErrorKind::AddrNotAvailable));
        assert!(Sources::new(&[ip("127.0.0.2"), ip("127.0.0.3")]).is_ok());
    }
}
