//! The event loop.
//!
//! Here: [`Reactor`], which waits, dispatches, expires and ends the turn, and looks at what has come before it judges a deadline
//! that it is late for; [`Handler`], who lives on it; [`Turn`], what a handler may use while it is called. Not here: sockets (`net/`) and what to do with them (the handlers:
//! proxy, simulated backends). `cli/` starts one per thread. Floor 2.

mod watch;

use std::cell::Cell;
use std::io;

use crate::net::{EVENTS_PER_POLL, Event, Net, Readiness, Token, Wake};
use crate::time::Instant;
use crate::wheel::Wheel;

pub use watch::{BOUNDS_US, STALL, TurnTimes};

/// How often the events that have come meanwhile are asked for before a late deadline is judged: with so many at a time that is
/// more than there are connections.
const LATE_POLLS: usize = 64;

/// What a handler may use during one call.
pub struct Turn<'a, N: Net, T> {
    /// The outside world.
    pub net: &'a mut N,
    /// The reactor's deadlines.
    pub timers: &'a mut Wheel<T>,
    again: &'a mut Vec<Token>,
    times: &'a mut TurnTimes,
    /// What the clock said first and last; [`Instant::NEVER`] as long as nobody has asked it.
    first: Cell<Instant>,
    read: Cell<Instant>,
}

impl<N: Net, T> Turn<'_, N, T> {
    /// The clock, read afresh: a turn with many exchanges lasts milliseconds, and latency is the product.
    pub fn now(&self) -> Instant {
        let now = self.net.now();
        if self.first.get() == Instant::NEVER {
            self.first.set(now);
        }
        self.read.set(now);
        now
    }

    /// What the clock said last in this turn, and if nobody has asked it, what it says now.
    #[inline]
    fn recently(&self) -> Instant {
        match self.read.get() {
            Instant::NEVER => self.now(),
            read => read,
        }
    }

    /// What is counted of the turns before this one.
    pub fn times(&self) -> TurnTimes {
        *self.times
    }

    /// Calls [`Handler::ready`] for `token` again in the next turn, with empty readiness: for who has used up its
    /// share of this turn and knows of more to do.
    pub fn again(&mut self, token: Token) {
        self.again.push(token);
    }
}

/// Whether the loop goes on after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Wait for the next events.
    Continue,
    /// Leave [`Reactor::run`].
    Stop,
}

/// Who lives on a reactor.
pub trait Handler<N: Net> {
    /// What a deadline delivers.
    type Timer: Copy;

    /// Of a turn's events, those of this role are handled before all others, whatever order the kernel tells them in.
    const FIRST: Option<u8> = None;

    /// Something may have changed on a stream or listener registered under `token`, which may be stale.
    fn ready(&mut self, turn: &mut Turn<'_, N, Self::Timer>, token: Token, readiness: Readiness);
    /// A deadline has passed.
    fn expired(&mut self, turn: &mut Turn<'_, N, Self::Timer>, timer: Self::Timer);
    /// A signal arrived or another thread calls.
    fn woken(&mut self, turn: &mut Turn<'_, N, Self::Timer>, wake: Wake);
    /// All events of this turn are handled.
    fn turn_ended(&mut self, turn: &mut Turn<'_, N, Self::Timer>) -> Flow;
}

/// One event loop on one network.
pub struct Reactor<N: Net, T> {
    net: N,
    timers: Wheel<T>,
    events: Vec<Event>,
    again: Vec<Token>,
    due: Vec<Token>,
    /// The last reading of the turn before: what is left until a deadline is counted from here, which spares one.
    now: Instant,
    times: TurnTimes,
}

impl<N: Net, T: Copy> Reactor<N, T> {
    /// A loop whose deadlines have a grain of `2^tick_shift` nanoseconds.
    pub fn new(net: N, tick_shift: u32) -> Reactor<N, T> {
        let now = net.now();
        let timers = Wheel::new(tick_shift, now);
        let events = Vec::with_capacity(EVENTS_PER_POLL);
        let times = TurnTimes::default();
        Reactor { net, timers, events, again: Vec::new(), due: Vec::new(), now, times }
    }

    /// Calls `f` with a turn outside the loop, for what must happen before the first event.
    pub fn begin<R>(&mut self, f: impl FnOnce(&mut Turn<'_, N, T>) -> R) -> R {
        f(&mut turn(&mut self.net, &mut self.timers, &mut self.again, &mut self.times))
    }

    /// Waits for events once and handles them.
    ///
    /// # Errors
    /// Those of [`Net::poll`], which end the loop.
    pub fn turn<H: Handler<N, Timer = T>>(&mut self, handler: &mut H) -> io::Result<Flow> {
        let until = self.next_deadline();
        self.net.poll(&mut self.events, self.now, until)?;
        if !self.again.is_empty() {
            std::mem::swap(&mut self.again, &mut self.due);
        }
        let mut turn = turn(&mut self.net, &mut self.timers, &mut self.again, &mut self.times);
        if self.events.len() > 1 && H::FIRST.is_some() {
            self.events.retain(|event| match event {
                Event::Ready(token, readiness) if Some(token.role) == H::FIRST => {
                    handler.ready(&mut turn, *token, *readiness);
                    false
                }
                _ => true,
            });
        }
        for &event in &self.events {
            match event {
                Event::Ready(token, readiness) => handler.ready(&mut turn, token, readiness),
                Event::Woken(wake) => woken(handler, &mut turn, wake),
            }
        }
        self.events.clear();
        for &token in &self.due {
            handler.ready(&mut turn, token, Readiness::default());
        }
        self.due.clear();
        // Whoever had something to do has mostly asked for the time just now.
        let ended = turn.recently();
        let before = std::mem::replace(&mut self.now, ended);
        // No turn is late or long that ends so soon after the one before.
        if ended.nanos_since(before) >= watch::LATE_NS {
            let expected = until.map_or(Instant::NEVER, |until| until.max(before));
            catch_up(handler, &mut turn, &mut self.events, (expected, ended))?;
            self.now = turn.recently();
        }
        if let Some(timer) = turn.timers.expire(self.now) {
            self.now = expired(handler, &mut turn, timer, self.now);
        }
        let flow = handler.turn_ended(&mut turn);
        turn.times.count(turn.read.get().nanos_since(turn.first.get()));
        Ok(flow)
    }

    /// When there will be something to do without any event.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.again.is_empty() { self.timers.next_deadline() } else { Some(Instant::ZERO) }
    }

    /// The network, for who sets up its sockets.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    /// The network, for who only looks.
    pub fn network(&self) -> &N {
        &self.net
    }

    /// What is counted of its turns.
    pub fn times(&self) -> &TurnTimes {
        &self.times
    }

    /// How many deadlines are set.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Turns until the handler says stop.
    ///
    /// # Errors
    /// Those of [`Net::poll`].
    pub fn run<H: Handler<N, Timer = T>>(&mut self, handler: &mut H) -> io::Result<()> {
        self.now = self.net.now();
        while self.turn(handler)? == Flow::Continue {}
        Ok(())
    }
}

#[inline]
fn turn<'a, N: Net, T>(
    net: &'a mut N,
    timers: &'a mut Wheel<T>,
    again: &'a mut Vec<Token>,
    times: &'a mut TurnTimes,
) -> Turn<'a, N, T> {
    Turn { net, timers, again, times, first: Cell::new(Instant::NEVER), read: Cell::new(Instant::NEVER) }
}

/// If the loop is late, or its turn was long: reads what has come meanwhile before any deadline is judged, and takes a stall out
/// of the deadlines.
#[cold]
#[inline(never)]
fn catch_up<N: Net, H: Handler<N>>(
    handler: &mut H,
    turn: &mut Turn<'_, N, H::Timer>,
    events: &mut Vec<Event>,
    (expected, ended): (Instant, Instant),
) -> io::Result<()> {
    let began = turn.first.get();
    if ended.nanos_since(expected.min(began)) < watch::LATE_NS {
        return Ok(());
    }
    let lost = watch::stalled(expected, began, ended);
    if !lost.is_zero() {
        turn.timers.stalled(lost, ended);
        turn.times.stalled(lost);
        log::debug!("the event loop was not there for {lost:.1?}: deadlines are later by as much");
    }
    for _ in 0..LATE_POLLS {
        turn.net.poll(events, ended, Some(Instant::ZERO))?;
        let is_last = events.len() < EVENTS_PER_POLL;
        for event in events.drain(..) {
            match event {
                Event::Ready(token, readiness) => handler.ready(turn, token, readiness),
                Event::Woken(wake) => handler.woken(turn, wake),
            }
        }
        if is_last {
            break;
        }
    }
    turn.now();
    Ok(())
}

// Both are rare beside readiness. Inlined into a turn, each would have its addresses computed there before every loop.

#[inline(never)]
fn woken<N: Net, H: Handler<N>>(handler: &mut H, turn: &mut Turn<'_, N, H::Timer>, wake: Wake) {
    handler.woken(turn, wake);
}

/// Handles `first` and what else has expired at `now`; returns when that is done.
#[inline(never)]
fn expired<N: Net, H: Handler<N>>(
    handler: &mut H,
    turn: &mut Turn<'_, N, H::Timer>,
    first: H::Timer,
    now: Instant,
) -> Instant {
    let mut next = Some(first);
    while let Some(timer) = next {
        handler.expired(turn, timer);
        next = turn.timers.expire(now);
    }
    turn.now()
}
