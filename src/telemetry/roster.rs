//! Who has which id.
//!
//! Here: [`Roster`], the servers by their ids, made anew when the set changes. It goes with each block of records and of
//! traces through the same queues, so that a row never gets another's URL: an id gets a new owner only when nothing that
//! refers to the old one waits anywhere. Not here: who decides that (`proxy/servers.rs`). Floor 2.

use std::sync::Arc;

use super::console;
use crate::balance::BackendId;

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is chosen for a request.
    Backend,
    /// It gets batches.
    Classifier,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Backend => "backend",
            Kind::Classifier => "classifier",
        }
    }
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the n-th of its kind in the configuration, counted from 0.
    Member(u16),
    /// It is no longer configured, and may still have something in flight.
    Removed,
    /// Nothing of it is left but what is told of the past.
    Gone,
}

/// A server and its id's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Tells owners of the same id apart.
    pub serial: u64,
    /// As configured.
    pub url: Arc<str>,
    /// What commands and metrics call it: host and port.
    pub name: Arc<str>,
    /// Its name where space is short: the port, if no other has it.
    pub label: Arc<str>,
    /// What it is for.
    pub kind: Kind,
    /// Where it stands.
    pub standing: Standing,
}

/// All servers by `BackendId`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster(Vec<Seat>);

impl Roster {
    /// The servers in order of `BackendId`.
    pub const fn new(seats: Vec<Seat>) -> Roster {
        Roster(seats)
    }

    /// The servers with these URLs and names in the order of their ids, which is that of the configuration: backends, then
    /// classifiers.
    pub fn first<S: AsRef<str>>(backends: &[(S, S)], classifiers: &[(S, S)]) -> Roster {
        let all = || backends.iter().chain(classifiers);
        let labels = console::labels(&all().map(|(url, _)| url).collect::<Vec<_>>());
        let kinds =
            backends.iter().map(|_| Kind::Backend).chain(classifiers.iter().map(|_| Kind::Classifier));
        let places = (0..=u16::MAX).take(backends.len()).chain((0..=u16::MAX).take(classifiers.len()));
        let seats = all().zip(labels).zip(kinds).zip(places).zip(0..).map(
            |(((((url, name), label), kind), place), serial)| Seat {
                serial,
                url: url.as_ref().into(),
                name: name.as_ref().into(),
                label: label.into(),
                kind,
                standing: Standing::Member(place),
            },
        );
        Roster(seats.collect())
    }

    /// In order of `BackendId`.
    pub fn seats(&self) -> &[Seat] {
        &self.0
    }

    /// The URL of a server, as configured.
    pub fn url(&self, id: BackendId) -> Option<&str> {
        self.0.get(usize::from(id.0)).map(|seat| &*seat.url)
    }

    /// How long the longest URL is, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(|seat| seat.url.len()).max().unwrap_or(0)
    }
}

/// Things that were handed over together, and who is meant by the ids in them.
#[derive(Debug)]
pub(super) struct Block<T> {
    pub(super) items: Vec<T>,
    pub(super) roster: Arc<Roster>,
}
