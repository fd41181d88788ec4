//! Who is chosen among, while that changes.
//!
//! Here: the ids of the backends by their place in the tables, which is that of the configuration; those that have left
//! and still have something in flight; and what a change of the set does to all tables. Not here: where ids come from
//! (`proxy/servers.rs`). Only a change costs more than a look into an array. Floor 1.

use super::backends::Backend;
use super::choose::Probes;
use super::{BackendId, Balance, BalanceOptions};
use crate::time::Instant;

/// Ids and places.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// By place.
    ids: Box<[BackendId]>,
    /// By id.
    places: Vec<Option<u16>>,
    leaving: Vec<(BackendId, Backend)>,
}

impl Membership {
    /// The first `count` ids, each at the place of its number.
    pub(super) fn first(count: usize) -> Membership {
        let mut membership = Membership::default();
        membership.arrange((0..=u16::MAX).take(count).map(BackendId).collect());
        membership
    }

    fn arrange(&mut self, ids: Box<[BackendId]>) {
        self.places.fill(None);
        for (place, id) in (0..).zip(&ids) {
            let index = usize::from(id.0);
            if index >= self.places.len() {
                self.places.resize(index + 1, None);
            }
            self.places[index] = Some(place);
        }
        self.ids = ids;
    }

    /// Who is at this place.
    pub(super) fn id(&self, place: usize) -> BackendId {
        self.ids[place]
    }

    /// Where it is in the tables; `None` if it is not to be chosen among.
    pub(super) fn place(&self, id: BackendId) -> Option<usize> {
        self.places.get(usize::from(id.0)).copied().flatten().map(usize::from)
    }

    /// One that has left.
    pub(super) fn leaving(&self, id: BackendId) -> Option<&Backend> {
        self.leaving.iter().find(|(other, _)| *other == id).map(|(_, backend)| backend)
    }

    /// The same to change it.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    #[cold]
    pub(super) fn left(&mut self, id: BackendId) -> &mut Backend {
        let left = self.leaving.iter_mut().find(|(other, _)| *other == id).map(|(_, backend)| backend);
        left.expect("a backend that is known")
    }
}

impl Balance {
    /// Chooses among `members` from now on, in this order. Who was among them before keeps all that is known of it, and the
    /// rotation goes on with whoever of them would have been next; a newcomer begins without a sample. Who is not among them
    /// any more is not chosen; what it has in flight is to be reported as ever, until it is [forgotten](Balance::forget).
    ///
    /// # Panics
    ///
    /// If an id is there twice, or is one of those that have left and are not forgotten.
    pub fn set_members(&mut self, members: &[BackendId]) {
        let rotation = self.next_that_stays(members);
        let mut known: Vec<_> = std::mem::take(&mut self.backends).into_iter().map(Some).collect();
        let mut probed = Vec::with_capacity(members.len());
        let mut backends = Vec::with_capacity(members.len());
        for &id in members {
            assert!(self.members.leaving(id).is_none(), "{id:?} has left and is not forgotten");
            let (backend, from) = match self.members.place(id) {
                None => (Backend::new(&self.options), Instant::ZERO),
                Some(place) => (known[place].take().expect("each id is there once"), self.probes.from(place)),
            };
            backends.push(backend);
            probed.push(from);
        }
        for (place, backend) in known.into_iter().enumerate() {
            if let Some(mut backend) = backend {
                backend.health.drain(true);
                self.members.leaving.push((self.members.id(place), backend));
            }
        }
        self.backends = backends.into();
        self.probes = Probes::beginning(probed.into());
        self.members.arrange(members.into());
        self.rotation.go_on_with(rotation);
        self.scores = vec![f64::INFINITY; members.len()].into();
        self.barred = vec![false; members.len()].into();
        self.prequal.forget();
        self.survey();
        (0..members.len()).for_each(|place| self.compare(place));
    }

    /// Does as these say from now on. What is known stays, as far as there is room for it; who is ejected stays so for as long as
    /// it was to; the seed stays.
    ///
    /// # Panics
    ///
    /// As [`Balance::new`].
    pub fn set_options(&mut self, options: &BalanceOptions) {
        if options.goal != self.options.goal {
            self.adaptive.set_goal(options.goal, self.backends.len());
        }
        if options.hedge_budget != self.options.hedge_budget {
            self.adaptive.set_hedge_budget(options.hedge_budget);
        }
        self.options = *options;
        for place in 0..self.backends.len() {
            self.backends[place].set_averaging(options.sma_window, options.ewma_alpha);
            self.compare(place);
        }
    }

    /// What is known of a backend.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn backend(&self, id: BackendId) -> &Backend {
        match self.members.place(id) {
            Some(index) => &self.backends[index],
            None => self.members.leaving(id).expect("a backend that is known"),
        }
    }

    /// What is known of all that are chosen among, in order of configuration.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Whether `id` is to be chosen among, or has left and is not forgotten.
    pub fn knows(&self, id: BackendId) -> bool {
        self.members.place(id).is_some() || self.members.leaving(id).is_some()
    }

    /// Who is chosen among, in order of configuration.
    pub fn members(&self) -> &[BackendId] {
        &self.members.ids
    }

    /// Who has left and is not forgotten.
    pub fn leaving(&self) -> impl Iterator<Item = BackendId> {
        self.members.leaving.iter().map(|&(id, _)| id)
    }

    /// Nothing will be reported any more of `id`, which has left: another may have its id.
    pub fn forget(&mut self, id: BackendId) {
        self.members.leaving.retain(|&(other, _)| other != id);
    }

    /// Where among `members` the first is whose turn it would be.
    fn next_that_stays(&self, members: &[BackendId]) -> usize {
        let count = self.backends.len();
        let turns = (0..count).map(|i| self.members.id((self.rotation.next() + i) % count));
        turns.filter_map(|id| members.iter().position(|&other| other == id)).next().unwrap_or(0)
    }
}
