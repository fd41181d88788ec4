//! Addresses of this machine, as configured.
//!
//! Here: reading and showing them. Not here: whether the machine has them (`net/sources.rs`). Floor 5.

use std::net::IpAddr;

use super::values::Value;

/// An address to connect from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress(pub IpAddr);

impl Value for LocalAddress {
    const EXPECTED: &'static str = "an IP address of this machine such as \"127.0.0.2\"";

    fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if address.is_unspecified() || address.is_multicast() => Err(format!(
                "`{text}` is no address that a connection can come from; name one of this machine"
            )),
            Ok(address) => Ok(LocalAddress(address)),
            Err(_) => Err(format!("`{text}` is not an IP address; write it without a port, like 127.0.0.2")),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for (text, shown) in [("127.0.0.2", "127.0.0.2"), ("[::1]", "::1"), ("::ffff:10.0.0.1", "10.0.0.1")] {
            assert_eq!(LocalAddress::parse(text).map(|address| address.show()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_to_come_from_is_told() {
        for (text, why) in [
            ("127.0.0.2:80", "write it without a port"),
            ("localhost", "is not an IP address"),
            ("", "is not an IP address"),
            ("0.0.0.0", "no address that a connection can come from"),
            ("::", "no address that a connection can come from"),
            ("224.0.0.1", "no address that a connection can come from"),
        ] {
            assert!(LocalAddress::parse(text).is_err_and(|e| e.contains(why)), "{text}");
        }
    }
}
