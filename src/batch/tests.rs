//! Small cases of the contract, worked out by hand.

use std::time::Duration;

use super::*;
use crate::time::Instant;

pub(super) const KEY: KeyId = KeyId(0);

pub(super) fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

pub(super) fn options(strategy: StrategyName) -> QueueOptions {
    QueueOptions { strategy, ..QueueOptions::default() }
}

pub(super) fn answered(ms: u64) -> BatchOutcome {
    BatchOutcome::Answered { took: Duration::from_millis(ms) }
}

/// A queue, and what was pushed by name: `A1` is customer A's.
struct Desk {
    queue: Queue,
    names: Vec<(JobId, &'static str)>,
}

impl Desk {
    fn new(options: QueueOptions) -> Desk {
        Desk { queue: Queue::new(options), names: Vec::new() }
    }

    fn push_with(&mut self, name: &'static str, key: KeyId, lengths: &[u32], ms: u64) -> JobId {
        let id = self.queue.push(&name[..1], key, lengths, at(ms)).unwrap();
        self.names.push((id, name));
        id
    }

    fn push(&mut self, name: &'static str, lengths: &[u32], ms: u64) -> JobId {
        self.push_with(name, KEY, lengths, ms)
    }

    fn dispatched(&mut self, ms: u64) -> Batch {
        match self.queue.next(at(ms)) {
            Next::Dispatch(batch) => batch,
            other => panic!("nothing was dispatched at {ms} ms: {other:?}"),
        }
    }

    fn names(&self, batch: &Batch) -> String {
        let name = |id| self.names.iter().rev().find(|(other, _)| *other == id).unwrap().1;
        batch.parts.iter().map(|part| name(part.job)).collect::<Vec<_>>().join(" ")
    }

    /// Dispatches and answers batches until none is due, and names their jobs.
    fn run(&mut self, ms: u64) -> Vec<String> {
        let mut batches = Vec::new();
        while let Next::Dispatch(batch) = self.queue.next(at(ms)) {
            batches.push(self.names(&batch));
            self.queue.finished(batch, answered(1), at(ms));
        }
        batches
    }

    fn waits_until(&mut self, ms: u64) -> u64 {
        match self.queue.next(at(ms)) {
            Next::WaitUntil(until) => until.as_nanos() / 1_000_000,
            other => panic!("nothing is waited for at {ms} ms: {other:?}"),
        }
    }

    fn is_idle(&mut self, ms: u64) -> bool {
        matches!(self.queue.next(at(ms)), Next::Idle)
    }
}

#[test]
fn sjf_goes_by_the_longest_sequence_and_ties_by_arrival() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    desk.push("A1", &[1, 30], 0);
    desk.push("A2", &[20], 1);
    desk.push("B1", &[30, 1], 2);
    desk.push("B2", &[10, 10], 3);
    assert_eq!(desk.run(4), ["B2 A2 A1", "B1"]);
}

#[test]
fn sjf_stops_at_the_first_that_does_not_fit() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    desk.push("A1", &[1, 1, 1], 0);
    desk.push("A2", &[2, 2, 2], 0);
    desk.push("A3", &[3], 0);
    assert_eq!(desk.run(0), ["A1", "A2 A3"]);
}

#[test]
fn sjf_lets_a_job_that_waited_for_the_most_wait_lead() {
    let max_wait = Some(Duration::from_millis(500));
    let mut desk = Desk::new(QueueOptions { sjf_max_wait: max_wait, ..options(StrategyName::Sjf) });
    desk.push("L1", &[558, 558], 0);
    desk.push("L2", &[400, 400], 1);
    desk.push("A1", &[1], 499);
    desk.push("A2", &[2; 3], 499);
    let early = desk.dispatched(499);
    assert_eq!((desk.names(&early).as_str(), early.flush), ("A1 A2", FlushReason::Idle));
    desk.push("A3", &[1; 4], 499);
    desk.push("A4", &[2], 500);
    desk.queue.finished(early, answered(1), at(500));
    let late = desk.dispatched(500);
    assert_eq!((desk.names(&late).as_str(), late.flush), ("L1", FlushReason::Deadline));
    desk.queue.finished(late, answered(300), at(800));
    assert_eq!(desk.run(800), ["L2", "A3 A4"], "A4 would fit, A3 is before it and does not");
}

#[test]
fn sjf_divides_lengths_by_the_weight_of_the_customer() {
    let weights = vec![("G".to_owned(), 4)];
    let mut desk = Desk::new(QueueOptions { weights, ..options(StrategyName::Sjf) });
    desk.push("A1", &[100; 5], 0);
    desk.push("G1", &[399; 5], 0);
    desk.push("G2", &[401; 5], 0);
    assert_eq!(desk.run(0), ["G1", "A1", "G2"]);
}

#[test]
fn fair_takes_turns_between_any_number_of_customers() {
    let mut desk = Desk::new(options(StrategyName::Fair));
    for name in ["A1", "A2", "A3", "B1", "C1", "C2"] {
        desk.push(name, &[1; 5], 0);
    }
    // The ring stands at A when nothing was sent yet, so B is the next.
    assert_eq!(desk.run(0), ["B1", "C1", "A1", "C2", "A2", "A3"]);
}

#[test]
fn fair_fills_from_the_leader_and_then_from_the_others_each_to_the_first_that_does_not_fit() {
    let mut desk = Desk::new(options(StrategyName::Fair));
    desk.push("A1", &[1; 2], 0);
    desk.push("A2", &[1; 4], 0);
    desk.push("A3", &[1], 0);
    desk.push("B1", &[1; 4], 0);
    desk.push("B2", &[1], 0);
    desk.push("C1", &[1; 1], 0);
    desk.push("C2", &[1; 1], 0);
    // B1 leads, B2 fits: full. Then C's turn: C1 C2, then A1 fits, A2 does not, and A3 stays behind it.
    assert_eq!(desk.run(0), ["B1 B2", "C1 C2 A1", "A2 A3"]);
}

#[test]
fn fair_leaves_the_turn_with_a_customer_that_had_nothing_to_send() {
    let mut desk = Desk::new(options(StrategyName::Fair));
    desk.push("A1", &[1; 5], 0);
    assert_eq!(desk.run(0), ["A1"]);
    desk.push("A2", &[1; 5], 1);
    assert_eq!(desk.run(1), ["A2"]);
    desk.push("A3", &[1; 5], 2);
    desk.push("B1", &[1; 5], 2);
    assert_eq!(desk.run(2), ["B1", "A3"]);
}

#[test]
fn fair_gives_a_customer_of_weight_three_three_turns_a_round() {
    let weights = vec![("B".to_owned(), 3)];
    let mut desk = Desk::new(QueueOptions { weights, ..options(StrategyName::Fair) });
    for name in ["A1", "A2", "A3", "B1", "B2", "B3", "B4", "B5"] {
        desk.push(name, &[1; 5], 0);
    }
    assert_eq!(desk.run(0), ["B1", "B2", "B3", "A1", "B4", "B5", "A2", "A3"]);
}

#[test]
fn fcfs_holds_a_batch_that_is_not_full_for_50_ms_from_when_it_is_formed() {
    let mut desk = Desk::new(options(StrategyName::Fcfs));
    desk.push("A1", &[1; 5], 0);
    let full = desk.dispatched(0);
    assert_eq!(full.flush, FlushReason::Full);
    desk.push("A2", &[9; 3], 10);
    assert!(desk.is_idle(10), "the place in flight is taken");
    desk.queue.finished(full, answered(20), at(20));
    assert_eq!(desk.waits_until(20), 70, "formed when the place became free, not when A2 came");
    desk.push("A3", &[1], 30);
    assert_eq!(desk.waits_until(30), 70);
    assert_eq!(desk.waits_until(69), 70);
    let held = desk.dispatched(70);
    assert_eq!((desk.names(&held).as_str(), held.flush), ("A2 A3", FlushReason::Timeout));
}

#[test]
fn fcfs_sends_a_held_batch_at_once_when_it_becomes_full() {
    let mut desk = Desk::new(options(StrategyName::Fcfs));
    desk.push("A1", &[1; 3], 0);
    assert_eq!(desk.waits_until(0), 50);
    desk.push("A2", &[1; 2], 20);
    desk.push("A3", &[1; 1], 20);
    let batch = desk.dispatched(20);
    assert_eq!((desk.names(&batch).as_str(), batch.flush), ("A1 A2", FlushReason::Full));
    desk.queue.finished(batch, answered(1), at(21));
    assert_eq!(desk.waits_until(21), 71, "the next batch has a wait of its own");
}

#[test]
fn fcfs_never_skips_ahead_and_a_gap_left_by_a_cancelled_job_is_filled() {
    let mut desk = Desk::new(options(StrategyName::Fcfs));
    desk.push("A1", &[1; 3], 0);
    let large = desk.push("A2", &[1; 4], 0);
    desk.push("A3", &[1; 2], 0);
    assert_eq!(desk.waits_until(0), 50, "A3 would fill it, but A2 is before it");
    assert!(desk.queue.cancel(large, at(1)));
    let batch = desk.dispatched(1);
    assert_eq!((desk.names(&batch).as_str(), batch.flush), ("A1 A3", FlushReason::Full));
}

#[test]
fn fcfs_waits_for_nothing_while_draining() {
    let mut desk = Desk::new(options(StrategyName::Fcfs));
    desk.push("A1", &[1], 0);
    assert_eq!(desk.waits_until(0), 50);
    desk.queue.drain();
    let batch = desk.dispatched(1);
    assert_eq!(batch.flush, FlushReason::Drain);
    desk.queue.finished(batch, answered(1), at(2));
    desk.push("A2", &[1], 2);
    assert_eq!(desk.dispatched(2).flush, FlushReason::Drain);
}

#[test]
fn unlike_keys_never_share_a_batch() {
    for strategy in StrategyName::ALL {
        let mut desk = Desk::new(options(strategy));
        desk.push_with("A1", KeyId(1), &[1], 0);
        desk.push_with("A2", KeyId(2), &[2], 0);
        desk.push_with("A3", KeyId(1), &[3], 0);
        assert!(strategy != StrategyName::Fcfs || desk.waits_until(0) == 50);
        assert_eq!(desk.run(50), ["A1 A3", "A2"], "{strategy}");
    }
}

#[test]
fn a_switch_keeps_every_job_its_order_and_its_age() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    desk.push("A1", &[9; 3], 0);
    desk.push("B1", &[1; 3], 5);
    desk.push("C1", &[5; 3], 6);
    for strategy in StrategyName::ALL {
        desk.queue.set_strategy(strategy, at(10));
        assert_eq!(desk.queue.strategy(), strategy);
        assert_eq!((desk.queue.depth(), desk.queue.oldest_age(at(10))), (3, Some(Duration::from_millis(10))));
    }
    desk.queue.set_strategy(StrategyName::Fcfs, at(10));
    assert_eq!(desk.waits_until(10), 60);
    assert_eq!(desk.run(60), ["A1"]);
    desk.queue.set_strategy(StrategyName::Fair, at(60));
    assert_eq!(desk.run(60), ["B1", "C1"]);
    assert_eq!(desk.queue.oldest_age(at(60)), None);
}

#[test]
fn no_more_batches_are_in_flight_than_allowed() {
    let mut desk = Desk::new(QueueOptions { batches_in_flight: Some(2), ..options(StrategyName::Sjf) });
    for name in ["A1", "A2", "A3"] {
        desk.push(name, &[1; 5], 0);
    }
    let (first, _second) = (desk.dispatched(0), desk.dispatched(0));
    assert!(desk.is_idle(0));
    assert_eq!((desk.queue.in_flight(), desk.queue.depth()), (2, 1));
    desk.queue.finished(first, answered(1), at(1));
    let third = desk.dispatched(1);
    assert_eq!(desk.names(&third), "A3");
}

#[test]
fn a_full_queue_refuses_with_a_retry_after_from_the_measured_rate() {
    let mut desk = Desk::new(QueueOptions { limit: 20, ..options(StrategyName::Sjf) });
    let refusal = |desk: &mut Desk, ms| desk.queue.push("A", KEY, &[1], at(ms)).unwrap_err();
    (0..20).for_each(|_| _ = desk.push("A1", &[1; 5], 0));
    assert_eq!(refusal(&mut desk, 0), Refused::Full { retry_after_s: 1 });
    // Two jobs a second.
    for i in 1..=10 {
        let batch = desk.dispatched(i * 500);
        desk.push("A1", &[1; 5], i * 500);
        desk.queue.finished(batch, answered(500), at(i * 500));
    }
    assert_eq!(refusal(&mut desk, 5000), Refused::Full { retry_after_s: 10 });
    assert_eq!(desk.queue.figures().refused, 2);
    let sizes = [0, 6].map(|n| desk.queue.push("A", KEY, &vec![1; n], at(0)).unwrap_err());
    assert_eq!(sizes, [Refused::Size { most: 5 }; 2]);
}

#[test]
fn a_job_whose_client_left_is_not_sent_and_one_in_flight_is_for_nobody() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    let sent = desk.push("A1", &[1; 5], 0);
    let gone = desk.push("A2", &[2; 5], 0);
    desk.push("A3", &[3; 5], 0);
    let batch = desk.dispatched(0);
    assert!(desk.queue.cancel(sent, at(1)) && desk.queue.cancel(gone, at(1)));
    assert!(!desk.queue.cancel(gone, at(1)), "it is gone");
    assert_eq!(desk.queue.figures().cancelled, 2);
    assert!(desk.is_idle(1), "a cancelled job still takes its place in flight");
    desk.queue.finished(batch, answered(1), at(2));
    assert_eq!(desk.run(2), ["A3"]);
    assert!(desk.queue.is_empty());
}

#[test]
fn a_failed_batch_is_sent_again_in_halves_before_all_else_and_within_the_places_in_flight() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    for name in ["A1", "A2", "A3"] {
        desk.push(name, &[5], 0);
    }
    let gone = desk.push("A4", &[5], 0);
    let batch = desk.dispatched(0);
    desk.push("B1", &[1], 1);
    desk.queue.halve(batch, at(1)).unwrap();
    desk.queue.cancel(gone, at(1));
    let first = desk.dispatched(1);
    assert_eq!(desk.names(&first), "A1 A2");
    assert!(desk.is_idle(1) && !desk.queue.is_empty());
    desk.queue.halve(first, at(1)).unwrap();
    let second = desk.dispatched(2);
    assert_eq!(desk.names(&second), "A3");
    let second = desk.queue.halve(second, at(2)).expect_err("it is of one job");
    desk.queue.finished(second, BatchOutcome::Failed, at(3));
    assert_eq!(desk.run(3), ["A1", "A2", "B1"]);
    assert!(desk.queue.is_empty());
    let figures = desk.queue.figures();
    assert_eq!((figures.halved, figures.failed), (2, 1));
}

#[test]
fn halving_stops_when_it_is_of_no_use() {
    let mut desk = Desk::new(QueueOptions { halve: false, ..options(StrategyName::Sjf) });
    desk.push("A1", &[1], 0);
    desk.push("A2", &[1], 0);
    let batch = desk.dispatched(0);
    assert!(desk.queue.halve(batch, at(1)).is_err(), "off");

    let mut desk = Desk::new(options(StrategyName::Sjf));
    let mut halved = 0;
    loop {
        desk.push("A1", &[1], 0);
        desk.push("A2", &[1], 0);
        let batch = desk.dispatched(0);
        match desk.queue.halve(batch, at(1)) {
            Ok(()) => halved += 1,
            Err(batch) => break desk.queue.finished(batch, BatchOutcome::Failed, at(0)),
        }
        for _ in 0..2 {
            let half = desk.dispatched(0);
            desk.queue.finished(half, BatchOutcome::Failed, at(0));
        }
    }
    assert_eq!(halved, super::halving::MOST_AHEAD);
    assert!(desk.queue.is_empty());
}

#[test]
fn halving_goes_on_while_each_time_one_half_is_answered() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    for _ in 0..2 * super::halving::MOST_AHEAD {
        desk.push("A1", &[1], 0);
        desk.push("A2", &[1], 0);
        let batch = desk.dispatched(0);
        desk.queue.halve(batch, at(0)).expect("it is of use");
        let good = desk.dispatched(0);
        desk.queue.finished(good, answered(1), at(0));
        let bad = desk.dispatched(0);
        desk.queue.finished(bad, BatchOutcome::Failed, at(0));
    }
}

#[test]
fn counts_what_the_queue_alone_knows() {
    let mut desk = Desk::new(options(StrategyName::Sjf));
    desk.push("A1", &[10], 0);
    desk.push("B1", &[30, 20], 1);
    let batch = desk.dispatched(4);
    desk.queue.finished(batch, answered(60), at(64));
    let idle = desk.queue.figures().by_flush(FlushReason::Idle);
    assert_eq!((idle.sequences.count(), idle.sequences.sum()), (1, 3));
    assert_eq!((idle.wait_us.count(), idle.wait_us.sum()), (2, 4000 + 3000));
    assert_eq!((idle.service_us.count(), idle.service_us.sum()), (1, 60_000));
    let figures = desk.queue.figures();
    assert_eq!((figures.queued, figures.characters, figures.wasted_characters), (2, 60, 30));
    let customers: Vec<_> = desk.queue.customers().map(|(name, f)| (name, f.sequences, f.work)).collect();
    assert_eq!(customers, [("A", 1, Duration::from_millis(20)), ("B", 2, Duration::from_millis(40))]);
}
