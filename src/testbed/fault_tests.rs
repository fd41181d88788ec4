//! Capacity and faults of a simulated backend in virtual time. Floor 3.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;

use super::*;
use crate::net::{VirtualNet, VirtualStream, Weather};
use crate::server::rig::{Rig, address, received};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";

fn backend(profile: &str, capacity: usize, faults: &[&str]) -> Rig<Greetings> {
    Rig::new(Weather::CALM, |listener, control| {
        let options = BackendOptions {
            capacity: NonZeroUsize::new(capacity),
            faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
            ..BackendOptions::plain('A', profile.parse().unwrap())
        };
        SimulatedBackend::<VirtualNet>::new(options, listener, address(), control)
    })
}

/// Each client's status or end, with the milliseconds from now on after which it came.
fn fates(rig: &mut Rig<Greetings>, clients: &mut [VirtualStream], ms: u64) -> Vec<(String, u64)> {
    let start = rig.fabric.now();
    let mut fates = vec![None; clients.len()];
    for _ in 0..ms {
        rig.run(1);
        let passed = (rig.fabric.now() - start).as_millis() as u64;
        for (client, fate) in clients.iter_mut().zip(&mut fates).filter(|(_, fate)| fate.is_none()) {
            let mut block = [0; 4096];
            *fate = match client.read(&mut block) {
                Ok(0) => Some(("end".to_owned(), passed)),
                Ok(_) => Some((String::from_utf8_lossy(&block[9..12]).into_owned(), passed)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => None,
                Err(e) => Some((format!("{:?}", e.kind()), passed)),
            };
        }
    }
    fates.into_iter().map(|fate| fate.unwrap_or(("nothing".to_owned(), ms))).collect()
}

fn times(fates: &[(String, u64)]) -> Vec<u64> {
    fates.iter().map(|(_, ms)| *ms).collect()
}

#[test]
fn so_many_are_worked_on_at_once_and_the_others_wait() {
    let mut rig = backend("20", 2, &[]);
    let mut clients: Vec<_> = (0..5).map(|_| rig.client(b"")).collect();
    clients.iter_mut().for_each(|client| client.write_all(GET).unwrap());
    assert_eq!(times(&fates(&mut rig, &mut clients, 100)), [21, 21, 41, 41, 61]);
}

#[test]
fn nothing_is_answered_in_a_stall_and_work_takes_so_much_longer() {
    let mut rig = backend("10", 0, &["stall,from=20ms,for=100ms,every=1s"]);
    rig.run(15);
    // One millisecond of each client's connecting.
    let mut before = [rig.client(GET)];
    rig.run(14);
    let mut within = [rig.client(GET)];
    // At 30 ms: five of its ten were left at 20 ms, so it comes at 126 ms; the other one's ten begin at 120 ms.
    assert_eq!(times(&fates(&mut rig, &mut before, 150)), [96]);
    assert_eq!(times(&fates(&mut rig, &mut within, 1)), [1]);
    let mut after = [rig.client(GET)];
    assert_eq!(times(&fates(&mut rig, &mut after, 50)), [11]);
}

#[test]
fn shares_of_requests_fail_or_are_reset_while_the_fault_lasts() {
    let mut rig = backend("10", 0, &["error:0.5,after=1ms,from=0s,for=1s", "reset:1,from=0s,for=1s"]);
    let mut clients: Vec<_> = (0..40).map(|_| rig.client(b"")).collect();
    clients.iter_mut().for_each(|client| client.write_all(GET).unwrap());
    let all = fates(&mut rig, &mut clients, 50);
    let count = |fate: (&str, u64)| all.iter().filter(|(what, ms)| (what.as_str(), *ms) == fate).count();
    let (errors, resets) = (count(("500", 2)), count(("ConnectionReset", 11)));
    assert!((10..30).contains(&errors) && errors + resets == 40, "{all:?}");
    rig.run(1000);
    let mut late = [rig.client(GET)];
    rig.run(20);
    let (text, _) = received(&mut late[0]);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("simulated 10ms\n"), "{text}");
}

#[test]
fn who_refuses_resets_everybody_and_comes_back() {
    let mut rig = backend("50", 0, &["refuse,from=100ms,for=200ms,every=1s"]);
    let mut idle = rig.client(GET);
    rig.run(60);
    assert!(received(&mut idle).0.contains(" 200 "));
    let mut waiting = rig.client(GET);
    rig.run(100);
    assert_eq!(rig.server.held().0, 0);
    for stream in [&mut idle, &mut waiting] {
        let mut block = [0; 10];
        assert_eq!(stream.read(&mut block).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let mut refused = rig.clients.connect(address()).unwrap().0;
    rig.run(1);
    assert_eq!(refused.write(GET).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    rig.run(200);
    let mut back = rig.client(GET);
    rig.run(60);
    assert!(received(&mut back).0.contains(" 200 "));
    // And again.
    rig.run(800);
    assert_eq!((rig.server.held().0, rig.server.is_away()), (0, true));
    rig.stop();
    rig.run(1000);
    assert!(rig.stopped);
}

#[test]
fn nothing_is_left_of_the_work_of_one_that_was_killed() {
    let mut rig = backend("1000", 1, &["refuse,from=100ms,for=100ms"]);
    let _killed = [rig.client(GET), rig.client(GET), rig.client(GET)];
    rig.run(250);
    let mut back = [rig.client(GET)];
    assert_eq!(times(&fates(&mut rig, &mut back, 2000)), [1001]);
}
