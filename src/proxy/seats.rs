//! How the set of servers changes.
//!
//! Here: who stays, who comes, who goes, and whose id is free again. Not here: what becomes of connections and when an id
//! may get another owner (`reload.rs`). Floor 3.

use super::servers::Servers;
use super::target::Target;
use super::{Backend, Options, Pool};
use crate::balance::{Availability, BackendId};
use crate::telemetry::{Kind, Seat, Standing, console};

/// What a change of the set came to, by id.
#[derive(Debug, Default)]
pub(super) struct Rearranged {
    pub(super) added: Vec<BackendId>,
    pub(super) removed: Vec<BackendId>,
    /// Whose name leads elsewhere now.
    pub(super) moved: Vec<BackendId>,
    /// Those of them that have lost an address.
    pub(super) left_addresses: Vec<BackendId>,
    pub(super) kept: usize,
}

impl Servers {
    /// How many ids are needed beyond those that there are, if the servers of `options` are to be here.
    pub(super) fn lacking(&self, options: &Options) -> usize {
        let wanted =
            [(Kind::Backend, options.backends.as_slice()), (Kind::Classifier, options.classifiers())];
        let new: usize = wanted.iter().map(|&(kind, wanted)| self.matched(kind, wanted).1).sum();
        let free = self.seats.iter().filter(|seat| seat.standing == Standing::Gone).count();
        (self.seats.len() + new.saturating_sub(free)).saturating_sub(usize::from(u16::MAX))
    }

    /// Makes the servers of `options` those that are chosen among. Who has the same URL and is for the same stays what it is,
    /// wherever it stands.
    pub(super) fn rearrange(&mut self, options: &Options) -> Rearranged {
        let mut change = Rearranged::default();
        let backends = self.seat(Kind::Backend, &options.backends, &mut change);
        let classifiers = self.seat(Kind::Classifier, options.classifiers(), &mut change);
        self.name(&backends, &classifiers);
        self.balance.set_members(&backends);
        self.classifiers.set_members(&classifiers);
        change
    }

    /// Nothing refers any more to this one, which was removed: its id is free.
    pub(super) fn free(&mut self, id: BackendId) {
        self.seats[usize::from(id.0)].standing = Standing::Gone;
        self.balance.forget(id);
        self.classifiers.forget(id);
    }

    /// Those that are removed, and not yet free.
    pub(super) fn removed(&self) -> Vec<BackendId> {
        self.balance.leaving().chain(self.classifiers.leaving()).collect()
    }

    fn members(&self, kind: Kind) -> &[BackendId] {
        match kind {
            Kind::Backend => self.balance.members(),
            Kind::Classifier => self.classifiers.members(),
        }
    }

    /// For each of `wanted` the member that it is; and how many of them are new. Of two with the same URL each is another.
    fn matched(&self, kind: Kind, wanted: &[Backend]) -> (Vec<Option<BackendId>>, usize) {
        let mut members: Vec<_> = self.members(kind).iter().map(|&id| Some(id)).collect();
        let find = |backend: &Backend| {
            let same = |id: &&mut Option<BackendId>| id.is_some_and(|id| self.url(id) == backend.url);
            members.iter_mut().find(same).and_then(Option::take)
        };
        let found: Vec<_> = wanted.iter().map(find).collect();
        let new = found.iter().filter(|id| id.is_none()).count();
        (found, new)
    }

    /// Gives each of `wanted` its seat; returns them in their order.
    fn seat(&mut self, kind: Kind, wanted: &[Backend], change: &mut Rearranged) -> Vec<BackendId> {
        let (found, _) = self.matched(kind, wanted);
        let gone = self.members(kind).iter().filter(|&&id| !found.contains(&Some(id)));
        let gone: Vec<_> = gone.copied().collect();
        let mut ids = Vec::with_capacity(wanted.len());
        for (place, (backend, member)) in (0..).zip(wanted.iter().zip(found)) {
            let id = match member {
                Some(id) => {
                    change.kept += 1;
                    self.lead(id, backend, change);
                    id
                }
                None => {
                    let id = self.take_seat(kind, backend);
                    change.added.push(id);
                    id
                }
            };
            self.seats[usize::from(id.0)].standing = Standing::Member(place);
            ids.push(id);
        }
        for id in gone {
            self.seats[usize::from(id.0)].standing = Standing::Removed;
            change.removed.push(id);
        }
        ids
    }

    /// The addresses of one that stays.
    fn lead(&mut self, id: BackendId, backend: &Backend, change: &mut Rearranged) {
        let moved = self.targets[usize::from(id.0)].lead_to(&backend.addresses);
        if moved.is_some() {
            change.moved.push(id);
        }
        if moved == Some(true) {
            change.left_addresses.push(id);
        }
    }

    /// A free id, the lowest one, or a new one.
    fn take_seat(&mut self, kind: Kind, backend: &Backend) -> BackendId {
        let seat = Seat {
            serial: self.serial,
            url: backend.url.as_str().into(),
            name: backend.authority.as_str().into(),
            label: "".into(),
            kind,
            standing: Standing::Removed,
        };
        self.serial += 1;
        let target = Target::new(backend);
        let index = match self.seats.iter().position(|seat| seat.standing == Standing::Gone) {
            Some(index) => {
                self.seats[index] = seat;
                self.targets[index] = target;
                self.pools[index] = Pool::default();
                self.told[index] = Availability::default();
                index
            }
            None => {
                self.seats.push(seat);
                self.targets.push(target);
                self.pools.push(Pool::default());
                self.told.push(Availability::default());
                self.seats.len() - 1
            }
        };
        BackendId(index as u16)
    }

    /// What each is called where space is short.
    fn name(&mut self, backends: &[BackendId], classifiers: &[BackendId]) {
        let ids: Vec<_> = backends.iter().chain(classifiers).copied().collect();
        let urls: Vec<_> = ids.iter().map(|&id| self.url(id)).collect();
        let labels = console::labels(&urls);
        for (id, label) in ids.iter().zip(&labels) {
            self.seats[usize::from(id.0)].label = label.as_str().into();
        }
        self.labels = labels;
        self.labels.truncate(backends.len());
    }
}
