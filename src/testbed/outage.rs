//! A simulated server that is not there.
//!
//! Here: [`Outage`]: when its door is shut and opened again, and doing it. Not here: which faults there are (`fault/`), the door
//! itself (`net/`). Floor 3.

use std::net::SocketAddr;
use std::time::Duration;

use super::fault::Fault;
use super::{DOOR, Phase, Service, SimulatedServer, Timer, Turn};
use crate::net::{Door, Net, Stream};
use crate::time::Instant;

/// How long to wait with another attempt when the door cannot be opened.
const RETRY: Duration = Duration::from_millis(50);

/// Times without service.
pub(super) struct Outage {
    faults: Vec<Fault>,
    /// Where it listens.
    address: SocketAddr,
    started: Instant,
}

impl Outage {
    pub(super) fn new(faults: Vec<Fault>, address: SocketAddr) -> Outage {
        Outage { faults, address, started: Instant::ZERO }
    }

    /// Until when it lasts, if it does.
    fn until(&self, now: Instant) -> Option<Instant> {
        let ends = self.faults.iter().filter_map(|fault| fault.until(now - self.started));
        ends.max().map(|end| self.started + end)
    }

    fn next(&self, now: Instant) -> Option<Instant> {
        let begins = self.faults.iter().filter_map(|fault| fault.next(now - self.started));
        begins.min().map(|begin| self.started + begin)
    }
}

impl<N: Net, S: Service> SimulatedServer<N, S> {
    /// The schedule of outages begins now.
    pub(super) fn begin_outages(&mut self, turn: &mut Turn<'_, N>) {
        let now = turn.now();
        if let Some(outage) = &mut self.outage {
            outage.started = now;
            self.outage_due(turn);
        }
    }

    /// An outage may begin or end now.
    pub(super) fn outage_due(&mut self, turn: &mut Turn<'_, N>) {
        let now = turn.now();
        let Some(outage) = &self.outage else { return };
        if self.phase != Phase::Serving {
            return;
        }
        let (until, next, address) = (outage.until(now), outage.next(now), outage.address);
        match until {
            Some(end) => {
                self.vanish(turn);
                turn.timers.insert(end, Timer::Outage);
            }
            None => {
                if let Some(next) = next {
                    turn.timers.insert(next, Timer::Outage);
                }
                self.reappear(turn, address);
            }
        }
    }

    /// No connection survives, and none comes.
    fn vanish(&mut self, turn: &mut Turn<'_, N>) {
        self.door.shut();
        let all: Vec<_> = self.connections.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.stream.reset_on_close();
            }
            self.close(turn, id);
        }
    }

    fn reappear(&mut self, turn: &mut Turn<'_, N>, address: SocketAddr) {
        if !self.door.is_shut() {
            return;
        }
        let opened = turn.net.listen_at(address).and_then(|listener| {
            self.door = Door::new(listener);
            self.door.register(turn.net, DOOR)
        });
        match opened {
            Ok(()) => self.door.knocked(),
            Err(e) => {
                log::error!("{}: cannot listen on {address} again: {e}; trying on", self.service.name());
                self.door.shut();
                let again = turn.now() + RETRY;
                turn.timers.insert(again, Timer::Outage);
            }
        }
    }
}
