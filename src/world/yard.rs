//! The door and the connections of a backend in a world.
//!
//! Here: [`Yard`], which lets connections in, notes which can be read and ends them when the backend is to stop. Not here: what is said on
//! them (`unruly.rs`, `stress/backend.rs`). Floor 4.

use std::io;

use crate::net::{Door, Net, Readiness, Token, VirtualNet, Wake};
use crate::reactor::Flow;
use crate::slots::{SlotId, Slots};

pub(super) type Stream = <VirtualNet as Net>::Stream;

const LISTENER: u8 = 0;
const CONNECTION: u8 = 1;
const DOOR: Token = Token::new(LISTENER, SlotId::new(0, 0));

/// A connection to a backend.
pub(super) trait Guest {
    fn stream(&mut self) -> &mut Stream;
    /// There is something to read, or its end.
    fn note_readable(&mut self);
}

/// What an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody is at the door.
    Knock,
    /// This connection can be read or written.
    Ready(SlotId),
}

/// Where a backend is.
pub(super) struct Yard<C> {
    pub(super) door: Door<<VirtualNet as Net>::Listener>,
    pub(super) connections: Slots<C>,
    pub(super) stopping: bool,
}

impl<C: Guest> Yard<C> {
    pub(super) fn new(listener: <VirtualNet as Net>::Listener) -> Yard<C> {
        Yard { door: Door::new(listener), connections: Slots::default(), stopping: false }
    }

    /// Begins to hear of who knocks.
    pub(super) fn open(&mut self, net: &mut VirtualNet) -> io::Result<()> {
        self.door.register(net, DOOR)
    }

    /// Has one more connection.
    pub(super) fn admit(&mut self, net: &mut VirtualNet, connection: C) {
        let id = self.connections.insert(connection);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let registered = net.register(connection.stream(), Token::new(CONNECTION, id));
        assert!(registered.is_ok(), "a virtual stream can always be registered");
    }

    /// What an event is of; it is noted.
    pub(super) fn event(&mut self, token: Token, readiness: Readiness) -> Event {
        if token.role == LISTENER {
            self.door.knocked();
            return Event::Knock;
        }
        let reads = readiness.readable || readiness.read_closed || readiness.broken;
        if let Some(connection) = self.connections.get_mut(token.slot).filter(|_| reads) {
            connection.note_readable();
        }
        Event::Ready(token.slot)
    }

    /// Ends all if the backend is told to stop.
    pub(super) fn woken(&mut self, wake: Wake) {
        if wake == Wake::StopSignal {
            self.stopping = true;
            self.door.shut();
            self.connections = Slots::default();
        }
    }

    pub(super) fn flow(&self) -> Flow {
        if self.stopping { Flow::Stop } else { Flow::Continue }
    }
}
