//! Choosing a backend.
//!
//! Here: [`Balance`], the one value that learns what backends do and chooses among them. `backends.rs` keeps what
//! is known of each, `estimate.rs` the averages, `health.rs` who may be chosen, `choose.rs` the ways to choose,
//! `membership.rs` who is chosen among. Pure: no clock, no sockets, no allocation but when the set changes. Not here:
//! connections to backends (`proxy/pool.rs`). The proxy calls it
//! inline. Floor 1.

#[cfg(test)]
mod availability_tests;
mod backends;
mod choose;
mod estimate;
mod health;
#[cfg(test)]
mod health_tests;
mod membership;
#[cfg(test)]
mod membership_tests;
mod narrowed;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use self::backends::Backend;
use self::backends::mean_of;
use self::choose::{Probes, Rotation, lowest, lowest_of};
pub use self::health::{AllOut, Availability, HealthOptions};
use self::membership::Membership;
use crate::time::Instant;

/// How long a backend without a sample is not probed after it failed, while another is usable.
pub const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Names a backend for as long as anything refers to it, wherever it stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u16);

/// How the backend of a request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingMode {
    /// Strict rotation.
    #[default]
    RoundRobin,
    /// The lowest mean of the last N latencies.
    AdaptiveSma,
    /// The lowest exponentially weighted mean latency.
    AdaptiveEwma,
}

impl RoutingMode {
    /// All modes, in the order in which help and reports list them.
    pub const ALL: [RoutingMode; 3] =
        [RoutingMode::RoundRobin, RoutingMode::AdaptiveSma, RoutingMode::AdaptiveEwma];

    /// The mode's name in options, files, rows and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RoutingMode::RoundRobin => "round-robin",
            RoutingMode::AdaptiveSma => "adaptive_sma",
            RoutingMode::AdaptiveEwma => "adaptive_ewma",
        }
    }
}

impl fmt::Display for RoutingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RoutingMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        RoutingMode::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            let names = RoutingMode::ALL.map(RoutingMode::name).join(", ");
            format!("unknown routing mode `{name}`; expected one of {names}")
        })
    }
}

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was its turn.
    Rotation,
    /// No measured backend has a lower average.
    LowestMean,
    /// It has no sample yet.
    Unmeasured,
}

/// A chosen backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whom to send the request to.
    pub backend: BackendId,
    /// Why.
    pub reason: Reason,
}

/// How an attempt on a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole response came, of whatever status.
    Answered {
        /// Nanoseconds from sending the request upstream to the last byte of the response. 0 means that the clock
        /// was too coarse to tell; it enters no average.
        latency_ns: u64,
    },
    /// Refused, reset, timed out or malformed.
    Failed {
        /// Nanoseconds from the start of the attempt to its failure.
        elapsed_ns: u64,
    },
    /// Ended in a way that says nothing of the backend, as when the client left, or of which [`Balance::opened`] has
    /// told all that there is to learn.
    Cancelled,
}

/// Learns how backends do and chooses one for each request.
///
/// Every outcome feeds the averages of all modes, so a switch of the mode starts warm. Each attempt is to be
/// reported twice, by [`started`](Balance::started) and by [`finished`](Balance::finished).
#[derive(Debug)]
pub struct Balance {
    mode: RoutingMode,
    sma_window: usize,
    ewma_alpha: f64,
    members: Membership,
    /// By place, as all tables: in order of configuration.
    backends: Box<[Backend]>,
    rotation: Rotation,
    probes: Probes,
    /// What the current mode compares; infinite if unmeasured or not to be chosen. Apart from the table
    /// so that a choice reads 8 bytes per backend.
    scores: Box<[f64]>,
    health: HealthOptions,
    /// How many are not to be chosen, and of how many the share is growing still; while none, nobody need look.
    unusable: usize,
    easing: usize,
    /// When the next ejection is over.
    due: Instant,
    /// Who is not to be chosen in the choice that is being made.
    barred: Box<[bool]>,
}

impl Balance {
    /// Knows nothing yet of its `backends` backends, which have the first ids. `sma_window` is how many latencies `adaptive_sma` averages,
    /// `ewma_alpha` the weight of the newest one in `adaptive_ewma`.
    ///
    /// # Panics
    ///
    /// If there are more than 65,536 backends, if `sma_window` is 0, or if `ewma_alpha` is not above 0 and at
    /// most 1.
    pub fn new(mode: RoutingMode, backends: usize, sma_window: usize, ewma_alpha: f64) -> Balance {
        assert!(backends <= usize::from(u16::MAX) + 1, "{backends} backends do not fit `BackendId`");
        Balance {
            mode,
            sma_window,
            ewma_alpha,
            members: Membership::first(backends),
            backends: (0..backends).map(|_| Backend::new(sma_window, ewma_alpha)).collect(),
            rotation: Rotation::default(),
            probes: Probes::new(backends),
            scores: vec![f64::INFINITY; backends].into(),
            health: HealthOptions::OFF,
            unusable: 0,
            easing: 0,
            due: Instant::NEVER,
            barred: vec![false; backends].into(),
        }
    }

    /// The same, which ejects backends that fail and lets them come back as told.
    pub fn with_health(mut self, options: HealthOptions) -> Balance {
        self.health = options;
        self
    }

    /// Ejects backends, and lets them come back, by these rules from now on. Who is ejected stays so for as long as it was to.
    pub fn set_health(&mut self, options: HealthOptions) {
        self.health = options;
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
    /// be chosen again.
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
        self.backends[index].health.checked(passed, &self.health, now);
        if self.backends[index].availability() != before {
            self.settle(index);
        }
    }

    /// How many are out or come back slowly, and when the next ejection is over.
    fn survey(&mut self) {
        self.unusable = self.backends.iter().filter(|backend| !backend.is_usable()).count();
        self.easing = self.backends.iter().filter(|backend| backend.health.is_easing()).count();
        self.due = self.backends.iter().map(|backend| backend.health.due()).min().unwrap_or(Instant::NEVER);
    }

    /// Whether `id` may be chosen has changed.
    fn settle(&mut self, index: usize) {
        self.survey();
        self.compare(index);
        if !self.backends[index].is_usable() {
            self.probes.end(index);
        } else if !self.backends[index].is_measured() {
            self.probes.pause(index, Instant::ZERO);
        }
    }

    /// Ends the ejections that are over.
    #[cold]
    fn bring_back(&mut self, now: Instant) {
        for index in 0..self.backends.len() {
            if self.backends[index].health.end_ejection(&self.health, now) {
                self.settle(index);
            }
        }
    }

    /// How many backends may be chosen.
    pub fn usable(&self) -> usize {
        self.backends.len() - self.unusable
    }

    /// The backend for a request at `now`; `None` only if no backend may be chosen. A retry is a choice of its own.
    ///
    /// The adaptive modes choose a backend without a sample first, in order of configuration, unless it failed
    /// within the last [`PROBE_PAUSE`]; then the lowest average, of equal ones the earlier.
    pub fn select(&mut self, now: Instant) -> Option<Choice> {
        if now >= self.due {
            self.bring_back(now);
        }
        if self.unusable + self.easing > 0 {
            let chosen = self.select_among(now, None)?;
            return Some(self.choice(chosen));
        }
        let chosen = self.next_choice(now, false)?;
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
        let chosen = self.select_among(now, self.members.place(failed))?;
        Some(self.choice(chosen))
    }

    /// A choice of the current mode. `narrowed`: not among those that are `barred`.
    fn next_choice(&mut self, now: Instant, narrowed: bool) -> Option<(usize, Reason)> {
        Some(match self.mode {
            RoutingMode::RoundRobin if narrowed => (self.rotate_past_barred()?, Reason::Rotation),
            RoutingMode::RoundRobin => (self.rotation.advance(self.backends.len())?, Reason::Rotation),
            RoutingMode::AdaptiveSma | RoutingMode::AdaptiveEwma => self.adapt(now, narrowed)?,
        })
    }

    /// An attempt on `id` begins.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn started(&mut self, id: BackendId) {
        match self.members.place(id) {
            Some(index) => self.backends[index].start(),
            None => self.left(id).start(),
        }
    }

    /// An attempt on `id` ended at `now`. Call it once for every [`started`](Balance::started).
    ///
    /// A failure of a backend with samples enters its averages as a latency that raises them or leaves them: the
    /// largest of the time it took, its own average, and just above the mean of all backends' averages. A failure
    /// of a backend without samples enters nothing and begins its [`PROBE_PAUSE`].
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn finished(&mut self, id: BackendId, outcome: Outcome, now: Instant) {
        let Some(index) = self.members.place(id) else { return self.left(id).end_outside(outcome) };
        self.backends[index].end();
        let ejects = self.backends[index].health.ended(outcome, &self.health, now);
        match outcome {
            Outcome::Answered { latency_ns } => self.backends[index].answer(latency_ns),
            Outcome::Failed { elapsed_ns } => self.fail(index, elapsed_ns, now),
            Outcome::Cancelled => return,
        }
        self.learned(index);
        if ejects && self.health.may_eject(self.unusable, self.backends.len()) {
            self.backends[index].health.eject(&self.health, now);
            self.settle(index);
        }
    }

    /// The averages of a backend have changed.
    fn learned(&mut self, index: usize) {
        self.compare(index);
        if self.backends[index].is_measured() {
            self.probes.end(index);
        }
    }

    /// An attempt on `id` was answered after `latency_ns` with a tunnel. The latency counts as of now; the attempt is in
    /// flight until it is reported as finished, and cancelled.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn opened(&mut self, id: BackendId, latency_ns: u64) {
        let Some(index) = self.members.place(id) else { return self.left(id).answer(latency_ns) };
        self.backends[index].answer(latency_ns);
        self.learned(index);
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
        let lowest = if narrowed { lowest_of(&self.scores, may) } else { lowest(&self.scores) };
        if let Some(index) = lowest {
            return Some((index, Reason::LowestMean));
        }
        Some((self.probes.first_to_come(may)?, Reason::Unmeasured))
    }

    fn fail(&mut self, index: usize, elapsed_ns: u64, now: Instant) {
        let sma = mean_of(self.backends.iter().filter_map(Backend::sma_ns));
        let ewma = mean_of(self.backends.iter().filter_map(Backend::ewma_ns));
        let backend = &mut self.backends[index];
        backend.fail(elapsed_ns, sma, ewma);
        if !backend.is_measured() && backend.is_usable() {
            self.probes.pause(index, now + PROBE_PAUSE);
        }
    }
}
