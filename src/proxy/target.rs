//! Where a backend is.
//!
//! Here: its addresses, and an attempt's way through them. Not here: connecting (`forward.rs`). Floor 3.

use std::net::SocketAddr;

use super::Backend;

/// Where a backend is.
pub(super) struct Target {
    pub(super) authority: String,
    addresses: Vec<SocketAddr>,
    /// The address that connected last: the first to be tried.
    preferred: usize,
}

impl Target {
    pub(super) fn new(backend: &Backend) -> Target {
        let (authority, addresses) = (backend.authority.clone(), backend.addresses.clone());
        Target { authority, addresses, preferred: 0 }
    }

    /// A new attempt, which begins with the address that connected last.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt { first: self.preferred, tried: 0 }
    }

    /// The address whose turn it is in an attempt; none when all have failed.
    pub(super) fn address(&self, attempt: Attempt) -> Option<SocketAddr> {
        let position = (attempt.first + attempt.tried) % self.addresses.len();
        (attempt.tried < self.addresses.len()).then(|| self.addresses[position])
    }

    pub(super) fn connected(&mut self, attempt: Attempt) {
        self.preferred = (attempt.first + attempt.tried) % self.addresses.len();
    }
}

/// One attempt's way through the addresses of a backend. It does not move when other attempts learn of a better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    first: usize,
    tried: usize,
}

impl Attempt {
    /// The address whose turn it was has failed.
    pub(super) const fn next(self) -> Attempt {
        Attempt { first: self.first, tried: self.tried + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others learn of a better address while an attempt is under way: it still tries each one once.
    #[test]
    fn an_attempt_tries_each_address_once_whatever_others_learn() {
        let addresses: Vec<SocketAddr> =
            ["127.0.0.1:1", "127.0.0.2:2", "[::1]:3"].map(|a| a.parse().unwrap()).to_vec();
        let backend = Backend { url: String::new(), authority: String::new(), addresses: addresses.clone() };
        let mut target = Target::new(&backend);
        let (mut one, other) = (target.attempt(), target.attempt().next());
        let mut tried = Vec::new();
        while let Some(address) = target.address(one) {
            tried.push(address);
            target.connected(other);
            one = one.next();
        }
        assert_eq!(tried, addresses);
        assert_eq!(
            target.address(target.attempt()),
            Some(addresses[1]),
            "the one that connected is first now"
        );
    }
}
