//! The border between the program and the kernel.
//!
//! Here: [`Net`], all that a handler may ask of the outside (sockets, readiness, time), and the contract of
//! readiness in words. Not here: what to do with a readable socket (the handlers). `net/os.rs` is the real
//! kernel, `net/virtual_net/` one in memory. Nothing above this border is ever faked. Floor 2.
//!
//! Readiness is edge-triggered, as epoll's `EPOLLET`: an event says that something *may* have changed since
//! the last one, and is not repeated. Whoever gets `readable` reads until the read is short or would block, or
//! remembers that it did not; likewise `writable`. A token may arrive after its stream was closed: it carries
//! a generation, so that it can be refused.

mod door;
mod os;
mod send;
mod sources;
mod virtual_net;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use crate::slots::SlotId;
use crate::time::{Instant, WallTime};

pub use door::{ACCEPT_BATCH, ACCEPT_PAUSE, Accepted, Door, LISTEN_BACKLOG, is_exhaustion};
pub use os::{OsNet, OsStream, Waker, raise_descriptor_limit, wall_clock};
pub use send::{Broken, flush, send};
pub use virtual_net::{Fabric, VirtualListener, VirtualNet, VirtualStream, VirtualWaker, Weather};

/// How many events one [`Net::poll`] takes from the kernel at most.
pub const EVENTS_PER_POLL: usize = 1024;

/// Names the owner of an event: a role that the handler chooses, and a generation-checked slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which table of the handler the slot belongs to; 0 to 13.
    pub role: u8,
    /// The entry of that table.
    pub slot: SlotId,
}

impl Token {
    /// A token of `role`, which must be below 14: the two roles above are the `Net`'s own.
    pub const fn new(role: u8, slot: SlotId) -> Token {
        assert!(role < 14);
        Token { role, slot }
    }

    const fn pack(self) -> u64 {
        (self.role as u64) << 60 | (self.slot.generation() as u64) << 32 | self.slot.index() as u64
    }

    const fn unpack(bits: u64) -> Token {
        let generation = (bits >> 32) as u32 & 0x0fff_ffff;
        Token { role: (bits >> 60) as u8, slot: SlotId::new(bits as u32, generation) }
    }
}

/// What an event says of a stream. Several may hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes, the end of the stream, or a connection to accept may be waiting.
    pub readable: bool,
    /// The stream takes bytes again, or the attempt to connect has ended.
    pub writable: bool,
    /// The peer sends no more (its FIN has arrived): read until the end is seen, short reads notwithstanding.
    pub read_closed: bool,
    /// The connection is gone in both directions, or failed.
    pub broken: bool,
}

/// Why the loop was woken other than by a socket or a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// SIGINT, SIGTERM or SIGQUIT: finish and stop.
    StopSignal,
    /// SIGUSR1: open files again under their names.
    ReopenSignal,
    /// Another thread used the [`Waker`].
    Waker,
}

/// What to do after [`Net::connect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// Write at once: on loopback the handshake is over when the call returns, though Linux says EINPROGRESS. If it is
    /// not, the write would block, and the stream becomes writable later.
    TryNow,
    /// Wait until the stream becomes writable: the attempt has succeeded or failed then.
    Wait,
}

/// What [`Net::poll`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something may have changed on a registered stream or listener.
    Ready(Token, Readiness),
    /// The loop was woken.
    Woken(Wake),
}

/// A connected, or connecting, non-blocking stream of bytes.
pub trait Stream: Read + Write {
    /// Closes one or both directions.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    /// Whether the connection is known to be lost, as when a reset has answered what was written last.
    fn is_lost(&self) -> bool;
    /// Whether bytes wait to be read.
    fn has_unread(&self) -> bool;
    /// Acknowledges what has been read, now: a peer that holds back a small write until then (Nagle) sends it.
    fn acknowledge(&self);
    /// Makes the coming close a reset, so that the peer cannot take what it got for complete.
    fn reset_on_close(&self);
}

/// Lets another thread, or another actor of a world, call a reactor: its poll reports [`Wake::Waker`].
pub trait Wakes {
    /// Makes the poll return.
    ///
    /// # Errors
    /// Those of the kernel.
    fn wake(&self) -> io::Result<()>;
}

/// The outside world of one reactor.
pub trait Net {
    /// A stream of bytes, open or opening.
    type Stream: Stream;
    /// A socket that accepts streams.
    type Listener;
    /// What calls this reactor.
    type Waker: Wakes;

    /// The monotonic clock, read afresh.
    fn now(&self) -> Instant;
    /// The civil time at the monotonic point `now`, which must be recent.
    fn wall(&self, now: Instant) -> WallTime;
    /// Waits for events until `until`, at most; appends them to `events` (which it does not clear). Returns early
    /// without events when interrupted. `now` is a recent reading of the clock: by how much it is old, the wait may be longer.
    fn poll(&mut self, events: &mut Vec<Event>, now: Instant, until: Option<Instant>) -> io::Result<()>;
    /// Listens on `address`.
    fn listen_at(&mut self, address: SocketAddr) -> io::Result<Self::Listener>;
    /// Takes one waiting connection; `WouldBlock` when there is none.
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)>;
    /// Begins to connect.
    fn connect(&mut self, to: SocketAddr) -> io::Result<(Self::Stream, Connect)>;
    /// Reports the stream's events, both directions, under `token` until the stream is dropped.
    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;
    /// Reports waiting connections under `token` until the listener is dropped.
    fn register_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        for (role, index, generation) in [(0, 0, 0), (13, u32::MAX, 0x0fff_ffff), (5, 77, 12345)] {
            let token = Token::new(role, SlotId::new(index, generation));
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
