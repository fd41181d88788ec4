//! Several copies of one request.
//!
//! Here: [`Copies`], where those of a request went, and the calls by which further ones are chosen. Not here: whether one is worth
//! it (`adaptive/`), how copies race (`proxy/`). Floor 1.

use std::time::Duration;

use super::adaptive::Late;
use super::{BackendId, Balance, Choice, Flight, Reason, RoutingMode, millis};
use crate::time::Instant;

/// A request is sent at most so many times.
pub const MOST_COPIES: usize = 4;

/// Where the copies of a request went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copies {
    sent: [BackendId; MOST_COPIES],
    count: u8,
    /// The first was chosen with the copies that follow in mind.
    planned: bool,
    /// Of the last.
    sent_at: Instant,
    expected_ms: f32,
}

impl Copies {
    /// None was sent yet of a request for which this was chosen.
    pub fn of(choice: Choice) -> Copies {
        Copies {
            sent: [choice.backend; MOST_COPIES],
            count: 0,
            planned: choice.reason == Reason::Planned,
            sent_at: Instant::ZERO,
            expected_ms: 0.0,
        }
    }

    /// How many were sent.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    pub(super) fn is_planned(&self) -> bool {
        self.planned
    }

    /// What the last one was expected to take; 0 if that was not known.
    pub(super) fn expected_ms(&self) -> f64 {
        f64::from(self.expected_ms)
    }

    fn went_to(&self, id: BackendId) -> bool {
        self.sent[..self.count()].contains(&id)
    }

    fn last(&self) -> Option<BackendId> {
        self.sent[..self.count()].last().copied()
    }

    /// Whether the last one went to the same backend as the one before it.
    pub(super) fn last_was_again(&self) -> bool {
        matches!(self.sent[..self.count()], [.., before, last] if before == last)
    }
}

impl Balance {
    /// Whether requests that may be sent more than once are sent so.
    pub fn hedges(&self) -> bool {
        self.mode == RoutingMode::Adaptive && self.adaptive.hedges()
    }

    /// The backend for a request at `now` that may be sent more than once; else as [`Balance::select`].
    pub fn select_repeatable(&mut self, now: Instant) -> Option<Choice> {
        self.select_for(now, true)
    }

    /// A copy went to `id` at `now`, with `flight` from [`Balance::started`]. Returns after what time another one is to be
    /// thought of, if none was answered until then.
    pub fn sent(
        &self,
        copies: &mut Copies,
        id: BackendId,
        flight: &Flight,
        now: Instant,
    ) -> Option<Duration> {
        let place = self.members.place(id)?;
        copies.sent[copies.count()] = id;
        copies.count += 1;
        copies.sent_at = now;
        copies.expected_ms = self.flights.departure(flight)?.expected_ms;
        let delay_ms = self.adaptive.hedge_after_ms(copies, &self.backends[place])?;
        Some(Duration::from_secs_f64(delay_ms / 1e3))
    }

    /// Where another copy goes at `now`, if that is worth it and can be paid for; `true` if one is waited for there already,
    /// to be told to [`Balance::started_again`] then.
    pub fn hedge(&mut self, copies: &Copies, now: Instant) -> Option<(BackendId, bool)> {
        if now >= self.due {
            self.bring_back(now);
        }
        let Balance { adaptive, backends, usable, flights, rng, members, .. } = self;
        let last = members.place(copies.last()?)?;
        let is_sound = |place: usize| backends[place].is_usable() && !backends[place].health.is_easing();
        let is_new = |place: usize| !copies.went_to(members.id(place)) && is_sound(place);
        let waited_ms = millis(now.nanos_since(copies.sent_at));
        let late = Late { copies, last, may_again: is_sound(last), waited_ms };
        let (place, again) = adaptive.hedge(backends, (flights, usable), &late, is_new, rng, now)?;
        Some((members.id(place), again))
    }

    /// A backend whose last sample is old, for a copy beside the request for which `choice` was just made.
    pub fn shadow(&mut self, choice: Choice) -> Option<BackendId> {
        let chosen = self.members.place(choice.backend)?;
        self.adaptive.shadow(chosen).map(|place| self.members.id(place))
    }
}
