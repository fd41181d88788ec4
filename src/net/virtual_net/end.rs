//! One end of a connection: what the kernel keeps of a socket.
//!
//! Here: the state of an end and the levels that epoll would report of it. Not here: how bytes get from one end to the
//! other (`fabric.rs`). Floor 2.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::net::{Readiness, Token};
use crate::slots::SlotId;
use crate::time::Instant;

/// Whether the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    Open,
    /// Reset or refused.
    Broken,
}

/// A socket.
pub(super) struct End {
    pub(super) link: Link,
    /// The other end; stale once that is closed.
    pub(super) peer: Option<SlotId>,
    pub(super) address: SocketAddr,
    /// Whose descriptor it is; of nobody while it waits to be accepted.
    pub(super) owner: Option<usize>,
    /// Who polls it, and under which token.
    pub(super) registered: Option<(usize, Token)>,
    /// It is in its poller's queue already.
    pub(super) queued: bool,
    /// Arrived and not read.
    pub(super) received: VecDeque<u8>,
    /// The peer's FIN has arrived, or reading was shut down.
    pub(super) fin_received: bool,
    /// Our FIN is on its way.
    pub(super) fin_sent: bool,
    /// What the next call is told.
    pub(super) error: Option<io::ErrorKind>,
    /// Sent and not read by the peer.
    pub(super) outstanding: usize,
    /// A write was refused or cut short: an edge is owed when there is room again.
    pub(super) wants_room: bool,
    /// When what was sent last arrives; nothing overtakes it.
    pub(super) last_arrival: Instant,
    /// The close will be a reset.
    pub(super) reset_on_close: bool,
}

impl End {
    pub(super) fn new(link: Link, address: SocketAddr) -> End {
        End {
            link,
            peer: None,
            address,
            owner: None,
            registered: None,
            queued: false,
            received: VecDeque::new(),
            fin_received: false,
            fin_sent: false,
            error: None,
            outstanding: 0,
            wants_room: false,
            last_arrival: Instant::ZERO,
            reset_on_close: false,
        }
    }

    /// The present levels, as epoll reports them with any edge (`tcp_poll`): what is true now, not what has changed.
    pub(super) fn levels(&self, capacity: usize) -> Readiness {
        match self.link {
            Link::Connecting => Readiness::default(),
            Link::Broken => Readiness { readable: true, writable: true, read_closed: true, broken: true },
            Link::Open => Readiness {
                readable: !self.received.is_empty() || self.fin_received,
                writable: self.has_room(capacity),
                read_closed: self.fin_received,
                broken: self.fin_received && self.fin_sent,
            },
        }
    }

    /// Linux reports a socket writable when a third of its buffer is free (`sk_stream_is_writeable`).
    pub(super) fn has_room(&self, capacity: usize) -> bool {
        self.outstanding * 3 <= capacity * 2
    }

    /// The error that waits, told once.
    pub(super) fn take_error(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}
