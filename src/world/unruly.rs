//! Backends without manners.
//!
//! Here: [`UnrulyBackend`], which answers in every way that a real backend should not: in drops, too early, too much,
//! half, not at all. It judges what it is sent: whole bodies, and no request on a connection that it has spoilt. Not
//! here: what it says (`manners.rs`), when it is not there (`unruly/presence.rs`), the well-behaved ones (`testbed/`). Floor 4.

mod presence;
mod request;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::ledger::Ledger;
use super::letter;
use super::manners::{MANNERS, Manner, answer_bytes, check_answer};
use super::tunnels::{BackendEnd, Next};
use super::yard::{Event, Guest, Stream, Yard};
use crate::net::{Accepted, Fabric, Net, Readiness, Stream as _, Token, VirtualNet, Wake};
use crate::reactor::{Flow, Handler};
use crate::slots::SlotId;

use request::{Asked, parse};

type Turn<'a> = crate::reactor::Turn<'a, VirtualNet, Timer>;

/// Between two drops of a slow answer, and before a late word.
const PAUSE: Duration = Duration::from_millis(2);

/// What becomes of a connection once all is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Keep,
    /// Not another word.
    Silence,
    Close,
    Reset,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// The next drop.
    Drop(SlotId),
    LateWord(SlotId),
    Accept,
    /// It goes or comes back.
    Presence,
}

struct Connection {
    stream: Stream,
    readable: bool,
    input: Vec<u8>,
    asked: Option<Asked>,
    out: VecDeque<u8>,
    in_drops: bool,
    after: After,
    /// Something was said on it that no answer may contain.
    spoilt: bool,
    /// It speaks HTTP no longer.
    tunnel: Option<BackendEnd>,
}

impl Guest for Connection {
    fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn note_readable(&mut self) {
        self.readable = true;
    }
}

/// A server that does what servers should not.
pub(super) struct UnrulyBackend {
    fabric: Fabric,
    ledger: Ledger,
    /// Its position in the proxy's configuration.
    index: usize,
    /// It passes its checks.
    well: bool,
    yard: Yard<Connection>,
    /// Whether what is written at once arrives at once.
    whole_segments: bool,
    /// The first thing that must not happen.
    pub(super) violation: Option<String>,
}

impl UnrulyBackend {
    /// Will accept from `listener`. `whole_segments`: the network does not cut what is written at once.
    pub(super) fn new(
        fabric: Fabric,
        ledger: Ledger,
        listener: <VirtualNet as Net>::Listener,
        index: usize,
        whole_segments: bool,
    ) -> UnrulyBackend {
        UnrulyBackend {
            fabric,
            ledger,
            index,
            well: true,
            yard: Yard::new(listener),
            whole_segments,
            violation: None,
        }
    }

    /// Begins to accept. `vanishes`: at times.
    pub(super) fn open(&mut self, turn: &mut Turn<'_>, vanishes: bool) -> io::Result<()> {
        if vanishes {
            self.stay(turn);
        }
        self.yard.open(turn.net)
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    fn accept(&mut self, turn: &mut Turn<'_>) {
        loop {
            match self.yard.door.accept(turn.net) {
                Accepted::Client(stream, _) => {
                    self.yard.admit(
                        turn.net,
                        Connection {
                            stream,
                            readable: false,
                            input: Vec::new(),
                            asked: None,
                            out: VecDeque::new(),
                            in_drops: false,
                            after: After::Keep,
                            spoilt: false,
                            tunnel: None,
                        },
                    );
                }
                Accepted::Lost => {}
                Accepted::Nobody => return,
                Accepted::Exhausted(_) | Accepted::Failed(_) => {
                    let later = turn.now() + PAUSE;
                    turn.timers.insert(later, Timer::Accept);
                    return;
                }
            }
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let mut block = [0; 4096];
        loop {
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            if !connection.readable {
                return;
            }
            match connection.stream.read(&mut block) {
                Ok(n) if n > 0 => connection.input.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Ok(_) if connection.tunnel.is_some() => {
                    connection.readable = false;
                    let next = connection.tunnel.as_ref().map_or(Next::Close, BackendEnd::ended);
                    return self.go_on(turn, id, next);
                }
                _ => return drop(self.yard.connections.remove(id)),
            }
            self.take_requests(turn, id);
        }
    }

    fn take_requests(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            if connection.tunnel.is_some() {
                return self.take_tunnelled(turn, id);
            }
            if connection.after != After::Keep {
                return connection.input.clear();
            }
            if connection.asked.is_none() && !self.begin_request(turn, id) {
                return;
            }
            if !self.take_body(turn, id) {
                return;
            }
        }
    }

    /// Reads a head, if there is a whole one.
    fn begin_request(&mut self, turn: &mut Turn<'_>, id: SlotId) -> bool {
        let manner = MANNERS[self.fabric.draw(MANNERS.len() as u64) as usize];
        let Some(connection) = self.yard.connections.get_mut(id) else { return false };
        let (len, asked) = match parse(&connection.input, manner) {
            Ok(None) => return false,
            Ok(Some(request)) => request,
            Err(what) => {
                self.violate(what);
                return false;
            }
        };
        if connection.spoilt && self.whole_segments {
            let serial = asked.serial;
            self.violate(format!("request {serial} on a connection with unread bytes"));
            return false;
        }
        connection.input.drain(..len);
        if !asked.is_check {
            self.ledger.arrived(asked.serial, asked.idempotent, self.index);
        }
        connection.asked = Some(asked);
        if manner == Manner::Early {
            self.answer(turn, id);
        }
        true
    }

    /// Reads on in the body; whether the request is over.
    fn take_body(&mut self, turn: &mut Turn<'_>, id: SlotId) -> bool {
        let Some(connection) = self.yard.connections.get_mut(id) else { return false };
        let Some(asked) = &mut connection.asked else { return false };
        let Ok(piece) = asked.body.read(&mut connection.input) else {
            self.violate("the proxy sent a malformed body".to_owned());
            return false;
        };
        let (serial, answered) = (asked.serial, asked.answered);
        if connection.input[piece.data].iter().any(|&b| b != letter(serial)) {
            self.violate(format!("request {serial}: bytes of another body"));
            return false;
        }
        connection.input.drain(..piece.consumed);
        if !asked.body.is_done() {
            return false;
        }
        if !answered {
            self.answer(turn, id);
        }
        let Some(connection) = self.yard.connections.get_mut(id) else { return false };
        connection.asked = None;
        true
    }

    fn answer(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let (size, draw) = (self.fabric.draw(3_000) as usize, self.fabric.draw(100_000));
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        let Some(asked) = &mut connection.asked else { return };
        asked.answered = true;
        if asked.is_check {
            return self.answer_check(turn, id, draw);
        }
        if asked.manner == Manner::Twice && !self.whole_segments {
            // The rest of it could come with the connection's next request: nobody could tell whose it is.
            asked.manner = Manner::Surplus;
        }
        if !matches!(asked.manner, Manner::Hangup | Manner::Silence) && !connection.stream.is_lost() {
            self.ledger.answered(asked.serial, self.index);
        }
        if let Some(total) = asked.tunnel {
            connection.tunnel = BackendEnd::answer(asked.serial, total, draw, &mut connection.out);
            // A 101 to another protocol makes the connection useless.
            connection.spoilt |= connection.tunnel.is_none() && draw % 16 == 13;
            return self.write(turn, id);
        }
        connection.in_drops = asked.manner == Manner::Slow;
        connection.after = match asked.manner {
            Manner::UntilClose | Manner::CutHead | Manner::CutBody | Manner::Hangup => After::Close,
            Manner::ResetBody => After::Reset,
            Manner::Silence | Manner::StallHead | Manner::StallBody => After::Silence,
            _ => After::Keep,
        };
        connection.spoilt |= matches!(asked.manner, Manner::Surplus | Manner::Brimful | Manner::Twice);
        if asked.manner == Manner::LateWord {
            let later = turn.net.now() + PAUSE;
            turn.timers.insert(later, Timer::LateWord(id));
        }
        let bytes = answer_bytes(asked.manner, asked.serial, asked.to_head, size);
        connection.out.extend(bytes);
        self.write(turn, id);
    }

    /// Answers a check, as well as it is; now and then it changes.
    fn answer_check(&mut self, turn: &mut Turn<'_>, id: SlotId, draw: u64) {
        self.well ^= draw.is_multiple_of(6);
        let (bytes, closes) = check_answer(self.well, draw / 6);
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        connection.out.extend(bytes);
        connection.after = if closes { After::Close } else { After::Silence };
        self.write(turn, id);
    }

    /// Takes what has come through a tunnel.
    fn take_tunnelled(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        let input = std::mem::take(&mut connection.input);
        let Some(tunnel) = connection.tunnel.as_mut().filter(|_| !input.is_empty()) else { return };
        match tunnel.take(&input, &mut connection.out) {
            Ok(next) => self.go_on(turn, id, next),
            Err(what) => self.violate(what),
        }
    }

    fn go_on(&mut self, turn: &mut Turn<'_>, id: SlotId, next: Next) {
        let Some(connection) = self.yard.connections.get_mut(id) else { return };
        connection.after = match next {
            Next::GoOn => connection.after,
            Next::Close => After::Close,
            Next::Reset => After::Reset,
        };
        self.write(turn, id);
    }

    fn write(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let Some(connection) = self.yard.connections.get_mut(id) else { return };
            let out = connection.out.make_contiguous();
            let n = if connection.in_drops { out.len().min(40) } else { out.len() };
            if n == 0 {
                break;
            }
            match connection.stream.write(&out[..n]) {
                Ok(n) => drop(connection.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return drop(self.yard.connections.remove(id)),
            }
            if connection.in_drops {
                let later = turn.net.now() + PAUSE;
                turn.timers.insert(later, Timer::Drop(id));
                return;
            }
        }
        let Some(connection) = self.yard.connections.get(id) else { return };
        match connection.after {
            After::Keep | After::Silence => {}
            After::Close => drop(self.yard.connections.remove(id)),
            After::Reset => {
                connection.stream.reset_on_close();
                self.yard.connections.remove(id);
            }
        }
    }
}

impl Handler<VirtualNet> for UnrulyBackend {
    type Timer = Timer;

    fn ready(&mut self, turn: &mut Turn<'_>, token: Token, readiness: Readiness) {
        match self.yard.event(token, readiness) {
            Event::Knock => self.accept(turn),
            Event::Ready(id) => {
                self.write(turn, id);
                self.read(turn, id);
            }
        }
    }

    fn expired(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Drop(id) => self.write(turn, id),
            Timer::LateWord(id) => {
                // Behind an answer that ends with the connection it would be a part of that, and in a tunnel of what
                // goes through it.
                if let Some(connection) = self.yard.connections.get_mut(id)
                    && connection.after == After::Keep
                    && connection.tunnel.is_none()
                {
                    connection.out.extend(b"\0late");
                }
                self.write(turn, id);
            }
            Timer::Accept => {
                self.yard.door.resume();
                self.accept(turn);
            }
            Timer::Presence => self.come_or_go(turn),
        }
    }

    fn woken(&mut self, _turn: &mut Turn<'_>, wake: Wake) {
        self.yard.woken(wake);
    }

    fn turn_ended(&mut self, _turn: &mut Turn<'_>) -> Flow {
        self.yard.flow()
    }
}
