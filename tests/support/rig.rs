//! The proxy on a network in memory, in virtual time: its clients and backends are led by hand, and minutes pass at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use tidegate::net::{Fabric, Net, Stream as _, VirtualListener, VirtualNet, VirtualStream, Wake, Weather};
use tidegate::proxy::{Backend, Options, Proxy, TICK_SHIFT, Timer};
use tidegate::reactor::{Flow, Reactor};
use tidegate::record::Record;
use tidegate::telemetry::{Tap, tap};
use tidegate::world::usual_options;

/// More turns at one instant than any test needs.
const MOST_TURNS: usize = 10_000;

pub struct Rig {
    pub fabric: Fabric,
    net: VirtualNet,
    reactor: Reactor<VirtualNet, Timer>,
    pub proxy: Proxy<VirtualNet>,
    tap: Tap,
    backends: Vec<VirtualListener>,
    pub records: Vec<Record>,
    pub stopped: bool,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The usual options for a proxy in front of so many backends.
pub fn options(backends: u16) -> Options {
    let backend = |number| Backend {
        url: format!("http://backend-{number}"),
        authority: format!("backend-{number}"),
        addresses: vec![address(81 + number)],
    };
    usual_options((0..backends).map(backend).collect())
}

impl Rig {
    /// A proxy that is told `options`, which are [`options`] with changes.
    pub fn new(options: Options) -> Rig {
        Rig::in_weather(options, Weather::CALM)
    }

    pub fn in_weather(options: Options, weather: Weather) -> Rig {
        let fabric = Fabric::new(1, weather);
        let (net, of_proxy) = (fabric.net(), fabric.net());
        let servers = options.servers().count() as u16;
        let backends = (0..servers).map(|n| net.listen(address(81 + n)).expect("a free port")).collect();
        let listener = of_proxy.listen(address(80)).expect("a free port");
        let (recorder, tap) = tap(options.roster());
        let mut proxy = Proxy::new(options, listener, recorder);
        let mut reactor = Reactor::new(of_proxy, TICK_SHIFT);
        reactor.begin(|turn| proxy.open(turn)).expect("a fresh network");
        Rig { fabric, net, reactor, proxy, tap, backends, records: Vec::new(), stopped: false }
    }

    /// Lets all happen that can without time passing for the proxy's deadlines.
    pub fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            let now = self.fabric.now();
            let due = self.reactor.next_deadline().is_some_and(|at| at <= now);
            if !self.stopped && (due || self.reactor.net().has_events()) {
                let flow = self.reactor.turn(&mut self.proxy).expect("a virtual network");
                self.stopped = flow == Flow::Stop;
                self.proxy.check().unwrap_or_else(|e| panic!("{e}"));
                self.proxy.check_timers(self.reactor.timers()).unwrap_or_else(|e| panic!("{e}"));
                self.tap.take(|record| self.records.push(record));
                continue;
            }
            match self.fabric.next_at() {
                Some(next) if next <= now => self.fabric.advance(now),
                _ => return,
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let until = self.fabric.now() + time;
        loop {
            self.settle();
            let next = self.reactor.next_deadline().filter(|_| !self.stopped);
            let next = next.into_iter().chain(self.fabric.next_at()).min();
            match next.filter(|&at| at <= until) {
                Some(at) => self.fabric.advance(at.max(self.fabric.now())),
                None => break,
            }
        }
        self.fabric.advance(until.max(self.fabric.now()));
        self.settle();
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    /// A client that has connected.
    pub fn client(&mut self) -> Peer {
        let (stream, _) = self.net.connect(address(80)).expect("a place in the backlog");
        self.pass_ms(1);
        Peer { stream, heard: Vec::new(), ended: None }
    }

    /// The next connection to backend number `number`.
    pub fn backend(&mut self, number: usize) -> Peer {
        self.pass_ms(1);
        let (stream, _) = self.net.accept(&self.backends[number]).expect("a connection of the proxy");
        Peer { stream, heard: Vec::new(), ended: None }
    }

    /// `peer` says this, and the proxy hears it.
    pub fn says(&mut self, peer: &mut Peer, bytes: impl AsRef<[u8]>) {
        peer.stream.write_all(bytes.as_ref()).expect("room for what is said");
        self.pass_ms(1);
    }

    /// Waits until `peer` has heard `text`, for at most `time`; returns how long it took.
    pub fn waits_for(&mut self, peer: &mut Peer, text: &str, time: Duration) -> Duration {
        let begun = self.fabric.now();
        while !peer.has_heard(text) {
            let (waited, ended) = (self.fabric.now() - begun, peer.ended);
            assert!(
                waited < time && ended.is_none(),
                "after {waited:?} no {text:?} ({ended:?}), but {:?}",
                peer.text()
            );
            self.pass_ms(1);
        }
        self.fabric.now() - begun
    }

    /// The records of exchanges so far.
    pub fn statuses(&mut self) -> Vec<u16> {
        self.pass_ms(200);
        self.records.iter().map(|record| record.status).collect()
    }

    pub fn stop(&mut self) {
        self.reactor.net().wake(Wake::StopSignal);
        self.settle();
    }
}

/// One end of a connection, led by hand.
pub struct Peer {
    pub stream: VirtualStream,
    heard: Vec<u8>,
    /// How the other side has ended it: in good order, or not.
    pub ended: Option<Result<(), ErrorKind>>,
}

impl Peer {
    /// Reads what has come.
    pub fn listen(&mut self) {
        let mut block = [0; 4096];
        while self.ended.is_none() {
            match self.stream.read(&mut block) {
                Ok(0) => self.ended = Some(Ok(())),
                Ok(n) => self.heard.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => self.ended = Some(Err(e.kind())),
            }
        }
    }

    /// All that it has heard.
    pub fn text(&mut self) -> String {
        self.listen();
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    pub fn has_heard(&mut self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Says as much of it as there is room for; returns how much that was.
    pub fn say_some(&mut self, bytes: impl AsRef<[u8]>) -> usize {
        self.stream.write(bytes.as_ref()).unwrap_or(0)
    }

    /// Sends no more.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Whether the other side has ended the connection.
    pub fn is_left(&mut self) -> bool {
        self.listen();
        self.ended.is_some()
    }
}
