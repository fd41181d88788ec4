//! Customers in virtual time. Floor 3.

use std::time::Duration;

use super::rig::{ADDRESS, Rig, Script, answer};
use super::{CALM, body, ms};
use crate::load::customers::{Customer, CustomerSample, Customers, Verdict, closed_loop};
use crate::load::{AtEnd, Plan};

/// Answers each after so long; the proxy says that it took 5 ms.
fn classifier(after: Duration) -> Script {
    Box::new(move |_, _, request| {
        let body: serde_json::Value = serde_json::from_str(body(request)).unwrap();
        let results = vec!["code"; body["sequences"].as_array().unwrap().len()];
        answer(after, &format!(r#"{{"results": {results:?}, "proxy_latency_ms": 5}}"#))
    })
}

/// Plays A and B for 30 s.
fn play(seed: u64, after: Duration) -> Vec<CustomerSample> {
    let customers = vec![Customer::a(), Customer::b()];
    let plan = Plan {
        address: ADDRESS,
        sources: closed_loop(&customers),
        timeout: Duration::from_secs(60),
        duration: Duration::from_secs(30),
        at_end: AtEnd::Drain,
    };
    let workload =
        Customers::new(customers, seed, "/proxy_classify", "h", |_: &Customer, _: &CustomerSample| {});
    let (tally, workload, _) = Rig::new(1, CALM, plan, workload, classifier(after)).run();
    assert_eq!((tally.failures(), tally.cut), (0, 0));
    workload.finish().1
}

fn of(samples: &[CustomerSample], source: usize) -> Vec<&CustomerSample> {
    samples.iter().filter(|sample| sample.request.source == source).collect()
}

#[test]
fn a_customer_asks_again_when_its_pause_has_passed_after_the_answer() {
    let samples = play(1, ms(100));
    assert!(samples.iter().all(|sample| sample.verdict == Verdict::Served { proxy_ms: Some(5.0) }));
    // Every 330 + 100 ms and every 670 + 100 ms.
    assert_eq!((of(&samples, 0).len(), of(&samples, 1).len()), (70, 39));
    assert!(samples.iter().all(|sample| sample.latency >= ms(100) && sample.latency < ms(101)));
    // The first contains 100 us for the connection, as it would for anyone who measures around a call.
    assert!(samples[0].latency >= samples[5].latency + Duration::from_micros(90));
}

#[test]
fn what_a_customer_asks_does_not_depend_on_how_it_is_served() {
    let counts = |seed, after| {
        let samples = play(seed, after);
        [0, 1].map(|source| of(&samples, source).iter().map(|s| s.sequences).take(30).collect::<Vec<_>>())
    };
    assert_eq!(counts(1, ms(1)), counts(1, ms(300)));
    assert_ne!(counts(1, ms(1)), counts(2, ms(1)));
}
