//! Whether an address leads to a listener of ours.
//!
//! Here: [`Reach`], which knows the addresses of this machine. Not here: what follows (`judge.rs`, `options.rs`). Floor 5.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::ifaddrs::getifaddrs;

/// Who may ask the system for the addresses of this machine, once.
#[derive(Debug, Default)]
pub(super) struct Reach {
    own: OnceCell<Vec<IpAddr>>,
}

impl Reach {
    /// Whether who connects to `to` reaches what listens on `listener`, here.
    pub(super) fn leads_to(&self, to: SocketAddr, listener: SocketAddr) -> bool {
        let (to_ip, ip) = (to.ip().to_canonical(), listener.ip().to_canonical());
        // A port 0 is not known yet.
        if listener.port() != to.port() || listener.port() == 0 {
            return false;
        }
        match to_ip {
            // To connect to no address is to connect to this machine (ip(7)).
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => self.leads_to(local(Ipv4Addr::LOCALHOST, to), listener),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => self.leads_to(local(Ipv6Addr::LOCALHOST, to), listener),
            _ if ip == to_ip => true,
            _ => hears_all(ip, to_ip) && (to_ip.is_loopback() || self.is_own(to_ip)),
        }
    }

    fn is_own(&self, address: IpAddr) -> bool {
        // What the system does not tell is not known.
        self.own.get_or_init(addresses).contains(&address)
    }
}

fn local(address: impl Into<IpAddr>, to: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.into(), to.port())
}

/// Whether `listener` means every address of the kind of `to`. That of IPv6 takes IPv4 as well (ipv6(7)).
fn hears_all(listener: IpAddr, to: IpAddr) -> bool {
    match listener {
        IpAddr::V4(ip) => ip.is_unspecified() && to.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    }
}

/// Whether two cannot listen at once.
pub(super) fn exclude_each_other(a: SocketAddr, b: SocketAddr) -> bool {
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    let overlap = a_ip == b_ip || hears_all(a_ip, b_ip) || hears_all(b_ip, a_ip);
    a.port() == b.port() && a.port() != 0 && overlap
}

/// The addresses of this machine's interfaces.
fn addresses() -> Vec<IpAddr> {
    let found = getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    let ip = |address: nix::sys::socket::SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    found.filter_map(ip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_and_the_addresses_of_this_machine_lead_to_a_listener_on_all() {
        let reach =
            Reach { own: OnceCell::from(vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()]) };
        let leads = |to: &str, listener: &str| reach.leads_to(address(to), address(listener));
        for (to, listener) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("127.9.9.9:80", "0.0.0.0:80"),
            ("10.0.0.5:80", "0.0.0.0:80"),
            ("10.0.0.5:80", "[::]:80"),
            ("[::1]:80", "[::]:80"),
            ("[fd00::5]:80", "[::]:80"),
            ("[::ffff:10.0.0.5]:80", "0.0.0.0:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert!(leads(to, listener), "{to} {listener}");
        }
        for (to, listener) in [
            ("127.0.0.1:81", "127.0.0.1:80"),
            ("127.0.0.2:80", "127.0.0.1:80"),
            ("10.0.0.6:80", "0.0.0.0:80"),
            ("10.0.0.5:80", "127.0.0.1:80"),
            ("[::1]:80", "0.0.0.0:80"),
            ("[fd00::6]:80", "[::]:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert!(!leads(to, listener), "{to} {listener}");
        }
        assert!(addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{:?}", addresses());
    }

    #[test]
    fn listeners_exclude_each_other_where_the_kernel_says_so() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            assert_eq!(exclude_each_other(address(a), address(b)), expected, "{a} {b}");
        }
        // What the kernel says: each pair is tried on a port that the first one gets.
        for (a, b) in [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("127.0.0.1", "127.0.0.1")] {
            let first = crate::net::OsNet::listen(SocketAddr::new(a.parse().unwrap(), 0)).unwrap();
            let port = first.local_addr().unwrap().port();
            let [a, b] = [a, b].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            assert_eq!(crate::net::OsNet::listen(b).is_err(), exclude_each_other(a, b), "{a} {b}");
        }
    }
}
