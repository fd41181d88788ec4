//! A server in virtual time, for tests of servers and of what they serve. Floor 2.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Control, Server, Service, Timer};
use crate::net::{Fabric, Net, VirtualListener, VirtualNet, VirtualStream, Wake, Weather};
use crate::reactor::{Flow, Reactor};

/// The grain of its deadlines, that of the testbed.
const TICK_SHIFT: u32 = 16;

/// A server with its reactor, and a network for its clients.
pub(crate) struct Rig<S: Service> {
    pub(crate) fabric: Fabric,
    pub(crate) clients: VirtualNet,
    pub(crate) reactor: Reactor<VirtualNet, Timer>,
    pub(crate) server: Server<VirtualNet, S>,
    control: Arc<Control>,
    pub(crate) turns: usize,
    pub(crate) stopped: bool,
}

impl<S: Service> Rig<S> {
    /// The server that `make` makes, behind its listener.
    pub(crate) fn new(
        weather: Weather,
        make: impl FnOnce(VirtualListener, Arc<Control>) -> Server<VirtualNet, S>,
    ) -> Rig<S> {
        let fabric = Fabric::new(1, weather);
        let net = fabric.net();
        let control = Arc::new(Control::default());
        let mut server = make(net.listen(address()).unwrap(), Arc::clone(&control));
        let mut reactor = Reactor::new(net, TICK_SHIFT);
        reactor.begin(|turn| server.open(turn)).unwrap();
        let clients = fabric.net();
        Rig { fabric, clients, reactor, server, control, turns: 0, stopped: false }
    }

    /// Lets happen what happens in `ms` of virtual time, or until `done`.
    pub(crate) fn run_until(&mut self, ms: u64, done: impl Fn(&Rig<S>) -> bool) {
        let end = self.fabric.now() + Duration::from_millis(ms);
        while !done(self) {
            let now = self.fabric.now();
            let deadline = self.reactor.next_deadline().filter(|_| !self.stopped);
            if !self.stopped && (self.reactor.net().has_events() || deadline.is_some_and(|at| at <= now)) {
                self.turns += 1;
                self.stopped = self.reactor.turn(&mut self.server).unwrap() == Flow::Stop;
                continue;
            }
            let next = deadline.into_iter().chain(self.fabric.next_at()).min().unwrap_or(end);
            self.fabric.advance(next.clamp(now, end));
            if next > end || now == end {
                return;
            }
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// A connection that has sent `bytes`.
    pub(crate) fn client(&mut self, bytes: &[u8]) -> VirtualStream {
        let (mut stream, _) = self.clients.connect(address()).unwrap();
        self.run(1);
        stream.write_all(bytes).unwrap();
        stream
    }

    pub(crate) fn stop(&mut self) {
        self.reactor.net().wake(Wake::StopSignal);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.control.answered.load(Ordering::Relaxed)
    }
}

pub(crate) fn address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 81))
}

/// What has come, and whether the end has.
pub(crate) fn received(stream: &mut VirtualStream) -> (String, bool) {
    let (mut all, mut block) = (Vec::new(), [0; 4096]);
    let end = loop {
        match stream.read(&mut block) {
            Ok(0) => break true,
            Ok(n) => all.extend_from_slice(&block[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
            Err(e) => panic!("{e} after {}", String::from_utf8_lossy(&all)),
        }
    };
    (String::from_utf8(all).unwrap(), end)
}

/// Reads in small bites until `ms` have passed.
pub(crate) fn sip<S: Service>(rig: &mut Rig<S>, stream: &mut VirtualStream, ms: u64) -> (String, bool) {
    let mut all = String::new();
    for _ in 0..ms {
        let (text, end) = received(stream);
        all.push_str(&text);
        if end {
            return (all, true);
        }
        rig.run(1);
    }
    (all, false)
}
