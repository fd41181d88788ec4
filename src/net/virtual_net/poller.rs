//! Who uses a virtual network: what each is told, and how many descriptors it has.
//!
//! Here: the queues of events, the wakes, the count of descriptors. Not here: what happens on the network (`fabric.rs`). Floor 2.

use std::collections::VecDeque;
use std::net::SocketAddr;

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
}

impl Kernel {
    pub(super) fn add_poller(&mut self) -> usize {
        self.pollers.push(Poller {
            ready: VecDeque::new(),
            wakes: VecDeque::new(),
            stirred: false,
            descriptors: 0,
            most_descriptors: usize::MAX,
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
        !poller.ready.is_empty() || !poller.wakes.is_empty()
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

    pub(super) fn poll(&mut self, poller: usize, events: &mut Vec<Event>) {
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
