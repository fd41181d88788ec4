//! What `adaptive` decides in small cases, once it knows a classifier that takes the square of the longest sequence
//! in microseconds.

use std::time::Duration;

use super::super::tests::{KEY, at, options};
use super::super::*;

fn took(batch: &Batch) -> Duration {
    Duration::from_micros(u64::from(batch.longest()).pow(2))
}

fn answer(queue: &mut Queue, batch: Batch, ms: u64) {
    let outcome = BatchOutcome::Answered { took: took(&batch) };
    queue.finished(batch, outcome, at(ms));
}

/// A queue that has learned, at time 0, in which nothing waits, with that many places in flight.
fn taught(places: usize, options: QueueOptions) -> Queue {
    let mut queue = Queue::new(QueueOptions { batches_in_flight: Some(places), ..options });
    for length in [5, 100, 558, 20, 300, 116] {
        queue.push("teacher", KEY, &[length], at(0)).unwrap();
        let Next::Dispatch(batch) = queue.next(at(0)) else { panic!("nothing is in flight") };
        answer(&mut queue, batch, 0);
    }
    queue
}

fn adaptive() -> QueueOptions {
    options(StrategyName::Adaptive)
}

fn push(queue: &mut Queue, customer: &str, lengths: &[u32], ms: u64) -> JobId {
    queue.push(customer, KEY, lengths, at(ms)).unwrap()
}

fn dispatched(queue: &mut Queue, ms: u64) -> Batch {
    match queue.next(at(ms)) {
        Next::Dispatch(batch) => batch,
        other => panic!("nothing was dispatched at {ms} ms: {other:?}"),
    }
}

/// The jobs of all batches until nothing waits, each answered before the next.
fn order(queue: &mut Queue, ms: u64) -> Vec<Vec<JobId>> {
    let mut batches = Vec::new();
    while let Next::Dispatch(batch) = queue.next(at(ms)) {
        batches.push(batch.parts.iter().map(|part| part.job).collect());
        answer(queue, batch, ms);
    }
    batches
}

fn only(positions: &[usize]) -> Sequences {
    Sequences::Only(positions.into())
}

#[test]
fn is_sjf_with_one_in_flight_and_whole_jobs_until_times_are_known() {
    let mut queue = Queue::new(QueueOptions { batches_in_flight: Some(2), ..adaptive() });
    let long = push(&mut queue, "a", &[558, 116, 116], 0);
    let short = push(&mut queue, "b", &[9, 9, 9], 0);
    let batch = dispatched(&mut queue, 0);
    assert_eq!((batch.parts[0].job, batch.predicted), (short, None));
    assert!(matches!(queue.next(at(0)), Next::Idle));
    answer(&mut queue, batch, 0);
    let batch = dispatched(&mut queue, 0);
    assert_eq!((batch.parts[0].job, &batch.parts[0].sequences), (long, &Sequences::All));
}

#[test]
fn splits_a_job_by_length_and_ends_it_with_its_last_part() {
    let mut queue = taught(1, adaptive());
    let job = push(&mut queue, "a", &[116, 558, 100], 1);
    let short = dispatched(&mut queue, 1);
    assert_eq!((short.parts[0].job, &short.parts[0].sequences), (job, &only(&[0, 2])));
    assert_eq!(short.predicted.map(|d| d.as_micros()), Some(13_456));
    answer(&mut queue, short, 14);
    let long = dispatched(&mut queue, 14);
    assert_eq!((long.parts[0].job, &long.parts[0].sequences), (job, &only(&[1])));
    assert!(queue.cancel(job, at(15)), "it lives until its last part is answered");
    answer(&mut queue, long, 20);

    let job = push(&mut queue, "a", &[116, 558, 100], 21);
    let _ = order(&mut queue, 21);
    assert!(!queue.cancel(job, at(22)) && queue.is_empty());

    let mut queue = taught(1, QueueOptions { split: false, ..adaptive() });
    push(&mut queue, "a", &[116, 558, 100], 1);
    assert_eq!(dispatched(&mut queue, 1).parts[0].sequences, Sequences::All);
}

#[test]
fn a_part_that_fails_ends_its_job_with_what_of_it_waits() {
    let mut queue = taught(1, adaptive());
    let job = push(&mut queue, "a", &[116, 558], 1);
    let short = dispatched(&mut queue, 1);
    queue.finished(short, BatchOutcome::Failed, at(2));
    assert!(queue.is_empty() && !queue.cancel(job, at(2)));
    assert!(matches!(queue.next(at(2)), Next::Idle));
}

#[test]
fn a_switch_puts_split_jobs_together_again_unless_a_part_was_sent() {
    let mut queue = taught(1, adaptive());
    let sent = push(&mut queue, "a", &[100, 400], 1);
    let batch = dispatched(&mut queue, 1);
    let waits = push(&mut queue, "a", &[100, 400], 2);
    queue.set_strategy(StrategyName::Fcfs, at(2));
    answer(&mut queue, batch, 3);
    assert_eq!(queue.depth(), 2);
    assert!(matches!(queue.next(at(3)), Next::WaitUntil(_)));
    let batch = dispatched(&mut queue, 53);
    let parts: Vec<_> = batch.parts.iter().map(|part| (part.job, part.sequences.clone())).collect();
    assert_eq!(parts, [(sent, only(&[1])), (waits, Sequences::All)]);
    queue.set_strategy(StrategyName::Adaptive, at(54));
    answer(&mut queue, batch, 54);
    push(&mut queue, "a", &[100, 400], 55);
    assert_eq!(dispatched(&mut queue, 55).parts[0].sequences, only(&[0]), "times are still known");
}

#[test]
fn the_customer_that_has_received_the_least_leads() {
    let mut queue = taught(1, adaptive());
    let a: Vec<_> = (0..3).map(|_| push(&mut queue, "a", &[300; 5], 1)).collect();
    let first = dispatched(&mut queue, 1);
    let b: Vec<_> = (0..2).map(|_| push(&mut queue, "b", &[310; 5], 2)).collect();
    answer(&mut queue, first, 91);
    // b is lifted to what a has received, so that it takes turns with a from now on.
    assert_eq!(order(&mut queue, 91), [[a[1]], [b[0]], [a[2]], [b[1]]]);
}

#[test]
fn a_customer_of_weight_three_receives_three_times_as_much() {
    let mut queue = taught(1, QueueOptions { weights: vec![("gold".into(), 3)], ..adaptive() });
    let mut golden = Vec::new();
    for _ in 0..12 {
        golden.push(push(&mut queue, "gold", &[300; 5], 1));
        push(&mut queue, "b", &[300; 5], 1);
    }
    let first_eight = order(&mut queue, 1).into_iter().take(8);
    assert_eq!(first_eight.filter(|batch| golden.contains(&batch[0])).count(), 6);
}

#[test]
fn jobs_ride_together_where_it_pays_and_not_where_it_delays() {
    let mut queue = taught(1, adaptive());
    let short = push(&mut queue, "a", &[10], 1);
    let alike = push(&mut queue, "b", &[11], 1);
    let long = push(&mut queue, "c", &[500], 1);
    assert_eq!(order(&mut queue, 1), [vec![short, alike], vec![long]]);

    let mut queue = taught(1, adaptive());
    let lead = push(&mut queue, "a", &[500], 1);
    let first = dispatched(&mut queue, 1);
    let alike: Vec<_> = ["b", "c"].map(|name| push(&mut queue, name, &[520], 2)).into();
    answer(&mut queue, first, 251);
    assert_eq!(order(&mut queue, 251), [alike], "and {lead:?} is done");
}

#[test]
fn every_fourth_batch_is_led_by_an_overdue_job_of_a_customer_that_had_no_more_than_its_share() {
    let mut queue = taught(1, adaptive());
    let long = push(&mut queue, "patient", &[100; 5], 0);
    let mut led = None;
    // Overdue after 200 ms + 4 x 10 ms. New customers come all the time, each with less to do.
    for ms in 1..400 {
        push(&mut queue, &format!("c{ms}"), &[20; 5], ms);
        let batch = dispatched(&mut queue, ms);
        if batch.parts[0].job == long {
            led = Some((ms, batch.flush));
        }
        answer(&mut queue, batch, ms);
    }
    let (ms, flush) = led.expect("it led");
    assert!((241..=244).contains(&ms) && flush == FlushReason::Deadline, "{ms} {flush:?}");
}

#[test]
fn of_overdue_jobs_the_oldest_leads() {
    let mut queue = taught(1, adaptive());
    let mut led = Vec::new();
    let mut patient = Vec::new();
    for ms in 1..600 {
        match ms {
            // Overdue at 2 + 200 + 4 x 90 ms, and at 360 + 200 + 4 x 0.1 ms.
            2 => patient.push(push(&mut queue, "old", &[300; 5], ms)),
            360 => patient.push(push(&mut queue, "new", &[10; 5], ms)),
            _ => {}
        }
        push(&mut queue, &format!("c{ms}"), &[5; 5], ms);
        let batch = dispatched(&mut queue, ms);
        led.extend(patient.iter().copied().filter(|&job| batch.parts[0].job == job));
        answer(&mut queue, batch, ms);
    }
    assert_eq!(led, patient);
}

#[test]
fn an_overdue_job_of_a_customer_that_had_more_than_its_share_does_not_lead() {
    let mut queue = taught(1, adaptive());
    push(&mut queue, "greedy", &[300; 5], 0);
    let first = dispatched(&mut queue, 0);
    push(&mut queue, "b", &[10; 5], 0);
    let long = push(&mut queue, "greedy", &[100; 5], 0);
    answer(&mut queue, first, 0);
    // b receives a tenth of a millisecond each time, so it stays behind greedy's 90.
    for ms in 1..400 {
        push(&mut queue, "b", &[10; 5], ms);
        let batch = dispatched(&mut queue, ms);
        assert_ne!(batch.parts[0].job, long, "at {ms} ms");
        answer(&mut queue, batch, ms);
    }
}

#[test]
fn unlike_keys_never_share_a_batch_and_share_the_turns_of_their_customers() {
    let mut queue = taught(1, adaptive());
    let mut push_with = |customer: &str, key| queue.push(customer, KeyId(key), &[50, 50], at(1)).unwrap();
    let (a0, a1) = (push_with("a", 0), push_with("a", 1));
    let (b0, b1) = (push_with("b", 0), push_with("b", 1));
    assert_eq!(order(&mut queue, 1), [[a0, b0], [a1, b1]]);
}
