//! The kernel of a virtual world: sockets, links, what happens when.
//!
//! Here: [`Kernel`], the one place where virtual time passes. The order of
//! events comes from a plain ordered heap, not from our timing wheel: a thing must not be its own judge. Not here: the
//! calls that a program makes (`calls.rs`). Floor 2.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::end::{End, Link};
use super::poller::{Poller, Queued};
use super::weather::Weather;
use crate::net::{Readiness, Token};
use crate::slots::{SlotId, Slots};
use crate::time::Instant;

pub(super) enum Happening {
    Segment {
        from: SlotId,
        to: SlotId,
        bytes: Vec<u8>,
    },
    Fin {
        to: SlotId,
    },
    Reset {
        to: SlotId,
    },
    /// A connection attempt reaches the listener.
    Syn {
        from: SlotId,
        to: SocketAddr,
    },
    Established {
        end: SlotId,
    },
    Refused {
        end: SlotId,
    },
    /// The peer has read so many bytes: there may be room again.
    Room {
        end: SlotId,
        read: usize,
    },
    Spurious {
        end: SlotId,
    },
}

/// Ordered by time, then by the order in which it was scheduled.
struct Scheduled {
    at: Instant,
    sequence: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

pub(super) struct Listening {
    pub(super) backlog: VecDeque<SlotId>,
    pub(super) registered: Option<(usize, Token)>,
    pub(super) queued: bool,
}

/// Sockets, links and time of one world.
pub(super) struct Kernel {
    now: Instant,
    pub(super) rng: Pcg64Mcg,
    pub(super) weather: Weather,
    heap: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    pub(super) ends: Slots<End>,
    pub(super) listeners: BTreeMap<SocketAddr, Listening>,
    pub(super) pollers: Vec<Poller>,
    /// Those to which something has happened since it was asked, each once.
    pub(super) stirred: Vec<usize>,
    pub(super) next_port: u16,
    digest: u64,
}

impl Kernel {
    pub(super) fn new(seed: u64, weather: Weather) -> Kernel {
        Kernel {
            now: Instant::ZERO,
            rng: Pcg64Mcg::seed_from_u64(seed),
            weather,
            heap: BinaryHeap::new(),
            sequence: 0,
            ends: Slots::default(),
            listeners: BTreeMap::new(),
            pollers: Vec::new(),
            stirred: Vec::new(),
            next_port: 1024,
            digest: seed,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(next)| next.at)
    }

    pub(super) fn levels(&self, id: SlotId) -> Readiness {
        self.ends.get(id).map(|end| end.levels(self.weather.capacity)).unwrap_or_default()
    }

    pub(super) fn is_broken(&self, id: SlotId) -> bool {
        self.ends.get(id).is_none_or(|end| end.link == Link::Broken)
    }

    pub(super) fn open_ends(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.rng.random_range(0..below)
    }

    pub(super) fn advance(&mut self, to: Instant) {
        while let Some(Reverse(next)) = self.heap.peek()
            && next.at <= to
        {
            let Some(Reverse(next)) = self.heap.pop() else { break };
            self.now = self.now.max(next.at);
            self.happen(next.what);
        }
        self.now = self.now.max(to);
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Segment { from, to, bytes } => self.arrive(from, to, &bytes),
            Happening::Fin { to } => {
                self.note(3, 0);
                self.trace(|| format!("{to:?} gets FIN"));
                if let Some(end) = self.ends.get_mut(to) {
                    end.fin_received = true;
                    self.queue(to);
                }
            }
            Happening::Reset { to } => self.break_end(to, io::ErrorKind::ConnectionReset),
            Happening::Syn { from, to } => {
                let answer = match self.syn(from, to) {
                    true => Happening::Established { end: from },
                    false => Happening::Refused { end: from },
                };
                self.later(answer);
            }
            Happening::Established { end: id } => {
                if let Some(end) = self.ends.get_mut(id)
                    && end.link == Link::Connecting
                {
                    end.link = Link::Open;
                    self.queue(id);
                }
            }
            Happening::Refused { end } => self.break_end(end, io::ErrorKind::ConnectionRefused),
            Happening::Room { end: id, read } => {
                let capacity = self.weather.capacity;
                let Some(end) = self.ends.get_mut(id) else { return };
                end.outstanding = end.outstanding.saturating_sub(read);
                if end.wants_room && end.has_room(capacity) {
                    end.wants_room = false;
                    self.queue(id);
                }
            }
            Happening::Spurious { end } => self.queue(end),
        }
    }

    fn arrive(&mut self, from: SlotId, to: SlotId, bytes: &[u8]) {
        self.note(2, bytes.len() as u64);
        self.trace(|| format!("{to:?} gets {} bytes from {from:?}", bytes.len()));
        let Some(end) = self.ends.get_mut(to) else {
            // Nobody is there any more: the answer to data is a reset.
            return self.later(Happening::Reset { to: from });
        };
        if end.link == Link::Open {
            end.received.extend(bytes);
            self.queue(to);
        }
    }

    fn break_end(&mut self, id: SlotId, error: io::ErrorKind) {
        self.note(4, error as u64);
        self.trace(|| format!("{id:?} gets {error}"));
        if let Some(end) = self.ends.get_mut(id)
            && end.link != Link::Broken
        {
            end.link = Link::Broken;
            // Linux tells a reset behind a FIN as EPIPE (`tcp_reset` in CLOSE_WAIT).
            end.error = Some(if end.fin_received { io::ErrorKind::BrokenPipe } else { error });
            self.queue(id);
        }
    }

    /// A connection attempt reaches the listener; whether it is let in.
    pub(super) fn syn(&mut self, from: SlotId, to: SocketAddr) -> bool {
        let Some(client) = self.ends.get(from) else { return false };
        let address = client.address;
        if !self.listeners.contains_key(&to) || self.chance(self.weather.refusals) {
            return false;
        }
        let mut server = End::new(Link::Open, address);
        server.peer = Some(from);
        let server = self.ends.insert(server);
        if let Some(client) = self.ends.get_mut(from) {
            client.peer = Some(server);
        }
        if let Some(listener) = self.listeners.get_mut(&to) {
            listener.backlog.push_back(server);
        }
        self.queue_listener(to);
        true
    }

    /// Schedules what happens after a drawn delay.
    pub(super) fn later(&mut self, what: Happening) {
        let at = self.now + self.delay();
        self.schedule(at, what);
    }

    pub(super) fn schedule(&mut self, at: Instant, what: Happening) {
        self.sequence += 1;
        self.heap.push(Reverse(Scheduled { at, sequence: self.sequence, what }));
    }

    pub(super) fn delay(&mut self) -> Duration {
        let (least, most) = self.weather.delay;
        if least == most { least } else { self.rng.random_range(least..=most) }
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share)
    }

    /// Tells what happens, to who replays a seed.
    pub(super) fn trace(&self, what: impl FnOnce() -> String) {
        log::trace!(target: "world", "{:>14.6} ms  {}", self.now.as_nanos() as f64 / 1e6, what());
    }

    /// Folds an event into the digest (FNV-1a).
    pub(super) fn note(&mut self, kind: u64, detail: u64) {
        for word in [kind, detail, self.now.as_nanos()] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Puts an end into its poller's queue, unless it is there already.
    pub(super) fn queue(&mut self, id: SlotId) {
        let Some(end) = self.ends.get_mut(id) else { return };
        if let Some((poller, _)) = end.registered
            && !end.queued
        {
            end.queued = true;
            self.tell(poller, Queued::End(id));
        }
    }

    fn queue_listener(&mut self, address: SocketAddr) {
        let Some(listener) = self.listeners.get_mut(&address) else { return };
        if let Some((poller, _)) = listener.registered
            && !listener.queued
        {
            listener.queued = true;
            self.tell(poller, Queued::Listener(address));
        }
    }

    pub(super) fn register(&mut self, id: SlotId, poller: usize, token: Token) {
        if let Some(end) = self.ends.get_mut(id) {
            end.registered = Some((poller, token));
            if end.levels(self.weather.capacity) != Readiness::default() {
                self.queue(id);
            }
        }
    }

    pub(super) fn register_listener(&mut self, address: SocketAddr, poller: usize, token: Token) {
        if let Some(listener) = self.listeners.get_mut(&address) {
            listener.registered = Some((poller, token));
            if !listener.backlog.is_empty() {
                self.queue_listener(address);
            }
        }
    }

    pub(super) fn listen(&mut self, address: SocketAddr) -> io::Result<()> {
        if self.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let listener = Listening { backlog: VecDeque::new(), registered: None, queued: false };
        self.listeners.insert(address, listener);
        Ok(())
    }

    pub(super) fn unlisten(&mut self, address: SocketAddr) {
        let Some(listener) = self.listeners.remove(&address) else { return };
        for id in listener.backlog {
            self.reset_on_close(id);
            self.close(id);
        }
    }
}
