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

    /// A request has come. Returns what did not fit.
    pub(super) fn gain(&mut self) -> f64 {
        self.put(self.gain)
    }

    /// Returns what did not fit.
    pub(super) fn put(&mut self, tokens: f64) -> f64 {
        let wanted = self.level + tokens;
        self.level = wanted.min(self.most);
        wanted - self.level
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gains_up_to_its_limit_and_gives_back_the_rest_and_pays_only_what_it_has() {
        let mut tokens = Tokens::new(1.0, 0.5, 2.0);
        assert_eq!((tokens.gain(), tokens.put(0.25), tokens.gain()), (0.0, 0.0, 0.25));
        assert_eq!((tokens.take(1.5), tokens.take(1.0), tokens.take(0.5)), (true, false, true));
    }
}
