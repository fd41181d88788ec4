//! Who acts in a virtual world.
//!
//! Here: [`Actor`], a handler with its reactor; [`step`], which lets everyone act or moves the clock on. Not here: who they
//! are (`mod.rs`, `batching.rs`). Floor 4.

use crate::net::{Fabric, VirtualNet, Wake};
use crate::proxy::Proxy;
use crate::reactor::{Flow, Handler, Reactor};
use crate::time::Instant;

/// A handler with its reactor.
pub(super) struct Actor<H: Handler<VirtualNet>> {
    pub(super) reactor: Reactor<VirtualNet, H::Timer>,
    pub(super) handler: H,
    pub(super) stopped: bool,
}

impl<H: Handler<VirtualNet>> Actor<H> {
    pub(super) fn new(net: VirtualNet, tick_shift: u32, handler: H) -> Actor<H> {
        Actor { reactor: Reactor::new(net, tick_shift), handler, stopped: false }
    }
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
        let flow = self.reactor.turn(&mut self.handler).map_err(|e| format!("a turn failed: {e}"))?;
        self.stopped = flow == Flow::Stop;
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
