//! Clients' addresses.
//!
//! Here: an address as it is told to backends, without allocation; how many connections come from each. Not here: who is let
//! in (`listen.rs`). Floor 3.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A client's address as text, formatted once per connection.
pub(super) struct AddressText {
    text: [u8; 45],
    len: u8,
    loopback: bool,
}

impl AddressText {
    pub(super) fn new(address: SocketAddr) -> AddressText {
        let mut text = [0; 45];
        let mut rest = &mut text[..];
        // 45 bytes hold the longest form of an IPv6 address.
        let written = io::Write::write_fmt(&mut rest, format_args!("{}", address.ip().to_canonical()));
        let len = 45 - rest.len();
        debug_assert!(written.is_ok());
        AddressText { text, len: len as u8, loopback: address.ip().to_canonical().is_loopback() }
    }

    /// Whether it is of this machine alone.
    pub(super) const fn is_loopback(&self) -> bool {
        self.loopback
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// The host that connections are counted of: an IPv4 address, or the /64 network that an IPv6 host has to itself
    /// (RFC 6177), out of which it could draw any number of addresses.
    fn host(&self) -> Option<u128> {
        let address = std::str::from_utf8(self.as_bytes()).ok()?.parse().ok()?;
        Some(match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        })
    }
}

/// How many connections come from each host.
pub(super) struct Hosts {
    /// Of no host more are let in; `usize::MAX` is no limit.
    pub(super) most: usize,
    open: HashMap<u128, usize>,
    /// In all.
    total: usize,
}

impl Hosts {
    /// Of no host more than `most` connections are let in; `usize::MAX` is no limit.
    pub(super) fn new(most: usize) -> Hosts {
        Hosts { most, open: HashMap::new(), total: 0 }
    }

    /// Counts a connection; `false` if it is one too many.
    pub(super) fn enter(&mut self, address: &AddressText) -> bool {
        let Some(host) = address.host() else { return true };
        let open = self.open.entry(host).or_default();
        if *open >= self.most {
            return false;
        }
        *open += 1;
        self.total += 1;
        true
    }

    /// A connection that was counted is closed.
    pub(super) fn leave(&mut self, address: &AddressText) {
        let Some(host) = address.host() else { return };
        if let Some(open) = self.open.get_mut(&host) {
            self.total -= 1;
            *open -= 1;
            if *open == 0 {
                self.open.remove(&host);
            }
        }
    }

    /// Whether all connections are of one host.
    pub(super) fn has_one(&self) -> bool {
        self.open.len() <= 1
    }

    /// Whether the host of this address has as many connections as each would have if all had the same number, or more.
    pub(super) fn has_its_share(&self, address: &AddressText) -> bool {
        let open = address.host().and_then(|host| self.open.get(&host)).copied().unwrap_or(0);
        open.saturating_mul(self.open.len()) >= self.total
    }

    /// How many connections are counted.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str) -> AddressText {
        AddressText::new(SocketAddr::new(address.parse().unwrap(), 1))
    }

    #[test]
    fn a_host_has_so_many_connections_and_an_ipv6_network_counts_as_one() {
        let mut hosts = Hosts::new(2);
        let mut enter = |address| hosts.enter(&text(address));
        assert_eq!(
            ["1.2.3.4", "1.2.3.5", "::ffff:1.2.3.4", "1.2.3.4"].map(&mut enter),
            [true, true, true, false]
        );
        assert_eq!(["2001:db8::1", "2001:db8::2:1", "2001:db8::3"].map(&mut enter), [true, true, false]);
        assert!(enter("2001:db8:0:1::1"));
        hosts.leave(&text("2001:db8::9"));
        assert!(hosts.enter(&text("2001:db8::3")));
        for address in ["1.2.3.4", "1.2.3.4", "1.2.3.5"] {
            hosts.leave(&text(address));
        }
        assert_eq!(hosts.open.len(), 2, "who has left is forgotten");
    }

    #[test]
    fn a_share_is_what_each_host_would_have_if_all_had_as_many() {
        let mut hosts = Hosts::new(usize::MAX);
        assert!(hosts.has_one());
        for address in ["1.2.3.4", "1.2.3.4", "1.2.3.4"] {
            assert!(hosts.enter(&text(address)));
            assert!(hosts.has_one() && hosts.has_its_share(&text("1.2.3.4")));
        }
        assert!(hosts.enter(&text("1.2.3.5")));
        let has = |hosts: &Hosts| ["1.2.3.4", "1.2.3.5"].map(|address| hosts.has_its_share(&text(address)));
        assert_eq!((has(&hosts), hosts.has_one(), hosts.total()), ([true, false], false, 4));
        hosts.leave(&text("1.2.3.4"));
        hosts.leave(&text("1.2.3.4"));
        assert_eq!((has(&hosts), hosts.total()), ([true, true], 2));
    }

    #[test]
    fn the_longest_address_fits_and_mapped_ones_are_plain() {
        for (address, text) in [
            ("1.2.3.4:5", "1.2.3.4"),
            ("[::ffff:255.255.255.255]:5", "255.255.255.255"),
            ("[1111:2222:3333:4444:5555:6666:7777:8888]:5", "1111:2222:3333:4444:5555:6666:7777:8888"),
        ] {
            assert_eq!(AddressText::new(address.parse().unwrap()).as_bytes(), text.as_bytes());
        }
    }
}
