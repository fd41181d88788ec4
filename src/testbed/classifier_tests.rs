//! A simulated classifier in virtual time: when its answers come, to the tick. Floor 3.

use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::net::{Stream, VirtualNet, VirtualStream, Weather};
use crate::server::rig::{Rig, received, sip};

/// From end to end of a calm link.
const LINK: Duration = Duration::from_micros(50);

fn classifier(options: ClassifierOptions) -> Rig<Classifications> {
    classifier_in(Weather::CALM, options)
}

fn classifier_in(weather: Weather, options: ClassifierOptions) -> Rig<Classifications> {
    Rig::new(weather, |listener, control| SimulatedClassifier::<VirtualNet>::new(options, listener, control))
}

/// As a real server that works on `concurrency` requests at once, 10 ms each.
fn limited(concurrency: usize) -> ClassifierOptions {
    ClassifierOptions {
        concurrency: NonZeroUsize::new(concurrency),
        service_time: "affine:10,0".parse().unwrap(),
        ..ClassifierOptions::default()
    }
}

fn classify(sequences: &[&str]) -> Vec<u8> {
    let body = json!({ "sequences": sequences }).to_string();
    let head = format!("POST /classify HTTP/1.1\r\nHost: c\r\nContent-Length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

/// Runs until so many answers have been sent; returns how long that took.
fn until_answered(rig: &mut Rig<Classifications>, answers: u64) -> Duration {
    let start = rig.fabric.now();
    rig.run_until(3_600_000, |rig| rig.answered() >= answers);
    assert_eq!(rig.answered(), answers);
    rig.fabric.now() - start
}

/// Not early, and not a tick late.
fn on_time(took: Duration, expected: Duration) {
    assert!(
        took >= expected && took - expected < Duration::from_nanos(1 << TICK_SHIFT),
        "{took:?}, {expected:?}"
    );
}

#[test]
fn a_request_takes_the_square_of_its_longest_sequence() {
    let mut rig = classifier(ClassifierOptions::default());
    let mut client = rig.client(&classify(&["a", &"é".repeat(116), "class"]));
    let took = until_answered(&mut rig, 1);
    on_time(took, LINK + Duration::from_micros(116 * 116));
    rig.run(1);
    let (text, end) = received(&mut client);
    assert!(
        text.ends_with("\r\n\r\n{\"results\":[\"not code\",\"not code\",\"not code\"]}") && !end,
        "{text}"
    );
    client.write_all(&classify(&[""])).unwrap();
    assert_eq!(until_answered(&mut rig, 2), LINK, "no time at all needs no timer");
    assert_eq!(rig.reactor.timers(), 0);
}

#[test]
fn the_time_starts_when_the_request_has_been_read_whole() {
    let request = classify(&[&"x".repeat(100)]);
    for cut in [5, request.len() - 110, request.len() - 1] {
        let mut rig = classifier(ClassifierOptions::default());
        let mut client = rig.client(&request[..cut]);
        rig.run(30_000);
        client.write_all(&request[cut..]).unwrap();
        on_time(until_answered(&mut rig, 1), LINK + Duration::from_millis(10));
        rig.run(1);
        assert!(received(&mut client).0.ends_with("{\"results\":[\"not code\"]}"));
        assert_eq!(rig.server.held().1, 0);
        rig.run(300_000);
        assert_eq!(received(&mut client), (String::new(), false), "who has sent a whole request may rest");
    }
}

#[test]
fn any_number_sleep_at_once_without_a_bound() {
    let mut rig = classifier(ClassifierOptions::default());
    let text = "y".repeat(500);
    let _clients: Vec<_> = (0..500).map(|_| rig.client(&classify(&[&text]))).collect();
    let first_sent = rig.fabric.now();
    rig.run(240);
    assert_eq!(rig.reactor.timers() as u64 + rig.answered(), 500);
    until_answered(&mut rig, 500);
    assert!(rig.fabric.now() - first_sent < Duration::from_millis(260), "they waited for each other");
}

/// When each client's answer came, of clients that ask at the same time.
fn answer_times(rig: &mut Rig<Classifications>, clients: &mut [VirtualStream]) -> Vec<u64> {
    let asked = rig.fabric.now();
    clients.iter_mut().for_each(|client| client.write_all(&classify(&["a"])).unwrap());
    let mut times = vec![None; clients.len()];
    while times.contains(&None) {
        rig.run(1);
        for (time, client) in times.iter_mut().zip(&mut *clients) {
            if !received(client).0.is_empty() {
                *time = Some((rig.fabric.now() - asked).as_millis() as u64);
            }
        }
        assert!(rig.fabric.now() - asked < Duration::from_secs(10), "{times:?}");
    }
    times.into_iter().flatten().collect()
}

#[test]
fn beyond_the_concurrency_requests_wait_in_order() {
    let mut rig = classifier(limited(2));
    let mut clients: Vec<_> = (0..5).map(|_| rig.client(b"")).collect();
    // The answer is on its way in the eleventh millisecond.
    assert_eq!(answer_times(&mut rig, &mut clients), [11, 11, 21, 21, 31]);
    assert_eq!(answer_times(&mut rig, &mut clients), [11, 11, 21, 21, 31]);
}

#[test]
fn what_is_refused_takes_no_time_and_nobodys_place() {
    let mut rig = classifier(limited(1));
    let mut busy = rig.client(&classify(&["a"]));
    let mut refused = rig.client(&classify(&[]));
    let mut docs = rig.client(b"GET /docs HTTP/1.1\r\nHost: c\r\n\r\n");
    rig.run(1);
    assert!(received(&mut refused).0.starts_with("HTTP/1.1 400 "));
    assert!(received(&mut docs).0.starts_with("HTTP/1.1 200 "));
    refused.write_all(&classify(&["b"])).unwrap();
    rig.run(10);
    assert!(received(&mut busy).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(received(&mut refused).0, "");
    rig.run(10);
    assert!(received(&mut refused).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_work_for_a_client_that_has_left_is_done_all_the_same() {
    let mut rig = classifier(limited(1));
    let leaver = rig.client(&classify(&["a"]));
    rig.run(1);
    leaver.reset_on_close();
    drop(leaver);
    rig.run(1);
    assert_eq!((rig.reactor.timers(), rig.server.held().0), (0, 0));
    let mut next = rig.client(&classify(&["b"]));
    rig.run(10);
    assert_eq!(received(&mut next).0, "", "it found the place free");
    rig.run(8);
    assert!(received(&mut next).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.answered(), 1);
}

#[test]
fn a_client_that_leaves_in_mid_body_leaves_nothing_behind() {
    let mut rig = classifier(ClassifierOptions::default());
    for reset in [true, false] {
        let request = classify(&["some text"]);
        let leaver = rig.client(&request[..request.len() - 5]);
        rig.run(1);
        assert_eq!(rig.server.held().1, 1);
        if reset {
            leaver.reset_on_close();
        }
        drop(leaver);
        rig.run(1);
        let left = (rig.server.held().0, rig.reactor.timers(), rig.server.held().1);
        assert_eq!(left, (0, 0, 0), "reset: {reset}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_one_after_the_other() {
    let mut rig = classifier(ClassifierOptions::default());
    let texts = ["a;".to_owned(), "b".repeat(200), "c;".to_owned()];
    let all: Vec<u8> = texts.iter().flat_map(|text| classify(&[text])).collect();
    let mut client = rig.client(&all);
    on_time(until_answered(&mut rig, 2), LINK + Duration::from_micros(4 + 200 * 200 + 66));
    rig.run(1);
    let (text, _) = received(&mut client);
    let labels: Vec<_> =
        text.split("\"results\":").skip(1).map(|part| &part[..part.find('}').unwrap()]).collect();
    assert_eq!(labels, ["[\"code\"]", "[\"not code\"]", "[\"code\"]"]);
}

#[test]
fn a_body_beyond_a_mebibyte_is_refused_before_it_is_kept() {
    let announced =
        format!("POST /classify HTTP/1.1\r\nHost: c\r\nContent-Length: {}\r\n\r\n", (1 << 20) + 1);
    let chunked = b"POST /classify HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n";
    let endless = [&chunked[..], &vec![b'x'; 1 << 20], b"x"].concat();
    for request in [announced.as_bytes(), &endless] {
        let wide = Weather { capacity: 4 << 20, ..Weather::CALM };
        let mut rig = classifier_in(wide, ClassifierOptions::default());
        let mut client = rig.client(request);
        let (text, end) = sip(&mut rig, &mut client, 100);
        assert!(text.starts_with("HTTP/1.1 413 Content Too Large\r\n") && end, "{text}");
        assert!(text.ends_with("at most 1048576 bytes here\n"), "{text}");
        drop(client);
        rig.run(2_000);
        assert_eq!((rig.server.held().0, rig.server.held().1, rig.reactor.timers()), (0, 0, 0));
    }
}

#[test]
fn a_body_that_nobody_wants_may_be_of_any_size() {
    let mut rig = classifier(ClassifierOptions::default());
    let mut client = rig.client(b"PUT /docs HTTP/1.1\r\nHost: c\r\nContent-Length: 3000000\r\n\r\n");
    for _ in 0..300 {
        client.write_all(&[b'x'; 10_000]).unwrap();
        rig.run(1);
        assert_eq!(rig.server.held().1, 0);
    }
    let (text, end) = received(&mut client);
    assert!(text.starts_with("HTTP/1.1 405 ") && text.contains("\r\nAllow: GET, HEAD\r\n") && !end, "{text}");
}

#[test]
fn a_stop_answers_what_waits_and_then_ends() {
    let mut rig = classifier(limited(1));
    let mut clients = [0; 3].map(|_| rig.client(&classify(&["a"])));
    let mut resting = rig.client(b"");
    rig.run(1);
    rig.stop();
    rig.run(15);
    assert!(received(&mut resting).1 && !rig.stopped, "who rests is closed, who waits is not");
    rig.run(100);
    for client in &mut clients {
        let (text, end) = received(client);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("Connection: close\r\n") && end, "{text}");
    }
    assert!(rig.stopped && !rig.server.forced());
    assert_eq!(rig.reactor.timers(), 1, "the limit of stopping alone");
}

#[test]
fn who_has_closed_its_sending_side_is_answered_still() {
    let mut rig = classifier(limited(1));
    let mut client = rig.client(&classify(&["a"]));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (text, end) = sip(&mut rig, &mut client, 100);
    assert!(text.starts_with("HTTP/1.1 200 ") && end, "{text}");
    assert_eq!(rig.server.held().0, 0);
}

#[test]
fn rough_weather_changes_no_answer() {
    let rough =
        Weather { short_writes: 0.5, split_segments: 0.5, spurious: 0.3, capacity: 300, ..Weather::CALM };
    let mut rig = classifier_in(rough, ClassifierOptions::default());
    let mut client = rig.client(b"");
    for round in 0..200_usize {
        let texts: Vec<_> =
            (0..1 + round % 5).map(|i| ["x;".repeat(i), "y".repeat(round % 90)].concat()).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let request = classify(&texts);
        let mut sent = 0;
        let mut text = String::new();
        let start = rig.fabric.now();
        while !text.ends_with("]}") {
            sent += client.write(&request[sent..]).unwrap_or(0);
            rig.run(1);
            text.push_str(&received(&mut client).0);
            assert!(rig.fabric.now() - start < Duration::from_secs(10), "round {round}: {text}");
        }
        let labels: Vec<_> =
            texts.iter().map(|t| if t.contains(';') { "code" } else { "not code" }).collect();
        assert!(text.ends_with(&json!({ "results": labels }).to_string()), "round {round}: {text}");
    }
}
