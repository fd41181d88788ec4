//! In steady state an exchange allocates nothing: proxy and simulated backends on a warm virtual network, whose own
//! allocations do not count.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::{measure, opt_out};
use tidegate::balance::{Balance, BalanceOptions, Flight, Outcome, RoutingMode};
use tidegate::net::{
    Connect, Event, Fabric, Net, Stream, Token, VirtualListener, VirtualNet, VirtualStream, VirtualWaker,
    Weather,
};
use tidegate::proxy::{self, Backend, ConnectionMode, Limits, Options, Proxy};
use tidegate::reactor::{Handler, Reactor};
use tidegate::server::Control;
use tidegate::telemetry::{Tap, tap};
use tidegate::testbed::{self, BackendOptions, SimulatedBackend};
use tidegate::time::{Instant, WallTime};
use tidegate::world::usual_options;

/// The value of `f`, whose allocations do not count.
fn uncounted<T>(f: impl FnOnce() -> T) -> T {
    let mut value = None;
    opt_out(|| value = Some(f()));
    value.expect("it was called")
}

/// The network in memory, which a kernel would be in earnest: what it allocates is not the program's.
struct Outside(VirtualNet);

struct OutsideStream(Option<VirtualStream>);

impl OutsideStream {
    fn inner(&mut self) -> &mut VirtualStream {
        self.0.as_mut().expect("open until dropped")
    }
}

impl Drop for OutsideStream {
    fn drop(&mut self) {
        uncounted(|| self.0.take());
    }
}

impl Read for OutsideStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        uncounted(|| self.inner().read(into))
    }
}

impl Write for OutsideStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uncounted(|| self.inner().write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        uncounted(|| self.inner().write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for OutsideStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        uncounted(|| self.0.as_ref().expect("open").shutdown(how))
    }

    fn is_lost(&self) -> bool {
        self.0.as_ref().expect("open").is_lost()
    }

    fn has_unread(&self) -> bool {
        self.0.as_ref().expect("open").has_unread()
    }

    fn acknowledge(&self) {
        uncounted(|| self.0.as_ref().expect("open").acknowledge());
    }

    fn reset_on_close(&self) {
        uncounted(|| self.0.as_ref().expect("open").reset_on_close());
    }
}

impl Net for Outside {
    type Stream = OutsideStream;
    type Listener = VirtualListener;
    type Waker = VirtualWaker;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall(&self, now: Instant) -> WallTime {
        self.0.wall(now)
    }

    fn poll(&mut self, events: &mut Vec<Event>, now: Instant, until: Option<Instant>) -> io::Result<()> {
        uncounted(|| self.0.poll(events, now, until))
    }

    fn listen_at(&mut self, address: SocketAddr) -> io::Result<VirtualListener> {
        uncounted(|| self.0.listen_at(address))
    }

    fn accept(&mut self, listener: &VirtualListener) -> io::Result<(OutsideStream, SocketAddr)> {
        uncounted(|| self.0.accept(listener)).map(|(stream, from)| (OutsideStream(Some(stream)), from))
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<(OutsideStream, Connect)> {
        uncounted(|| self.0.connect(to)).map(|(stream, next)| (OutsideStream(Some(stream)), next))
    }

    fn register(&mut self, stream: &mut OutsideStream, token: Token) -> io::Result<()> {
        uncounted(|| self.0.register(stream.inner(), token))
    }

    fn register_listener(&mut self, listener: &mut VirtualListener, token: Token) -> io::Result<()> {
        uncounted(|| self.0.register_listener(listener, token))
    }
}

/// A handler with its reactor, and how often it has allocated.
struct Actor<H: Handler<Outside>> {
    reactor: Reactor<Outside, H::Timer>,
    handler: H,
    allocations: u64,
}

impl<H: Handler<Outside>> Actor<H> {
    fn new(net: VirtualNet, tick_shift: u32, handler: H) -> Actor<H> {
        Actor { reactor: Reactor::new(Outside(net), tick_shift), handler, allocations: 0 }
    }

    /// Runs a turn if there is anything to do.
    fn act(&mut self, now: Instant) -> bool {
        let due =
            self.reactor.net().0.has_events() || self.reactor.next_deadline().is_some_and(|at| at <= now);
        if due {
            let turn = || {
                self.reactor.turn(&mut self.handler).expect("a turn");
            };
            self.allocations += measure(turn).count_total;
        }
        due
    }
}

/// What no answer exceeds.
const LONGEST: Duration = Duration::from_millis(40);

struct Lab {
    fabric: Fabric,
    proxy: Actor<Proxy<Outside>>,
    backends: Vec<Actor<SimulatedBackend<Outside>>>,
    clients: Vec<VirtualStream>,
    tap: Tap,
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn options(connections: ConnectionMode, traced: bool) -> Options {
    let backend = |port| Backend {
        url: format!("http://backend:{port}"),
        authority: format!("backend:{port}"),
        addresses: vec![at(port)],
    };
    Options {
        connections,
        explain: traced,
        trace: traced,
        limits: Limits { connections: 100, ..Limits::default() },
        ..usual_options([81, 82, 83].map(backend).to_vec())
    }
}

impl Lab {
    fn new(options: &Options, profile: &str) -> Lab {
        let fabric = Fabric::new(1, Weather::CALM);
        let backends = [81, 82, 83].map(|port| {
            let net = fabric.net();
            let listener = net.listen(at(port)).expect("free");
            let profile = profile.parse().expect("a profile");
            let backend = SimulatedBackend::new(
                BackendOptions::plain('A', profile),
                listener,
                at(port),
                Arc::new(Control::default()),
            );
            let mut actor = Actor::new(net, testbed::TICK_SHIFT, backend);
            actor.reactor.begin(|turn| actor.handler.open(turn)).expect("open");
            actor
        });
        let net = fabric.net();
        let listener = net.listen(at(80)).expect("free");
        let (recorder, tap) = tap(options.roster());
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, Proxy::new(options.clone(), listener, recorder));
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect("open");
        let mut outside = fabric.net();
        let clients = (0..10).map(|_| outside.connect(at(80)).expect("room").0).collect();
        let mut lab = Lab { fabric, proxy, backends: backends.into(), clients, tap };
        lab.run_for(Duration::from_millis(10));
        lab
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.fabric.now() + time;
        loop {
            let now = self.fabric.now();
            let mut acted = self.proxy.act(now);
            self.backends.iter_mut().for_each(|backend| acted |= backend.act(now));
            self.tap.take(drop);
            if acted {
                continue;
            }
            let deadlines = self.backends.iter().map(|b| b.reactor.next_deadline());
            let next = deadlines.chain([self.proxy.reactor.next_deadline(), self.fabric.next_at()]);
            let next = next.flatten().min().map_or(end, |next| next.min(end));
            if next >= end {
                return self.fabric.advance(end);
            }
            self.fabric.advance(next.max(now));
        }
    }

    /// Each client sends `request` and gets `answers` responses.
    fn round(&mut self, request: &[&[u8]], answers: usize) {
        for part in request {
            for client in &mut self.clients {
                assert_eq!(client.write(part).expect("room"), part.len());
            }
            self.run_for(Duration::from_millis(1));
        }
        self.run_for(LONGEST);
        for client in &mut self.clients {
            let mut block = [0; 4096];
            let n = client.read(&mut block).expect("an answer");
            let text = String::from_utf8_lossy(&block[..n]);
            assert_eq!(text.matches("HTTP/1.1 200 OK").count(), answers, "{text}");
        }
    }
}

#[test]
fn exchanges_allocate_nothing_in_steady_state() {
    let large =
        [b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 9000\r\n\r\n".to_vec(), vec![b'x'; 9000]].concat();
    let kinds: [(&str, &[&[u8]], usize); 5] = [
        ("GET", &[b"GET / HTTP/1.1\r\nHost: w\r\nAccept: */*\r\n\r\n"], 1),
        ("GET in two pieces", &[b"GET / HTTP/1.1\r\nHo", b"st: w\r\n\r\n"], 1),
        ("two at once", &[b"GET /1 HTTP/1.1\r\nHost: w\r\n\r\nGET /2 HTTP/1.1\r\nHost: w\r\n\r\n"], 2),
        ("POST", &[&large], 1),
        (
            "chunked PUT",
            &[b"PUT / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", b"abc\r\n0\r\n\r\n"],
            1,
        ),
    ];
    for (connections, traced) in
        ConnectionMode::ALL.into_iter().flat_map(|mode| [(mode, false), (mode, true)])
    {
        let mut lab = Lab::new(&options(connections, traced), "0,1,2");
        assert!(lab.proxy.allocations > 0, "a cold start allocates, and that is counted");
        let mode = format!("{connections}, traced and explained: {traced}");
        for (kind, request, answers) in kinds {
            (0..500).for_each(|_| lab.round(request, answers));
            let before = (lab.proxy.allocations, lab.proxy.handler.begun());
            let of_backends = |lab: &Lab| lab.backends.iter().map(|b| b.allocations).sum::<u64>();
            let backends = of_backends(&lab);
            (0..100).for_each(|_| lab.round(request, answers));
            let exchanges = lab.proxy.handler.begun() - before.1;
            assert_eq!(exchanges, 1000 * answers as u64);
            let allocations = lab.proxy.allocations - before.0;
            assert_eq!(allocations, 0, "{mode}, {kind}: allocations of the proxy in {exchanges} exchanges");
            let allocations = of_backends(&lab) - backends;
            assert_eq!(allocations, 0, "{mode}, {kind}: allocations of the backends");
        }
        lab.run_for(Duration::from_secs(1));
        assert_eq!(lab.tap.traces(), if traced { lab.proxy.handler.begun() } else { 0 }, "{mode}");
    }
}

#[test]
fn further_copies_allocate_nothing_in_steady_state() {
    for connections in ConnectionMode::ALL {
        let hedged =
            Options { routing: RoutingMode::Adaptive, hedge_budget: 0.5, ..options(connections, true) };
        let mut lab = Lab::new(&hedged, "1,1,1,1,1,1,1,30");
        let request: &[&[u8]] = &[b"GET / HTTP/1.1\r\nHost: w\r\n\r\n"];
        // Until as many copies have been under way at once as ever are.
        (0..2000).for_each(|_| lab.round(request, 1));
        let (before, hedges) = (lab.proxy.allocations, lab.proxy.handler.counters().hedges);
        (0..200).for_each(|_| lab.round(request, 1));
        let hedges = lab.proxy.handler.counters().hedges - hedges;
        assert!(hedges > 50, "{connections}: {hedges} copies are no test of them");
        assert_eq!(
            lab.proxy.allocations, before,
            "{connections}: allocations in 2000 exchanges, {hedges} copies"
        );
    }
}

/// So many attempts are in flight at once, and end in turn.
const IN_FLIGHT: usize = 50;

#[test]
fn choosing_and_recording_allocate_nothing_once_as_many_were_in_flight() {
    for mode in RoutingMode::ALL {
        for backends in [3, 200] {
            let mut balance = Balance::new(mode, backends, &BalanceOptions::default());
            let mut flights: Vec<_> = (0..IN_FLIGHT).map(|_| None).collect();
            let mut exchange = |n: u64| {
                let now = Instant::from_nanos(n * 1_000_000);
                let place = &mut flights[n as usize % IN_FLIGHT];
                if let Some((id, sent, flight)) = place.take() {
                    let latency_ns = now.nanos_since(sent);
                    let outcome = match n % 100 {
                        7 => Outcome::Failed { elapsed_ns: latency_ns },
                        8 => Outcome::Cancelled,
                        rest => Outcome::Answered { latency_ns, error: rest == 9 },
                    };
                    balance.finished(id, flight, outcome, now);
                }
                let id = balance.select(now).expect("there are backends").backend;
                let flight: Flight = balance.started(id, now);
                *place = Some((id, now, flight));
            };
            (0..IN_FLIGHT as u64).for_each(&mut exchange);
            let measured = measure(|| (IN_FLIGHT as u64..20_000).for_each(&mut exchange));
            assert_eq!(measured.count_total, 0, "{mode}, {backends} backends");
        }
    }
}
