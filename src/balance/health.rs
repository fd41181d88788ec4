//! Whether a backend may be chosen, and how much of its share it gets.
//!
//! Here: ejection after failures in a row, for a growing time and never of too many; what checks say; the slow start of a
//! backend that is back. Not here: making checks (`proxy/health.rs`), and what is done when none may be chosen (`mod.rs`, the
//! only caller). Floor 1.

use std::time::Duration;

use super::Outcome;
use crate::time::Instant;

/// The share with which a backend that is back begins, whatever its slow start: it must get requests to show what it can do.
const LEAST_SHARE: f32 = 0.1;

/// After how many failures in a row a backend is taken for out where none is ejected.
const ENOUGH_FAILURES: u32 = 5;

/// What is chosen when no backend may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllOut {
    /// None: the request fails.
    #[default]
    Fail,
    /// Any that nobody has drained: what ejected it, or the check that it fails, may be mistaken.
    Any,
}

impl AllOut {
    /// Both.
    pub const ALL: [AllOut; 2] = [AllOut::Fail, AllOut::Any];

    /// The name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            AllOut::Fail => "fail",
            AllOut::Any => "any",
        }
    }
}

/// When backends are ejected, and how they come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthOptions {
    /// After how many failures in a row a backend is not chosen for a while; 0 for never.
    pub eject_after: u32,
    /// For how long, the first time. Each time that it fails when it is back, it is twice as long.
    pub eject_for: Duration,
    /// For how long at most.
    pub eject_for_most: Duration,
    /// Which share of the backends may be out, of 1, for one more to be ejected.
    pub eject_share: f64,
    /// What is chosen when all are out.
    pub all_out: AllOut,
    /// How long a backend that is back gets less than its share, growing evenly; zero for never.
    pub slow_start: Duration,
}

impl HealthOptions {
    /// None of it.
    pub const OFF: HealthOptions = HealthOptions {
        eject_after: 0,
        eject_for: Duration::ZERO,
        eject_for_most: Duration::ZERO,
        eject_share: 0.0,
        all_out: AllOut::Fail,
        slow_start: Duration::ZERO,
    };

    /// For how long a backend is ejected that was `before` times already without recovering in between.
    fn ejection(&self, before: u32) -> Duration {
        self.eject_for.saturating_mul(1 << before.min(20)).min(self.eject_for_most)
    }

    /// Whether one more of `backends` may be ejected, of which `out` are not chosen.
    pub(super) fn may_eject(&self, out: usize, backends: usize) -> bool {
        (out + 1) as f64 <= self.eject_share * backends as f64
    }
}

/// Whether a backend may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// Like any other.
    #[default]
    Usable,
    /// Somebody wants it at rest: it is not chosen, and what it has in flight ends undisturbed.
    Draining,
    /// It fails its checks.
    Down,
    /// It failed too often in a row, and is left alone for a while.
    Ejected,
}

impl Availability {
    /// The word on pages and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Availability::Usable => "usable",
            Availability::Draining => "draining",
            Availability::Down => "down",
            Availability::Ejected => "ejected",
        }
    }
}

/// What is known of one backend's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    drained: bool,
    down: bool,
    /// Failures in a row.
    failures: u32,
    /// When it failed last, unless a check was passed since.
    failed_at: Option<Instant>,
    /// Ejections from which it has not recovered.
    ejections: u32,
    /// All ejections.
    ejected: u64,
    ejected_until: Option<Instant>,
    /// Since when it is back.
    back_since: Option<Instant>,
    /// Whether its share is growing still.
    easing: bool,
    /// The part of its next turn that it has already.
    credit: f32,
}

impl Health {
    pub(super) fn availability(&self) -> Availability {
        match (self.drained, self.down, self.ejected_until) {
            (true, ..) => Availability::Draining,
            (_, true, _) => Availability::Down,
            (.., Some(_)) => Availability::Ejected,
            _ => Availability::Usable,
        }
    }

    /// How often it was ejected.
    pub(super) fn ejected(&self) -> u64 {
        self.ejected
    }

    pub(super) fn drain(&mut self, drained: bool) {
        self.drained = drained;
    }

    /// Until when it is ejected; [`Instant::NEVER`] if it is not.
    pub(super) fn due(&self) -> Instant {
        self.ejected_until.unwrap_or(Instant::NEVER)
    }

    pub(super) fn is_easing(&self) -> bool {
        self.easing
    }

    /// An attempt has ended so. Returns whether the backend is to be ejected, if it may be.
    pub(super) fn ended(&mut self, outcome: Outcome, options: &HealthOptions, now: Instant) -> bool {
        match outcome {
            Outcome::Overtaken { .. } | Outcome::Cancelled => false,
            Outcome::Answered { .. } => {
                self.failures = 0;
                if self.ejections > 0 {
                    self.recover(options, now);
                }
                false
            }
            Outcome::Failed { .. } | Outcome::Faulty { .. } => {
                self.failures = self.failures.saturating_add(1);
                self.failed_at = Some(now);
                options.eject_after > 0
                    && self.failures >= self.enough(options)
                    && self.ejected_until.is_none()
            }
        }
    }

    /// After how many failures in a row it is out. Who has not recovered has used up its credit.
    fn enough(&self, options: &HealthOptions) -> u32 {
        match (self.ejections, options.eject_after) {
            (1.., _) => 1,
            (0, 0) => ENOUGH_FAILURES,
            (0, after) => after,
        }
    }

    /// Whether a request may succeed with it at `now`, by all that is known. One that was to be ejected, and was not
    /// because too many are out or because nobody is, is taken for out as long as it would be ejected; then nothing is
    /// known.
    pub(super) fn serves(&self, options: &HealthOptions, now: Instant) -> bool {
        let shut_out = self.drained || self.down || self.ejected_until.is_some_and(|until| now < until);
        let times = self.failures / self.enough(options);
        let fails = times > 0
            && self.failed_at.is_some_and(|at| now < at + options.ejection(self.ejections + times - 1));
        !shut_out && !fails
    }

    /// It has recovered once it has done well for as long as it was ejected.
    fn recover(&mut self, options: &HealthOptions, now: Instant) {
        let last = options.ejection(self.ejections - 1);
        if self.ejected_until.is_none() && self.back_since.is_none_or(|since| now >= since + last) {
            self.ejections = 0;
        }
    }

    /// Not to be chosen for a while from `now` on.
    pub(super) fn eject(&mut self, options: &HealthOptions, now: Instant) {
        self.ejected_until = Some(now + options.ejection(self.ejections));
        self.ejections += 1;
        self.ejected += 1;
        self.failures = 0;
    }

    /// Ends an ejection that is over at `now`. Returns whether one was.
    pub(super) fn end_ejection(&mut self, options: &HealthOptions, now: Instant) -> bool {
        let over = self.ejected_until.is_some_and(|until| now >= until);
        if over {
            self.ejected_until = None;
            self.back(options, now);
        }
        over
    }

    /// What its checks say from now on. One that is passed is better evidence than what it was ejected for.
    pub(super) fn checked(&mut self, passed: bool, options: &HealthOptions, now: Instant) {
        if !passed {
            self.down = true;
            return;
        }
        self.failed_at = None;
        if self.down || self.ejected_until.is_some() {
            self.down = false;
            self.ejected_until = None;
            self.back(options, now);
        }
    }

    fn back(&mut self, options: &HealthOptions, now: Instant) {
        self.failures = 0;
        self.back_since = Some(now);
        self.easing = !options.slow_start.is_zero();
        self.credit = 0.0;
    }

    /// It would be chosen at `now`. Returns whether it may: while its share grows, not each time.
    pub(super) fn takes_turn(&mut self, options: &HealthOptions, now: Instant) -> bool {
        let Some(since) = self.back_since.filter(|_| self.easing) else { return true };
        let share = now.nanos_since(since) as f32 / options.slow_start.as_nanos() as f32;
        self.easing = share < 1.0;
        self.credit += share.clamp(LEAST_SHARE, 1.0);
        let takes = self.credit >= 1.0 || !self.easing;
        if takes {
            self.credit = (self.credit - 1.0).max(0.0);
        }
        takes
    }
}
