//! What all servers have in common, in virtual time: limits, answers that go on, answers that others settle. Floor 2.

use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use super::rig::{Rig, address, received};
use super::*;
use crate::h1::request::RequestHead;
use crate::net::{VirtualNet, Weather};
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
