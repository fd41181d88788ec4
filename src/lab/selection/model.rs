//! Playing a scenario.
//!
//! Here: [`play`], a simulation by events. A proxy costs nothing, a choice takes no time, and an answer is known the moment it
//! is given. A copy of a request that another one has overtaken ends for the proxy; its backend, which need not notice, works on.
//! Not here: the choice (`balance/`), how long a backend takes (`testbed/`). Floor 4.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

use super::contender::Contender;
use super::figures::{Figures, Tally};
use super::scenario::{Scenario, backends};
use crate::balance::{BackendId, Balance, BalanceOptions, Copies, Flight, Outcome};
use crate::testbed::Greetings;
use crate::time::Instant;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client of a closed load asks.
    Ask,
    /// A request of an open load comes, and announces the next.
    Arrive,
    /// An attempt is answered.
    Answer(usize),
    /// Another copy of a request is to be thought of, if so many were sent.
    Hedge(usize, usize),
}

struct Request {
    proxy: usize,
    begun: Instant,
    /// Where a proxy hedges.
    copies: Option<Copies>,
    /// What is in flight of it, by number.
    attempts: Vec<usize>,
    answered: bool,
}

struct Attempt {
    /// None of one whose answer nobody waits for.
    request: Option<usize>,
    proxy: usize,
    backend: BackendId,
    sent: Instant,
    flight: Flight,
    error: bool,
    overtaken: bool,
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    proxies: Vec<Balance>,
    backends: Vec<Greetings>,
    requests: Vec<Request>,
    attempts: Vec<Attempt>,
    /// The earliest first; of simultaneous ones the first announced.
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    announced: u64,
    rng: Pcg64Mcg,
    tally: Tally,
}

/// Plays `scenario` with `contender` in each proxy. Everything random follows from `seed`.
pub fn play(scenario: &Scenario, contender: &Contender, seed: u64) -> Figures {
    let backends = backends(scenario, seed);
    let meters: Vec<_> = backends.iter().filter_map(|options| options.meter.clone()).collect();
    let proxy = |number: u64| {
        let options = BalanceOptions { seed: seed ^ number << 32, ..contender.options };
        Balance::new(contender.mode, backends.len(), &options)
    };
    let simulation = Simulation {
        scenario,
        proxies: (0..scenario.proxies as u64).map(proxy).collect(),
        tally: Tally::new(scenario),
        backends: backends.into_iter().map(Greetings::new).collect(),
        requests: Vec::new(),
        attempts: Vec::new(),
        events: BinaryHeap::new(),
        announced: 0,
        rng: Pcg64Mcg::seed_from_u64(seed),
    };
    simulation.run().figures(&meters)
}

impl Simulation<'_> {
    fn run(mut self) -> Tally {
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
                Event::Answer(attempt) => self.answer(attempt, now),
                Event::Hedge(request, copies) => self.hedge(request, copies, now),
            }
        }
        for request in self.requests.iter().filter(|request| !request.answered) {
            self.tally.left(request.begun - Instant::ZERO);
        }
        self.tally
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
        let hedges = balance.hedges();
        let choice = if hedges { balance.select_repeatable(now) } else { balance.select(now) };
        let Some(choice) = choice else { return };
        let copies = hedges.then(|| Copies::of(choice));
        let request = self.requests.len();
        self.requests.push(Request { proxy, begun: now, copies, attempts: Vec::new(), answered: false });
        self.attempt(proxy, Some(request), (choice.backend, false), now);
        if let Some(stale) = self.proxies[proxy].shadow(choice) {
            self.attempt(proxy, None, (stale, false), now);
        }
    }

    fn attempt(
        &mut self,
        proxy: usize,
        request: Option<usize>,
        (id, again): (BackendId, bool),
        now: Instant,
    ) {
        let balance = &mut self.proxies[proxy];
        let flight = if again { balance.started_again(id, now) } else { balance.started(id, now) };
        let greeting = self.backends[usize::from(id.0)].take(now);
        let error = greeting.is_error();
        let number = self.attempts.len();
        let mut think_again = None;
        if let Some(request) = request {
            self.requests[request].attempts.push(number);
            if let Some(copies) = &mut self.requests[request].copies {
                let delay = balance.sent(copies, id, &flight, now);
                think_again = delay.map(|delay| (now + delay, Event::Hedge(request, copies.count())));
            }
        }
        self.attempts.push(Attempt {
            request,
            proxy,
            backend: id,
            sent: now,
            flight,
            error,
            overtaken: false,
        });
        self.announce(greeting.due(), Event::Answer(number));
        think_again.into_iter().for_each(|(at, event)| self.announce(at, event));
    }

    fn hedge(&mut self, number: usize, sent: usize, now: Instant) {
        let request = &self.requests[number];
        let Some(copies) = request.copies.filter(|copies| copies.count() == sent && !request.answered) else {
            return;
        };
        let proxy = request.proxy;
        if let Some(target) = self.proxies[proxy].hedge(&copies, now) {
            self.attempt(proxy, Some(number), target, now);
        }
    }

    fn answer(&mut self, number: usize, now: Instant) {
        let attempt = &self.attempts[number];
        if attempt.overtaken {
            return;
        }
        let error = attempt.error;
        let outcome = Outcome::Answered { latency_ns: now.nanos_since(attempt.sent), error };
        let request = attempt.request;
        self.end(number, outcome, now);
        let Some(request) = request.map(|request| &mut self.requests[request]) else { return };
        request.attempts.retain(|&other| other != number);
        // An error is the answer only if nothing better can come.
        if error && !request.attempts.is_empty() {
            return;
        }
        request.answered = true;
        let (begun, overtaken) = (request.begun, std::mem::take(&mut request.attempts));
        for other in overtaken {
            self.attempts[other].overtaken = true;
            let elapsed_ns = now.nanos_since(self.attempts[other].sent);
            self.end(other, Outcome::Overtaken { elapsed_ns }, now);
        }
        self.tally.ended(begun - Instant::ZERO, now - Instant::ZERO, !error);
        if !self.scenario.arrivals.is_open() {
            self.announce(now, Event::Ask);
        }
    }

    fn end(&mut self, number: usize, outcome: Outcome, now: Instant) {
        let attempt = &mut self.attempts[number];
        let flight = std::mem::take(&mut attempt.flight);
        self.proxies[attempt.proxy].finished(attempt.backend, flight, outcome, now);
    }
}
