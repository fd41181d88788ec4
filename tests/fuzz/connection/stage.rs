//! A script played: the proxy on a network in memory, its clients and servers led by hand.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use clap::{Args, Command};
use tidegate::config::{Audience, Settings, Source};
use tidegate::h1::request::RequestLimits;
use tidegate::net::{Fabric, Net, Stream, VirtualListener, VirtualNet, VirtualStream, Wake, Weather};
use tidegate::proxy::{
    Backend, ConnectionMode, HalfClose, Limits, Options, PoolLimit, Proxy, TICK_SHIFT, Timer,
};
use tidegate::reactor::{Flow, Reactor};
use tidegate::telemetry::{Tap, tap};

use super::script::{self, Conditions, Speaker, Step};

/// More turns than any script needs.
const MOST_TURNS: u32 = 100_000;

/// How long the proxy is left alone at the end: longer than its longest timeout, but for tunnels.
const REST: Duration = Duration::from_secs(300);

/// One end of a connection, led by hand: it reads all that comes, and keeps it.
pub(crate) struct Peer {
    stream: Option<VirtualStream>,
    unsent: VecDeque<u8>,
    ends: bool,
    /// All that it was told to say while its connection stood.
    pub(crate) sent: Vec<u8>,
    pub(crate) received: Vec<u8>,
    /// It has ended its side or left.
    pub(crate) left: bool,
}

impl Peer {
    fn new(stream: VirtualStream) -> Peer {
        let (unsent, sent, received) = (VecDeque::new(), Vec::new(), Vec::new());
        Peer { stream: Some(stream), unsent, ends: false, sent, received, left: false }
    }

    fn say(&mut self, bytes: &[u8]) {
        if !self.left && self.stream.is_some() {
            self.unsent.extend(bytes);
            self.sent.extend_from_slice(bytes);
        }
    }

    /// Writes and reads what can be; whether anything was.
    fn moves(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut moved = false;
        while !self.unsent.is_empty() {
            match stream.write(self.unsent.make_contiguous()) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.unsent.clear(),
            }
            moved = true;
        }
        if self.ends && self.unsent.is_empty() {
            self.ends = false;
            // A link that is lost tells so when it is read.
            let _ = stream.shutdown(Shutdown::Write);
            moved = true;
        }
        let mut block = [0; 4096];
        loop {
            match stream.read(&mut block) {
                Ok(n) if n > 0 => self.received.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return moved,
                _ => {
                    self.stream = None;
                    return true;
                }
            }
            moved = true;
        }
    }

    fn leave(&mut self, reset: bool) {
        self.left = true;
        if let Some(stream) = self.stream.take().filter(|_| reset) {
            stream.reset_on_close();
        }
    }
}

/// A server: what it says, it says on its newest connection.
struct Server {
    listener: VirtualListener,
    peers: Vec<Peer>,
    /// Said before there was a connection.
    unsaid: Vec<u8>,
}

impl Server {
    fn newest(&mut self) -> Option<&mut Peer> {
        self.peers.iter_mut().rfind(|peer| peer.stream.is_some())
    }
}

pub(crate) struct Stage {
    fabric: Fabric,
    net: VirtualNet,
    reactor: Reactor<VirtualNet, Timer>,
    proxy: Proxy<VirtualNet>,
    tap: Tap,
    clients: Vec<Peer>,
    servers: [Server; 2],
    turns: u32,
    stopped: bool,
    limits: RequestLimits,
}

/// What all have sent and got.
pub(crate) struct Played {
    /// How large requests may be.
    pub(crate) limits: RequestLimits,
    pub(crate) clients: Vec<Peer>,
    pub(crate) backends: Vec<Peer>,
    pub(crate) classifiers: Vec<Peer>,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The defaults, with a backend and a classifier.
fn options(conditions: Conditions) -> Options {
    static USUAL: OnceLock<Options> = OnceLock::new();
    let usual = USUAL.get_or_init(|| {
        let matches = Settings::augment_args(Command::new("fuzz")).get_matches_from(["fuzz"]);
        let source = Source {
            given: Settings::default(),
            matches,
            misgiven: Vec::new(),
            file: None,
            audience: Audience::Proxy,
            descriptors: 1000,
            dashboard_port: None,
        };
        let server = |port| Backend {
            url: format!("http://server:{port}"),
            authority: format!("server:{port}"),
            addresses: vec![address(port)],
        };
        source
            .load()
            .expect("defaults")
            .into_options(vec![server(81)], vec![server(82)])
            .expect("options")
            .options
    });
    let limits = match conditions.strict() {
        true => Limits {
            request: RequestLimits {
                head_bytes: 256,
                fields: 8,
                target_bytes: 24,
                body_bytes: 12,
                ..RequestLimits::default()
            },
            pipelined_bytes: 64,
            requests_per_connection: 2,
            pool_per_backend: PoolLimit::Most(1),
            ..usual.limits.clone()
        },
        false => usual.limits.clone(),
    };
    let (ids, explain) = (conditions.explains(), conditions.explains());
    Options {
        connections: if conditions.non_persistent() {
            ConnectionMode::NonPersistent
        } else {
            ConnectionMode::Persistent
        },
        half_close: if conditions.half_close_cancels() { HalfClose::Cancel } else { HalfClose::Answer },
        request_ids: ids,
        explain,
        trace: explain,
        limits,
        ..usual.clone()
    }
}

fn weather(conditions: Conditions) -> Weather {
    let calm = Weather::CALM;
    let share = if conditions.rough() { 0.3 } else { 0.0 };
    Weather {
        capacity: if conditions.narrow() { 48 } else { calm.capacity },
        short_writes: share,
        split_segments: share,
        spurious: share,
        instant_connects: share,
        ..calm
    }
}

impl Stage {
    /// Plays a script to its end, lets the proxy come to rest and then stop; nothing may be left.
    pub(crate) fn play(bytes: &[u8]) -> Played {
        let (conditions, steps) = script::read(bytes);
        let fabric = Fabric::new(bytes.len() as u64, weather(conditions));
        let net = fabric.net();
        let listen = |net: &VirtualNet, port| net.listen(address(port)).expect("a fresh network");
        let servers = [81, 82].map(|port| Server {
            listener: listen(&net, port),
            peers: Vec::new(),
            unsaid: Vec::new(),
        });
        let of_proxy = fabric.net();
        let listener = listen(&of_proxy, 80);
        let options = options(conditions);
        let (recorder, tap) = tap(options.roster());
        let limits = options.limits.request;
        let mut proxy = Proxy::new(options, listener, recorder);
        let mut reactor = Reactor::new(of_proxy, TICK_SHIFT);
        reactor.begin(|turn| proxy.open(turn)).expect("a fresh network");
        let (clients, turns) = (Vec::new(), 0);
        let stopped = false;
        let mut stage = Stage { fabric, net, reactor, proxy, tap, clients, servers, turns, stopped, limits };
        for step in steps {
            stage.step(step);
            stage.settle();
        }
        stage.pass(REST);
        stage.end()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect => {
                let (stream, _) = self.net.connect(address(80)).expect("a fresh port");
                self.clients.push(Peer::new(stream));
            }
            Step::Say(speaker, bytes) => match self.speaker(speaker) {
                Ok(peer) => peer.say(&bytes),
                Err(unsaid) => unsaid.extend(bytes),
            },
            Step::End(speaker) => {
                if let Ok(peer) = self.speaker(speaker) {
                    (peer.ends, peer.left) = (true, true);
                }
            }
            Step::Leave(speaker, reset) => {
                if let Ok(peer) = self.speaker(speaker) {
                    peer.leave(reset);
                }
            }
            Step::Pass(seconds) => self.pass(Duration::from_secs(seconds)),
        }
    }

    /// Whose turn it is to speak; without a connection, where its words are kept.
    fn speaker(&mut self, speaker: Speaker) -> Result<&mut Peer, &mut Vec<u8>> {
        let server = match speaker {
            Speaker::Client => return Ok(self.clients.last_mut().expect("a script begins with one")),
            Speaker::Backend => &mut self.servers[0],
            Speaker::Classifier => &mut self.servers[1],
        };
        match server.peers.iter().rposition(|peer| peer.stream.is_some()) {
            Some(at) => Ok(&mut server.peers[at]),
            None => Err(&mut server.unsaid),
        }
    }

    /// Lets the proxy and the network do what they can without the clock; whether they did anything.
    fn act(&mut self) -> bool {
        let mut acted = self.clients.iter_mut().fold(false, |acted, peer| peer.moves() | acted);
        for server in &mut self.servers {
            while let Ok((stream, _)) = self.net.accept(&server.listener) {
                server.peers.push(Peer::new(stream));
                let said = std::mem::take(&mut server.unsaid);
                server.newest().expect("just accepted").say(&said);
                acted = true;
            }
            acted = server.peers.iter_mut().fold(acted, |acted, peer| peer.moves() | acted);
        }
        let now = self.fabric.now();
        let due = self.reactor.next_deadline().is_some_and(|at| at <= now);
        if !self.stopped && (due || self.reactor.net().has_events()) {
            let flow = self.reactor.turn(&mut self.proxy).expect("a virtual network");
            self.stopped = flow == Flow::Stop;
            self.proxy.check().unwrap_or_else(|e| panic!("{e}"));
            self.tap.take(drop);
            acted = true;
        }
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "it does not come to rest");
        acted
    }

    /// Until nothing is on its way.
    fn settle(&mut self) {
        loop {
            while self.act() {}
            self.proxy.check_quiet().unwrap_or_else(|e| panic!("{e}"));
            match self.fabric.next_at() {
                Some(next) => self.fabric.advance(next.max(self.fabric.now())),
                None => return,
            }
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let until = self.fabric.now() + time;
        loop {
            self.settle();
            let next = self.reactor.next_deadline().filter(|_| !self.stopped);
            match next.filter(|&at| at <= until) {
                Some(at) => self.fabric.advance(at.max(self.fabric.now())),
                None => break,
            }
        }
        self.fabric.advance(until.max(self.fabric.now()));
        self.settle();
    }

    /// The servers leave, the proxy is told to stop, and the clients leave.
    fn end(mut self) -> Played {
        let in_flight = self.proxy.in_flight();
        self.servers.iter_mut().flat_map(|server| &mut server.peers).for_each(|peer| peer.leave(false));
        self.settle();
        self.reactor.net().wake(Wake::StopSignal);
        self.pass(REST);
        assert!(self.stopped, "it does not stop, with {in_flight} exchanges before");
        self.proxy.check_drained().unwrap_or_else(|e| panic!("{e}"));
        let Stage { fabric, net, reactor, proxy, mut clients, servers, limits, .. } = self;
        drop((proxy, reactor));
        clients.iter_mut().for_each(|client| client.stream = None);
        let [backends, classifiers] = servers.map(|server| server.peers);
        while let Some(next) = fabric.next_at() {
            fabric.advance(next.max(fabric.now()));
        }
        assert_eq!(fabric.open_ends(), 0, "ends of connections are left");
        drop(net);
        Played { limits, clients, backends, classifiers }
    }
}
