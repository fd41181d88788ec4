//! What a simulated backend answers.
//!
//! Here: [`Greetings`], 200 and a line of text after the next latency of a profile, unless a fault hits. Not here: the profiles
//! (`profile/`), the faults (`fault/`), connections (`connection.rs`). Floor 3.

use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::fault::{Fate, Fault, Faults};
use super::meter::Meter;
use super::outage::Outages;
use super::profile::{Draws, Millis, Profile};
use super::workers::Workers;
use crate::h1::request::RequestHead;
use crate::server::{Presence, Response, Service};
use crate::time::{Instant, WallTime};

/// What a backend is like.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendOptions {
    /// What it calls itself in its answers.
    pub id: char,
    /// How long its answers take.
    pub profile: Profile,
    /// Decides, with `number`, what is drawn; equal ones draw the same for the same request number.
    pub seed: u64,
    /// Which of several backends it is.
    pub number: u64,
    /// How many requests are worked on at once; the others wait in order of arrival. `None`: all of them.
    pub capacity: Option<NonZeroUsize>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Who is told what it works, if anybody is.
    pub meter: Option<Meter>,
}

impl BackendOptions {
    /// One of which nothing but the times is known: no bound, no fault.
    pub fn plain(id: char, profile: Profile) -> BackendOptions {
        BackendOptions { id, profile, seed: 0, number: 0, capacity: None, faults: Vec::new(), meter: None }
    }
}

/// Answers any request with a line that names the backend and the latency. Without a capacity any number of requests wait at
/// once: it sleeps, it does not queue.
pub struct Greetings {
    id: char,
    profile: Profile,
    draws: Draws,
    faults: Faults,
    outages: Outages,
    capacity: Option<NonZeroUsize>,
    workers: Workers,
    meter: Option<Meter>,
    started: Instant,
    /// How many requests have arrived.
    arrived: u64,
    text: Vec<u8>,
}

impl Greetings {
    /// What a backend of these options does, which begins at the clock's beginning.
    pub fn new(options: BackendOptions) -> Greetings {
        let BackendOptions { id, profile, seed, number, capacity, faults, meter } = options;
        let draws = Draws::new(seed, number);
        Greetings {
            id,
            profile,
            draws,
            outages: Outages::among(&faults),
            faults: Faults::new(faults, draws),
            capacity,
            workers: Workers::new(capacity),
            meter,
            started: Instant::ZERO,
            arrived: 0,
            text: Vec::with_capacity(64),
        }
    }
}

impl Greetings {
    /// Takes in a request that comes at `now`, not before those that came earlier, and decides what becomes of it.
    pub fn take(&mut self, now: Instant) -> Greeting {
        let n = self.arrived;
        self.arrived += 1;
        let fate = self.faults.fate(now - self.started, n);
        let latency = match fate {
            Fate::Error(Some(after)) => after,
            Fate::Answer | Fate::Error(None) | Fate::Reset => self.profile.step(n, self.draws),
        };
        let (faults, started) = (&self.faults, self.started);
        let due = self.workers.take_until(now, |begin| started + faults.end_of(begin - started, latency));
        if let Some(meter) = &self.meter {
            let work = if fate == Fate::Answer { latency } else { Duration::ZERO };
            meter.count(now - self.started, work);
        }
        Greeting { fate, latency, due }
    }

    /// Whether it is away at times.
    pub fn vanishes(&self) -> bool {
        !self.outages.is_empty()
    }
}

/// What becomes of one request.
pub struct Greeting {
    fate: Fate,
    latency: Duration,
    due: Instant,
}

impl Greeting {
    /// When it is answered.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Whether it is answered with an error, or not at all.
    pub fn is_error(&self) -> bool {
        self.fate != Fate::Answer
    }
}

impl Service for Greetings {
    type Asked = Greeting;
    type Answer = Greeting;

    fn name(&self) -> String {
        format!("backend {}", self.id)
    }

    fn begun(&mut self, now: Instant) {
        self.started = now;
    }

    fn vanished(&mut self) {
        self.workers = Workers::new(self.capacity);
    }

    /// The latency counts from here, however long the body takes.
    fn head(&mut self, _head: &RequestHead<'_, '_>, now: Instant) -> Greeting {
        self.take(now)
    }

    fn wants_body(_asked: &Greeting) -> bool {
        false
    }

    fn request(&mut self, asked: Greeting, _body: &[u8], _now: Instant) -> (Greeting, Instant) {
        let due = asked.due;
        (asked, due)
    }

    fn presence(&self, now: Instant) -> Presence {
        self.outages.presence(self.started, now)
    }

    fn response<'a>(&'a mut self, answer: &'a Greeting, _wall: WallTime) -> Option<Response<'a>> {
        self.text.clear();
        // Writing to a Vec cannot fail.
        let status = match answer.fate {
            Fate::Reset => return None,
            Fate::Error(_) => {
                let _ = writeln!(self.text, "Hello from {} – simulated failure", self.id);
                500
            }
            Fate::Answer => {
                let _ =
                    writeln!(self.text, "Hello from {} – simulated {}ms", self.id, Millis(answer.latency));
                200
            }
        };
        let content_type = "text/plain; charset=utf-8";
        Some(Response { status, content_type, fields: "", body: &self.text, every: None })
    }
}
