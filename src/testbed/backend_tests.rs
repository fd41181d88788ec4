//! A simulated backend in virtual time: what real sockets cannot show without waiting or luck. Floor 3.

use std::io::Write;
use std::time::Duration;

use super::*;
use crate::net::{Stream, VirtualNet, Weather};
use crate::server::rig::{Rig, address, received, sip};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";
const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";

/// A link that takes less than one answer at once.
const NARROW: Weather = Weather { capacity: 100, ..Weather::CALM };

fn backend(profile: &str, weather: Weather) -> Rig<Greetings> {
    Rig::new(weather, |listener, control| {
        let options = BackendOptions::plain('A', profile.parse().unwrap());
        SimulatedBackend::<VirtualNet>::new(options, listener, address(), control)
    })
}

#[test]
fn an_answer_comes_at_the_first_tick_not_before_its_time() {
    let mut rig = backend("10", Weather::CALM);
    let _client = rig.client(GET);
    let sent = rig.fabric.now();
    rig.run_until(1000, |rig| rig.answered() == 1);
    let arrived = sent + Duration::from_micros(50);
    let late = rig.fabric.now().nanos_since(arrived + Duration::from_millis(10));
    assert!(
        rig.fabric.now() >= arrived + Duration::from_millis(10) && late < 1 << TICK_SHIFT,
        "{late} ns late"
    );
}

#[test]
fn who_resets_while_it_waits_is_removed_with_its_timer() {
    let mut rig = backend("60000", Weather::CALM);
    let client = rig.client(GET);
    rig.run(1);
    assert_eq!((rig.reactor.timers(), rig.server.held().0), (1, 1));
    client.reset_on_close();
    drop(client);
    rig.run(1);
    assert_eq!((rig.reactor.timers(), rig.server.held().0), (0, 0));
    assert_eq!(rig.server.held().1, 0);
}

#[test]
fn half_a_request_has_a_minute_and_an_idle_connection_for_ever() {
    let mut rig = backend("0", Weather::CALM);
    let mut idle = rig.client(GET);
    let mut halves = [&GET[..10], b"PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 9\r\n\r\n1234"]
        .map(|part| rig.client(part));
    rig.run(59_000);
    assert!(received(&mut idle).0.starts_with("HTTP/1.1 200 "));
    assert!(halves.iter_mut().all(|half| !received(half).1));
    rig.run(2_000);
    assert!(halves.iter_mut().all(|half| received(half) == (String::new(), true)));
    rig.run(3_600_000);
    assert_eq!(received(&mut idle), (String::new(), false));
}

#[test]
fn without_descriptors_it_pauses_and_then_goes_on() {
    let mut rig = backend("0", Weather { accept_errors: 1.0, ..Weather::CALM });
    let mut client = rig.client(GET);
    rig.run(10_000);
    assert!((100..1000).contains(&rig.turns), "{} turns in 10 s", rig.turns);
    rig.fabric.set_weather(Weather::CALM);
    rig.run(200);
    assert!(received(&mut client).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn ten_thousand_wait_at_once() {
    let mut rig = backend("400", Weather::CALM);
    let connect = |rig: &mut Rig<Greetings>| rig.clients.connect(address()).unwrap().0;
    let mut clients: Vec<_> = (0..10_000).map(|_| connect(&mut rig)).collect();
    rig.run(1);
    clients.iter_mut().for_each(|client| client.write_all(GET).unwrap());
    rig.run(100);
    assert_eq!((rig.reactor.timers(), rig.answered(), rig.server.held().1), (10_000, 0, 0));
    rig.run(400);
    assert_eq!((rig.reactor.timers(), rig.answered()), (0, 10_000));
}

#[test]
fn a_stop_answers_a_pipelined_request_that_has_come() {
    let mut rig = backend("5", Weather::CALM);
    let mut client = rig.client(&GET.repeat(2));
    rig.run_until(1000, |rig| rig.answered() == 1);
    rig.stop();
    rig.run(100);
    let (text, end) = received(&mut client);
    assert_eq!((text.matches("Hello from A").count(), end, rig.stopped), (2, true, true));
}

#[test]
fn a_stop_does_not_wait_for_who_came_to_rest_after_it() {
    let mut rig = backend("5", NARROW);
    let mut client = rig.client(GET);
    rig.run_until(1000, |rig| rig.answered() == 1);
    rig.stop();
    rig.run(1);
    assert!(!rig.stopped, "half of the answer is unsent");
    let (text, end) = sip(&mut rig, &mut client, 100);
    assert!(text.ends_with("simulated 5ms\n") && end, "{text}");
    assert!(rig.stopped);
}

#[test]
fn a_last_answer_reaches_a_slow_reader_whole() {
    for last in [CLOSING, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut rig = backend("0", NARROW);
        let mut client = rig.client(last);
        rig.run(5_000);
        let read_from = rig.fabric.now();
        let (text, end) = sip(&mut rig, &mut client, 3_000);
        assert!(end && text.ends_with('\n'), "{text}");
        assert!(rig.fabric.now() - read_from < Duration::from_millis(500), "the end came late");
        rig.run(2_000);
        assert_eq!((rig.server.held().0, rig.reactor.timers(), rig.server.held().1), (0, 0, 0));
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut rig = backend("60000", Weather::CALM);
    let _client = rig.client(GET);
    rig.run(1);
    rig.stop();
    rig.run(1000);
    assert!(!rig.stopped && !rig.server.forced());
    rig.stop();
    rig.run(1);
    assert!(rig.stopped && rig.server.forced());
}
