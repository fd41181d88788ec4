//! The promise: whoever is answered before all of its request has come can read the answer, as long as it goes on sending; and
//! takes no place from others meanwhile.

mod support;

use std::time::Duration;

use support::rig::{Peer, Rig, options};
use support::{Client, Origin, Proxy};
use tidegate::net::Weather;
use tidegate::proxy::{Limits, Options};

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const UPLOAD: &str = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 12000000\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends a piece every half second, for so many halves, and reads nothing. Returns how many bytes were taken.
fn goes_on_sending(rig: &mut Rig, client: &mut Peer, halves: u32) -> usize {
    let mut taken = 0;
    for _ in 0..halves {
        taken += client.say_some([b'x'; 1000]);
        rig.pass_ms(500);
    }
    taken
}

#[test]
fn a_client_that_goes_on_sending_can_read_an_early_answer_whoever_gave_it() {
    let limited = Limits {
        request: tidegate::h1::request::RequestLimits { body_bytes: 10, ..Default::default() },
        ..Limits::default()
    };
    for (status, options) in [
        ("413 Content Too Large", options(1)),
        ("413 Content Too Large", Options { limits: limited, ..options(1) }),
        ("503 Service Unavailable", options(0)),
        ("504 Gateway Timeout", options(1)),
    ] {
        let by_backend = options.limits.request.body_bytes > 10 && status.starts_with("413");
        let late = Options { upstream_timeout: seconds(1), body_timeout: seconds(30), ..options };
        let mut rig = Rig::in_weather(late, Weather { capacity: 5_000, ..Weather::CALM });
        let mut client = rig.client();
        rig.says(&mut client, UPLOAD);
        if by_backend {
            let mut backend = rig.backend(0);
            rig.says(&mut backend, REFUSED);
        } else if status.starts_with("504") {
            // It never reads.
            goes_on_sending(&mut rig, &mut client, 80);
        }
        assert_eq!(goes_on_sending(&mut rig, &mut client, 24), 24_000, "{status}: it was heard out");
        assert!(client.has_heard(status), "{status}: {}", client.text());
        assert_eq!(client.ended, Some(Ok(())), "{status}");
    }
}

#[test]
fn a_client_is_heard_out_for_two_seconds_of_silence_and_for_the_body_timeout_in_all() {
    for (is_silent, least, most) in [(true, 1_900, 2_100), (false, 29_900, 30_100)] {
        let mut rig = Rig::new(options(0));
        let mut client = rig.client();
        rig.says(&mut client, UPLOAD);
        assert!(client.has_heard("503"));
        let mut waited = 0;
        while rig.proxy.sockets() > 0 && waited < 60_000 {
            if !is_silent {
                client.say_some("x");
            }
            rig.pass_ms(100);
            waited += 100;
        }
        assert!((least..=most).contains(&waited), "{waited} ms");
    }
}

#[test]
fn who_is_heard_out_is_the_first_to_give_way() {
    let mut rig = Rig::new(Options { limits: Limits { connections: 2, ..Limits::default() }, ..options(1) });
    let mut first = rig.client();
    rig.says(&mut first, "POST / HTTP/1.1\r\nbad\r\n\r\n");
    assert!(first.has_heard("400 Bad Request"));
    let mut second = rig.client();
    rig.says(&mut second, "POST / HTTP/1.1\r\nbad\r\n\r\n");
    assert_eq!(rig.proxy.sockets(), 2);
    let mut newcomers: Vec<Peer> = Vec::new();
    for _ in 0..2 {
        let mut newcomer = rig.client();
        rig.says(&mut newcomer, GET);
        let mut backend = rig.backend(0);
        rig.says(&mut backend, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        assert!(newcomer.has_heard("hello"), "{}", newcomer.text());
        newcomers.push(newcomer);
    }
    assert_eq!(rig.proxy.sockets(), 2);
}

/// A client that has not read a first answer, which fills its connection, when a second one comes to the head of an upload
/// of so many bytes. Returns it with the last words that it is to hear.
fn unread(rig: &mut Rig, length: usize) -> (Peer, &'static str) {
    let mut client = rig.client();
    rig.says(&mut client, GET);
    let mut backend = rig.backend(0);
    let body = "y".repeat(1_800);
    rig.says(&mut backend, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    rig.says(&mut client, format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"));
    let word = "z".repeat(500);
    rig.says(&mut backend, format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: 504\r\n\r\n{word}last"));
    (client, "last")
}

fn narrow() -> Weather {
    Weather { capacity: 2_000, ..Weather::CALM }
}

#[test]
fn a_client_that_sends_all_before_it_reads_gets_the_last_word() {
    let mut rig = Rig::in_weather(options(1), narrow());
    let (mut client, last) = unread(&mut rig, 50_000);
    let mut sent = 0;
    for _ in 0..1_000 {
        sent += client.say_some(&[b'x'; 500][..500.min(50_000 - sent)]);
        rig.pass_ms(1);
    }
    assert_eq!(sent, 50_000, "all that it has to send was taken");
    for _ in 0..10 {
        client.listen();
        rig.pass_ms(1);
    }
    assert!(client.text().ends_with(last), "{:?}", client.ended);
    assert!(client.is_left() && client.ended == Some(Ok(())), "{:?}", client.ended);
}

#[test]
fn who_ends_its_side_gets_all_of_the_last_word_that_waits_for_it() {
    let mut rig = Rig::in_weather(options(1), narrow());
    let (mut client, last) = unread(&mut rig, 100);
    client.end();
    for _ in 0..10 {
        rig.pass_ms(1);
        client.listen();
    }
    assert!(client.text().ends_with(last), "{:?}", client.ended);
    assert_eq!((client.ended, rig.proxy.sockets()), (Some(Ok(())), 0));
}

#[test]
fn a_stop_waits_two_seconds_at_most_for_who_is_heard_out() {
    let mut rig = Rig::new(options(0));
    let mut client = rig.client();
    rig.says(&mut client, UPLOAD);
    goes_on_sending(&mut rig, &mut client, 8);
    rig.stop();
    goes_on_sending(&mut rig, &mut client, 5);
    assert!(rig.stopped);
}

#[test]
fn a_slow_upload_that_is_too_large_ends_with_413_over_sockets() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::start(&[&origin.url()], &["--max-body-bytes=1000"]);
    let (mut client, mut pace) = (Client::connect(proxy.address), Client::connect(proxy.address));
    client.send(UPLOAD);
    // For longer than the silence that a client is allowed.
    for piece in 0..24 {
        assert!(client.try_send(vec![b'x'; 20_000]), "piece {piece}");
        assert!(pace.hears_nothing_for(Duration::from_millis(100)));
    }
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
}
