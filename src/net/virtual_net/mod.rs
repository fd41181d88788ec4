//! `VirtualNet`: a network in memory, in virtual time, from one seed.
//!
//! Here: [`VirtualNet`], a `Net` like the kernel's as far as a handler can tell, and [`Fabric`], what all nets of one
//! world share: the clock, the links and their weather. Edge-triggered as Linux is. Not here: who runs when
//! (`world/`). `tests/net_contract.rs` holds it to the same facts as the kernel. Floor 2.

mod calls;
mod end;
mod fabric;
mod poller;
mod weather;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;

use super::{Connect, Event, Net, Readiness, Stream, Token, Wake, Wakes};
use crate::slots::SlotId;
use crate::time::{Instant, WallTime};

use fabric::Kernel;

pub use weather::Weather;

/// The civil time at which every virtual clock begins: 2026-01-01 00:00 UTC.
const WALL_AT_START_NS: u64 = 1_767_225_600_000_000_000;

/// What the nets of one world share.
#[derive(Clone)]
pub struct Fabric(Rc<RefCell<Kernel>>);

impl Fabric {
    /// An empty network. Equal seeds and equal use give equal events.
    pub fn new(seed: u64, weather: Weather) -> Fabric {
        Fabric(Rc::new(RefCell::new(Kernel::new(seed, weather))))
    }

    /// A net for one more reactor.
    pub fn net(&self) -> VirtualNet {
        let poller = self.0.borrow_mut().add_poller();
        VirtualNet { fabric: self.clone(), poller }
    }

    /// The clock that all share.
    pub fn now(&self) -> Instant {
        self.0.borrow().now()
    }

    /// When the next thing happens on the network by itself.
    pub fn next_at(&self) -> Option<Instant> {
        self.0.borrow().next_at()
    }

    /// Moves the clock to `to`, which must not be in the past, and lets all happen that falls due.
    pub fn advance(&self, to: Instant) {
        self.0.borrow_mut().advance(to);
    }

    /// Changes the weather from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.0.borrow_mut().weather = weather;
    }

    /// A number drawn from the world's seed, below `below`, which must not be 0.
    pub fn draw(&self, below: u64) -> u64 {
        self.0.borrow_mut().draw(below)
    }

    /// Adds to `into` the numbers of the nets to which something has happened since this was asked last.
    pub fn stirred(&self, into: &mut Vec<usize>) {
        self.0.borrow_mut().take_stirred(into);
    }

    /// How many connection ends are open.
    pub fn open_ends(&self) -> usize {
        self.0.borrow().open_ends()
    }

    /// A digest of everything that has happened; equal for equal runs.
    pub fn digest(&self) -> u64 {
        self.0.borrow().digest()
    }
}

/// The network as one reactor sees it.
pub struct VirtualNet {
    fabric: Fabric,
    poller: usize,
}

impl VirtualNet {
    /// A listening socket on `address`.
    ///
    /// # Errors
    /// `AddrInUse` if there is one already.
    pub fn listen(&self, address: SocketAddr) -> io::Result<VirtualListener> {
        self.kernel().listen(address)?;
        Ok(VirtualListener { fabric: self.fabric.clone(), address })
    }

    /// Its number in its fabric.
    pub fn number(&self) -> usize {
        self.poller
    }

    /// Whether a poll would report something now.
    pub fn has_events(&self) -> bool {
        self.kernel().has_events(self.poller)
    }

    /// Makes the next poll report `wake`.
    pub fn wake(&self, wake: Wake) {
        self.kernel().wake(self.poller, wake);
    }

    /// From now on this reactor has `most` descriptors for streams: with all of them in use, accepts and connects fail with
    /// EMFILE.
    pub fn limit_descriptors(&self, most: usize) {
        self.kernel().limit_descriptors(self.poller, most);
    }

    /// From now on the connections of this reactor come from `source`.
    pub fn come_from(&self, source: Ipv4Addr) {
        self.kernel().come_from(self.poller, source);
    }

    /// A turn of this reactor begins, which may make so many calls on the network (closes apart).
    pub fn begin_turn(&self, most_calls: u64) {
        self.kernel().begin_turn(self.poller, most_calls);
    }

    /// How many calls its turn has made.
    pub fn calls(&self) -> u64 {
        self.kernel().calls(self.poller)
    }

    /// Polls now for the next poll, which will report this and nothing newer: as if the program stopped just behind the system
    /// call.
    pub fn poll_early(&self) {
        self.kernel().poll_early(self.poller);
    }

    /// How many streams this reactor has open.
    pub fn descriptors(&self) -> usize {
        self.kernel().descriptors(self.poller)
    }

    /// A handle that wakes this network's poll.
    pub fn waker(&self) -> VirtualWaker {
        VirtualWaker { fabric: self.fabric.clone(), poller: self.poller }
    }

    fn kernel(&self) -> std::cell::RefMut<'_, Kernel> {
        self.fabric.0.borrow_mut()
    }
}

/// Wakes a [`VirtualNet`].
#[derive(Clone)]
pub struct VirtualWaker {
    fabric: Fabric,
    poller: usize,
}

impl Wakes for VirtualWaker {
    fn wake(&self) -> io::Result<()> {
        self.fabric.0.borrow_mut().wake(self.poller, Wake::Waker);
        Ok(())
    }
}

impl Net for VirtualNet {
    type Stream = VirtualStream;
    type Listener = VirtualListener;
    type Waker = VirtualWaker;

    fn now(&self) -> Instant {
        let kernel = self.fabric.0.borrow();
        kernel.count(self.poller);
        kernel.now()
    }

    fn wall(&self, now: Instant) -> WallTime {
        WallTime::from_nanos(WALL_AT_START_NS + now.as_nanos())
    }

    /// Never waits: the world moves the clock and calls again.
    fn poll(&mut self, events: &mut Vec<Event>, _now: Instant, _until: Option<Instant>) -> io::Result<()> {
        self.kernel().poll(self.poller, events);
        Ok(())
    }

    fn listen_at(&mut self, address: SocketAddr) -> io::Result<Self::Listener> {
        self.listen(address)
    }

    fn accept(&mut self, listener: &VirtualListener) -> io::Result<(VirtualStream, SocketAddr)> {
        let (id, address) = self.kernel().accept(listener.address, self.poller)?;
        Ok((VirtualStream { fabric: self.fabric.clone(), id }, address))
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<(VirtualStream, Connect)> {
        let (id, progress) = self.kernel().connect(to, self.poller)?;
        Ok((VirtualStream { fabric: self.fabric.clone(), id }, progress))
    }

    fn register(&mut self, stream: &mut VirtualStream, token: Token) -> io::Result<()> {
        self.kernel().register(stream.id, self.poller, token);
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut VirtualListener, token: Token) -> io::Result<()> {
        self.kernel().register_listener(listener.address, self.poller, token);
        Ok(())
    }
}

/// One end of a connection in memory.
pub struct VirtualStream {
    fabric: Fabric,
    id: SlotId,
}

impl VirtualStream {
    /// What is true of the stream now, whether or not it was reported: for who checks that nothing was forgotten.
    pub fn levels(&self) -> Readiness {
        self.fabric.0.borrow().levels(self.id)
    }
}

impl Read for VirtualStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.fabric.0.borrow_mut().read(self.id, into)
    }
}

impl Write for VirtualStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fabric.0.borrow_mut().write(self.id, &[bytes])
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut parts = [&[][..]; 8];
        assert!(slices.len() <= parts.len(), "more parts than a message has");
        slices.iter().zip(&mut parts).for_each(|(slice, part)| *part = slice);
        self.fabric.0.borrow_mut().write(self.id, &parts[..slices.len()])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for VirtualStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.fabric.0.borrow_mut().shutdown(self.id, how)
    }

    fn is_lost(&self) -> bool {
        let kernel = self.fabric.0.borrow();
        kernel.count_end(self.id);
        kernel.is_broken(self.id)
    }

    fn has_unread(&self) -> bool {
        let kernel = self.fabric.0.borrow();
        kernel.count_end(self.id);
        kernel.has_unread(self.id)
    }

    /// Nobody holds back anything here.
    fn acknowledge(&self) {}

    fn reset_on_close(&self) {
        self.fabric.0.borrow_mut().reset_on_close(self.id);
    }
}

impl Drop for VirtualStream {
    fn drop(&mut self) {
        self.fabric.0.borrow_mut().close(self.id);
    }
}

/// A listening socket in memory.
pub struct VirtualListener {
    fabric: Fabric,
    address: SocketAddr,
}

impl Drop for VirtualListener {
    fn drop(&mut self) {
        self.fabric.0.borrow_mut().unlisten(self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::is_exhaustion;

    #[test]
    fn descriptors_run_out_and_are_free_again_when_closed() {
        let fabric = Fabric::new(1, Weather::CALM);
        let (mut one, mut other) = (fabric.net(), fabric.net());
        let at = SocketAddr::from(([127, 0, 0, 1], 80));
        let listener = one.listen(at).unwrap();
        one.limit_descriptors(2);
        let clients: Vec<_> = (0..3).map(|_| other.connect(at).ok()).collect();
        fabric.advance(fabric.now() + Duration::from_millis(1));
        let (first, second) = (one.accept(&listener).ok(), one.accept(&listener).ok());
        assert!(first.is_some() && second.is_some() && clients.iter().all(Option::is_some));
        assert!(one.accept(&listener).is_err_and(|e| is_exhaustion(&e)));
        assert!(one.connect(at).is_err_and(|e| is_exhaustion(&e)));
        assert_eq!((one.descriptors(), other.descriptors()), (2, 3));
        drop(first);
        assert!(one.accept(&listener).is_ok());
    }

    #[test]
    fn a_turn_that_makes_too_many_calls_is_ended() {
        let net = Fabric::new(1, Weather::CALM).net();
        net.begin_turn(3);
        (0..3).for_each(|_| assert_eq!(net.now(), Instant::ZERO));
        assert_eq!(net.calls(), 3);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| net.now()));
        assert!(
            ended.is_err_and(|told| told.downcast_ref::<String>().is_some_and(|t| t.contains("3 calls")))
        );
        net.begin_turn(3);
        assert_eq!((net.now(), net.calls()), (Instant::ZERO, 1));
    }

    #[test]
    fn who_stops_behind_a_poll_is_told_what_was_so_then() {
        let fabric = Fabric::new(1, Weather::CALM);
        let (mut one, mut events) = (fabric.net(), Vec::new());
        one.wake(Wake::StopSignal);
        one.poll_early();
        one.wake(Wake::Waker);
        for told in [Wake::StopSignal, Wake::Waker] {
            assert!(one.has_events());
            one.poll(&mut events, Instant::ZERO, None).unwrap();
            assert_eq!(std::mem::take(&mut events), [Event::Woken(told)]);
        }
        assert!(!one.has_events());
    }
}
