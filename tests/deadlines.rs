//! The promise: each wait has an end, whatever the peer says now and then; and who is blamed for it. In virtual time.

mod support;

use std::time::Duration;

use support::rig::{Peer, Rig, options};
use tidegate::balance::{Availability, HealthOptions, RoutingMode};
use tidegate::net::Weather;
use tidegate::proxy::{CheckOptions, Options};

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One failure is enough to be ejected.
fn touchy() -> Options {
    let health =
        HealthOptions { eject_after: 1, eject_for: seconds(3600), eject_share: 1.0, ..HealthOptions::OFF };
    Options { health, ..options(1) }
}

fn is_ejected(rig: &Rig) -> bool {
    rig.proxy.standing().any(|(availability, _)| availability == Availability::Ejected)
}

#[test]
fn a_stream_that_is_silent_after_its_head_goes_on_for_minutes() {
    let mut rig = Rig::new(touchy());
    let mut client = rig.client();
    rig.says(&mut client, GET);
    let mut backend = rig.backend(0);
    rig.says(&mut backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    for event in ["a", "b", "c"] {
        rig.pass(seconds(290));
        rig.says(&mut backend, format!("1\r\n{event}\r\n"));
        assert!(client.has_heard(&format!("1\r\n{event}\r\n")), "{}", client.text());
    }
    rig.says(&mut backend, "0\r\n\r\n");
    assert_eq!(rig.statuses(), [200]);
}

#[test]
fn the_end_of_a_silent_stream_is_seen_by_its_client_and_blames_nobody() {
    // Chunks without the last one; of HTTP/1.0, whose body the end of the connection ends, a reset.
    for (version, is_in_order) in [("1.1", true), ("1.0", false)] {
        let mut rig = Rig::new(Options { routing: RoutingMode::AdaptiveEwma, ..touchy() });
        let mut client = rig.client();
        rig.says(&mut client, format!("GET / HTTP/{version}\r\nHost: t\r\n\r\n"));
        let mut backend = rig.backend(0);
        rig.says(&mut backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        rig.pass(seconds(299));
        assert!(client.has_heard("first") && client.ended.is_none(), "{:?}", client.ended);
        rig.pass(seconds(2));
        assert!(client.is_left());
        assert_eq!(client.ended.map(|end| end.is_ok()), Some(is_in_order));
        assert!(!client.has_heard("0\r\n\r\n"));
        assert_eq!(rig.statuses(), [200], "the status that the client has seen");
        assert!(!rig.records[0].failed && !is_ejected(&rig));
        // What was never measured stays so.
        assert_eq!(rig.records[0].averages, tidegate::record::Averages::UNMEASURED);
    }
}

#[test]
fn lines_of_chunks_in_drops_are_no_progress_of_a_stream() {
    let mut rig = Rig::new(touchy());
    let mut client = rig.client();
    rig.says(&mut client, GET);
    let mut backend = rig.backend(0);
    rig.says(&mut backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n5;");
    let mut drops = 0;
    while !client.is_left() && drops < 20 {
        rig.pass(seconds(60));
        backend.say_some("x");
        drops += 1;
    }
    assert_eq!(drops, 5, "five minutes after the last byte of the body");
}

/// What a connection holds in [`narrow`] weather.
const NARROW: usize = 1000;

fn narrow() -> Weather {
    Weather { capacity: NARROW, ..Weather::CALM }
}

/// A backend that reads nothing of an upload of `length` bytes until it has all stopped on the way. Returns its connection,
/// the client and how much that has sent.
fn stalled_upload(rig: &mut Rig, length: usize) -> (Peer, Peer, usize) {
    let mut client = rig.client();
    rig.says(&mut client, format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"));
    let backend = rig.backend(0);
    let sent = send(rig, &mut client, length);
    assert!(sent < length, "the way holds it all");
    (client, backend, sent)
}

/// Sends until nothing more is taken; returns how much was.
fn send(rig: &mut Rig, client: &mut Peer, most: usize) -> usize {
    let block = [b'x'; 256];
    let mut sent = 0;
    while sent < most {
        match client.say_some(&block[..block.len().min(most - sent)]) {
            0 => break,
            n => sent += n,
        }
        rig.pass_ms(1);
    }
    sent
}

#[test]
fn a_backend_may_pause_while_it_takes_an_upload() {
    let mut rig = Rig::in_weather(touchy(), narrow());
    let length = 10 * NARROW;
    let (mut client, mut backend, mut sent) = stalled_upload(&mut rig, length);
    rig.pass(seconds(25));
    while sent < length && !client.is_left() {
        backend.listen();
        rig.pass_ms(1);
        sent += send(&mut rig, &mut client, length - sent);
    }
    // When the body has been sent, the wait for the head begins.
    rig.pass(seconds(9));
    backend.listen();
    rig.pass(seconds(9));
    assert!(!client.has_heard("HTTP"), "{}", client.text());
    rig.says(&mut backend, HELLO);
    assert!(client.has_heard("hello"), "{}", client.text());
    assert_eq!(rig.statuses(), [200]);
}

#[test]
fn a_backend_that_takes_no_more_of_an_upload_fails_after_the_body_timeout_whatever_it_says_meanwhile() {
    let mut rig = Rig::in_weather(touchy(), narrow());
    let (mut client, mut backend, _) = stalled_upload(&mut rig, 10 * NARROW);
    let mut waited = 0;
    while !client.has_heard("504 Gateway Timeout") && waited < 100 {
        backend.say_some(PROCESSING);
        rig.pass(seconds(1));
        waited += 1;
    }
    assert!(client.has_heard("X-Tidegate-Reason: upstream-timeout"), "{}", client.text());
    assert!((29..=31).contains(&waited), "{waited} s");
    assert_eq!(rig.statuses(), [504]);
    assert!(is_ejected(&rig), "a server that reads nothing for so long does not work");
}

#[test]
fn interim_answers_prolong_the_wait_for_the_final_one_to_three_times_at_most() {
    for upload in [false, true] {
        let mut rig = Rig::new(touchy());
        let mut client = rig.client();
        match upload {
            false => rig.says(&mut client, GET),
            true => rig.says(&mut client, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"),
        }
        let mut backend = rig.backend(0);
        if upload {
            // What comes before the end of the request does not count.
            for _ in 0..8 {
                rig.pass(seconds(1));
                rig.says(&mut backend, PROCESSING);
                rig.says(&mut client, "x");
            }
            rig.says(&mut client, "xx");
        }
        let mut waited = 0;
        while !client.has_heard("504") && waited < 100_000 {
            rig.pass_ms(200);
            backend.say_some(PROCESSING);
            waited += 200;
        }
        assert!((29_000..=31_000).contains(&waited), "{waited} ms, upload {upload}");
        assert_eq!(rig.statuses(), [504]);
        assert!(is_ejected(&rig));
    }
}

#[test]
fn an_answer_after_many_interim_ones_is_in_time() {
    let mut rig = Rig::new(touchy());
    let mut client = rig.client();
    rig.says(&mut client, GET);
    let mut backend = rig.backend(0);
    for _ in 0..3 {
        rig.pass(seconds(9));
        rig.says(&mut backend, PROCESSING);
    }
    rig.says(&mut backend, HELLO);
    assert!(client.has_heard("hello"), "{}", client.text());
    assert_eq!(rig.statuses(), [200]);
}

#[test]
fn interim_answers_without_number_are_malformed() {
    let mut rig = Rig::new(touchy());
    let mut client = rig.client();
    rig.says(&mut client, GET);
    let mut backend = rig.backend(0);
    for _ in 0..1_100 {
        backend.say_some(PROCESSING);
        rig.pass_ms(1);
    }
    assert!(client.has_heard("X-Tidegate-Reason: upstream-malformed"), "{}", client.text());
    assert_eq!(rig.statuses(), [502]);
}

#[test]
fn a_client_that_expects_100_may_wait_for_it_and_is_not_put_on_the_clock_by_another_interim_answer() {
    let mut rig = Rig::new(touchy());
    let mut client = rig.client();
    let head = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    rig.says(&mut client, head);
    let mut backend = rig.backend(0);
    let mut waited = 0;
    while !client.has_heard("504") && waited < 100 {
        rig.pass(seconds(5));
        backend.say_some(PROCESSING);
        waited += 5;
    }
    assert_eq!(waited, 30, "it is the backend that leaves the client waiting");
    assert_eq!(rig.statuses(), [504]);
}

#[test]
fn a_client_that_takes_nothing_of_a_response_gains_no_time_by_sending() {
    let mut rig = Rig::in_weather(options(1), narrow());
    let mut client = rig.client();
    rig.says(&mut client, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n");
    let mut backend = rig.backend(0);
    rig.says(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    let mut waited = 0;
    while rig.proxy.in_flight() > 0 && waited < 100 {
        send(&mut rig, &mut backend, 2 * NARROW);
        client.say_some("x");
        rig.pass(seconds(5));
        waited += 5;
    }
    assert_eq!(waited, 30);
    assert_eq!(rig.statuses(), [499]);
}

#[test]
fn a_check_is_over_after_so_many_bytes_of_interim_answers() {
    let checks =
        CheckOptions { path: "/".to_owned(), interval: seconds(60), timeout: seconds(59), rise: 1, fall: 1 };
    for (interim_ones, is_up) in [(300, true), (400, false)] {
        let mut rig = Rig::new(Options { checks: Some(checks.clone()), ..options(1) });
        let mut backend = rig.backend(0);
        let mut answer = PROCESSING.repeat(interim_ones);
        answer.push_str("HTTP/1.1 200 OK\r\n\r\n");
        rig.says(&mut backend, answer);
        let availability = rig.proxy.standing().next().map(|(availability, _)| availability);
        assert_eq!(availability == Some(Availability::Usable), is_up, "{interim_ones}: {availability:?}");
    }
}
