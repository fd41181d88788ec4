//! Choosing a backend.
//!
//! Here: [`Balance`], the one value that learns what backends do and chooses among them. `backends.rs` keeps what is known of
//! each, `estimate.rs` the averages, `health.rs` who may be chosen, `membership.rs` who is chosen among, `choose.rs` rotation
//! and the lowest average; the other modes have a file or a folder each. `learn.rs` takes in how attempts end, `copies.rs`
//! chooses where further copies of a request go. Pure: no clock, no sockets, chance from a seed, no allocation but when the set
//! changes and until as many attempts were in flight as ever are. Not here: connections to backends (`proxy/pool.rs`). The proxy
//! calls it inline. Floor 1.

mod adaptive;
#[cfg(test)]
mod availability_tests;
mod backends;
mod choose;
mod copies;
mod estimate;
mod flights;
mod health;
#[cfg(test)]
mod health_tests;
mod learn;
mod least_requests;
mod membership;
#[cfg(test)]
mod membership_tests;
mod mode;
#[cfg(test)]
mod modes_tests;
mod narrowed;
mod peak_ewma;
mod prequal;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use self::adaptive::Adaptive;
pub use self::backends::Backend;
use self::choose::{Probes, Rotation, lowest, lowest_of};
pub use self::copies::{Copies, MOST_COPIES};
pub use self::flights::Flight;
use self::flights::Flights;
pub use self::health::{AllOut, Availability, HealthOptions};
pub use self::learn::Outcome;
use self::least_requests::LeastRequests;
use self::membership::Membership;
pub use self::mode::{BalanceOptions, RoutingGoal, RoutingMode};
use self::prequal::Prequal;
use crate::time::Instant;

/// How long a backend without a sample is not probed after it failed, while another is usable.
pub const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Names a backend for as long as anything refers to it, wherever it stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u16);

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was its turn.
    Rotation,
    /// No measured backend has a lower average.
    LowestMean,
    /// It has no sample yet.
    Unmeasured,
    /// Its last sample is old, and this request brings a new one.
    Stale,
    /// None that was looked at costs clearly less, or as little with fewer in flight.
    LeastCost,
    /// The same with the further copies that are planned for when it is late there.
    Planned,
    /// None has fewer in flight.
    FewestInFlight,
    /// It was the better one of those drawn at random.
    Drawn,
    /// It knows the client by a login that holds for the connection. No choice of [`Balance`].
    LoggedIn,
}

/// A chosen backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whom to send the request to.
    pub backend: BackendId,
    /// Why.
    pub reason: Reason,
}

/// Learns how backends do and chooses one for each request.
///
/// Every outcome feeds the averages, so a switch to `adaptive_sma` or `adaptive_ewma` starts warm. What the other modes
/// learn costs too much for those that do not use it: it is learned while they are in force, and kept. Each attempt is to
/// be reported twice, by [`started`](Balance::started) and by [`finished`](Balance::finished).
#[derive(Debug)]
pub struct Balance {
    mode: RoutingMode,
    options: BalanceOptions,
    members: Membership,
    /// By place, as all tables: in order of configuration.
    backends: Box<[Backend]>,
    /// The positions of those that may be chosen, in order.
    usable: Vec<u16>,
    flights: Flights,
    rng: Pcg64Mcg,
    rotation: Rotation,
    probes: Probes,
    /// What the current mode compares, by backend; infinite if unmeasured or not to be chosen. Apart from the table
    /// so that a choice reads 8 bytes per backend.
    scores: Box<[f64]>,
    /// Of how many the share is growing still; while none, and all may be chosen, nobody need look.
    easing: usize,
    /// When the next ejection is over.
    due: Instant,
    /// Who is not to be chosen in the choice that is being made.
    barred: Box<[bool]>,
    /// Room for the positions of the others.
    allowed: Vec<u16>,
    adaptive: Adaptive,
    least_requests: LeastRequests,
    prequal: Prequal,
}

impl Balance {
    /// Knows nothing yet of its `backends` backends, which have the first ids.
    ///
    /// # Panics
    ///
    /// If there are more than 65,536 backends, if the window for averages is 0, or if the weight of the newest latency is
    /// not above 0 and at most 1.
    pub fn new(mode: RoutingMode, backends: usize, options: &BalanceOptions) -> Balance {
        assert!(backends <= usize::from(u16::MAX) + 1, "{backends} backends do not fit `BackendId`");
        Balance {
            mode,
            options: *options,
            members: Membership::first(backends),
            backends: (0..backends).map(|_| Backend::new(options)).collect(),
            usable: (0..backends).map(|index| index as u16).collect(),
            flights: Flights::default(),
            rng: Pcg64Mcg::seed_from_u64(options.seed),
            rotation: Rotation::default(),
            probes: Probes::new(backends),
            scores: vec![f64::INFINITY; backends].into(),
            easing: 0,
            due: Instant::NEVER,
            barred: vec![false; backends].into(),
            allowed: Vec::with_capacity(backends),
            adaptive: Adaptive::new(options, backends),
            least_requests: LeastRequests::default(),
            prequal: Prequal::default(),
        }
    }

    /// The mode of the next choice.
    pub fn mode(&self) -> RoutingMode {
        self.mode
    }

    /// Changes the mode of the next choice. The rotation goes on where it was left.
    pub fn set_mode(&mut self, mode: RoutingMode) {
        self.mode = mode;
        (0..self.backends.len()).for_each(|index| self.compare(index));
    }

    /// Lets `id` be chosen no more, or again. Its averages are kept; without a sample it is probed at once when it may
    /// be chosen again. In `adaptive` one that is back, whatever from, gets one request at a time until one is answered.
    ///
    /// Of one that has left there is nothing to change.
    pub fn drain(&mut self, id: BackendId, drained: bool) {
        let Some(index) = self.members.place(id) else { return };
        self.backends[index].health.drain(drained);
        self.settle(index);
    }

    /// The checks of `id` say that it works, or that it does not. That it works ends an ejection.
    pub fn checked(&mut self, id: BackendId, passed: bool, now: Instant) {
        let Some(index) = self.members.place(id) else { return };
        let before = self.backends[index].availability();
        self.backends[index].health.checked(passed, &self.options.health, now);
        if self.backends[index].availability() != before {
            self.settle(index);
        }
    }

    /// Who may be chosen, how many come back slowly, and when the next ejection is over.
    fn survey(&mut self) {
        self.usable.clear();
        let usable = (0u16..).zip(&self.backends).filter(|(_, backend)| backend.is_usable());
        self.usable.extend(usable.map(|(index, _)| index));
        self.adaptive.usable_changed();
        self.easing = self.backends.iter().filter(|backend| backend.health.is_easing()).count();
        self.due = self.backends.iter().map(|backend| backend.health.due()).min().unwrap_or(Instant::NEVER);
    }

    /// Whether the backend at `index` may be chosen has changed.
    fn settle(&mut self, index: usize) {
        let is_usable = self.backends[index].is_usable();
        if is_usable && self.usable.binary_search(&(index as u16)).is_err() {
            self.backends[index].score.forget();
        }
        self.survey();
        self.compare(index);
        if !is_usable {
            self.probes.end(index);
        } else if !self.backends[index].is_measured() {
            self.probes.pause(index, Instant::ZERO);
        }
    }

    /// Ends the ejections that are over.
    #[cold]
    fn bring_back(&mut self, now: Instant) {
        for index in 0..self.backends.len() {
            if self.backends[index].health.end_ejection(&self.options.health, now) {
                self.settle(index);
            }
        }
    }

    /// How many backends may be chosen.
    pub fn usable(&self) -> usize {
        self.usable.len()
    }

    /// How many may answer a request at `now`, by what is known: those that may be chosen, or may be again by now, and have not
    /// failed so often in a row that they would be ejected if all could be.
    pub fn serving(&self, now: Instant) -> usize {
        self.backends.iter().filter(|backend| backend.health.serves(&self.options.health, now)).count()
    }

    /// The backend for a request at `now`; `None` only if no backend may be chosen. A retry is a choice of its own.
    ///
    /// `adaptive_sma` and `adaptive_ewma` choose a backend without a sample first, in order of configuration, unless it
    /// failed within the last [`PROBE_PAUSE`]; then, if they are told to, one at rest whose last sample is old; then the
    /// lowest average, of equal ones the earlier.
    pub fn select(&mut self, now: Instant) -> Option<Choice> {
        self.select_for(now, false)
    }

    #[inline]
    fn select_for(&mut self, now: Instant, repeatable: bool) -> Option<Choice> {
        if self.mode == RoutingMode::Adaptive {
            self.adaptive.gain(repeatable);
        }
        if now >= self.due {
            self.bring_back(now);
        }
        if self.usable.len() < self.backends.len() || self.easing > 0 {
            let chosen = self.select_among(now, None, repeatable)?;
            return Some(self.choice(chosen));
        }
        let chosen = self.next_choice(now, false, repeatable)?;
        Some(self.choice(chosen))
    }

    fn choice(&self, (index, reason): (usize, Reason)) -> Choice {
        Choice { backend: self.members.id(index), reason }
    }

    /// The backend for another attempt, after one on `failed`; `None` if no other may be chosen.
    pub fn select_other(&mut self, now: Instant, failed: BackendId) -> Option<Choice> {
        if now >= self.due {
            self.bring_back(now);
        }
        let chosen = self.select_among(now, self.members.place(failed), false)?;
        Some(self.choice(chosen))
    }

    /// A choice of the current mode. `narrowed`: not among those that are `barred`. `repeatable`: for a request that
    /// may be sent more than once.
    fn next_choice(&mut self, now: Instant, narrowed: bool, repeatable: bool) -> Option<(usize, Reason)> {
        Some(match self.mode {
            RoutingMode::RoundRobin if narrowed => (self.rotate_past_barred()?, Reason::Rotation),
            RoutingMode::RoundRobin => (self.rotation.advance(self.backends.len())?, Reason::Rotation),
            RoutingMode::AdaptiveSma | RoutingMode::AdaptiveEwma => self.adapt(now, narrowed)?,
            RoutingMode::Adaptive
            | RoutingMode::LeastRequests
            | RoutingMode::P2cPeakEwma
            | RoutingMode::Prequal => self.choose_by_load(now, narrowed, repeatable)?,
        })
    }

    /// The same in a mode that looks at what is in flight.
    #[inline(never)]
    fn choose_by_load(&mut self, now: Instant, narrowed: bool, repeatable: bool) -> Option<(usize, Reason)> {
        if narrowed {
            self.allowed.clear();
            let allowed = (0u16..).zip(&self.barred).filter(|(_, barred)| !**barred);
            self.allowed.extend(allowed.map(|(index, _)| index));
        }
        let Balance { backends, usable, allowed, rng, flights, .. } = self;
        let among: &[u16] = if narrowed { allowed } else { usable };
        match self.mode {
            RoutingMode::Adaptive => self.adaptive.select(backends, (flights, among), repeatable, rng, now),
            RoutingMode::P2cPeakEwma => Some((peak_ewma::select(backends, among, rng, now)?, Reason::Drawn)),
            RoutingMode::Prequal => Some((self.prequal.select(backends, among, rng, now)?, Reason::Drawn)),
            _ => Some((self.least_requests.select(backends, among)?, Reason::FewestInFlight)),
        }
    }

    /// Takes over what the current mode compares.
    fn compare(&mut self, index: usize) {
        let backend = &self.backends[index];
        let score = backend.score_ns(self.mode).filter(|_| backend.is_usable());
        self.scores[index] = score.unwrap_or(f64::INFINITY);
    }

    fn adapt(&self, now: Instant, narrowed: bool) -> Option<(usize, Reason)> {
        let may = |index: usize| !narrowed || !self.barred[index];
        if let Some(index) = self.probes.due(now, may) {
            return Some((index, Reason::Unmeasured));
        }
        if let Some(index) = self.options.reprobe_after.and_then(|age| self.stale(age, now, may)) {
            return Some((index, Reason::Stale));
        }
        let lowest = if narrowed { lowest_of(&self.scores, may) } else { lowest(&self.scores) };
        if let Some(index) = lowest {
            return Some((index, Reason::LowestMean));
        }
        Some((self.probes.first_to_come(may)?, Reason::Unmeasured))
    }

    /// The first backend at rest whose last sample is older than `age`, of those that `may` be chosen.
    fn stale(&self, age: Duration, now: Instant, may: impl Fn(usize) -> bool) -> Option<usize> {
        let is_stale = |backend: &Backend| {
            backend.in_flight() == 0 && backend.is_measured() && now - backend.sampled() > age
        };
        let mut usable = self.usable.iter().map(|&index| usize::from(index));
        usable.find(|&index| may(index) && is_stale(&self.backends[index]))
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
