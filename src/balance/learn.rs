//! How attempts end, and what is learned from it.
//!
//! Here: [`Outcome`], and which of what is known of a backend it feeds. Not here: the averages (`estimate.rs`), what the modes make
//! of it (`adaptive/` and others), ejection (`health.rs`). Floor 1.

use super::adaptive::{End, Sample};
use super::backends::{Backend, mean_of};
use super::flights::{Departure, Flight};
use super::{BackendId, Balance, PROBE_PAUSE, RoutingMode, millis};
use crate::time::Instant;

/// A latency of 0 means less than the clock can tell.
const LEAST_LATENCY_MS: f64 = 1e-6;

/// How an attempt on a backend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole response came, of whatever status; or, while other copies of the request might do better, the head of an error.
    Answered {
        /// Nanoseconds from sending the request upstream to the last byte of the response. 0 means that the clock
        /// was too coarse to tell; it enters no average.
        latency_ns: u64,
        /// The status says that the backend could not do its work (5xx). It counts against it in `adaptive` alone.
        error: bool,
    },
    /// The same, of a status that counts as a failure towards ejection.
    Faulty {
        /// As of [`Outcome::Answered`].
        latency_ns: u64,
    },
    /// Refused, reset, timed out or malformed.
    Failed {
        /// Nanoseconds from the start of the attempt to its failure.
        elapsed_ns: u64,
    },
    /// Another copy of its request was answered first, so that nobody waits for this one any more.
    Overtaken {
        /// Nanoseconds from sending the request upstream until then: it would have taken longer.
        elapsed_ns: u64,
    },
    /// Ended in a way that says nothing of the backend, as when the client left, or of which [`Balance::opened`] has
    /// told all that there is to learn.
    Cancelled,
}

impl Balance {
    /// An attempt on `id` begins at `now`, not before those that were reported earlier. What it returns belongs to the
    /// attempt.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn started(&mut self, id: BackendId, now: Instant) -> Flight {
        self.begin(id, false, now)
    }

    /// The same of a further copy of a request that `id` has in flight already.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn started_again(&mut self, id: BackendId, now: Instant) -> Flight {
        self.begin(id, true, now)
    }

    #[inline]
    fn begin(&mut self, id: BackendId, again: bool, now: Instant) -> Flight {
        let Some(index) = self.members.place(id) else {
            self.members.left(id).start();
            return Flight::default();
        };
        self.backends[index].start();
        if self.mode.follows_flights() { self.follow(index, again, now) } else { Flight::default() }
    }

    #[inline(never)]
    fn follow(&mut self, index: usize, again: bool, now: Instant) -> Flight {
        let backend = &mut self.backends[index];
        let in_flight = backend.load(now);
        let expected_ms = backend.score.expected_ms(in_flight) as f32;
        self.flights.depart(&mut backend.queue, Departure { sent: now, in_flight, expected_ms, again })
    }

    /// An attempt on `id` ended at `now`. Call it once for every [`started`](Balance::started), with what that returned.
    ///
    /// A failure of a backend with samples enters its averages as a latency that raises them or leaves them: the
    /// largest of the time it took, its own average, and just above the mean of all backends' averages. A failure
    /// of a backend without samples enters nothing and begins its [`PROBE_PAUSE`].
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn finished(&mut self, id: BackendId, flight: Flight, outcome: Outcome, now: Instant) {
        let Some(index) = self.members.place(id) else { return self.end_outside(id, flight, outcome, now) };
        self.backends[index].end();
        let departure = self.land(index, flight);
        let ejects = self.backends[index].health.ended(outcome, &self.options.health, now);
        match outcome {
            Outcome::Answered { latency_ns, error } => {
                self.backends[index].answer(latency_ns, now);
                let end = if error { End::Error } else { End::Answer };
                self.learn(index, departure, (latency_ns, end), now);
            }
            Outcome::Faulty { latency_ns } => {
                self.backends[index].answer(latency_ns, now);
                self.learn(index, departure, (latency_ns, End::Error), now);
            }
            Outcome::Failed { elapsed_ns } => {
                self.fail(index, elapsed_ns, now);
                self.learn(index, departure, (elapsed_ns, End::Error), now);
            }
            Outcome::Overtaken { elapsed_ns } => {
                if self.mode == RoutingMode::Adaptive {
                    self.learn_more(index, departure, (elapsed_ns, End::Overtaken), now);
                }
                return;
            }
            Outcome::Cancelled => return,
        }
        if ejects
            && self.options.health.may_eject(self.backends.len() - self.usable.len(), self.backends.len())
        {
            self.backends[index].health.eject(&self.options.health, now);
            self.settle(index);
        }
    }

    /// An attempt on `id` was answered after `latency_ns` with a tunnel. The latency counts as of now; the attempt is in
    /// flight until it is reported as finished, and cancelled, but tells nothing by its age: `flight` ends here.
    ///
    /// # Panics
    ///
    /// If there is no such backend.
    pub fn opened(&mut self, id: BackendId, flight: Flight, latency_ns: u64, now: Instant) {
        let Some(index) = self.members.place(id) else {
            let Balance { flights, members, .. } = self;
            let backend = members.left(id);
            flights.land(&mut backend.queue, flight);
            return backend.answer(latency_ns, now);
        };
        let departure = self.land(index, flight);
        self.backends[index].answer(latency_ns, now);
        self.learn(index, departure, (latency_ns, End::Answer), now);
    }

    /// The same of one that is not compared with others any more.
    #[cold]
    fn end_outside(&mut self, id: BackendId, flight: Flight, outcome: Outcome, now: Instant) {
        let Balance { flights, members, .. } = self;
        let backend = members.left(id);
        flights.land(&mut backend.queue, flight);
        backend.end_outside(outcome, now);
    }

    #[inline]
    fn land(&mut self, index: usize, flight: Flight) -> Option<Departure> {
        // Most modes follow none.
        if flight == Flight::default() {
            return None;
        }
        self.flights.land(&mut self.backends[index].queue, flight)
    }

    /// The averages of a backend have changed; what the mode wants to know beside them is how long the attempt took, and
    /// how it ended.
    fn learn(
        &mut self,
        index: usize,
        departure: Option<Departure>,
        (latency_ns, end): (u64, End),
        now: Instant,
    ) {
        match self.mode {
            RoutingMode::RoundRobin | RoutingMode::LeastRequests => {}
            RoutingMode::AdaptiveSma | RoutingMode::AdaptiveEwma => self.compare(index),
            RoutingMode::Adaptive | RoutingMode::P2cPeakEwma | RoutingMode::Prequal => {
                self.learn_more(index, departure, (latency_ns, end), now);
            }
        }
        if self.backends[index].is_measured() {
            self.probes.end(index);
        }
    }

    /// What costs too much for the modes that do not use it.
    #[inline(never)]
    fn learn_more(
        &mut self,
        index: usize,
        departure: Option<Departure>,
        (latency_ns, end): (u64, End),
        now: Instant,
    ) {
        let latency_ms = millis(latency_ns);
        match (self.mode, departure) {
            (RoutingMode::P2cPeakEwma, _) => self.backends[index].peak_ewma.record(latency_ms, now),
            (RoutingMode::Adaptive, Some(departure)) => {
                let sample = Sample { latency_ms: latency_ms.max(LEAST_LATENCY_MS), end };
                self.adaptive.record(&mut self.backends, index, departure, sample, now);
            }
            (RoutingMode::Prequal, Some(departure)) => {
                self.backends[index].recent.record(departure.in_flight, latency_ms);
            }
            _ => {}
        }
    }

    fn fail(&mut self, index: usize, elapsed_ns: u64, now: Instant) {
        let sma = mean_of(self.backends.iter().filter_map(Backend::sma_ns));
        let ewma = mean_of(self.backends.iter().filter_map(Backend::ewma_ns));
        let backend = &mut self.backends[index];
        backend.fail(elapsed_ns, sma, ewma, now);
        if !backend.is_measured() && backend.is_usable() {
            self.probes.pause(index, now + PROBE_PAUSE);
        }
    }
}
