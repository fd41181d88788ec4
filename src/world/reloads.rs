//! Other options for the proxy, again and again.
//!
//! Here: [`Reloads`], which draws sets of servers, modes and limits from a seed. Not here: what the proxy does with them
//! (`proxy/reload.rs`). `mod.rs` brings them to it. Floor 4.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::balance::RoutingMode;
use crate::proxy::{ConnectionMode, Options, PoolLimit, Reuse};
use crate::time::Instant;

/// Options that change while the world runs.
pub(super) struct Reloads {
    every: Duration,
    due: Instant,
    rng: Pcg64Mcg,
    /// The options at the start, with all servers that there are.
    all: Options,
}

impl Reloads {
    /// Changes of `all`, about `every` so often.
    pub(super) fn new(seed: u64, every: Duration, all: Options) -> Reloads {
        Reloads { every, due: Instant::ZERO + every, rng: Pcg64Mcg::seed_from_u64(seed), all }
    }

    /// Other options, if it is time for them.
    pub(super) fn next(&mut self, now: Instant) -> Option<Options> {
        if now < self.due {
            return None;
        }
        self.due = now + self.every.mul_f64(self.rng.random_range(0.1..2.0));
        let mut options = self.all.clone();
        // Some are left out, now and then all; the others stand in another order.
        let least = f64::from(u8::from(self.rng.random_bool(0.1)));
        options.backends.retain(|_| self.rng.random_bool((0.7 - least).max(0.0)));
        if !options.backends.is_empty() {
            let by = self.rng.random_range(0..options.backends.len());
            options.backends.rotate_left(by);
        }
        options.routing = RoutingMode::ALL[self.rng.random_range(0..RoutingMode::ALL.len())];
        options.connections = ConnectionMode::ALL[self.rng.random_range(0..2)];
        options.reuse = Reuse::ALL[self.rng.random_range(0..3)];
        options.sma_window = self.rng.random_range(1..6);
        let most = self.rng.random_range(0..8);
        options.limits.pool_per_backend = if most == 0 { PoolLimit::Auto } else { PoolLimit::Most(most) };
        options.limits.connections_per_client = [usize::MAX, 9_999][self.rng.random_range(0..2)];
        options.upstream_timeout = Duration::from_millis(self.rng.random_range(500..20_000));
        Some(options)
    }
}
