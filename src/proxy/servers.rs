//! Where requests go: the backends, and behind them the classifiers.
//!
//! Here: one numbering for both, and who chooses among which. Not here: connections (`upstream.rs`), the choice
//! (`balance/`). Floor 3.

use super::Options;
use super::pool::Pool;
use super::target::Target;
use crate::balance::{self, Availability, BackendId, Balance, Choice, Outcome, Reason};
use crate::record::Averages;
use crate::telemetry::{Gauge, console};
use crate::time::Instant;

/// All servers, in order of [`BackendId`]: the backends first.
pub(super) struct Servers {
    /// How many of them are backends.
    backends: u16,
    urls: Vec<String>,
    pub(super) targets: Vec<Target>,
    pub(super) pools: Vec<Pool>,
    /// What the log was told last of each.
    told: Vec<Availability>,
    /// What the console calls each backend.
    labels: Vec<String>,
    pub(super) balance: Balance,
    classifiers: Balance,
}

impl Servers {
    pub(super) fn new(options: &Options) -> Servers {
        let all: Vec<_> = options.servers().collect();
        let urls: Vec<String> = all.iter().map(|b| b.url.clone()).collect();
        let balance = |servers: usize| {
            Balance::new(options.routing, servers, options.sma_window, options.ewma_alpha)
                .with_health(options.health)
        };
        Servers {
            backends: options.backends.len() as u16,
            targets: all.iter().map(|b| Target::new(b)).collect(),
            pools: all.iter().map(|_| Pool::default()).collect(),
            told: all.iter().map(|_| Availability::default()).collect(),
            labels: console::labels(&urls),
            urls,
            balance: balance(options.backends.len()),
            classifiers: balance(all.len() - options.backends.len()),
        }
    }

    /// A server's URL as configured.
    pub(super) fn url(&self, id: BackendId) -> &str {
        &self.urls[usize::from(id.0)]
    }

    pub(super) fn target(&self, id: BackendId) -> &Target {
        &self.targets[usize::from(id.0)]
    }

    pub(super) fn pool(&mut self, id: BackendId) -> &mut Pool {
        &mut self.pools[usize::from(id.0)]
    }

    /// Chooses the classifier of a batch; none if none is configured.
    pub(super) fn select_classifier(&mut self, now: Instant) -> Option<BackendId> {
        self.classifiers.select(now).map(|choice| BackendId(choice.backend.0 + self.backends))
    }

    pub(super) fn started(&mut self, id: BackendId) {
        let (balance, id) = self.balance_of(id);
        balance.started(id);
    }

    pub(super) fn finished(&mut self, id: BackendId, outcome: Outcome, now: Instant) {
        let (balance, id) = self.balance_of(id);
        balance.finished(id, outcome, now);
    }

    pub(super) fn opened(&mut self, id: BackendId, latency_ns: u64) {
        let (balance, id) = self.balance_of(id);
        balance.opened(id, latency_ns);
    }

    /// Lets `id` be chosen no more, or again.
    pub(super) fn drain(&mut self, id: BackendId, drained: bool) {
        let (balance, id) = self.balance_of(id);
        balance.drain(id, drained);
    }

    /// What the checks of `id` say from now on.
    pub(super) fn checked(&mut self, id: BackendId, passed: bool, now: Instant) {
        let (balance, id) = self.balance_of(id);
        balance.checked(id, passed, now);
    }

    /// Another server of the same kind for a request that failed at `id`.
    pub(super) fn select_other(&mut self, id: BackendId, now: Instant) -> Option<BackendId> {
        let (balance, own) = self.balance_of(id);
        let other = balance.select_other(now, own)?.backend;
        Some(BackendId(other.0 + (id.0 - own.0)))
    }

    /// How many backends and how many classifiers may be chosen.
    pub(super) fn usable(&self) -> (usize, usize) {
        (self.balance.usable(), self.classifiers.usable())
    }

    /// Whether connections to it are kept for further requests.
    pub(super) fn keeps_connections(&self, id: BackendId) -> bool {
        match self.state(id).availability() {
            Availability::Usable => true,
            Availability::Draining | Availability::Down | Availability::Ejected => false,
        }
    }

    /// Tells the log who may be chosen no more, or again.
    pub(super) fn tell_changes(&mut self) {
        for index in 0..self.told.len() {
            let now = self.state(BackendId(index as u16)).availability();
            let before = std::mem::replace(&mut self.told[index], now);
            if now == before {
                continue;
            }
            let url = &self.urls[index];
            match now {
                Availability::Usable | Availability::Draining => {
                    log::info!("{url}: {} from now on", now.name())
                }
                Availability::Down => log::warn!("{url}: down: it fails its checks"),
                Availability::Ejected => log::warn!("{url}: ejected: it failed too often in a row"),
            }
        }
    }

    fn state(&self, id: BackendId) -> &balance::Backend {
        match id.0.checked_sub(self.backends) {
            None => self.balance.backend(id),
            Some(classifier) => self.classifiers.backend(BackendId(classifier)),
        }
    }

    /// The averages of a backend.
    pub(super) fn averages(&self, id: BackendId) -> Averages {
        let backend = self.balance.backend(id);
        Averages::new(backend.sma_ns(), backend.ewma_ns())
    }

    fn balance_of(&mut self, id: BackendId) -> (&mut Balance, BackendId) {
        match id.0.checked_sub(self.backends) {
            None => (&mut self.balance, id),
            Some(classifier) => (&mut self.classifiers, BackendId(classifier)),
        }
    }

    /// How many backends there are, classifiers apart.
    pub(super) const fn backends(&self) -> u16 {
        self.backends
    }

    /// What the routing mode compares, in nanoseconds, for each backend; none if unmeasured or not compared.
    pub(super) fn scores(&self) -> impl Iterator<Item = Option<f64>> {
        let mode = self.balance.mode();
        (0..self.backends).map(move |i| self.balance.backend(BackendId(i)).score_ns(mode))
    }

    /// The contract's console lines for the choice of a backend.
    pub(super) fn tell(&self, choice: Choice) {
        let (mode, url) = (self.balance.mode(), self.url(choice.backend));
        match choice.reason {
            Reason::Unmeasured => console::probing(mode, url),
            Reason::Rotation | Reason::LowestMean => {
                console::scores(mode, &self.labels, || self.scores());
                console::chosen(mode, url);
            }
        }
    }

    /// What telemetry is told of each.
    pub(super) fn gauges(&self) -> impl Iterator<Item = Gauge> {
        let groups =
            [(&self.balance, self.backends), (&self.classifiers, self.urls.len() as u16 - self.backends)];
        let backends = groups.into_iter().flat_map(|(balance, count)| {
            (0..count).map(move |i| (balance.backend(BackendId(i)), balance.mode()))
        });
        backends.zip(&self.pools).map(|((backend, mode), pool)| Gauge {
            in_flight: backend.in_flight(),
            score_ns: backend.score_ns(mode),
            sma_ns: backend.sma_ns(),
            ewma_ns: backend.ewma_ns(),
            availability: backend.availability(),
            ejected: backend.ejected(),
            idle: pool.len() as u32,
            answered: backend.answered(),
            failed: backend.failed(),
        })
    }

    /// How many exchanges each has in flight, by the selector's books.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = u32> {
        self.gauges().map(|gauge| gauge.in_flight)
    }
}
