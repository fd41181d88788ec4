//! What all servers have in common, in virtual time: limits, answers that go on, answers that others settle. Floor 2.

use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use super::rig::{Rig, address, received};
use super::*;
use crate::h1::request::RequestHead;
use crate::net::{VirtualNet, VirtualStream, Weather};
use crate::time::{Instant, WallTime};

const EVERY: Duration = Duration::from_millis(500);

/// Ticks for ever at `/ticks`, with 1,000 bytes each; elsewhere answers when it is told to, or after ten seconds.
#[derive(Default)]
struct Clockwork {
    ticks: u64,
    told: Rc<Cell<bool>>,
}

impl Service for Clockwork {
    type Asked = bool;
    type Answer = bool;

    fn name(&self) -> String {
        "clockwork".to_owned()
    }

    fn head(&mut self, head: &RequestHead<'_, '_>, _now: Instant) -> bool {
        matches!(head.target, crate::h1::request::Target::Origin("/ticks"))
    }

    fn wants_body(_asked: &bool) -> bool {
        true
    }

    fn request(&mut self, ticks: bool, _body: &[u8], now: Instant) -> (bool, Instant) {
        (ticks, if ticks { now } else { now + Duration::from_secs(10) })
    }

    fn response<'a>(&'a mut self, ticks: &'a bool, _wall: WallTime) -> Option<Response<'a>> {
        let body = if self.told.get() { "told" } else { "late" };
        let (body, every) = if *ticks { ("begin|", Some(EVERY)) } else { (body, None) };
        Some(Response { status: 200, content_type: "text/plain", fields: "", body: body.as_bytes(), every })
    }

    fn settles(&mut self, _answer: &mut bool) -> bool {
        self.told.get()
    }

    fn more(&mut self, _wall: WallTime, out: &mut Vec<u8>) {
        self.ticks += 1;
        out.extend_from_slice(format!("{:0999}|", self.ticks).as_bytes());
    }
}

fn rig(weather: Weather, limits: Limits, told: &Rc<Cell<bool>>) -> Rig<Clockwork> {
    let service = Clockwork { ticks: 0, told: Rc::clone(told) };
    Rig::new(weather, |listener, control| {
        Server::<VirtualNet, Clockwork>::serving(service, limits, listener, control)
    })
}

fn calm() -> Rig<Clockwork> {
    rig(Weather::CALM, Limits::default(), &Rc::default())
}

/// The numbers of the ticks in what a client has got.
fn ticks(text: &str) -> Vec<u64> {
    let (_, ticks) = text.split_once("begin|").expect("a beginning");
    ticks.split_terminator('|').map(|tick| tick.parse().expect("a whole tick")).collect()
}

const TICKS: &[u8] = b"GET /ticks HTTP/1.1\r\nHost: s\r\n\r\n";
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: s\r\n\r\n";

#[test]
fn an_answer_goes_on_at_its_pace_until_the_client_leaves() {
    let mut rig = calm();
    let mut client = rig.client(TICKS);
    rig.run(10_250);
    let (text, ended) = received(&mut client);
    assert!(!ended && text.contains("Connection: close\r\n") && !text.contains("Content-Length"), "{text}");
    assert_eq!(ticks(&text), (1..=20).collect::<Vec<_>>());
    drop(client);
    rig.run(1_000);
    assert_eq!((rig.server.held(), rig.reactor.timers()), ((0, 0), 0));
}

#[test]
fn who_does_not_read_misses_ticks_and_costs_no_more_than_one() {
    let mut rig = rig(Weather { capacity: 2_500, ..Weather::CALM }, Limits::default(), &Rc::default());
    let mut client = rig.client(TICKS);
    rig.run(20_000);
    assert_eq!(rig.server.held(), (1, 1));
    let mut text = String::new();
    for _ in 0..20 {
        text.push_str(&received(&mut client).0);
        rig.run(100);
    }
    let seen = ticks(&text[..=text.rfind('|').expect("a tick")]);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    // Few were made while it slept, so few numbers are used up.
    assert!(seen.len() >= 5 && seen.last().is_some_and(|&last| last < 10), "{seen:?}");
}

#[test]
fn who_reads_nothing_for_a_minute_is_left() {
    let mut rig = rig(Weather { capacity: 2_500, ..Weather::CALM }, Limits::default(), &Rc::default());
    let _client = rig.client(TICKS);
    rig.run(30_000);
    assert_eq!(rig.server.held().0, 1);
    rig.run(40_000);
    assert_eq!((rig.server.held(), rig.reactor.timers()), ((0, 0), 0));
}

#[test]
fn a_stop_ends_what_would_go_on_for_ever() {
    let mut rig = calm();
    let mut client = rig.client(TICKS);
    rig.run(2_000);
    rig.stop();
    rig.run(1);
    assert!(rig.stopped);
    assert!(received(&mut client).1);
}

#[test]
fn an_answer_that_another_thread_settles_goes_out_at_once() {
    let told = Rc::new(Cell::new(false));
    let mut rig = rig(Weather::CALM, Limits::default(), &told);
    let (mut first, mut second) = (rig.client(ASK), rig.client(ASK));
    rig.run(1_000);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(10);
    assert_eq!(received(&mut first).0, "");
    told.set(true);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(10);
    for client in [&mut first, &mut second] {
        assert!(received(client).0.ends_with("\r\n\r\ntold"));
    }
    told.set(false);
    first.write_all(ASK).unwrap();
    rig.run(11_000);
    assert!(received(&mut first).0.ends_with("\r\n\r\nlate"));
}

#[test]
fn a_connection_may_rest_so_long_and_come_in_such_numbers() {
    let limits = Limits { connections: 2, idle: Duration::from_secs(5), ..Limits::default() };
    let told = Rc::new(Cell::new(false));
    let mut rig = rig(Weather::CALM, limits, &told);
    let mut silent = rig.client(b"");
    let mut busy = rig.client(ASK);
    let mut waiting = rig.client(ASK);
    rig.run(4_000);
    assert_eq!((rig.server.held().0, address().port()), (2, 81));
    told.set(true);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(500);
    assert!(received(&mut busy).0.ends_with("told"));
    assert_eq!(received(&mut waiting).0, "");
    rig.run(1_500);
    assert!(received(&mut silent).1, "it rested too long, and made room");
    rig.reactor.net().wake(Wake::Waker);
    rig.run(10);
    assert!(received(&mut waiting).0.ends_with("told"));
}

/// Four places, two of which may stream, in a network that holds 2,500 bytes for who does not read.
fn crowded(told: &Rc<Cell<bool>>) -> Rig<Clockwork> {
    let limits = Limits { connections: 4, evicts: true, streams: 2, ..Limits::default() };
    rig(Weather { capacity: 2_500, ..Weather::CALM }, limits, told)
}

/// Whether a newcomer is answered, once others wake the server.
fn is_answered(rig: &mut Rig<Clockwork>, told: &Rc<Cell<bool>>) -> bool {
    let mut newcomer = rig.client(ASK);
    rig.run(1_000);
    told.set(true);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(10);
    told.set(false);
    received(&mut newcomer).0.ends_with("told")
}

fn closed(clients: &mut [VirtualStream]) -> usize {
    clients.iter_mut().map(|client| usize::from(received(client).1)).sum()
}

#[test]
fn whoever_is_idle_or_slow_or_waits_gives_way_to_a_newcomer() {
    let half_body = b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 9\r\n\r\nhalf";
    for slow in [&b""[..], b"GET / HT", half_body, ASK] {
        let told = Rc::new(Cell::new(false));
        let mut rig = crowded(&told);
        let mut held: Vec<_> = (0..6).map(|_| rig.client(slow)).collect();
        rig.run(1_000);
        assert_eq!((rig.server.held().0, closed(&mut held)), (4, 2));
        for _ in 0..3 {
            assert!(is_answered(&mut rig, &told), "{}", String::from_utf8_lossy(slow));
        }
    }
}

#[test]
fn whoever_reads_nothing_gives_way_and_whoever_watches_does_not() {
    let told = Rc::new(Cell::new(false));
    let mut rig = crowded(&told);
    let mut watching = rig.client(TICKS);
    let _asleep = rig.client(TICKS);
    let mut seen = String::new();
    for _ in 0..20 {
        rig.run(500);
        seen.push_str(&received(&mut watching).0);
    }
    let silent: Vec<_> = (0..8).map(|_| rig.client(b"")).collect();
    for _ in 0..20 {
        rig.run(500);
        seen.push_str(&received(&mut watching).0);
    }
    assert_eq!(ticks(&seen).len(), 40);
    // It has made place for one of the silent ones, and for another watcher.
    let mut another = rig.client(TICKS);
    rig.run(1_000);
    assert!(received(&mut another).0.contains("begin|"));
    drop(silent);
}

#[test]
fn streams_have_a_bound_of_their_own() {
    let mut rig = crowded(&Rc::default());
    let mut all: Vec<_> = (0..3).map(|_| rig.client(TICKS)).collect();
    rig.run(600);
    let told: Vec<_> = all.iter_mut().map(|client| received(client).0[9..12].to_owned()).collect();
    assert_eq!(told, ["200", "200", "503"]);
    drop(all.remove(0));
    rig.run(600);
    let mut next = rig.client(TICKS);
    rig.run(600);
    assert!(received(&mut next).0.contains("begin|"));
}

#[test]
fn a_newcomer_keeps_its_place_until_it_could_be_heard() {
    let told = Rc::new(Cell::new(false));
    let mut rig = crowded(&told);
    let mut asking: Vec<_> = (0..4).map(|_| rig.client(ASK)).collect();
    let mut others: Vec<_> = (0..20).map(|_| rig.clients.connect(address()).unwrap().0).collect();
    rig.run(50);
    told.set(true);
    rig.reactor.net().wake(Wake::Waker);
    rig.run(10);
    assert!(asking.iter_mut().all(|client| received(client).0.ends_with("told")));
    // The others come in one after the other, without an event that would tell of them again.
    told.set(false);
    rig.run(10_000);
    assert!(closed(&mut others) >= 16);
}

#[test]
fn a_head_and_a_body_have_a_time_in_all_however_they_trickle() {
    let limits = Limits { request: Duration::from_secs(10), ..Limits::default() };
    for (start, piece) in [
        ("GET / HTTP/1.1\r\n", "A: b\r\n"),
        ("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1000\r\n\r\n", "x"),
        ("POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ] {
        let mut rig = rig(Weather::CALM, limits, &Rc::default());
        let mut client = rig.client(start.as_bytes());
        for _ in 0..9 {
            rig.run(1_000);
            assert!(client.write_all(piece.as_bytes()).is_ok() && !received(&mut client).1, "{start}");
        }
        rig.run(2_000);
        assert!(received(&mut client).1, "{start}");
    }
}

#[test]
fn whoever_takes_not_even_the_beginning_of_a_stream_is_left_after_a_minute() {
    let mut rig = rig(Weather { capacity: 50, ..Weather::CALM }, Limits::default(), &Rc::default());
    let _client = rig.client(TICKS);
    rig.run(30_000);
    assert_eq!(rig.server.held().0, 1);
    rig.run(40_000);
    assert_eq!(rig.server.held().0, 0);
}
