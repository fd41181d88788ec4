//! The handler that plays a plan.
//!
//! Here: [`Generator`]: when requests begin, when it is over, what is counted. Not here: one request on its connection
//! (`connection.rs`), the threads (`run.rs`). Floor 3.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::connection::Connection;
use super::source::{Due, Schedule, Source};
use super::{AtEnd, Control, Failure, Pace, Plan, Sample, Tally, WINDOW, Workload};
use crate::buffer::BufferPool;
use crate::net::{Net, Readiness, Token, Wake};
use crate::reactor::{Flow, Handler};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

/// The grain of a generator's deadlines: 2^14 ns, 16 µs.
pub const TICK_SHIFT: u32 = 14;

const INPUT_BLOCK_BYTES: usize = 64 * 1024;

/// How long a user rests when no connection could be made, lest it do nothing but try.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

pub(super) type Turn<'a, N> = crate::reactor::Turn<'a, N, Timer>;

/// What a deadline of a generator is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A user of this source begins its next request.
    User(usize),
    /// A request of this source is due.
    Arrival(usize),
    /// The request on this connection has taken too long.
    Connection(SlotId),
    /// A window of the time line is over.
    Window,
    /// No request begins any more.
    End,
    /// No answer is waited for any more.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining,
    Over,
}

/// Sends what its workload says at the paces of its plan, and counts what comes back. In steady state it allocates
/// nothing for a request.
pub struct Generator<N: Net, W> {
    pub(super) plan: Plan,
    pub(super) workload: W,
    pub(super) tally: Tally,
    pub(super) sources: Vec<Source>,
    pub(super) connections: Slots<Connection<N::Stream>>,
    pub(super) buffers: BufferPool,
    input: Box<[u8]>,
    pub(super) output: Vec<u8>,
    phase: Phase,
    started: Instant,
    /// What is due from here on is not sent.
    end: Instant,
    /// Requests under way.
    under_way: u64,
    interrupted: bool,
    control: Arc<Control>,
}

impl<N: Net, W: Workload> Generator<N, W> {
    /// A generator that has not begun.
    pub fn new(plan: Plan, workload: W, control: Arc<Control>) -> Generator<N, W> {
        Generator {
            plan,
            workload,
            tally: Tally::default(),
            sources: Vec::new(),
            connections: Slots::default(),
            buffers: BufferPool::default(),
            input: vec![0; INPUT_BLOCK_BYTES].into_boxed_slice(),
            output: Vec::with_capacity(4096),
            phase: Phase::Running,
            started: Instant::ZERO,
            end: Instant::ZERO,
            under_way: 0,
            interrupted: false,
            control,
        }
    }

    /// Begins: the time runs from here. To be called once, before the reactor runs.
    pub fn open(&mut self, turn: &mut Turn<'_, N>) {
        let now = turn.now();
        self.started = now;
        self.workload.begun(now);
        self.end = now + self.plan.duration;
        turn.timers.insert(self.end, Timer::End);
        turn.timers.insert(now + WINDOW, Timer::Window);
        self.sources = self.plan.sources.iter().map(|pace| Source::new(pace, now)).collect();
        for source in 0..self.sources.len() {
            match self.plan.sources[source] {
                Pace::Closed { users, .. } => (0..users).for_each(|_| self.begin(turn, source, now)),
                Pace::Open { .. } => self.dispatch(turn, source),
            }
        }
    }

    /// What was counted, and the workload.
    pub fn finish(self) -> (Tally, W) {
        (self.tally, self.workload)
    }

    /// What is counted so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether a signal or another thread ended it before its time.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// A request of `source`, due at `due`, begins.
    fn begin(&mut self, turn: &mut Turn<'_, N>, source: usize, due: Instant) {
        let request = self.sources[source].next_request(source);
        self.under_way += 1;
        self.ask(turn, request, due);
    }

    /// A request is over, one way or the other: the one place where all of them end.
    pub(super) fn ended(&mut self, turn: &mut Turn<'_, N>, sample: &Sample, body: &[u8]) {
        self.under_way -= 1;
        self.tally.record(sample);
        self.workload.finished(sample, body);
        let source = sample.request.source;
        match (&self.sources[source].schedule, sample.outcome) {
            (Schedule::Closed { .. }, _) if self.phase != Phase::Running => {}
            (Schedule::Closed { pause: Duration::ZERO }, Ok(_)) => self.begin(turn, source, sample.ended),
            // By the timer also without a pause: who fails at once begins anew in the next turn, not within this call.
            (Schedule::Closed { pause }, outcome) => {
                let rest = match outcome {
                    Err(Failure::Refused | Failure::Connect) => REFUSED_PAUSE.max(*pause),
                    _ => *pause,
                };
                turn.timers.insert(sample.ended + rest, Timer::User(source));
            }
            (Schedule::Open { .. }, Ok(_)) => self.dispatch(turn, source),
            (Schedule::Open { .. }, Err(_)) => {
                if self.sources[source].arm() {
                    turn.timers.insert(sample.ended, Timer::Arrival(source));
                }
            }
        }
    }

    /// Sends what is due in an open loop, as far as connections allow.
    fn dispatch(&mut self, turn: &mut Turn<'_, N>, source: usize) {
        while self.phase != Phase::Over {
            let now = turn.now();
            match self.sources[source].take_due(now, self.started, self.end) {
                Due::Now(due) => self.begin(turn, source, due),
                Due::At(when) => {
                    turn.timers.insert(when, Timer::Arrival(source));
                    return;
                }
                Due::Nothing => return,
            }
        }
    }

    fn end(&mut self, turn: &mut Turn<'_, N>) {
        match self.plan.at_end {
            AtEnd::Cut => self.cut(turn),
            AtEnd::Drain => {
                self.phase = Phase::Draining;
                let limit = turn.now() + self.plan.timeout;
                turn.timers.insert(limit, Timer::Cut);
            }
        }
    }

    fn cut(&mut self, turn: &mut Turn<'_, N>) {
        if self.phase != Phase::Over {
            let now = turn.now();
            self.phase = Phase::Over;
            self.tally.cut = self.under_way;
            self.tally.elapsed = now - self.started;
            let due = now.min(self.end);
            self.tally.unsent =
                self.sources.iter_mut().map(|source| source.pass_over(self.started, due)).sum();
        }
    }

    fn interrupt(&mut self, turn: &mut Turn<'_, N>) {
        self.interrupted |= self.phase != Phase::Over;
        self.cut(turn);
    }
}

impl<N: Net, W: Workload> Handler<N> for Generator<N, W> {
    type Timer = Timer;

    fn ready(&mut self, turn: &mut Turn<'_, N>, token: Token, readiness: Readiness) {
        let mut input = std::mem::take(&mut self.input);
        self.connection_ready(turn, token.slot, readiness, &mut input);
        self.input = input;
    }

    fn expired(&mut self, turn: &mut Turn<'_, N>, timer: Timer) {
        match timer {
            Timer::User(source) => {
                if self.phase == Phase::Running {
                    let now = turn.now();
                    self.begin(turn, source, now);
                }
            }
            Timer::Arrival(source) => {
                self.sources[source].disarm();
                self.dispatch(turn, source);
            }
            Timer::Connection(id) => self.connection_expired(turn, id),
            Timer::Window => {
                self.tally.end_window();
                let next = self.started + WINDOW * (self.tally.windows.len() as u32 + 1);
                turn.timers.insert(next, Timer::Window);
            }
            Timer::End => self.end(turn),
            Timer::Cut => self.cut(turn),
        }
    }

    fn woken(&mut self, turn: &mut Turn<'_, N>, wake: Wake) {
        match wake {
            Wake::StopSignal => self.interrupt(turn),
            Wake::Waker if self.control.stop.load(Ordering::Acquire) => self.interrupt(turn),
            Wake::ReopenSignal | Wake::Waker => {}
        }
    }

    fn turn_ended(&mut self, turn: &mut Turn<'_, N>) -> Flow {
        let rests = || self.under_way == 0 && !self.sources.iter().any(|source| source.is_late(self.end));
        if self.phase == Phase::Draining && rests() {
            self.cut(turn);
        }
        if self.phase == Phase::Over { Flow::Stop } else { Flow::Continue }
    }
}
