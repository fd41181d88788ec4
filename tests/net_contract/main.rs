//! What a handler may rely on: one script of facts that the kernel and the virtual network both pass.
//!
//! The simulator needs its own judge: where these two differ, seeds would prove a fiction.

mod lab;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use tidegate::net::{Connect, Event, Fabric, Net, OsNet, Readiness, Stream, Token, Wake, Weather};
use tidegate::slots::SlotId;

use lab::{Kernel, Lab, Virtual, fill, read_all};

/// How long the kernel may take to show an effect, and how long it must stay silent to be called quiet.
const PATIENCE: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(15);

fn token(role: u8) -> Token {
    Token::new(role, SlotId::new(u32::from(role), 7))
}

const DOOR: u8 = 0;
const CLIENT: u8 = 1;
const SERVER: u8 = 2;

/// Polls until something was reported for `role` that satisfies `wanted`; returns everything reported for it.
fn wait<L: Lab>(lab: &mut L, role: u8, wanted: impl Fn(&Readiness) -> bool) -> Readiness {
    let mut events = Vec::new();
    let mut seen = Readiness::default();
    let begin = lab.net().now();
    while lab.net().now() - begin < PATIENCE {
        lab.poll(&mut events, Duration::from_millis(200));
        for event in events.drain(..) {
            if let Event::Ready(t, r) = event
                && t == token(role)
            {
                seen.readable |= r.readable;
                seen.writable |= r.writable;
                seen.read_closed |= r.read_closed;
                seen.broken |= r.broken;
                if wanted(&r) {
                    return seen;
                }
            }
        }
    }
    panic!("nothing of the kind came for role {role}; seen: {seen:?}");
}

/// All that is reported until nothing comes any more.
fn drain<L: Lab>(lab: &mut L) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        lab.poll(&mut all, QUIET);
        if all.len() == before {
            return all;
        }
    }
}

struct Pair<L: Lab> {
    lab: L,
    client: <L::N as Net>::Stream,
    server: <L::N as Net>::Stream,
    address: SocketAddr,
    _door: <L::N as Net>::Listener,
}

fn pair<L: Lab>(mut lab: L) -> Pair<L> {
    let (mut door, address) = lab.listen();
    lab.net().register_listener(&mut door, token(DOOR)).unwrap();
    let mut client = lab.net().connect(address).unwrap().0;
    lab.net().register(&mut client, token(CLIENT)).unwrap();
    wait(&mut lab, CLIENT, |r| r.writable);
    let (mut server, _) = loop {
        match lab.net().accept(&door) {
            Ok(accepted) => break accepted,
            Err(e) if e.kind() == ErrorKind::WouldBlock => drop(wait(&mut lab, DOOR, |r| r.readable)),
            Err(e) => panic!("{e}"),
        }
    };
    lab.net().register(&mut server, token(SERVER)).unwrap();
    drain(&mut lab);
    Pair { lab, client, server, address, _door: door }
}

fn reports(events: &[Event], role: u8) -> Vec<Readiness> {
    let of = |event: &Event| match event {
        Event::Ready(t, r) if *t == token(role) => Some(*r),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn connecting<L: Lab>(mut lab: L) {
    let (mut door, address) = lab.listen();
    assert_eq!(lab.net().accept(&door).err().unwrap().kind(), ErrorKind::WouldBlock, "nobody waits at first");
    lab.net().register_listener(&mut door, token(DOOR)).unwrap();
    assert_eq!(reports(&drain(&mut lab), DOOR), [], "a listener that nobody knocks at is silent");
    let mut client = lab.net().connect(address).unwrap().0;
    lab.net().register(&mut client, token(CLIENT)).unwrap();
    let ready = wait(&mut lab, CLIENT, |r| r.writable);
    assert!(!ready.broken && !ready.readable, "a connection that stands is writable only: {ready:?}");
    // The knock may have been reported while the client was waited for.
    lab.net().accept(&door).expect("who is connected waits in the backlog");
    assert_eq!(
        lab.net().accept(&door).err().unwrap().kind(),
        ErrorKind::WouldBlock,
        "one came, one is accepted"
    );
}

fn refusal<L: Lab>(mut lab: L) {
    let (door, address) = lab.listen();
    drop(door);
    let (mut client, _) = match lab.net().connect(address) {
        Err(e) => return assert_eq!(e.kind(), ErrorKind::ConnectionRefused, "told by the call itself"),
        Ok(begun) => begun,
    };
    lab.net().register(&mut client, token(CLIENT)).unwrap();
    let ready = wait(&mut lab, CLIENT, |r| r.broken);
    assert!(ready.writable, "a failed attempt is reported as writable, too: {ready:?}");
    assert_eq!(
        client.write(b"x").err().unwrap().kind(),
        ErrorKind::ConnectionRefused,
        "the first write tells why"
    );
    assert_eq!(client.write(b"x").err().unwrap().kind(), ErrorKind::BrokenPipe, "an error is told once");
}

fn writing_at_once<L: Lab>(mut lab: L) {
    let (_door, address) = lab.listen();
    let (mut client, next) = lab.net().connect(address).unwrap();
    match client.write(b"early") {
        Ok(n) => assert_eq!((n, next), (5, Connect::TryNow), "only who is told to may write at once"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock, "not yet: no error"),
    }
    lab.net().register(&mut client, token(CLIENT)).unwrap();
    wait(&mut lab, CLIENT, |r| r.writable);
    assert!(client.write(b"later").is_ok(), "a write that came too early does no harm");
}

fn a_listener_closed_with_clients_waiting<L: Lab>(mut lab: L) {
    let (door, address) = lab.listen();
    let mut client = lab.net().connect(address).unwrap().0;
    lab.net().register(&mut client, token(CLIENT)).unwrap();
    wait(&mut lab, CLIENT, |r| r.writable);
    drop(door);
    wait(&mut lab, CLIENT, |r| r.broken);
    assert_eq!(
        read_all(&mut client).1,
        Some(ErrorKind::ConnectionReset),
        "who waited in the backlog is reset"
    );
}

fn late_registration<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, server: _server, _door: mut door, address } = pair(lab);
    let mut second = lab.net().connect(address).unwrap().0;
    wait(&mut lab, DOOR, |r| r.readable);
    lab.net().register_listener(&mut door, token(DOOR)).ok();
    let (mut unregistered, _) = lab.net().accept(&door).unwrap();
    // Bytes that came before the registration are reported by it.
    lab.net().register(&mut second, token(3)).unwrap();
    wait(&mut lab, 3, |r| r.writable);
    second.write_all(b"early").unwrap();
    drain(&mut lab);
    lab.net().register(&mut unregistered, token(4)).unwrap();
    let ready = wait(&mut lab, 4, |r| r.readable);
    assert!(ready.writable, "registration reports all levels: {ready:?}");
    assert_eq!(read_all(&mut unregistered), (b"early".to_vec(), Some(ErrorKind::WouldBlock)));
    assert_eq!(read_all(&mut client).1, Some(ErrorKind::WouldBlock), "the other connection got nothing");
}

fn bytes<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, mut server, .. } = pair(lab);
    assert_eq!(read_all(&mut server), (vec![], Some(ErrorKind::WouldBlock)), "nothing came, nothing is read");
    assert_eq!(client.write(b"").unwrap(), 0, "an empty write is taken");
    let parts = [IoSlice::new(b"hel"), IoSlice::new(b""), IoSlice::new(b"lo")];
    assert_eq!(client.write_vectored(&parts).unwrap(), 5, "a vectored write is one message");
    let ready = wait(&mut lab, SERVER, |r| r.readable);
    assert!(ready.writable && !ready.read_closed && !ready.broken, "an edge reports all levels: {ready:?}");
    assert!(server.has_unread() && !client.has_unread());
    let mut two = [0; 2];
    assert_eq!(server.read(&mut two).unwrap(), 2);
    assert_eq!(
        reports(&drain(&mut lab), SERVER),
        [],
        "a partial read is no new edge: what is left is not repeated"
    );
    assert_eq!(read_all(&mut server), (b"llo".to_vec(), Some(ErrorKind::WouldBlock)), "it is still there");
    assert_eq!(reports(&drain(&mut lab), SERVER), [], "a drained socket is silent");
    assert!(!server.has_unread());
    client.write_all(b"more").unwrap();
    wait(&mut lab, SERVER, |r| r.readable);
    client.write_all(b" and more").unwrap();
    wait(&mut lab, SERVER, |r| r.readable);
    assert_eq!(read_all(&mut server).0, b"more and more", "each arrival is an edge, unread bytes or not");
}

fn backpressure<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, mut server, .. } = pair(lab);
    let taken = fill(&mut client);
    assert!(taken > 8192, "a socket has room for some blocks: {taken}");
    wait(&mut lab, SERVER, |r| r.readable);
    drain(&mut lab);
    // What the kernel moved on to the receiver meanwhile made room for more.
    let taken = taken + fill(&mut client);
    drain(&mut lab);
    let taken = taken + fill(&mut client);
    assert_eq!(reports(&drain(&mut lab), CLIENT), [], "a full socket is silent while nobody reads");
    let mut read = 0;
    while read < taken {
        let (bytes, end) = read_all(&mut server);
        assert_eq!(end, Some(ErrorKind::WouldBlock));
        read += bytes.len();
        if read < taken {
            wait(&mut lab, SERVER, |r| r.readable);
        }
    }
    assert_eq!(read, taken, "every byte arrives once");
    // The edge may have come while the server was waited for; either way there is room now.
    drain(&mut lab);
    assert!(fill(&mut client) > 0, "reading makes room");
}

fn room_is_an_edge<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, mut server, .. } = pair(lab);
    loop {
        let taken = fill(&mut client);
        drain(&mut lab);
        if taken == 0 {
            break;
        }
    }
    while read_all(&mut server).0.is_empty() {
        wait(&mut lab, SERVER, |r| r.readable);
    }
    loop {
        let events = drain(&mut lab);
        let (bytes, _) = read_all(&mut server);
        if reports(&events, CLIENT).iter().any(|r| r.writable) {
            break;
        }
        assert!(!bytes.is_empty() || !events.is_empty(), "all is read and no edge came");
    }
}

fn half_close<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, mut server, .. } = pair(lab);
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let ready = wait(&mut lab, SERVER, |r| r.read_closed);
    assert!(ready.readable && !ready.broken, "a FIN is readable and read-closed, not broken: {ready:?}");
    assert_eq!(read_all(&mut server), (b"last".to_vec(), None), "the bytes, then the end");
    assert_eq!(read_all(&mut server), (vec![], None), "the end stays");
    assert_eq!(
        client.write(b"x").err().unwrap().kind(),
        ErrorKind::BrokenPipe,
        "nothing goes out after a FIN"
    );
    server.write_all(b"answer").unwrap();
    wait(&mut lab, CLIENT, |r| r.readable);
    assert_eq!(read_all(&mut client).0, b"answer", "the other direction still works");
    server.shutdown(Shutdown::Write).unwrap();
    wait(&mut lab, CLIENT, |r| r.broken);
    assert_eq!(read_all(&mut client), (vec![], None), "both closed: the end, and no error");
}

fn close<L: Lab>(lab: L) {
    let Pair { mut lab, client, mut server, .. } = pair(lab);
    drop(client);
    let ready = wait(&mut lab, SERVER, |r| r.read_closed);
    assert!(!ready.broken, "a close looks like a half-close: {ready:?}");
    assert_eq!(read_all(&mut server), (vec![], None));
    server.write_all(b"into the void").expect("the first write finds out only later");
    wait(&mut lab, SERVER, |r| r.broken);
    assert_eq!(server.write(b"x").err().unwrap().kind(), ErrorKind::BrokenPipe, "a reset answers it");
}

fn close_with_unread_bytes<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, server, .. } = pair(lab);
    client.write_all(b"never read").unwrap();
    wait(&mut lab, SERVER, |r| r.readable);
    drop(server);
    wait(&mut lab, CLIENT, |r| r.broken);
    assert_eq!(
        read_all(&mut client).1,
        Some(ErrorKind::ConnectionReset),
        "unread bytes make the close a reset"
    );
}

fn reset<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, server, .. } = pair(lab);
    server.reset_on_close();
    drop(server);
    let ready = wait(&mut lab, CLIENT, |r| r.broken);
    assert!(ready.readable && ready.writable && ready.read_closed, "a reset sets every level: {ready:?}");
    assert_eq!(read_all(&mut client), (vec![], Some(ErrorKind::ConnectionReset)));
    assert_eq!(read_all(&mut client), (vec![], None), "the error is told once");
    assert_eq!(client.write(b"x").err().unwrap().kind(), ErrorKind::BrokenPipe);
}

fn bytes_before_a_reset<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, mut server, .. } = pair(lab);
    server.write_all(b"answer").unwrap();
    wait(&mut lab, CLIENT, |r| r.readable);
    server.reset_on_close();
    drop(server);
    wait(&mut lab, CLIENT, |r| r.broken);
    assert_eq!(
        read_all(&mut client),
        (b"answer".to_vec(), Some(ErrorKind::ConnectionReset)),
        "what came before is read"
    );
}

fn stale_tokens<L: Lab>(lab: L) {
    let Pair { mut lab, mut client, server, .. } = pair(lab);
    client.write_all(b"late").unwrap();
    drop(server);
    assert_eq!(reports(&drain(&mut lab), SERVER), [], "a closed stream is reported no more");
}

fn waking<L: Lab>(mut lab: L) {
    lab.wake();
    let mut events = Vec::new();
    lab.poll(&mut events, PATIENCE);
    assert_eq!(events, [Event::Woken(Wake::Waker)]);
    assert_eq!(drain(&mut lab), [], "one wake, one report");
}

fn time<L: Lab>(mut lab: L) {
    let earlier = lab.net().now();
    let earlier_wall = lab.net().wall(earlier);
    drain(&mut lab);
    let later = lab.net().now();
    assert!(later >= earlier, "the clock never goes back");
    assert!(lab.net().wall(later) >= earlier_wall);
    let year_2025_ns = 1_735_689_600_000_000_000;
    assert!(earlier_wall.as_nanos() > year_2025_ns, "the civil clock counts from 1970");
}

macro_rules! facts {
    ($($fact:ident),* $(,)?) => {
        mod kernel {
            $(#[test] fn $fact() {
                let net = super::OsNet::new().unwrap();
                let waker = net.waker().unwrap();
                super::$fact(super::Kernel(net, waker));
            })*
        }
        mod virtual_net {
            $(#[test] fn $fact() {
                let weather = super::Weather { instant_connects: 0.5, ..super::Weather::CALM };
                let fabric = super::Fabric::new(1, weather);
                let net = fabric.net();
                super::$fact(super::Virtual(fabric, net));
            })*
        }
    };
}

facts!(
    connecting,
    refusal,
    writing_at_once,
    a_listener_closed_with_clients_waiting,
    late_registration,
    bytes,
    backpressure,
    room_is_an_edge,
    half_close,
    close,
    close_with_unread_bytes,
    reset,
    bytes_before_a_reset,
    stale_tokens,
    waking,
    time,
);
