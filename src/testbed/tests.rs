//! A simulated backend in virtual time: what real sockets cannot show without waiting or luck. Floor 3.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::net::{Fabric, Stream, VirtualNet, VirtualStream, Weather};
use crate::reactor::Reactor;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";
const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";

/// A link that takes less than one answer at once.
const NARROW: Weather = Weather { capacity: 100, ..Weather::CALM };

/// A backend with its reactor, and a network for its clients.
struct Lab {
    fabric: Fabric,
    clients: VirtualNet,
    reactor: Reactor<VirtualNet, Timer>,
    backend: SimulatedBackend<VirtualNet>,
    control: Arc<Control>,
    turns: usize,
    stopped: bool,
}

impl Lab {
    fn new(profile: &str, weather: Weather) -> Lab {
        let fabric = Fabric::new(1, weather);
        let net = fabric.net();
        let listener = net.listen(address()).unwrap();
        let control = Arc::new(Control::default());
        let mut backend =
            SimulatedBackend::new('A', profile.parse().unwrap(), listener, Arc::clone(&control));
        let mut reactor = Reactor::new(net, TICK_SHIFT);
        reactor.begin(|turn| backend.open(turn)).unwrap();
        let clients = fabric.net();
        Lab { fabric, clients, reactor, backend, control, turns: 0, stopped: false }
    }

    /// Lets happen what happens in `ms` of virtual time, or until `done`.
    fn run_until(&mut self, ms: u64, done: impl Fn(&Lab) -> bool) {
        let end = self.fabric.now() + Duration::from_millis(ms);
        while !done(self) {
            let now = self.fabric.now();
            let deadline = self.reactor.next_deadline().filter(|_| !self.stopped);
            if !self.stopped && (self.reactor.net().has_events() || deadline.is_some_and(|at| at <= now)) {
                self.turns += 1;
                self.stopped = self.reactor.turn(&mut self.backend).unwrap() == Flow::Stop;
                continue;
            }
            let next = deadline.into_iter().chain(self.fabric.next_at()).min().unwrap_or(end);
            self.fabric.advance(next.clamp(now, end));
            if next > end || now == end {
                return;
            }
        }
    }

    fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// A connection that has sent `bytes`.
    fn client(&mut self, bytes: &[u8]) -> VirtualStream {
        let (mut stream, _) = self.clients.connect(address()).unwrap();
        self.run(1);
        stream.write_all(bytes).unwrap();
        stream
    }

    fn stop(&mut self) {
        self.reactor.net().wake(Wake::StopSignal);
    }

    fn answered(&self) -> u64 {
        self.control.answered.load(Ordering::Relaxed)
    }
}

fn address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 81))
}

/// What has come, and whether the end has.
fn received(stream: &mut VirtualStream) -> (String, bool) {
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
fn sip(lab: &mut Lab, stream: &mut VirtualStream, ms: u64) -> (String, bool) {
    let mut all = String::new();
    for _ in 0..ms {
        let (text, end) = received(stream);
        all.push_str(&text);
        if end {
            return (all, true);
        }
        lab.run(1);
    }
    (all, false)
}

#[test]
fn an_answer_comes_at_the_first_tick_not_before_its_time() {
    let mut lab = Lab::new("10", Weather::CALM);
    let _client = lab.client(GET);
    let sent = lab.fabric.now();
    lab.run_until(1000, |lab| lab.answered() == 1);
    let arrived = sent + Duration::from_micros(50);
    let late = lab.fabric.now().nanos_since(arrived + Duration::from_millis(10));
    assert!(
        lab.fabric.now() >= arrived + Duration::from_millis(10) && late < 1 << TICK_SHIFT,
        "{late} ns late"
    );
}

#[test]
fn who_resets_while_it_waits_is_removed_with_its_timer() {
    let mut lab = Lab::new("60000", Weather::CALM);
    let client = lab.client(GET);
    lab.run(1);
    assert_eq!((lab.reactor.timers(), lab.backend.connections.len()), (1, 1));
    client.reset_on_close();
    drop(client);
    lab.run(1);
    assert_eq!((lab.reactor.timers(), lab.backend.connections.len()), (0, 0));
    assert_eq!(lab.backend.buffers.lent(), 0);
}

#[test]
fn half_a_request_has_a_minute_and_an_idle_connection_for_ever() {
    let mut lab = Lab::new("0", Weather::CALM);
    let mut idle = lab.client(GET);
    let mut halves = [&GET[..10], b"PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\n\r\n1234"]
        .map(|part| lab.client(part));
    lab.run(59_000);
    assert!(received(&mut idle).0.starts_with("HTTP/1.1 200 "));
    assert!(halves.iter_mut().all(|half| !received(half).1));
    lab.run(2_000);
    assert!(halves.iter_mut().all(|half| received(half) == (String::new(), true)));
    lab.run(3_600_000);
    assert_eq!(received(&mut idle), (String::new(), false));
}

#[test]
fn without_descriptors_it_pauses_and_then_goes_on() {
    let mut lab = Lab::new("0", Weather { accept_errors: 1.0, ..Weather::CALM });
    let mut client = lab.client(GET);
    lab.run(10_000);
    assert!((100..1000).contains(&lab.turns), "{} turns in 10 s", lab.turns);
    lab.fabric.set_weather(Weather::CALM);
    lab.run(200);
    assert!(received(&mut client).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn ten_thousand_wait_at_once() {
    let mut lab = Lab::new("400", Weather::CALM);
    let connect = |lab: &mut Lab| lab.clients.connect(address()).unwrap().0;
    let mut clients: Vec<_> = (0..10_000).map(|_| connect(&mut lab)).collect();
    lab.run(1);
    clients.iter_mut().for_each(|client| client.write_all(GET).unwrap());
    lab.run(100);
    assert_eq!((lab.reactor.timers(), lab.answered(), lab.backend.buffers.lent()), (10_000, 0, 0));
    lab.run(400);
    assert_eq!((lab.reactor.timers(), lab.answered()), (0, 10_000));
}

#[test]
fn a_stop_answers_a_pipelined_request_that_has_come() {
    let mut lab = Lab::new("5", Weather::CALM);
    let mut client = lab.client(&GET.repeat(2));
    lab.run_until(1000, |lab| lab.answered() == 1);
    lab.stop();
    lab.run(100);
    let (text, end) = received(&mut client);
    assert_eq!((text.matches("Hello from A").count(), end, lab.stopped), (2, true, true));
}

#[test]
fn a_stop_does_not_wait_for_who_came_to_rest_after_it() {
    let mut lab = Lab::new("5", NARROW);
    let mut client = lab.client(GET);
    lab.run_until(1000, |lab| lab.answered() == 1);
    lab.stop();
    lab.run(1);
    assert!(!lab.stopped, "half of the answer is unsent");
    let (text, end) = sip(&mut lab, &mut client, 100);
    assert!(text.ends_with("simulated 5ms\n") && end, "{text}");
    assert!(lab.stopped);
}

#[test]
fn a_last_answer_reaches_a_slow_reader_whole() {
    for last in [CLOSING, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut lab = Lab::new("0", NARROW);
        let mut client = lab.client(last);
        lab.run(5_000);
        let read_from = lab.fabric.now();
        let (text, end) = sip(&mut lab, &mut client, 3_000);
        assert!(end && text.ends_with('\n'), "{text}");
        assert!(lab.fabric.now() - read_from < Duration::from_millis(500), "the end came late");
        lab.run(2_000);
        assert_eq!(
            (lab.backend.connections.len(), lab.reactor.timers(), lab.backend.buffers.lent()),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut lab = Lab::new("60000", Weather::CALM);
    let _client = lab.client(GET);
    lab.run(1);
    lab.stop();
    lab.run(1000);
    assert!(!lab.stopped && !lab.backend.forced());
    lab.stop();
    lab.run(1);
    assert!(lab.stopped && lab.backend.forced());
}
