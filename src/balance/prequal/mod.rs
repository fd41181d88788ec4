//! Prequal: the lowest latency among the cold, else the least load.
//!
//! Here: [`Prequal`], its pool of probes and the rule that chooses from it. Source: B. Wydrowski et al., "Load is not what
//! you should balance: Introducing Prequal", NSDI 2024, §4. One difference: no probe is sent. A probe here is answered at
//! once from what this proxy knows of the backend, its own requests in flight and its latest latencies; the paper's servers
//! count those of all clients. And as the paper's pool, it knows nothing of errors: a backend that fails fast looks good.
//! `Balance` alone uses it. Floor 1.

mod hot;
mod recent;

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use self::hot::{Hot, Loads};
pub(super) use self::recent::Recent;
use super::Backend;
use crate::time::Instant;

/// The paper's r_probe: probes for each request.
const PROBES_A_REQUEST: usize = 3;

/// The paper's m: probes in the pool.
const POOL: usize = 16;

/// The pool does not shrink below so many by removal of the worst.
const LEAST_POOL: usize = 3;

/// Older probes are not used (§4.3).
const LONGEST_AGE: Duration = Duration::from_secs(1);

/// The paper's b_reuse: for how many requests a probe serves. Its formula has no meaning for fewer backends than
/// probes; three is what it comes to for many.
const USES: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Probe {
    backend: u16,
    load: u32,
    latency_ms: f64,
    taken: Instant,
    uses: usize,
}

/// The pool, and what of the loads is to be known.
#[derive(Debug)]
pub(super) struct Prequal {
    /// Oldest first.
    pool: Vec<Probe>,
    loads: Loads,
    /// Whether the next to be removed is the worst, not the oldest.
    worst_next: bool,
}

impl Default for Prequal {
    fn default() -> Prequal {
        Prequal {
            pool: Vec::with_capacity(POOL + PROBES_A_REQUEST),
            loads: Loads::default(),
            worst_next: false,
        }
    }
}

impl Prequal {
    /// Other backends stand at the positions that probes tell of.
    pub(super) fn forget(&mut self) {
        self.pool.clear();
    }

    /// Chooses among the `usable` positions of `backends`; `None` if there are none.
    pub(super) fn select(
        &mut self,
        backends: &[Backend],
        usable: &[u16],
        rng: &mut Pcg64Mcg,
        now: Instant,
    ) -> Option<usize> {
        self.probe(backends, usable, rng, now);
        let hot = self.loads.limit();
        let chosen = (0..self.pool.len()).reduce(|best, other| {
            if better(&self.pool[other], &self.pool[best], hot) { other } else { best }
        })?;
        let backend = self.pool[chosen].backend;
        // One more is on its way there, which the probes have not seen.
        self.pool.iter_mut().filter(|probe| probe.backend == backend).for_each(|probe| probe.load += 1);
        self.pool[chosen].uses -= 1;
        if self.pool[chosen].uses == 0 {
            self.pool.remove(chosen);
        }
        self.remove_one(hot);
        Some(usize::from(backend))
    }

    fn probe(&mut self, backends: &[Backend], usable: &[u16], rng: &mut Pcg64Mcg, now: Instant) {
        self.pool
            .retain(|probe| now - probe.taken < LONGEST_AGE && usable.binary_search(&probe.backend).is_ok());
        if usable.is_empty() {
            return;
        }
        for _ in 0..PROBES_A_REQUEST {
            let backend = usable[rng.random_range(0..usable.len())];
            let known = &backends[usize::from(backend)];
            let load = known.in_flight();
            let latency_ms = known.recent.latency_ms(load).unwrap_or(0.0);
            self.pool.push(Probe { backend, load, latency_ms, taken: now, uses: USES.min(usable.len()) });
            self.loads.record(load);
        }
        let surplus = self.pool.len().saturating_sub(POOL);
        self.pool.drain(..surplus);
    }

    /// §4.3: each request removes a probe, by turns the oldest and the worst, lest the pool fill with the bad ones that are
    /// never used.
    fn remove_one(&mut self, hot: Hot) {
        if self.pool.len() <= LEAST_POOL {
            return;
        }
        let removed = if self.worst_next { self.worst(hot) } else { 0 };
        self.worst_next = !self.worst_next;
        self.pool.remove(removed);
    }

    /// The highest load if any is hot, else the highest latency.
    fn worst(&self, hot: Hot) -> usize {
        let any_hot = self.pool.iter().any(|probe| hot.covers(probe.load));
        let badness = |probe: &Probe| if any_hot { f64::from(probe.load) } else { probe.latency_ms };
        let worst =
            (0..self.pool.len()).max_by(|&a, &b| badness(&self.pool[a]).total_cmp(&badness(&self.pool[b])));
        worst.unwrap_or(0)
    }
}

/// The hot-cold lexicographic rule (§4.2).
fn better(probe: &Probe, other: &Probe, hot: Hot) -> bool {
    match (hot.covers(probe.load), hot.covers(other.load)) {
        (false, true) => true,
        (true, false) => false,
        (false, false) => probe.latency_ms < other.latency_ms,
        (true, true) => probe.load < other.load,
    }
}
