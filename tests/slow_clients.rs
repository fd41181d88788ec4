//! The promise: a client that sends a byte now and then holds no place for long, and one that waits for a backend is not slow.

mod support;

use std::time::Duration;

use support::rig::{Peer, Rig, options};
use support::{Client, Origin, Proxy};
use tidegate::net::Weather;
use tidegate::proxy::{Limits, Options};

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn upload(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n")
}

/// Says so many bytes a second until it has an answer, for at most so many seconds; returns how many those were.
fn trickles(rig: &mut Rig, client: &mut Peer, bytes: usize, most: u32) -> u32 {
    for second in 0..most {
        if client.has_heard("HTTP/1.1") {
            return second;
        }
        client.say_some(vec![b'x'; bytes]);
        rig.pass_ms(1000);
    }
    most
}

#[test]
fn a_body_that_is_slower_than_the_least_rate_is_408_too_slow_and_its_connection_closes() {
    let mut rig = Rig::new(options(1));
    let mut client = rig.client();
    rig.says(&mut client, upload(100_000));
    assert_eq!(trickles(&mut rig, &mut client, 1, 100), 11, "ten seconds, and a hundredth for each byte");
    assert!(client.has_heard("408 Request Timeout"), "{}", client.text());
    assert!(client.has_heard("X-Tidegate-Reason: too-slow"), "{}", client.text());
    assert!(client.has_heard("Connection: close"), "{}", client.text());
    assert_eq!(rig.statuses(), [408]);
    assert!(!rig.records[0].failed, "it is not the backend's fault");
}

#[test]
fn a_body_at_the_least_rate_may_go_on_for_long_and_any_does_where_that_is_off() {
    for (min_data_rate, bytes) in [(100, 110), (0, 1)] {
        let mut rig = Rig::new(Options { min_data_rate, ..options(1) });
        let mut client = rig.client();
        rig.says(&mut client, upload(300 * bytes));
        let mut backend = rig.backend(0);
        for _ in 0..299 {
            assert_eq!(trickles(&mut rig, &mut client, bytes, 1), 1, "{}", client.text());
            backend.listen();
        }
        rig.says(&mut client, vec![b'x'; bytes]);
        rig.says(&mut backend, HELLO);
        assert_eq!(rig.statuses(), [200]);
    }
}

#[test]
fn what_was_sent_fast_is_no_credit_for_minutes() {
    let mut rig = Rig::new(options(1));
    let mut client = rig.client();
    rig.says(&mut client, upload(10_000_000));
    let mut backend = rig.backend(0);
    for _ in 0..100 {
        rig.says(&mut client, vec![b'x'; 50_000]);
        backend.listen();
    }
    let seconds = trickles(&mut rig, &mut client, 1, 100);
    assert!((29..=32).contains(&seconds), "{seconds} s: the body timeout");
}

#[test]
fn a_pause_of_the_backend_does_not_make_a_client_slow() {
    let narrow = Weather { capacity: 1_000, ..Weather::CALM };
    let mut rig = Rig::in_weather(options(1), narrow);
    let mut client = rig.client();
    rig.says(&mut client, upload(40_000));
    let mut backend = rig.backend(0);
    let mut sent = 0;
    while sent < 40_000 {
        // Every 20 seconds it takes something; the way to it is full again afterwards.
        for step in 0..30 {
            if step < 20 {
                backend.listen();
            }
            sent += client.say_some(&[b'x'; 900][..900.min(40_000 - sent)]);
            rig.pass_ms(1);
        }
        rig.pass(Duration::from_secs(if sent < 40_000 { 20 } else { 0 }));
        assert!(!client.is_left(), "{}", client.text());
    }
    backend.listen();
    rig.pass_ms(1);
    rig.says(&mut backend, HELLO);
    assert!(client.has_heard("hello"), "{}", client.text());
}

#[test]
fn a_newcomer_gets_the_place_of_the_slowest() {
    let limits = Limits { connections: 50, ..Limits::default() };
    for slow in ["body", "head", "reader"] {
        let weather = Weather { capacity: 2_000, ..Weather::CALM };
        let mut rig = Rig::in_weather(Options { limits: limits.clone(), ..options(1) }, weather);
        let mut crowd: Vec<Peer> = Vec::new();
        let mut backends: Vec<Peer> = Vec::new();
        for _ in 0..50 {
            let mut client = rig.client();
            match slow {
                "body" => rig.says(&mut client, upload(100_000)),
                "head" => rig.says(&mut client, "GET / HTTP/1.1\r\nX: "),
                _ => rig.says(&mut client, GET),
            }
            if slow != "head" {
                backends.push(rig.backend(0));
            }
            crowd.push(client);
        }
        if slow == "reader" {
            for backend in &mut backends {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{}", "y".repeat(1_900));
                backend.say_some(answer);
                rig.pass_ms(1);
                backend.say_some("y".repeat(1_900));
            }
            rig.pass_ms(1);
        }
        let mut newcomer = rig.client();
        newcomer.say_some(GET);
        let mut waited = 0;
        while rig.proxy.counters().clients_evicted == 0 && waited < 20_000 {
            if slow != "reader" && waited % 1_000 == 0 {
                for client in &mut crowd {
                    client.say_some("x");
                }
            }
            rig.pass_ms(100);
            waited += 100;
        }
        assert!((2_000..4_000).contains(&waited), "{slow}: {waited} ms");
        if slow == "head" || slow == "body" {
            rig.pass_ms(5);
            assert!(crowd.iter_mut().any(|client| client.has_heard("408")), "{slow}");
        }
        rig.backend(0).say_some(HELLO);
        rig.pass_ms(5);
        assert!(newcomer.has_heard("hello"), "{slow}: {}", newcomer.text());
    }
}

#[test]
fn who_sends_fast_enough_keeps_its_place() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let mut rig = Rig::new(Options { limits, ..options(1) });
    let mut client = rig.client();
    rig.says(&mut client, upload(1_000_000));
    let mut backend = rig.backend(0);
    let mut newcomer = rig.client();
    newcomer.say_some(GET);
    for _ in 0..60 {
        assert_eq!(trickles(&mut rig, &mut client, 200, 1), 1);
        backend.listen();
    }
    assert!(!client.is_left() && !newcomer.has_heard("HTTP"));
}

#[test]
fn empty_lines_prolong_no_wait() {
    for line in [vec!["\r\n"], vec!["\r", "\n"]] {
        let mut rig = Rig::new(options(1));
        let mut client = rig.client();
        let mut waited = 0;
        while !client.is_left() && waited < 1_000 {
            line.iter().for_each(|part| rig.says(&mut client, part));
            rig.pass(Duration::from_secs(5));
            waited += 5;
        }
        assert!(waited <= 80, "{line:?}: {waited} s");
    }
}

#[test]
fn a_trickling_body_is_too_slow_over_sockets_forwarded_or_batched() {
    let origin = Origin::answering(HELLO);
    // The time that any rate may have is no longer than that of a body that stands still.
    let options = ["--body-timeout=500ms", "--min-data-rate=1000"];
    for (proxy, path) in [
        (Proxy::start(&[&origin.url()], &options), "/"),
        (Proxy::start_batching(&origin.url(), &options), "/proxy_classify"),
    ] {
        let mut client = Client::connect(proxy.address);
        client.send(format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 10000\r\n\r\n"));
        let quiet = Duration::from_millis(50);
        let drops = (0..200).take_while(|_| client.hears_nothing_for(quiet) && client.try_send("x"));
        assert!(drops.count() < 100, "{path}");
        let response = client.response();
        assert_eq!((response.status, response.reason()), (408, Some("too-slow")), "{path}");
        assert!(client.is_closed(), "{path}");
    }
}
