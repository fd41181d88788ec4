//! The calls that a program makes on its sockets.
//!
//! Here: accept, connect, read, write, shutdown and close, with what Linux would say. Not here: what happens by itself
//! (`fabric.rs`). Floor 2.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use rand::RngExt;

use super::end::{End, Link};
use super::fabric::{Happening, Kernel};
use crate::net::Connect;
use crate::slots::SlotId;
use crate::time::Instant;

/// EMFILE, which `io::ErrorKind` has no name for.
const EMFILE: i32 = 24;

impl Kernel {
    pub(super) fn come_from(&mut self, poller: usize, source: Ipv4Addr) {
        self.pollers[poller].source = source;
    }

    pub(super) fn accept(&mut self, address: SocketAddr, poller: usize) -> io::Result<(SlotId, SocketAddr)> {
        self.count(poller);
        let waiting = self.listeners.get(&address).is_some_and(|l| !l.backlog.is_empty());
        if !waiting {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !self.has_descriptor(poller) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        if self.chance(self.weather.accept_errors) {
            let out_of_descriptors = self.chance(0.5);
            return Err(match out_of_descriptors {
                true => io::Error::from_raw_os_error(EMFILE),
                false => io::ErrorKind::ConnectionAborted.into(),
            });
        }
        let listener = self.listeners.get_mut(&address).ok_or(io::ErrorKind::NotFound)?;
        let id = listener.backlog.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let address = self.ends.get(id).ok_or(io::ErrorKind::ConnectionAborted)?.address;
        self.own(id, poller);
        self.note(1, id.index().into());
        self.trace(|| format!("{id:?} accepted, from {address}"));
        Ok((id, address))
    }

    pub(super) fn connect(&mut self, to: SocketAddr, poller: usize) -> io::Result<(SlotId, Connect)> {
        self.count(poller);
        if !self.has_descriptor(poller) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        self.next_port = self.next_port.checked_add(1).unwrap_or(1024);
        let address = SocketAddr::from((self.pollers[poller].source, self.next_port));
        let id = self.ends.insert(End::new(Link::Connecting, address));
        self.own(id, poller);
        self.trace(|| format!("{id:?} connects to {to}"));
        let instant = self.chance(self.weather.instant_connects);
        if !instant || self.chance(0.2) {
            self.later(Happening::Syn { from: id, to });
            return Ok((id, if instant { Connect::TryNow } else { Connect::Wait }));
        }
        if !self.syn(id, to) {
            self.remove(id);
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        if let Some(end) = self.ends.get_mut(id) {
            end.link = Link::Open;
        }
        Ok((id, Connect::TryNow))
    }

    pub(super) fn read(&mut self, id: SlotId, into: &mut [u8]) -> io::Result<usize> {
        self.count_end(id);
        let end = self.ends.get_mut(id).ok_or(io::ErrorKind::NotConnected)?;
        if end.received.is_empty() {
            end.take_error()?;
            return match end.link {
                Link::Connecting => Err(io::ErrorKind::WouldBlock.into()),
                Link::Open if !end.fin_received => Err(io::ErrorKind::WouldBlock.into()),
                Link::Open | Link::Broken => Ok(0),
            };
        }
        let n = into.len().min(end.received.len());
        let (first, rest) = end.received.as_slices();
        let cut = n.min(first.len());
        into[..cut].copy_from_slice(&first[..cut]);
        into[cut..n].copy_from_slice(&rest[..n - cut]);
        end.received.drain(..n);
        let peer = end.peer;
        self.trace(|| format!("{id:?} reads {n} bytes"));
        if let Some(peer) = peer {
            self.later(Happening::Room { end: peer, read: n });
        }
        self.maybe_spurious(id);
        Ok(n)
    }

    pub(super) fn write(&mut self, id: SlotId, parts: &[&[u8]]) -> io::Result<usize> {
        self.count_end(id);
        let cut_short = self.chance(self.weather.short_writes);
        let capacity = self.weather.capacity;
        let end = self.ends.get_mut(id).ok_or(io::ErrorKind::NotConnected)?;
        end.take_error()?;
        match end.link {
            Link::Connecting => return Err(io::ErrorKind::WouldBlock.into()),
            Link::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
            Link::Open if end.fin_sent => return Err(io::ErrorKind::BrokenPipe.into()),
            Link::Open => {}
        }
        let whole: usize = parts.iter().map(|p| p.len()).sum();
        let mut room = capacity.saturating_sub(end.outstanding).min(whole);
        if room == 0 && whole > 0 {
            end.wants_room = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if cut_short && room > 1 {
            room = self.rng.random_range(1..room);
        }
        let mut bytes = Vec::with_capacity(room);
        for part in parts {
            bytes.extend_from_slice(&part[..part.len().min(room - bytes.len())]);
        }
        self.trace(|| format!("{id:?} writes {room} of {whole} bytes: {}", beginning(&bytes)));
        self.transmit(id, bytes);
        self.maybe_spurious(id);
        Ok(room)
    }

    fn transmit(&mut self, id: SlotId, mut bytes: Vec<u8>) {
        let Some(end) = self.ends.get_mut(id) else { return };
        end.outstanding += bytes.len();
        let Some(to) = end.peer else { return };
        if self.chance(self.weather.resets) {
            let at = self.arrival(id);
            self.schedule(at, Happening::Reset { to });
            return self.schedule(at, Happening::Reset { to: id });
        }
        if bytes.len() > 1 && self.chance(self.weather.split_segments) {
            let cut = self.rng.random_range(1..bytes.len());
            let rest = bytes.split_off(cut);
            let at = self.arrival(id);
            self.schedule(at, Happening::Segment { from: id, to, bytes });
            bytes = rest;
        }
        let at = self.arrival(id);
        self.schedule(at, Happening::Segment { from: id, to, bytes });
    }

    /// When something that `id` sends now arrives: after a drawn delay, but behind all that it sent before.
    fn arrival(&mut self, id: SlotId) -> Instant {
        let at = self.now() + self.delay();
        let Some(end) = self.ends.get_mut(id) else { return at };
        end.last_arrival = end.last_arrival.max(at);
        end.last_arrival
    }

    fn maybe_spurious(&mut self, id: SlotId) {
        if self.chance(self.weather.spurious) {
            self.later(Happening::Spurious { end: id });
        }
    }

    pub(super) fn shutdown(&mut self, id: SlotId, how: Shutdown) -> io::Result<()> {
        self.count_end(id);
        let end = self.ends.get_mut(id).ok_or(io::ErrorKind::NotConnected)?;
        if end.link != Link::Open {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if how != Shutdown::Write {
            end.fin_received = true;
        }
        if how != Shutdown::Read {
            self.send_fin(id);
        }
        self.queue(id);
        Ok(())
    }

    fn send_fin(&mut self, id: SlotId) {
        let late = self.chance(self.weather.late_fins);
        let Some(end) = self.ends.get_mut(id) else { return };
        let (sent, peer) = (std::mem::replace(&mut end.fin_sent, true), end.peer);
        let Some(to) = peer.filter(|_| !sent) else { return };
        let mut at = self.arrival(id);
        if late {
            at = at + self.weather.delay.1 * 20;
        }
        self.schedule(at, Happening::Fin { to });
    }

    pub(super) fn has_unread(&self, id: SlotId) -> bool {
        self.ends.get(id).is_some_and(|end| !end.received.is_empty())
    }

    pub(super) fn reset_on_close(&mut self, id: SlotId) {
        if let Some(end) = self.ends.get_mut(id) {
            end.reset_on_close = true;
        }
    }

    /// Closes an end: with a reset if data was left unread (as Linux does), else with a FIN.
    pub(super) fn close(&mut self, id: SlotId) {
        let Some(end) = self.ends.get(id) else { return };
        self.trace(|| format!("{id:?} closes, {:?}, {} bytes unread", end.link, end.received.len()));
        match (end.link, end.peer) {
            (Link::Open, Some(to)) if end.reset_on_close || !end.received.is_empty() => {
                let at = self.arrival(id);
                self.schedule(at, Happening::Reset { to });
            }
            (Link::Open, Some(_)) => self.send_fin(id),
            // The peer of an attempt that is given up finds nobody when it writes.
            _ => {}
        }
        self.remove(id);
    }
}

/// As much of a message as a line of a trace has room for.
fn beginning(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}
