//! A simulated backend in virtual time: what real sockets cannot show without waiting or luck. Floor 3.

use std::io::Write;
use std::time::Duration;

use super::lab::{Lab, address, received, sip};
use super::*;
use crate::net::{Stream, VirtualNet, Weather};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";
const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";

/// A link that takes less than one answer at once.
const NARROW: Weather = Weather { capacity: 100, ..Weather::CALM };

fn backend(profile: &str, weather: Weather) -> Lab<Greetings> {
    Lab::new(weather, |listener, control| {
        SimulatedBackend::<VirtualNet>::new('A', profile.parse().unwrap(), listener, control)
    })
}

#[test]
fn an_answer_comes_at_the_first_tick_not_before_its_time() {
    let mut lab = backend("10", Weather::CALM);
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
    let mut lab = backend("60000", Weather::CALM);
    let client = lab.client(GET);
    lab.run(1);
    assert_eq!((lab.reactor.timers(), lab.server.connections.len()), (1, 1));
    client.reset_on_close();
    drop(client);
    lab.run(1);
    assert_eq!((lab.reactor.timers(), lab.server.connections.len()), (0, 0));
    assert_eq!(lab.server.buffers.lent(), 0);
}

#[test]
fn half_a_request_has_a_minute_and_an_idle_connection_for_ever() {
    let mut lab = backend("0", Weather::CALM);
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
    let mut lab = backend("0", Weather { accept_errors: 1.0, ..Weather::CALM });
    let mut client = lab.client(GET);
    lab.run(10_000);
    assert!((100..1000).contains(&lab.turns), "{} turns in 10 s", lab.turns);
    lab.fabric.set_weather(Weather::CALM);
    lab.run(200);
    assert!(received(&mut client).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn ten_thousand_wait_at_once() {
    let mut lab = backend("400", Weather::CALM);
    let connect = |lab: &mut Lab<Greetings>| lab.clients.connect(address()).unwrap().0;
    let mut clients: Vec<_> = (0..10_000).map(|_| connect(&mut lab)).collect();
    lab.run(1);
    clients.iter_mut().for_each(|client| client.write_all(GET).unwrap());
    lab.run(100);
    assert_eq!((lab.reactor.timers(), lab.answered(), lab.server.buffers.lent()), (10_000, 0, 0));
    lab.run(400);
    assert_eq!((lab.reactor.timers(), lab.answered()), (0, 10_000));
}

#[test]
fn a_stop_answers_a_pipelined_request_that_has_come() {
    let mut lab = backend("5", Weather::CALM);
    let mut client = lab.client(&GET.repeat(2));
    lab.run_until(1000, |lab| lab.answered() == 1);
    lab.stop();
    lab.run(100);
    let (text, end) = received(&mut client);
    assert_eq!((text.matches("Hello from A").count(), end, lab.stopped), (2, true, true));
}

#[test]
fn a_stop_does_not_wait_for_who_came_to_rest_after_it() {
    let mut lab = backend("5", NARROW);
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
        let mut lab = backend("0", NARROW);
        let mut client = lab.client(last);
        lab.run(5_000);
        let read_from = lab.fabric.now();
        let (text, end) = sip(&mut lab, &mut client, 3_000);
        assert!(end && text.ends_with('\n'), "{text}");
        assert!(lab.fabric.now() - read_from < Duration::from_millis(500), "the end came late");
        lab.run(2_000);
        assert_eq!(
            (lab.server.connections.len(), lab.reactor.timers(), lab.server.buffers.lent()),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut lab = backend("60000", Weather::CALM);
    let _client = lab.client(GET);
    lab.run(1);
    lab.stop();
    lab.run(1000);
    assert!(!lab.stopped && !lab.server.forced());
    lab.stop();
    lab.run(1);
    assert!(lab.stopped && lab.server.forced());
}
