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

    /// Has these addresses from now on. Returns whether that changes anything; if so, whether an address is left that was
    /// among them. The order alone is the resolver's whim, and not one of them is tried in another order for it.
    pub(super) fn lead_to(&mut self, addresses: &[SocketAddr]) -> Option<bool> {
        let left = self.addresses.iter().any(|address| !addresses.contains(address));
        let came = addresses.iter().any(|address| !self.addresses.contains(address));
        if !left && !came {
            return None;
        }
        let preferred = self.addresses[self.preferred];
        self.preferred = addresses.iter().position(|&address| address == preferred).unwrap_or(0);
        self.addresses = addresses.to_vec();
        Some(left)
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

    #[test]
    fn a_target_moves_only_if_its_addresses_are_others() {
        let [a, b, c] = ["127.0.0.1:1", "127.0.0.2:2", "[::1]:3"].map(|a| a.parse().unwrap());
        let backend = Backend { url: String::new(), authority: String::new(), addresses: vec![a, b] };
        let mut target = Target::new(&backend);
        target.connected(target.attempt().next());
        assert_eq!((target.lead_to(&[b, a]), target.lead_to(&[a, b, c])), (None, Some(false)));
        assert_eq!(target.address(target.attempt()), Some(b), "the one that connected is still first");
        assert_eq!(target.lead_to(&[c, a]), Some(true));
        assert_eq!(target.address(target.attempt()), Some(c));
    }

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
