//! A bucket of tokens.
//!
//! Here: [`Tokens`], which lets something be done to a share of the requests. `promise.rs`, `freshness.rs` and `hedging.rs` say
//! to which.
//! Floor 1.

/// Gains a little with each request, up to a limit.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    level: f64,
    gain: f64,
    most: f64,
}

impl Tokens {
    pub(super) const fn new(level: f64, gain: f64, most: f64) -> Tokens {
        Tokens { level, gain, most }
    }

    /// A request has come.
    pub(super) fn gain(&mut self) {
        self.level = (self.level + self.gain).min(self.most);
    }

    /// Whether there is `price`.
    pub(super) fn has(&self, price: f64) -> bool {
        self.level >= price
    }

    /// Takes `price`, if there is as much.
    pub(super) fn take(&mut self, price: f64) -> bool {
        let enough = self.has(price);
        if enough {
            self.level -= price;
        }
        enough
    }
}
