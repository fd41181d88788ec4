//! Whether the proxy of a world keeps to its own rules of health and retries.
//!
//! Here: [`Judge`], which compares the proxy before and after each of its turns, with naive arithmetic. Not here: what must hold
//! at any time (`proxy/check.rs`), what backends see (`ledger.rs`). Floor 4.

use std::collections::VecDeque;
use std::time::Duration;

use crate::balance::{AllOut, Availability, BackendId, HealthOptions};
use crate::net::VirtualNet;
use crate::proxy::Proxy;
use crate::slots::SlotId;
use crate::time::Instant;

/// So many retries are allowed whatever the requests.
const RETRIES_AT_LEAST: f64 = 10.0;

/// So many further copies may be sent before there were requests enough for them.
const HEDGES_AT_ONCE: f64 = 10.0;

/// What had happened at a time.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    requests: u64,
    retries: u64,
}

/// By what attempts are sorted.
fn order((id, backend): &(SlotId, BackendId)) -> (u32, u32, u16) {
    (id.index(), id.generation(), backend.0)
}

/// What it saw after the proxy's last turn.
pub(super) struct Judge {
    health: HealthOptions,
    retry_budget: f64,
    hedge_budget: f64,
    /// Sorted.
    attempts: Vec<(SlotId, BackendId)>,
    standing: Vec<(Availability, u64)>,
    /// Since when each is ejected, as far as it was seen.
    ejected_since: Vec<Instant>,
    requests: u64,
    marks: VecDeque<Mark>,
    /// The set of backends has changed: of fewer that are left a larger share may be ejected.
    reloaded: bool,
}

impl Judge {
    /// `retry_budget`, `hedge_budget`: shares of the requests.
    pub(super) fn new(
        health: HealthOptions,
        (retry_budget, hedge_budget): (f64, f64),
        proxy: &Proxy<VirtualNet>,
    ) -> Judge {
        let standing: Vec<_> = proxy.standing().collect();
        Judge {
            health,
            retry_budget,
            hedge_budget,
            attempts: Vec::new(),
            ejected_since: vec![Instant::ZERO; standing.len()],
            standing,
            requests: 0,
            marks: VecDeque::new(),
            reloaded: false,
        }
    }

    /// The proxy has got other options at `now`.
    pub(super) fn reload(&mut self, proxy: &Proxy<VirtualNet>, now: Instant) {
        self.standing = proxy.standing().collect();
        self.ejected_since = vec![now; self.standing.len()];
        self.reloaded = true;
    }

    /// The proxy has had a turn at `now`. `drained`: who was drained before it, and still is.
    ///
    /// # Errors
    /// What it must not have done.
    pub(super) fn judge(
        &mut self,
        proxy: &Proxy<VirtualNet>,
        drained: &[bool],
        now: Instant,
    ) -> Result<(), String> {
        let standing: Vec<_> = proxy.standing().collect();
        let mut asked = false;
        let mut attempts: Vec<_> = proxy.attempts().collect();
        attempts.sort_unstable_by_key(order);
        let mut before = self.attempts.iter().peekable();
        for attempt in &attempts {
            while before.next_if(|known| order(known) < order(attempt)).is_some() {}
            // One more of the copies of a request may have gone where another one was already.
            if before.next_if_eq(&attempt).is_none() {
                asked = true;
                self.judge_choice(attempt.0, attempt.1, &standing, drained)?;
            }
        }
        let before = std::mem::replace(&mut self.standing, standing);
        self.attempts = attempts;
        self.requests = proxy.begun();
        self.judge_ejections(&before, asked, now)?;
        self.judge_hedges(proxy.counters().hedges + proxy.counters().shadows)?;
        self.judge_retries(proxy.counters().retries_elsewhere, now)
    }

    /// Who is out before a turn and after it has not been chosen in it.
    fn judge_choice(
        &self,
        id: SlotId,
        backend: BackendId,
        after: &[(Availability, u64)],
        drained: &[bool],
    ) -> Result<(), String> {
        let index = usize::from(backend.0);
        let (before, after) = (self.standing[index], after[index]);
        let anyone = self.health.all_out == AllOut::Any && before.0 != Availability::Draining;
        let out = before.0 != Availability::Usable && before == after && !anyone;
        let drained = drained.get(index) == Some(&true) && after.0 == Availability::Usable;
        match out || drained {
            true => Err(format!("exchange {id:?} is sent to backend {index}, which is {}", before.0.name())),
            false => Ok(()),
        }
    }

    /// There are never too many, and each has its end. `asked`: a backend was chosen in this turn.
    fn judge_ejections(
        &mut self,
        before: &[(Availability, u64)],
        asked: bool,
        now: Instant,
    ) -> Result<(), String> {
        let ejected = self.standing.iter().filter(|(is, _)| *is == Availability::Ejected).count();
        let most = self.health.eject_share * self.standing.len() as f64;
        if ejected as f64 > most && !self.reloaded {
            return Err(format!("{ejected} backends are ejected, {most} at most may be"));
        }
        for (index, standing) in self.standing.iter().enumerate() {
            let since = &mut self.ejected_since[index];
            if standing.0 != Availability::Ejected || before[index] != *standing {
                *since = now;
            } else if asked && now > *since + self.health.eject_for_most + Duration::from_millis(1) {
                return Err(format!("backend {index} is ejected for ever, since {since:?}"));
            }
        }
        Ok(())
    }

    /// Further copies are within their budget, since the start.
    fn judge_hedges(&self, copies: u64) -> Result<(), String> {
        let most = HEDGES_AT_ONCE + self.hedge_budget * self.requests as f64;
        match copies as f64 > if self.hedge_budget > 0.0 { most } else { 0.0 } {
            true => Err(format!("{copies} further copies of {} requests, {most} allowed", self.requests)),
            false => Ok(()),
        }
    }

    /// Over the last nine seconds or so there are not more retries than the budget's share of eleven seconds' requests.
    fn judge_retries(&mut self, retries: u64, now: Instant) -> Result<(), String> {
        if self.marks.back().is_none_or(|mark| now >= mark.at + Duration::from_millis(100)) {
            self.marks.push_back(Mark { at: now, requests: self.requests, retries });
        }
        let ago = |seconds: u64| {
            let long = |mark: &&Mark| mark.at + Duration::from_secs(seconds) <= now;
            self.marks.iter().take_while(long).last()
        };
        let requests = self.requests - ago(11).map_or(0, |mark| mark.requests);
        let recent = retries - ago(9).map_or(0, |mark| mark.retries);
        let most = RETRIES_AT_LEAST + self.retry_budget * requests as f64;
        if recent as f64 > if self.retry_budget > 0.0 { most } else { 0.0 } {
            return Err(format!("{recent} retries of {requests} requests, {most} allowed"));
        }
        while self.marks.get(1).is_some_and(|mark| mark.at + Duration::from_secs(11) <= now) {
            self.marks.pop_front();
        }
        Ok(())
    }
}
