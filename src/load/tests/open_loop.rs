//! The open loop in virtual time: when requests go out, and that a stall cannot hide. Floor 3.

use std::time::Duration;

use super::rig::{Rig, Script, answer};
use super::{CALM, Watched, body, closed, echo, ms, run, storm};
use crate::load::{Arrivals, AtEnd, Pace, Plan};
use crate::time::Instant;

fn open(rate: f64, connections: usize, duration: Duration) -> Plan {
    let arrivals = Arrivals::even(rate, 0.0);
    Plan { sources: vec![Pace::Open { arrivals, connections }], duration, ..closed(0, Duration::ZERO) }
}

/// A server that takes 1 ms, but stands still for the first 500 ms of every 5 s.
fn stalling() -> Script {
    Box::new(|_, now, _| {
        let into = Duration::from_nanos(now.as_nanos() % 5_000_000_000);
        answer(ms(500).saturating_sub(into).max(ms(1)), "")
    })
}

/// What 99 % do not exceed, raw and corrected.
fn p99(tally: &crate::load::Tally) -> (Duration, Duration) {
    let of =
        |histogram: &hdrhistogram::Histogram<u64>| Duration::from_nanos(histogram.value_at_quantile(0.99));
    (of(&tally.latencies.raw), of(&tally.latencies.corrected))
}

#[test]
fn a_stall_shows_in_the_corrected_latency_of_an_open_loop_and_hides_in_a_closed_one() {
    let minute = Duration::from_secs(60);
    let (tally, _) = run(Plan { duration: minute, ..closed(10, Duration::ZERO) }, stalling());
    assert!(p99(&tally).0 < ms(2), "closed: {:?}", p99(&tally));
    // With few connections the raw latency hides it in an open loop too: most are not sent while the server stands still.
    let (tally, _) = run(open(500.0, 10, minute), stalling());
    let (raw, corrected) = p99(&tally);
    assert!(corrected >= ms(400) && raw < ms(2), "10 connections: {raw:?} raw, {corrected:?} corrected");
    // With enough of them both tell.
    let (tally, _) = run(open(500.0, 1000, minute), stalling());
    let (raw, corrected) = p99(&tally);
    assert!(corrected >= ms(400) && raw >= ms(400), "1000 connections: {raw:?} raw, {corrected:?} corrected");
    assert_eq!((tally.answered(), tally.failures(), tally.unsent, tally.cut), (30_000, 0, 0, 0));
}

#[test]
fn requests_go_out_when_they_are_due_whether_or_not_others_are_answered() {
    let (tally, watched) = run(open(1000.0, 1000, ms(1000)), echo(ms(200)));
    assert_eq!(tally.answered(), 1000);
    for (sample, body) in &watched.samples {
        assert_eq!(*body, sample.request.index.to_string());
        assert_eq!(sample.due, Instant::ZERO + ms(sample.request.index));
        // A tick late at most, and 100 us for a connection that has to be made first.
        assert!(sample.sent - sample.due <= Duration::from_micros(120), "{:?}", sample.sent - sample.due);
    }
    assert!((195..=210).contains(&tally.connections), "{} connections", tally.connections);
}

#[test]
fn what_is_never_sent_for_want_of_connections_is_counted() {
    // Two connections at 100 ms each: 20 a second of 100; those that are late are sent until the timeout.
    let plan = Plan { timeout: ms(1000), ..open(100.0, 2, ms(1000)) };
    let (tally, watched) = run(plan.clone(), echo(ms(100)));
    assert_eq!((tally.connections, tally.failures()), (2, 0));
    assert!((38..=40).contains(&tally.answered()), "{}", tally.answered());
    assert_eq!(tally.answered() + tally.unsent + tally.cut, 100);
    let worst = watched.samples.iter().map(|(sample, _)| sample.corrected()).max().unwrap();
    assert!(worst > ms(1500), "{worst:?}");
    let (cut, _) = run(Plan { at_end: AtEnd::Cut, ..plan }, echo(ms(100)));
    assert_eq!(cut.answered() + cut.unsent + cut.cut, 100);
    assert!(cut.elapsed < ms(1001));
}

#[test]
fn an_early_end_counts_only_what_was_due_by_then() {
    let mut rig = Rig::new(7, CALM, open(100.0, 1, ms(1000)), Watched::default(), echo(ms(100)));
    assert!(!rig.run_until(Instant::ZERO + ms(455)));
    rig.interrupt();
    let (tally, _, _) = rig.run();
    // Due at 0, 10, ... 450 ms.
    assert_eq!(tally.answered() + tally.unsent + tally.cut, 46);
}

#[test]
fn on_bad_links_every_arrival_ends_exactly_once() {
    for seed in 0..40 {
        let mut plan = open(700.0, 5, ms(500));
        plan.sources.push(Pace::Open { arrivals: Arrivals::poisson(200.0, seed), connections: 50 });
        let script: Script = Box::new(|n, _, request| answer(ms(n % 7), body(request)));
        let (tally, watched, _) = Rig::new(seed, storm(), plan, Watched::default(), script).run();
        assert_eq!((tally.cut, tally.unsent), (0, 0), "seed {seed}");
        let ended = tally.answered() + tally.failures();
        let poisson = Arrivals::poisson(200.0, seed).take_while(|&at| at < ms(500)).count();
        assert_eq!((ended, watched.samples.len()), (350 + poisson as u64, 350 + poisson), "seed {seed}");
        for (sample, body) in watched.samples.iter().filter(|(sample, _)| sample.outcome.is_ok()) {
            assert_eq!(*body, sample.request.index.to_string(), "seed {seed}");
        }
    }
}
