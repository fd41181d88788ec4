//! Who acts in a virtual world.
//!
//! Here: [`Actor`], a handler with its reactor, each turn of which must end within so many calls; [`wait`], which moves the clock
//! on. Not here: who they are (`mod.rs`, `batching.rs`, `crowd/`). Floor 4.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::net::{Fabric, VirtualNet, Wake};
use crate::proxy::Proxy;
use crate::reactor::{Flow, Handler, Reactor};
use crate::time::Instant;

/// How many calls on the network a turn may make whatever there is to do: a batch of accepts, sixteen events with a few reads and
/// writes each, a batch with its riders.
const CALLS_A_TURN: u64 = 1_000;

/// And how many more for each socket and each timer of the reactor: all of them may fall due at once, and each may cost an exchange
/// its end.
const CALLS_A_SOCKET: u64 = 16;

/// A handler with its reactor.
pub(super) struct Actor<H: Handler<VirtualNet>> {
    pub(super) reactor: Reactor<VirtualNet, H::Timer>,
    pub(super) handler: H,
    pub(super) stopped: bool,
    /// The turn with the most calls.
    pub(super) longest: LongestTurn,
}

/// How long turns become.
#[derive(Clone, Copy, Debug, Default)]
pub struct LongestTurn {
    /// Calls on the network, closes apart.
    pub calls: u64,
    /// How many it could have made.
    pub bound: u64,
}

impl<H: Handler<VirtualNet>> Actor<H> {
    pub(super) fn new(net: VirtualNet, tick_shift: u32, handler: H) -> Actor<H> {
        let reactor = Reactor::new(net, tick_shift);
        Actor { reactor, handler, stopped: false, longest: LongestTurn::default() }
    }

    /// Runs a turn. One that does not end is ended by the network's panic; that and any other is an error.
    fn turn(&mut self) -> Result<Flow, String> {
        let (sockets, timers) = (self.reactor.network().descriptors(), self.reactor.timers());
        let bound = CALLS_A_TURN + CALLS_A_SOCKET * (sockets + timers) as u64;
        self.reactor.network().begin_turn(bound);
        let turned = catch_unwind(AssertUnwindSafe(|| self.reactor.turn(&mut self.handler)));
        let calls = self.reactor.network().calls();
        if calls > self.longest.calls {
            self.longest = LongestTurn { calls, bound };
        }
        match turned {
            Ok(flow) => flow.map_err(|e| format!("a turn failed: {e}")),
            Err(panic) => Err(format!("with {sockets} sockets and {timers} timers {}", told(&*panic))),
        }
    }
}

/// What a panic says.
fn told(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a turn panicked")
}

/// An actor, whatever it does.
pub(super) trait Acts {
    /// Runs a turn if there is anything to do at `now`; whether there was.
    fn act(&mut self, now: Instant) -> Result<bool, String>;
    /// When it will have something to do without any event.
    fn deadline(&self) -> Option<Instant>;
    /// Whether it has ended.
    fn has_stopped(&self) -> bool;
    /// Tells it to stop.
    fn stop(&mut self);
}

impl<H: Handler<VirtualNet>> Acts for Actor<H> {
    fn act(&mut self, now: Instant) -> Result<bool, String> {
        let due = self.reactor.net().has_events() || self.deadline().is_some_and(|at| at <= now);
        if self.stopped || !due {
            return Ok(false);
        }
        self.stopped = self.turn()? == Flow::Stop;
        Ok(true)
    }

    fn deadline(&self) -> Option<Instant> {
        self.reactor.next_deadline().filter(|_| !self.stopped)
    }

    fn has_stopped(&self) -> bool {
        self.stopped
    }

    fn stop(&mut self) {
        self.reactor.net().wake(Wake::StopSignal);
    }
}

/// What must hold after each turn of a proxy.
///
/// # Errors
/// What does not.
pub(super) fn check_turn(proxy: &Actor<Proxy<VirtualNet>>) -> Result<(), String> {
    proxy.handler.check()?;
    if !proxy.stopped {
        proxy.handler.check_timers(proxy.reactor.timers())?;
    }
    match (proxy.reactor.network().descriptors(), proxy.handler.sockets()) {
        (open, known) if open == known => Ok(()),
        (open, known) => Err(format!("{open} descriptors in use, {known} connections known")),
    }
}

/// Moves the clock to when the next thing happens, on the network or to one of them.
///
/// # Errors
/// If nothing will ever happen again.
pub(super) fn wait<'a>(
    fabric: &Fabric,
    actors: impl IntoIterator<Item = &'a dyn Acts>,
) -> Result<(), String> {
    let deadlines = actors.into_iter().map(|actor| actor.deadline());
    match deadlines.chain([fabric.next_at()]).flatten().min() {
        Some(next) => fabric.advance(next.max(fabric.now())),
        None => return Err("nothing will ever happen again".to_owned()),
    }
    Ok(())
}

/// Stops them, and lets them come to their end; then not one connection may be left.
///
/// # Errors
/// If one does not stop within a minute, or something is left.
pub(super) fn close_down(fabric: &Fabric, actors: Vec<&mut dyn Acts>) -> Result<(), String> {
    stop(fabric, actors)?;
    nothing_left(fabric)
}

/// Stops them, and lets them come to their end.
///
/// # Errors
/// If one does not within a minute.
pub(super) fn stop(fabric: &Fabric, mut actors: Vec<&mut dyn Acts>) -> Result<(), String> {
    actors.iter_mut().for_each(|actor| actor.stop());
    let limit = fabric.now() + std::time::Duration::from_secs(60);
    while !(actors.iter().all(|actor| actor.has_stopped()) && fabric.next_at().is_none()) {
        let now = fabric.now();
        if now > limit {
            return Err("a server does not stop".to_owned());
        }
        let mut acted = false;
        for actor in &mut actors {
            acted |= actor.act(now)?;
        }
        if !acted {
            wait(fabric, actors.iter().map(|actor| &**actor))?;
        }
    }
    Ok(())
}

/// Whether every connection has ended on both sides.
///
/// # Errors
/// If not.
pub(super) fn nothing_left(fabric: &Fabric) -> Result<(), String> {
    match fabric.open_ends() {
        0 => Ok(()),
        n => Err(format!("{n} ends of connections left when everything has stopped")),
    }
}
