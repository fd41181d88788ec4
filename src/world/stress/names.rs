//! Names of servers that are looked up again and again, while who answers that is slow or never does.
//!
//! Here: [`LookUps`], and what is found when. The proxy knows nothing of names: it gets addresses, as `cli/reload.rs` brings them
//! from a thread of its own, late or never. Not here: looking up (`config/names.rs`). Floor 4.

use std::ops::Range;
use std::time::Duration;

use crate::net::Fabric;
use crate::proxy::Options;
use crate::time::Instant;
use crate::world::address;

/// Nobody is there: who connects is refused.
const NOBODY: u16 = 99;

/// How names are looked up.
#[derive(Clone, Copy, Debug)]
pub struct LookUps {
    /// From the end of one look to the next.
    pub every: Duration,
    /// How long one takes that hangs: one in four; of these one in eight hangs for ever.
    pub hangs: Duration,
}

/// The names of all backends.
pub(super) struct Names {
    of: LookUps,
    ports: Range<u16>,
    options: Options,
    due: Instant,
    looks: bool,
}

impl Names {
    /// Those in `options`, each of which leads to some of these ports.
    pub(super) fn new(of: LookUps, ports: Range<u16>, options: Options) -> Names {
        Names { of, ports, options, due: Instant::ZERO + of.every, looks: false }
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What a look has found as it began, if one ends now.
    pub(super) fn found(&mut self, now: Instant, fabric: &Fabric) -> Option<Options> {
        if now < self.due {
            return None;
        }
        self.looks = !self.looks;
        if !self.looks {
            self.due = now + self.of.every;
            return Some(self.options.clone());
        }
        let all: Vec<u16> = self.ports.clone().collect();
        for backend in &mut self.options.backends {
            let first = fabric.draw(all.len() as u64) as usize;
            let some = 1 + fabric.draw(all.len() as u64) as usize;
            let ports = all.iter().cycle().skip(first).take(some);
            let nobody = (fabric.draw(3) == 0).then_some(&NOBODY);
            backend.addresses = nobody.into_iter().chain(ports).map(|&port| address(port)).collect();
        }
        self.due = match fabric.draw(32) {
            0 => Instant::NEVER,
            1..8 => now + self.of.hangs,
            _ => now + Duration::from_millis(1),
        };
        None
    }
}
