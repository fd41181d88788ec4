//! Playing a scenario.
//!
//! Here: [`play`], a simulation by events. A proxy costs nothing, a choice takes no time, and an answer is known the moment it
//! is given. Not here: the choice (`balance/`), how long a backend takes (`testbed/`). Floor 4.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

use super::contender::Contender;
use super::figures::{Figures, Tally};
use super::scenario::Scenario;
use crate::balance::{BackendId, Balance, BalanceOptions, Flight, Outcome};
use crate::testbed::{BackendOptions, Greetings};
use crate::time::Instant;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client of a closed load asks.
    Ask,
    /// A request of an open load comes, and announces the next.
    Arrive,
    /// A request is answered.
    Answer(usize),
}

struct Request {
    proxy: usize,
    backend: BackendId,
    sent: Instant,
    flight: Flight,
    error: bool,
    answered: bool,
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    proxies: Vec<Balance>,
    backends: Vec<Greetings>,
    requests: Vec<Request>,
    /// The earliest first; of simultaneous ones the first announced.
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    announced: u64,
    rng: Pcg64Mcg,
    tally: Tally,
}

/// Plays `scenario` with `contender` in each proxy. Everything random follows from `seed`.
pub fn play(scenario: &Scenario, contender: &Contender, seed: u64) -> Figures {
    let backends: Vec<Greetings> = backends(scenario, seed);
    let proxy = |number: u64| {
        let options = BalanceOptions { seed: seed ^ number << 32, ..contender.options };
        Balance::new(contender.mode, backends.len(), &options)
    };
    let simulation = Simulation {
        scenario,
        proxies: (0..scenario.proxies as u64).map(proxy).collect(),
        tally: Tally::new(backends.len()),
        backends,
        requests: Vec::new(),
        events: BinaryHeap::new(),
        announced: 0,
        rng: Pcg64Mcg::seed_from_u64(seed),
    };
    simulation.run()
}

fn backends(scenario: &Scenario, seed: u64) -> Vec<Greetings> {
    let groups = scenario.groups.iter().flat_map(|group| std::iter::repeat_n(group, group.copies));
    let backend = |(number, group): (u64, &super::Group)| {
        Greetings::new(BackendOptions {
            capacity: group.capacity,
            faults: group.faults.clone(),
            seed,
            number,
            ..BackendOptions::plain('A', group.profile.clone())
        })
    };
    (0..).zip(groups).map(backend).collect()
}

impl Simulation<'_> {
    fn run(mut self) -> Figures {
        match self.scenario.arrivals {
            super::Arrivals::Closed(clients) => {
                (0..clients).for_each(|_| self.announce(Instant::ZERO, Event::Ask))
            }
            super::Arrivals::Open(_) => self.announce(Instant::ZERO, Event::Arrive),
        }
        let end = Instant::ZERO + self.scenario.end;
        while let Some(Reverse((now, _, event))) = self.events.pop().filter(|next| next.0.0 <= end) {
            match event {
                Event::Ask => self.send(now),
                Event::Arrive => {
                    self.announce_next(now);
                    self.send(now);
                }
                Event::Answer(request) => self.answer(request, now),
            }
        }
        let answered = self.tally.answered();
        if self.is_open() {
            // Else an overload would look good.
            let waiting = self.requests.iter().filter(|request| !request.answered);
            let counted = waiting.filter(|request| request.sent - Instant::ZERO >= self.scenario.warm_up);
            counted.for_each(|request| self.tally.waited(end - request.sent));
        }
        self.tally.figures(answered, self.scenario.end - self.scenario.warm_up)
    }

    fn is_open(&self) -> bool {
        self.scenario.arrivals.rate(Duration::ZERO).is_some()
    }

    fn is_warm(&self, now: Instant) -> bool {
        now - Instant::ZERO >= self.scenario.warm_up
    }

    fn announce(&mut self, at: Instant, event: Event) {
        self.events.push(Reverse((at, self.announced, event)));
        self.announced += 1;
    }

    fn announce_next(&mut self, now: Instant) {
        if let Some(rate) = self.scenario.arrivals.rate(now - Instant::ZERO) {
            let gap: f64 = Exp1.sample(&mut self.rng);
            self.announce(now + Duration::from_secs_f64(gap / rate), Event::Arrive);
        }
    }

    fn send(&mut self, now: Instant) {
        let proxy = if self.proxies.len() > 1 { self.rng.random_range(0..self.proxies.len()) } else { 0 };
        let balance = &mut self.proxies[proxy];
        let Some(choice) = balance.select(now) else { return };
        let backend = choice.backend;
        let flight = balance.started(backend, now);
        let greeting = self.backends[usize::from(backend.0)].take(now);
        let error = greeting.is_error();
        if self.is_warm(now) {
            let work = if error { Duration::ZERO } else { greeting.service_time() };
            self.tally.sent(usize::from(backend.0), work);
        }
        self.requests.push(Request { proxy, backend, sent: now, flight, error, answered: false });
        self.announce(greeting.due(), Event::Answer(self.requests.len() - 1));
    }

    fn answer(&mut self, number: usize, now: Instant) {
        let request = &mut self.requests[number];
        request.answered = true;
        let (latency, error) = (now - request.sent, request.error);
        let outcome = Outcome::Answered { latency_ns: now.nanos_since(request.sent), error };
        let flight = std::mem::take(&mut request.flight);
        self.proxies[request.proxy].finished(request.backend, flight, outcome, now);
        if self.is_warm(now) {
            match error {
                false => self.tally.waited(latency),
                true => self.tally.failed(),
            }
        }
        if !self.is_open() {
            self.announce(now, Event::Ask);
        }
    }
}
