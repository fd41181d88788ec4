//! Who uses a virtual network: what each is told, and how many descriptors it has.
//!
//! Here: the queues of events, the wakes, the count of descriptors and of calls. Not here: what happens on the network
//! (`fabric.rs`). Floor 2.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use super::fabric::Kernel;
use crate::net::{Event, Readiness, Wake};
use crate::slots::SlotId;

/// How many events a poll takes at most: few, so that stale tokens and unfinished turns occur.
const EVENTS_PER_POLL: usize = 16;

#[derive(Clone, Copy)]
pub(super) enum Queued {
    End(SlotId),
    Listener(SocketAddr),
}

pub(super) struct Poller {
    ready: VecDeque<Queued>,
    wakes: VecDeque<Wake>,
    /// It is among those that something has happened to.
    stirred: bool,
    /// Streams that it has accepted or connected and not closed.
    descriptors: usize,
    /// How many of them it may have.
    most_descriptors: usize,
    /// The address that its connections come from.
    pub(super) source: Ipv4Addr,
    /// Calls since its turn began, but for closes.
    calls: Cell<u64>,
    /// How many a turn may make.
    most_calls: Cell<u64>,
    /// What the next poll reports, if it has been taken already.
    polled: Option<Vec<Event>>,
}

impl Kernel {
    pub(super) fn add_poller(&mut self) -> usize {
        self.pollers.push(Poller {
            ready: VecDeque::new(),
            wakes: VecDeque::new(),
            stirred: false,
            descriptors: 0,
            most_descriptors: usize::MAX,
            source: Ipv4Addr::LOCALHOST,
            calls: Cell::new(0),
            most_calls: Cell::new(u64::MAX),
            polled: None,
        });
        self.pollers.len() - 1
    }

    pub(super) fn limit_descriptors(&mut self, poller: usize, most: usize) {
        self.pollers[poller].most_descriptors = most;
    }

    pub(super) fn descriptors(&self, poller: usize) -> usize {
        self.pollers[poller].descriptors
    }

    pub(super) fn has_descriptor(&self, poller: usize) -> bool {
        self.pollers[poller].descriptors < self.pollers[poller].most_descriptors
    }

    pub(super) fn begin_turn(&mut self, poller: usize, most_calls: u64) {
        self.pollers[poller].calls.set(0);
        self.pollers[poller].most_calls.set(most_calls);
    }

    pub(super) fn calls(&self, poller: usize) -> u64 {
        self.pollers[poller].calls.get()
    }

    /// `poller` makes a call.
    ///
    /// # Panics
    /// If its turn has made too many: no other way leads out of a loop without end.
    pub(super) fn count(&self, poller: usize) {
        let Poller { calls, most_calls, .. } = &self.pollers[poller];
        calls.set(calls.get() + 1);
        if calls.get() > most_calls.get() {
            let most = most_calls.replace(u64::MAX);
            panic!("a turn does not end: it has made more than {most} calls");
        }
    }

    /// The owner of this end makes a call.
    pub(super) fn count_end(&self, id: SlotId) {
        if let Some(poller) = self.ends.get(id).and_then(|end| end.owner) {
            self.count(poller);
        }
    }

    /// The end is `poller`'s from now on.
    pub(super) fn own(&mut self, id: SlotId, poller: usize) {
        let Some(end) = self.ends.get_mut(id) else { return };
        end.owner = Some(poller);
        self.pollers[poller].descriptors += 1;
    }

    /// The end is gone, and its descriptor is free.
    pub(super) fn remove(&mut self, id: SlotId) {
        if let Some(poller) = self.ends.remove(id).and_then(|end| end.owner) {
            self.pollers[poller].descriptors -= 1;
        }
    }

    pub(super) fn has_events(&self, poller: usize) -> bool {
        let poller = &self.pollers[poller];
        !poller.ready.is_empty() || !poller.wakes.is_empty() || poller.polled.is_some()
    }

    pub(super) fn wake(&mut self, poller: usize, wake: Wake) {
        self.pollers[poller].wakes.push_back(wake);
        self.stir(poller);
    }

    /// Tells `poller` of something.
    pub(super) fn tell(&mut self, poller: usize, what: Queued) {
        self.pollers[poller].ready.push_back(what);
        self.stir(poller);
    }

    fn stir(&mut self, poller: usize) {
        if !std::mem::replace(&mut self.pollers[poller].stirred, true) {
            self.stirred.push(poller);
        }
    }

    pub(super) fn take_stirred(&mut self, into: &mut Vec<usize>) {
        self.stirred.iter().for_each(|&poller| self.pollers[poller].stirred = false);
        into.append(&mut self.stirred);
    }

    /// The reactor has polled, and is stopped before it looks at what it was told.
    pub(super) fn poll_early(&mut self, poller: usize) {
        let mut events = self.pollers[poller].polled.take().unwrap_or_default();
        self.poll(poller, &mut events);
        self.pollers[poller].polled = Some(events);
    }

    pub(super) fn poll(&mut self, poller: usize, events: &mut Vec<Event>) {
        if let Some(mut polled) = self.pollers[poller].polled.take() {
            return events.append(&mut polled);
        }
        while let Some(wake) = self.pollers[poller].wakes.pop_front() {
            events.push(Event::Woken(wake));
        }
        for _ in 0..EVENTS_PER_POLL {
            let Some(queued) = self.pollers[poller].ready.pop_front() else { return };
            let (token, levels) = match queued {
                Queued::End(id) => {
                    let Some(end) = self.ends.get_mut(id) else { continue };
                    end.queued = false;
                    let levels = end.levels(self.weather.capacity);
                    let Some((_, token)) = end.registered else { continue };
                    (token, levels)
                }
                Queued::Listener(address) => {
                    let Some(listener) = self.listeners.get_mut(&address) else { continue };
                    listener.queued = false;
                    let readable = !listener.backlog.is_empty();
                    let Some((_, token)) = listener.registered else { continue };
                    (token, Readiness { readable, ..Readiness::default() })
                }
            };
            // What is no longer true when it is looked at is not reported.
            if levels != Readiness::default() {
                events.push(Event::Ready(token, levels));
            }
        }
    }
}
