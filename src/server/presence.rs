//! A server that is not there for a while.
//!
//! Here: shutting its door and opening it again. Not here: when (the service says so), the door itself (`net/`). Floor 2.

use std::net::SocketAddr;
use std::time::Duration;

use super::{DOOR, Phase, Server, Service, Timer, Turn};
use crate::net::{Door, Net, Stream};
use crate::time::Instant;

/// How long to wait with another attempt when the door cannot be opened.
const RETRY: Duration = Duration::from_millis(50);

/// Whether a server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Until then, or for good.
    Here {
        /// When to ask again.
        until: Option<Instant>,
    },
    /// It refuses all connections.
    Away {
        /// When to ask again.
        until: Instant,
    },
}

impl<N: Net, S: Service> Server<N, S> {
    /// The same, which may vanish when its service says so, and comes back at `address`, where its listener listens.
    pub fn vanishing(mut self, address: SocketAddr) -> Server<N, S> {
        self.comes_back_at = Some(address);
        self
    }

    /// It may have to go or to come back now.
    pub(super) fn heed_presence(&mut self, turn: &mut Turn<'_, N>) {
        let Some(address) = self.comes_back_at else { return };
        if self.phase != Phase::Serving {
            return;
        }
        match self.service.presence(turn.now()) {
            Presence::Away { until } => {
                self.vanish(turn);
                turn.timers.insert(until, Timer::Presence);
            }
            Presence::Here { until } => {
                let again = if self.reappear(turn, address) { until } else { Some(turn.now() + RETRY) };
                if let Some(again) = again {
                    turn.timers.insert(again, Timer::Presence);
                }
            }
        }
    }

    /// No connection survives, and none comes.
    fn vanish(&mut self, turn: &mut Turn<'_, N>) {
        self.door.shut();
        self.service.vanished();
        let all: Vec<_> = self.connections.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.stream.reset_on_close();
            }
            self.close(turn, id);
        }
    }

    /// Opens the door, if it is shut; whether it is open.
    fn reappear(&mut self, turn: &mut Turn<'_, N>, address: SocketAddr) -> bool {
        if !self.door.is_shut() {
            return true;
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
            }
        }
        !self.door.is_shut()
    }
}
