//! WebSocket tunnels in a virtual world.
//!
//! Here: what both ends say through one, and the judgement of it: each byte tells where it stands, so loss, repetition,
//! disorder and bytes of another tunnel show. Not here: connections (`clients.rs`, `unruly.rs`). Floor 4.

use std::collections::VecDeque;
use std::ops::Range;

/// What a user sends at most.
const LARGEST: usize = 10_000;

/// Byte `at` of the tunnel of request `serial`. The first is one with which no request begins.
fn byte(serial: u64, at: usize) -> u8 {
    match at {
        0 => 0,
        _ => (serial as usize * 151 + at * 31 + (at >> 8)) as u8,
    }
}

fn bytes(serial: u64, range: Range<usize>) -> impl Iterator<Item = u8> {
    range.map(move |at| byte(serial, at))
}

/// Whether these are the bytes from `at` on.
fn are_bytes(found: &[u8], serial: u64, at: usize) -> bool {
    bytes(serial, at..at + found.len()).eq(found.iter().copied())
}

/// A user's end: it sends its bytes, ends its side, and expects them back.
#[derive(Clone, Copy)]
pub(super) struct UserEnd {
    serial: u64,
    total: usize,
    /// How many it sends without waiting for the 101.
    early: usize,
    received: usize,
    /// The backend has said that it will send all back.
    promised: bool,
    /// It has ended its side.
    ended: bool,
}

impl UserEnd {
    /// Writes the request that asks for a tunnel, of some length and haste drawn from `size`.
    pub(super) fn ask(serial: u64, size: usize, out: &mut VecDeque<u8>) -> UserEnd {
        let total = size % LARGEST;
        let early = if size.is_multiple_of(3) { total / 2 } else { 0 };
        let head = format!(
            "GET /{serial} HTTP/1.1\r\nHost: w\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Total: {total}\r\n\r\n"
        );
        out.extend(head.as_bytes());
        out.extend(bytes(serial, 0..early));
        UserEnd { serial, total, early, received: 0, promised: false, ended: false }
    }

    /// Whether something stands behind its request that is none.
    pub(super) fn is_hasty(&self) -> bool {
        self.early > 0
    }

    /// The 101 has come: sends the rest.
    pub(super) fn granted(&mut self, promised: bool, out: &mut VecDeque<u8>) {
        self.promised = promised;
        out.extend(bytes(self.serial, self.early..self.total));
    }

    /// All is sent: whether its side is to be ended now, which is done once.
    pub(super) fn ends_now(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    /// Takes what has come back.
    ///
    /// # Errors
    /// If it is not what was sent.
    pub(super) fn take(&mut self, found: &[u8]) -> Result<(), String> {
        let (serial, at) = (self.serial, self.received);
        self.received += found.len();
        if self.received <= self.total && are_bytes(found, serial, at) {
            return Ok(());
        }
        Err(format!("tunnel {serial}: {} bytes from {at} of {} on are not its own", found.len(), self.total))
    }

    /// Whether all has come back.
    pub(super) fn is_whole(&self) -> bool {
        self.received == self.total
    }

    /// The other end has come to its end. `certain`: nothing on the way loses anything.
    ///
    /// # Errors
    /// If bytes that were promised are missing.
    pub(super) fn ended(&self, certain: bool) -> Result<(), String> {
        let UserEnd { serial, received, total, .. } = *self;
        match self.promised && certain && !self.is_whole() {
            true => Err(format!("tunnel {serial} has ended after {received} of {total} bytes")),
            false => Ok(()),
        }
    }
}

/// How a backend treats a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Sends all back, some of it before it has come.
    Echo,
    /// Closes in the middle.
    Close,
    /// Resets the connection in the middle.
    Reset,
    /// Says nothing and never ends.
    Silence,
}

/// What a backend does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Close,
    Reset,
}

/// A backend's end.
pub(super) struct BackendEnd {
    serial: u64,
    manner: Manner,
    received: usize,
    sent: usize,
}

impl BackendEnd {
    /// Answers a request for a tunnel, in a way drawn from `draw`; none if it is declined, or granted with another protocol,
    /// which is no grant.
    pub(super) fn answer(serial: u64, total: usize, draw: u64, out: &mut VecDeque<u8>) -> Option<BackendEnd> {
        let manner = match draw % 16 {
            0..10 => Manner::Echo,
            10 => Manner::Close,
            11 => Manner::Reset,
            12 => Manner::Silence,
            13 => {
                let other =
                    "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n\0not HTTP";
                out.extend(other.as_bytes());
                return None;
            }
            _ => {
                let declined = format!("HTTP/1.1 200 OK\r\nX-Serial: {serial}\r\nContent-Length: 0\r\n\r\n");
                out.extend(declined.as_bytes());
                return None;
            }
        };
        let promise = if manner == Manner::Echo { "X-Promised: all\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 101 Switching\r\nX-Serial: {serial}\r\n{promise}Connection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"
        );
        out.extend(head.as_bytes());
        let hasty = if manner == Manner::Silence { 0 } else { total.min(draw as usize % 700) };
        out.extend(bytes(serial, 0..hasty));
        Some(BackendEnd { serial, manner, received: 0, sent: hasty })
    }

    /// Takes what has come, and answers it.
    ///
    /// # Errors
    /// If it is not what the user sent.
    pub(super) fn take(&mut self, found: &[u8], out: &mut VecDeque<u8>) -> Result<Next, String> {
        let (serial, at) = (self.serial, self.received);
        if !are_bytes(found, serial, at) {
            return Err(format!("tunnel {serial}: {} bytes from {at} on are not the user's", found.len()));
        }
        self.received += found.len();
        match self.manner {
            Manner::Echo => {
                out.extend(bytes(serial, self.sent..self.received.max(self.sent)));
                self.sent = self.sent.max(self.received);
                Ok(Next::GoOn)
            }
            Manner::Close => Ok(Next::Close),
            Manner::Reset => Ok(Next::Reset),
            Manner::Silence => Ok(Next::GoOn),
        }
    }

    /// The user has ended its side.
    pub(super) fn ended(&self) -> Next {
        if self.manner == Manner::Silence { Next::GoOn } else { Next::Close }
    }
}
