//! Where requests go: the backends and the classifiers.
//!
//! Here: one numbering for both, and who chooses among which. Not here: how the set changes (`seats.rs`), connections
//! (`upstream.rs`), the choice (`balance/`). Floor 3.

use super::Options;
use super::pool::Pool;
use super::target::Target;
use crate::balance::{Availability, BackendId, Balance, BalanceOptions, Choice, Flight, Outcome, Reason};
use crate::record::Averages;
use crate::telemetry::{Gauge, Kind, Roster, Seat, Standing, console};
use crate::time::Instant;

/// All servers, by [`BackendId`].
pub(super) struct Servers {
    pub(super) seats: Vec<Seat>,
    pub(super) targets: Vec<Target>,
    pub(super) pools: Vec<Pool>,
    /// What the log was told last of each.
    pub(super) told: Vec<Availability>,
    /// What the console calls each backend, in order of configuration.
    pub(super) labels: Vec<String>,
    pub(super) balance: Balance,
    pub(super) classifiers: Balance,
    /// How many owners the seats have had.
    pub(super) serial: u64,
}

/// The same for classifiers, whose batches have no copies.
pub(super) fn unhedged(options: BalanceOptions) -> BalanceOptions {
    BalanceOptions { hedge_budget: 0.0, ..options }
}

impl Servers {
    pub(super) fn new(options: &Options) -> Servers {
        let seats = options.roster().seats().to_vec();
        let (mode, balance) = (options.routing, options.balance());
        let backends = options.backends.len();
        let mut classifiers = Balance::new(mode, 0, &unhedged(balance));
        let ids: Vec<_> = (0..=u16::MAX).take(seats.len()).map(BackendId).collect();
        classifiers.set_members(&ids[backends..]);
        Servers {
            targets: options.servers().map(Target::new).collect(),
            pools: seats.iter().map(|_| Pool::default()).collect(),
            told: seats.iter().map(|_| Availability::default()).collect(),
            labels: seats[..backends].iter().map(|seat| seat.label.to_string()).collect(),
            serial: seats.len() as u64,
            seats,
            balance: Balance::new(mode, backends, &balance),
            classifiers,
        }
    }

    /// A server's URL as configured.
    pub(super) fn url(&self, id: BackendId) -> &str {
        &self.seats[usize::from(id.0)].url
    }

    pub(super) fn target(&self, id: BackendId) -> &Target {
        &self.targets[usize::from(id.0)]
    }

    pub(super) fn pool(&mut self, id: BackendId) -> &mut Pool {
        &mut self.pools[usize::from(id.0)]
    }

    /// Chooses the classifier of a batch; none if none is configured.
    pub(super) fn select_classifier(&mut self, now: Instant) -> Option<BackendId> {
        self.classifiers.select(now).map(|choice| choice.backend)
    }

    pub(super) fn started(&mut self, id: BackendId, now: Instant) -> Flight {
        self.balance_of(id).started(id, now)
    }

    /// The same for a further copy of a request; `again`: `id` has one of them already.
    pub(super) fn started_copy(&mut self, id: BackendId, again: bool, now: Instant) -> Flight {
        let balance = self.balance_of(id);
        if again { balance.started_again(id, now) } else { balance.started(id, now) }
    }

    pub(super) fn finished(&mut self, id: BackendId, flight: Flight, outcome: Outcome, now: Instant) {
        self.balance_of(id).finished(id, flight, outcome, now);
    }

    pub(super) fn opened(&mut self, id: BackendId, flight: Flight, latency_ns: u64, now: Instant) {
        self.balance_of(id).opened(id, flight, latency_ns, now);
    }

    /// Lets `id` be chosen no more, or again.
    pub(super) fn drain(&mut self, id: BackendId, drained: bool) {
        self.balance_of(id).drain(id, drained);
    }

    /// What the checks of `id` say from now on.
    pub(super) fn checked(&mut self, id: BackendId, passed: bool, now: Instant) {
        self.balance_of(id).checked(id, passed, now);
    }

    /// Another server of the same kind for a request that failed at `id`.
    pub(super) fn select_other(&mut self, id: BackendId, now: Instant) -> Option<BackendId> {
        self.balance_of(id).select_other(now, id).map(|choice| choice.backend)
    }

    /// How many backends and how many classifiers may answer a request at `now`, by what is known of them.
    pub(super) fn serving(&self, now: Instant) -> (usize, usize) {
        (self.balance.serving(now), self.classifiers.serving(now))
    }

    /// Those that commands call `name`: more than one if the same is configured twice.
    pub(super) fn called(&self, name: &str) -> Vec<BackendId> {
        let members = self.balance.members().iter().chain(self.classifiers.members()).copied();
        members.filter(|id| self.seats[usize::from(id.0)].name.eq_ignore_ascii_case(name)).collect()
    }

    /// Whether connections to it are kept for further requests.
    pub(super) fn keeps_connections(&self, id: BackendId) -> bool {
        match self.known(id).backend(id).availability() {
            Availability::Usable => true,
            Availability::Draining | Availability::Down | Availability::Ejected => false,
        }
    }

    /// Tells the log who may be chosen no more, or again.
    pub(super) fn tell_changes(&mut self) {
        for index in 0..self.told.len() {
            let id = BackendId(index as u16);
            if !matches!(self.seats[index].standing, Standing::Member(_)) {
                continue;
            }
            let now = self.known(id).backend(id).availability();
            let before = std::mem::replace(&mut self.told[index], now);
            if now == before {
                continue;
            }
            let url = self.url(id);
            match now {
                Availability::Usable | Availability::Draining => {
                    log::info!("{url}: {} from now on", now.name())
                }
                Availability::Down => log::warn!("{url}: down: it fails its checks"),
                Availability::Ejected => log::warn!("{url}: ejected: it failed too often in a row"),
            }
        }
    }

    /// The averages of a backend.
    pub(super) fn averages(&self, id: BackendId) -> Averages {
        let backend = self.balance.backend(id);
        Averages::new(backend.sma_ns(), backend.ewma_ns())
    }

    fn balance_of(&mut self, id: BackendId) -> &mut Balance {
        match self.seats[usize::from(id.0)].kind {
            Kind::Backend => &mut self.balance,
            Kind::Classifier => &mut self.classifiers,
        }
    }

    pub(super) fn known(&self, id: BackendId) -> &Balance {
        match self.seats[usize::from(id.0)].kind {
            Kind::Backend => &self.balance,
            Kind::Classifier => &self.classifiers,
        }
    }

    /// How many backends there are to choose from, classifiers apart.
    pub(super) fn backends(&self) -> u16 {
        self.balance.members().len() as u16
    }

    /// What the routing mode compares, in nanoseconds, for each backend in order of configuration; none if unmeasured or not
    /// compared.
    pub(super) fn scores(&self) -> impl Iterator<Item = (BackendId, Option<f64>)> {
        let mode = self.balance.mode();
        let all = self.balance.members().iter().zip(self.balance.backends());
        all.map(move |(&id, backend)| (id, backend.score_ns(mode)))
    }

    /// The contract's console lines for the choice of a backend.
    #[inline]
    pub(super) fn tell(&self, choice: Choice) {
        if console::is_on() {
            self.tell_why(choice);
        }
    }

    #[cold]
    fn tell_why(&self, choice: Choice) {
        let (mode, url) = (self.balance.mode(), self.url(choice.backend));
        match choice.reason {
            Reason::Unmeasured => console::probing(mode, url),
            Reason::Stale => console::refreshing(mode, url),
            Reason::LoggedIn
            | Reason::Rotation
            | Reason::LowestMean
            | Reason::LeastCost
            | Reason::Planned
            | Reason::FewestInFlight
            | Reason::Drawn => {
                console::scores(mode, &self.labels, || self.scores().map(|(_, score)| score));
                console::chosen(mode, url);
            }
        }
    }

    /// What telemetry is told of each, in order of their ids.
    pub(super) fn gauges(&self) -> impl Iterator<Item = Gauge> {
        let ids = (0..=u16::MAX).map(BackendId);
        self.seats.iter().zip(&self.pools).zip(ids).map(|((seat, pool), id)| {
            if seat.standing == Standing::Gone {
                return Gauge::default();
            }
            let balance = self.known(id);
            let (backend, mode) = (balance.backend(id), balance.mode());
            Gauge {
                in_flight: backend.in_flight(),
                score_ns: backend.score_ns(mode),
                sma_ns: backend.sma_ns(),
                ewma_ns: backend.ewma_ns(),
                availability: backend.availability(),
                ejected: backend.ejected(),
                idle: pool.len() as u32 + pool.private(),
                answered: backend.answered(),
                failed: backend.failed(),
            }
        })
    }

    /// How many exchanges each has in flight, by the selector's books.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = u32> {
        self.gauges().map(|gauge| gauge.in_flight)
    }

    /// Who is there, for telemetry.
    pub(super) fn roster(&self) -> Roster {
        Roster::new(self.seats.clone())
    }
}
