//! Attempts in flight, by age.
//!
//! Here: [`Flights`], all of them in one slab, and [`Queue`], the order in which those of one backend were sent. Nothing
//! is allocated once as many were in flight as ever are. Not here: how many there are in modes that do not follow them
//! (`backends.rs` counts). `Balance` alone uses it. Floor 1.

use std::num::NonZeroU32;

use super::millis;
use crate::time::Instant;

/// A place in the slab, counted from 1.
type Place = NonZeroU32;

/// An attempt that [`super::Balance::started`] was told of, to be handed back when it ends.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Flight(Option<Place>);

/// What was known when an attempt was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Departure {
    pub(super) sent: Instant,
    /// How many were in flight there then, this one included.
    pub(super) in_flight: u32,
    /// What was expected of it; 0 of a backend without a sample.
    pub(super) expected_ms: f32,
    /// Another copy of its request was waited for there already.
    pub(super) again: bool,
}

#[derive(Debug)]
struct Entry {
    departure: Departure,
    older: Option<Place>,
    /// Of a free entry, the next free one.
    newer: Option<Place>,
}

/// All attempts in flight.
#[derive(Debug, Default)]
pub(super) struct Flights {
    entries: Vec<Entry>,
    free: Option<Place>,
}

/// Those of one backend, in the order of their sending.
#[derive(Debug, Default)]
pub(super) struct Queue {
    oldest: Option<Place>,
    newest: Option<Place>,
    len: u32,
}

impl Queue {
    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

impl Flights {
    /// Takes in an attempt, not sent before those that are in the queue.
    pub(super) fn depart(&mut self, queue: &mut Queue, departure: Departure) -> Flight {
        let entry = Entry { departure, older: queue.newest, newer: None };
        let place = match self.free {
            Some(place) => {
                let vacant = &mut self.entries[index(place)];
                self.free = vacant.newer;
                *vacant = entry;
                place
            }
            None => {
                self.entries.push(entry);
                let count = u32::try_from(self.entries.len()).ok().and_then(NonZeroU32::new);
                count.expect("fewer than 2^32 attempts are in flight")
            }
        };
        match queue.newest {
            Some(newest) => self.entries[index(newest)].newer = Some(place),
            None => queue.oldest = Some(place),
        }
        queue.newest = Some(place);
        queue.len += 1;
        Flight(Some(place))
    }

    /// Takes an attempt out of the queue that it is in; `None` if it was not followed.
    pub(super) fn land(&mut self, queue: &mut Queue, flight: Flight) -> Option<Departure> {
        let place = flight.0?;
        let entry = &mut self.entries[index(place)];
        let (older, newer, departure) = (entry.older, entry.newer, entry.departure);
        entry.newer = self.free;
        self.free = Some(place);
        match older {
            Some(older) => self.entries[index(older)].newer = newer,
            None => queue.oldest = newer,
        }
        match newer {
            Some(newer) => self.entries[index(newer)].older = older,
            None => queue.newest = older,
        }
        queue.len -= 1;
        Some(departure)
    }

    /// What was known when an attempt in flight was sent; `None` if it is not followed.
    pub(super) fn departure(&self, flight: &Flight) -> Option<&Departure> {
        flight.0.map(|place| &self.entries[index(place)].departure)
    }

    /// How old in milliseconds the one is that `rank` others precede, if that is more than `limit_ms`. Looks no further
    /// than at the first that is younger.
    pub(super) fn age_beyond(&self, queue: &Queue, rank: u32, limit_ms: f64, now: Instant) -> Option<f64> {
        let mut next = queue.oldest;
        for passed in 0..=rank {
            let entry = &self.entries[index(next?)];
            let age = millis(now.nanos_since(entry.departure.sent));
            if age <= limit_ms {
                return None;
            }
            if passed == rank {
                return Some(age);
            }
            next = entry.newer;
        }
        None
    }
}

fn index(place: Place) -> usize {
    place.get() as usize - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn departure(ms: u64) -> Departure {
        Departure { sent: Instant::from_nanos(ms * MS), in_flight: ms as u32, expected_ms: 0.5, again: false }
    }

    #[test]
    fn an_attempt_that_is_not_followed_lands_nowhere() {
        assert_eq!(Flights::default().land(&mut Queue::default(), Flight::default()), None);
    }

    proptest! {
        /// Against lists that are searched from the front.
        #[test]
        fn ages_and_places_are_those_of_a_plain_list(
            steps in prop::collection::vec((0..2usize, any::<prop::sample::Index>(), any::<bool>()), 0..200),
        ) {
            let (mut flights, mut queues) = (Flights::default(), [Queue::default(), Queue::default()]);
            let mut lists: [Vec<(u64, Flight)>; 2] = Default::default();
            let (mut most, mut now) = (0, 0);
            for (backend, which, lands) in steps {
                now += 1;
                let list = &mut lists[backend];
                if lands && !list.is_empty() {
                    let (sent, flight) = list.remove(which.index(list.len()));
                    prop_assert_eq!(flights.land(&mut queues[backend], flight), Some(departure(sent)));
                } else {
                    list.push((now, flights.depart(&mut queues[backend], departure(now))));
                }
                most = most.max(lists.iter().map(Vec::len).sum());
                for (queue, list) in queues.iter().zip(&lists) {
                    prop_assert_eq!(queue.len() as usize, list.len());
                    for rank in 0..4 {
                        for limit in [0.0, 3.0] {
                            let age = list.get(rank as usize).map(|(sent, _)| (now - sent) as f64);
                            let got = flights.age_beyond(queue, rank, limit, Instant::from_nanos(now * MS));
                            prop_assert_eq!(got, age.filter(|&age| age > limit));
                        }
                    }
                }
            }
            prop_assert_eq!(flights.entries.len(), most);
        }
    }
}
