//! A client's address as it is told to backends.
//!
//! Here: its text, without allocation. Floor 3.

use std::io;
use std::net::SocketAddr;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
