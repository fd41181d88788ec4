//! A generator in virtual time: what it sends and when, what it counts, and that nothing is lost on bad links.
//!
//! Not here: real sockets (`tests/load.rs`). Floor 3.

mod customers;
mod open_loop;
mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use rig::{ADDRESS, Reaction, Rig, Script, Then, answer};

use crate::load::{AtEnd, Failure, Pace, Plan, RequestId, Sample, Workload};
use crate::net::Weather;
use crate::time::Instant;

const CALM: Weather = Weather::CALM;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Plain requests, each sample kept with the body of its answer.
#[derive(Default)]
struct Watched {
    to_head: bool,
    /// This many bytes more of body.
    padding: usize,
    samples: Vec<(Sample, String)>,
}

impl Workload for Watched {
    const KEEPS_BODIES: bool = true;

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        let method = if self.to_head { "HEAD" } else { "POST" };
        let body = request.index.to_string() + &" ".repeat(self.padding);
        let head = format!("{method} /{} HTTP/1.1\r\nHost: h\r\nContent-Length: ", request.source);
        out.extend_from_slice(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
        self.to_head
    }

    fn finished(&mut self, sample: &Sample, body: &[u8]) {
        self.samples.push((*sample, String::from_utf8_lossy(body).into_owned()));
    }
}

fn closed(users: usize, pause: Duration) -> Plan {
    Plan {
        address: ADDRESS,
        sources: vec![Pace::Closed { users, pause }],
        timeout: Duration::from_secs(10),
        duration: Duration::from_secs(1),
        at_end: AtEnd::Drain,
    }
}

/// The body of a request.
fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

fn echo(after: Duration) -> Script {
    Box::new(move |_, _, request| answer(after, body(request)))
}

fn run(plan: Plan, script: Script) -> (crate::load::Tally, Watched) {
    let (tally, watched, _) = Rig::new(7, CALM, plan, Watched::default(), script).run();
    (tally, watched)
}

#[test]
fn each_user_sends_when_its_last_request_is_answered() {
    let (tally, watched) = run(closed(3, Duration::ZERO), echo(ms(10)));
    // 10 ms of service rounded up to the server's tick, 50 us there and 50 us back.
    let each = watched.samples[30].0.raw();
    assert!(each >= Duration::from_micros(10_100) && each < Duration::from_micros(10_140), "{each:?}");
    let expected = 3 * (1_000_000 / each.as_micros() as u64);
    assert!(tally.answered().abs_diff(expected) <= 6, "{} of {expected}", tally.answered());
    assert_eq!((tally.connections, tally.failures(), tally.cut), (3, 0, 0));
    // A connection takes 50 us there and back, which is no part of the latency.
    let first = &watched.samples[0].0;
    assert!(first.sent - first.due >= Duration::from_micros(100) && first.raw() <= each * 101 / 100);
    for (sample, body) in &watched.samples {
        assert_eq!(*body, sample.request.index.to_string());
        assert!(sample.due <= sample.sent && sample.sent < sample.ended);
    }
}

#[test]
fn a_pause_follows_each_answer() {
    let (tally, watched) = run(closed(1, ms(90)), echo(ms(10)));
    assert_eq!((tally.answered(), tally.connections), (10, 1));
    for pair in watched.samples.windows(2) {
        let rest = pair[1].0.due - pair[0].0.ended;
        assert!(rest >= ms(90) && rest < Duration::from_micros(90_020), "{rest:?}");
    }
}

#[test]
fn every_failure_has_its_kind() {
    let script: Script = Box::new(|n, _, _| match n {
        0 => Reaction::Send(ms(1), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec(), Then::Close),
        1 => Reaction::Send(ms(1), b"HTTP/1.1 200".to_vec(), Then::Close),
        2 => Reaction::Send(ms(1), Vec::new(), Then::Close),
        3 => Reaction::Send(ms(1), Vec::new(), Then::Reset),
        4 => Reaction::Send(ms(1), b"SMTP ready\r\n".to_vec(), Then::Keep),
        5 => Reaction::Send(ms(1), b"HTTP/1.1 204 No Content\r\n\r\nmore".to_vec(), Then::Keep),
        6 => Reaction::Silence,
        7 => Reaction::Send(ms(1), b"HTTP/1.1 200 OK\r\n\r\nto the end".to_vec(), Then::Close),
        8 => Reaction::Send(ms(1), b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Keep),
        _ => answer(ms(100), ""),
    });
    let plan = Plan { timeout: ms(500), ..closed(1, Duration::ZERO) };
    let (tally, watched) = run(plan, script);
    use Failure::{Closed, Malformed, Reset, ShortBody, Timeout};
    let outcomes: Vec<_> = watched.samples.iter().map(|(sample, _)| sample.outcome).take(10).collect();
    let failed = [ShortBody, Closed, Closed, Reset, Malformed, Malformed, Timeout].map(Err);
    assert_eq!(outcomes, [&failed[..], &[Ok(200), Ok(503), Ok(200)]].concat());
    assert_eq!(watched.samples[7].1, "to the end");
    let waited = watched.samples[6].0.corrected();
    assert!(waited >= ms(500) && waited < ms(501), "{waited:?}");
    assert!(tally.statuses().any(|counted| counted == (503, 1)));
    assert_eq!((tally.failed(Closed), tally.failed(Malformed), tally.failures()), (2, 2, 7));
    assert_eq!(tally.not_successful(), 1);
}

#[test]
fn a_connection_that_the_server_closes_at_rest_is_replaced_without_a_failure() {
    let script: Script = Box::new(|_, _, _| {
        Reaction::Send(ms(10), b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), Then::CloseIdle(ms(20)))
    });
    let (tally, _) = run(closed(1, ms(90)), script);
    assert_eq!((tally.answered(), tally.connections, tally.failures(), tally.cut), (10, 10, 0, 0));
}

/// Large requests to a server that reads only heads.
fn to_a_hasty_server(wire: &'static [u8], then: Then) -> (crate::load::Tally, Watched) {
    let script: Script = Box::new(move |_, _, _| Reaction::Send(ms(50), wire.to_vec(), then));
    let watched = Watched { padding: 10_000, ..Watched::default() };
    let narrow = Weather { capacity: 500, ..CALM };
    let (tally, watched, _) = Rig::new(7, narrow, closed(1, Duration::ZERO), watched, script).early().run();
    (tally, watched)
}

#[test]
fn an_answer_before_the_whole_request_is_sent_counts_and_ends_the_connection() {
    let refused = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    for then in [Then::Keep, Then::Reset] {
        let (tally, _) = to_a_hasty_server(refused, then);
        assert!(
            tally.answered() >= 19 && tally.failures() == 0,
            "{:?}",
            tally.statuses().collect::<Vec<_>>()
        );
        assert_eq!(tally.connections, tally.answered());
    }
}

#[test]
fn a_reset_is_told_as_one_although_a_write_learns_of_it_first() {
    let (tally, _) = to_a_hasty_server(b"HTTP/1.1 41", Then::Reset);
    assert_eq!((tally.answered(), tally.failed(Failure::Reset)), (0, tally.failures()));
    assert!(tally.failures() >= 19);
}

#[test]
fn who_is_refused_rests_and_tries_again() {
    let refusing = Weather { refusals: 1.0, ..CALM };
    let plan = closed(2, Duration::ZERO);
    let mut rig = Rig::new(7, refusing, plan, Watched::default(), echo(ms(1)));
    assert!(!rig.run_until(Instant::ZERO + ms(450)));
    rig.set_weather(CALM);
    let (tally, _, _) = rig.run();
    // At 0, 100, 200, 300 and 400 ms, each user.
    assert_eq!(tally.failed(Failure::Refused), 10);
    assert!(tally.answered() > 700, "{}", tally.answered());
}

#[test]
fn the_answer_to_head_has_no_body() {
    let script: Script = Box::new(|_, _, _| {
        Reaction::Send(ms(50), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(), Then::Keep)
    });
    let watched = Watched { to_head: true, ..Watched::default() };
    let (tally, _, _) = Rig::new(7, CALM, closed(1, Duration::ZERO), watched, script).run();
    assert!(tally.answered() >= 19 && tally.connections == 1 && tally.failures() == 0);
}

#[test]
fn a_cut_leaves_what_is_under_way_and_a_drain_waits_for_it() {
    let cut = Plan { at_end: AtEnd::Cut, ..closed(2, Duration::ZERO) };
    let (tally, _) = run(cut, echo(ms(300)));
    assert_eq!((tally.answered(), tally.cut, tally.failures()), (6, 2, 0));
    assert!(tally.elapsed >= ms(1000) && tally.elapsed < ms(1001));
    let (tally, _) = run(closed(2, Duration::ZERO), echo(ms(300)));
    assert_eq!((tally.answered(), tally.cut), (8, 0));
    assert!(tally.elapsed >= ms(1200) && tally.elapsed < ms(1202));
    assert_eq!((tally.windows.iter().sum::<u64>(), tally.windows.len()), (6, 12));
}

#[test]
fn a_signal_ends_it_with_what_was_measured() {
    let mut rig = Rig::new(7, CALM, closed(2, Duration::ZERO), Watched::default(), echo(ms(100)));
    assert!(!rig.run_until(Instant::ZERO + ms(450)));
    rig.interrupt();
    let (tally, _, _) = rig.run();
    assert_eq!((tally.answered(), tally.cut), (8, 2));
    assert!(tally.elapsed < ms(451));
}

/// Links on which everything goes wrong now and then.
fn storm() -> Weather {
    Weather {
        delay: (Duration::from_micros(10), Duration::from_millis(3)),
        capacity: 40,
        short_writes: 0.3,
        split_segments: 0.3,
        instant_connects: 0.5,
        refusals: 0.05,
        resets: 0.02,
        late_fins: 0.2,
        spurious: 0.2,
        accept_errors: 0.0,
    }
}

#[test]
fn on_bad_links_every_request_ends_exactly_once_with_its_own_answer() {
    let mut failed = BTreeMap::new();
    for seed in 0..60 {
        let script: Script = Box::new(|n, _, request| {
            let wire = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                body(request).len(),
                body(request)
            );
            Reaction::Send(ms(n % 5), wire.into_bytes(), if n % 11 == 0 { Then::Close } else { Then::Keep })
        });
        let mut plan = closed(3, Duration::ZERO);
        plan.sources.push(Pace::Closed { users: 2, pause: ms(3) });
        let (tally, watched, digest) =
            Rig::new(seed, storm(), plan.clone(), Watched::default(), script).run();
        assert_eq!(tally.cut, 0, "seed {seed}");
        for source in 0..2 {
            let of_source = watched.samples.iter().filter(|(sample, _)| sample.request.source == source);
            let mut indices: Vec<_> = of_source.map(|(sample, _)| sample.request.index).collect();
            indices.sort_unstable();
            assert_eq!(indices, (0..indices.len() as u64).collect::<Vec<_>>(), "seed {seed}");
        }
        for (sample, body) in watched.samples.iter().filter(|(sample, _)| sample.outcome.is_ok()) {
            assert_eq!(*body, sample.request.index.to_string(), "seed {seed}");
        }
        for failure in Failure::ALL {
            *failed.entry(failure.name()).or_insert(0) += tally.failed(failure);
        }
        assert!(tally.answered() > 100, "seed {seed}: {} answered", tally.answered());
        assert_ne!(digest, 0);
    }
    for kind in ["refused", "reset"] {
        assert!(failed[kind] > 10, "{failed:?}");
    }
    assert_eq!((failed["malformed"], failed["connect"], failed["timeout"]), (0, 0, 0), "{failed:?}");
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let (_, watched, digest) =
            Rig::new(seed, storm(), closed(5, Duration::ZERO), Watched::default(), echo(ms(2))).run();
        (watched.samples, digest)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).1, run(4).1);
}
