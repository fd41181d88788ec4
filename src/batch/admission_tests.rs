//! Who gives way when as many jobs wait as may, in cases worked out by hand.

use super::tests::{KEY, answered, at, options};
use super::*;

/// A queue in which a batch is in flight, so that all else waits.
fn busy(strategy: StrategyName, limit: usize) -> Queue {
    let mut queue = Queue::new(QueueOptions { limit, batches_in_flight: Some(1), ..options(strategy) });
    queue.push("first", KEY, &[1; 5], at(0)).unwrap();
    let batch = queue.next(at(0));
    assert!(matches!(batch, Next::Dispatch(_)), "it goes at once");
    queue
}

fn admit(queue: &mut Queue, customer: &str) -> Result<Admitted, Refused> {
    queue.admit(customer, KEY, &[10], at(1))
}

#[test]
fn the_customer_with_the_most_waiting_gives_way_in_every_strategy() {
    for strategy in StrategyName::ALL {
        let mut queue = busy(strategy, 50);
        let greedy: Vec<JobId> = (0..50).map(|_| admit(&mut queue, "greedy").unwrap().job).collect();
        for _ in 0..30 {
            assert!(matches!(admit(&mut queue, "greedy"), Err(Refused::Full { retry_after_s: 1.. })));
        }
        for newest in [greedy[49], greedy[48]] {
            let admitted = admit(&mut queue, "modest").unwrap();
            let gave_way = admitted.gave_way.expect("somebody gave way");
            assert_eq!(gave_way.job, newest, "{strategy}");
            assert!(matches!(gave_way.refused, Refused::Full { retry_after_s: 1.. }));
            assert!(!queue.cancel(newest, at(1)), "it has ended");
        }
        assert_eq!((queue.depth(), queue.figures().refused, queue.figures().cancelled), (50, 32, 0));
    }
}

#[test]
fn among_equals_the_newcomer_gives_way() {
    let mut queue = busy(StrategyName::Fair, 4);
    let a: Vec<JobId> = (0..3).map(|_| admit(&mut queue, "a").unwrap().job).collect();
    admit(&mut queue, "b").unwrap();
    // With this one b would have as many as a has now: the newest of all is b's.
    let third = admit(&mut queue, "b").expect("a has more").gave_way.map(|gave_way| gave_way.job);
    assert_eq!(third, Some(a[2]));
    for customer in ["a", "b"] {
        assert!(admit(&mut queue, customer).is_err(), "two of each wait");
    }
    assert!(admit(&mut queue, "c").is_ok(), "c had none");
    assert!(admit(&mut queue, "c").is_err(), "somebody has two, and so would c");
    assert_eq!(queue.depth(), 4);
}

#[test]
fn one_customer_alone_is_refused_as_ever() {
    let mut queue = busy(StrategyName::Sjf, 3);
    (0..3).for_each(|_| _ = admit(&mut queue, "a").unwrap());
    assert!(admit(&mut queue, "a").is_err());
    assert!(queue.push("b", KEY, &[1], at(1)).is_err(), "nobody gives way to what is pushed");
    assert!(matches!(queue.admit("b", KEY, &[], at(1)), Err(Refused::Size { .. })));
    assert_eq!(queue.depth(), 3, "nobody gives way to what no batch could hold");
}

#[test]
fn who_gives_way_is_known_again_after_the_queue_was_short() {
    let mut queue =
        Queue::new(QueueOptions { limit: 8, batches_in_flight: Some(1), ..options(StrategyName::Fcfs) });
    for round in 0..3 {
        let ms = 1_000 * round;
        let old: Vec<JobId> = (0..8).map(|_| queue.push("old", KEY, &[1], at(ms)).unwrap()).collect();
        let new = queue.admit("new", KEY, &[1], at(ms)).unwrap();
        assert_eq!(new.gave_way.map(|gave_way| gave_way.job), Some(old[7]));
        while let Next::Dispatch(batch) = queue.next(at(ms + 100)) {
            queue.finished(batch, answered(1), at(ms + 100));
        }
        while let Next::Dispatch(batch) = queue.next(at(ms + 200)) {
            queue.finished(batch, answered(1), at(ms + 200));
        }
        assert!(queue.is_empty(), "round {round}: {} wait", queue.depth());
    }
}

/// A queue that has learned that splitting pays, in which nothing waits.
fn taught(limit: usize) -> Queue {
    let options = options(StrategyName::Adaptive);
    let mut queue = Queue::new(QueueOptions { limit, batches_in_flight: Some(1), ..options });
    for length in [5, 100, 558, 20, 300, 116] {
        queue.push("teacher", KEY, &[length], at(0)).unwrap();
        let Next::Dispatch(batch) = queue.next(at(0)) else { panic!("nothing is in flight") };
        let took = std::time::Duration::from_micros(u64::from(batch.longest()).pow(2));
        queue.finished(batch, BatchOutcome::Answered { took }, at(0));
    }
    queue
}

#[test]
fn a_job_of_which_a_part_was_sent_does_not_give_way() {
    let mut queue = taught(3);
    let split = queue.push("a", KEY, &[116, 558], at(1)).unwrap();
    let Next::Dispatch(short) = queue.next(at(1)) else { panic!("nothing is in flight") };
    assert_eq!((short.parts[0].job, queue.depth()), (split, 1), "its long part waits");
    let newest = [0; 2].map(|_| queue.push("a", KEY, &[500], at(1)).unwrap())[1];
    let gave_way = queue.admit("b", KEY, &[500], at(1)).unwrap().gave_way;
    assert_eq!(gave_way.map(|gave_way| gave_way.job), Some(newest));
    assert!(queue.admit("b", KEY, &[500], at(1)).is_err(), "of a only one may give way");
    let mut queue = taught(1);
    let split = queue.push("a", KEY, &[116, 558], at(1)).unwrap();
    assert!(matches!(queue.next(at(1)), Next::Dispatch(_)));
    assert!(queue.admit("b", KEY, &[500], at(1)).is_err(), "there is nobody else");
    assert!(queue.cancel(split, at(1)), "it lives");
}

#[test]
fn what_a_batch_has_no_room_for_goes_next() {
    let mut queue =
        Queue::new(QueueOptions { batches_in_flight: Some(1), batch_size: 5, ..options(StrategyName::Sjf) });
    queue.set_batch_bytes(10);
    let jobs = [4, 6, 1, 40, 2].map(|bytes| {
        let job = queue.push("a", KEY, &[1], at(0)).unwrap();
        queue.weigh(job, bytes);
        job
    });
    let mut sent = Vec::new();
    while let Next::Dispatch(batch) = queue.next(at(100)) {
        sent.push(batch.parts.iter().map(|part| part.job).collect::<Vec<_>>());
        if sent.len() == 1 {
            assert!(queue.cancel(jobs[4], at(100)), "it waits still");
        }
        assert!(!queue.is_empty());
        queue.finished(batch, answered(1), at(100));
    }
    assert_eq!(sent, [jobs[..2].to_vec(), vec![jobs[2]], vec![jobs[3]]]);
    assert!(queue.is_empty());
}
