//! Climates of batched requests: full queues, and classifiers that stall, close, lie, answer twice.

use std::time::Duration;

use tidegate::batch::{QueueOptions, StrategyName};
use tidegate::proxy::Reuse;
use tidegate::testbed::ClassifierOptions;
use tidegate::world::{Deceit, Script, StressPlan, UserGroup, UserKind, usual_batching};

use super::{Dice, MS, plan};

/// Users who have as many texts classified each time, in the name of one customer.
fn customer(customer: u32, users: usize, texts: usize, bytes: usize) -> UserGroup {
    let kind = UserKind::Classifies { customer, texts, bytes, pause: MS * 5 };
    UserGroup { kind, first_host: customer as u8, ..UserGroup::asking(users, Script::Silence) }
}

/// One customer with many users or several with some, and one with two, at a queue that they fill or not.
pub(super) fn batching(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 9);
    let mut plan = plan(seed, dice);
    let (strategy, limit) = (dice.one_of(&StrategyName::ALL), dice.one_of(&[20, 20, 50, 10_000]));
    let mut batching = usual_batching(QueueOptions { strategy, limit, ..QueueOptions::default() });
    let has_room = !dice.one_in(3);
    if !has_room {
        batching.queue_bytes = 400_000;
    }
    plan.options.batching = Some(batching);
    let service_time = "affine:1,0".parse().expect("a service time");
    plan.classifier = ClassifierOptions { service_time, ..plan.classifier };
    let (texts, bytes) = (1 + dice.draw(3) as usize, dice.one_of(&[20, 20, 2_000]));
    let greedy = dice.one_of(&[1, 1, 3]);
    let users = dice.one_of(&[10, 80, 300]) / greedy;
    for name in 2..2 + greedy as u32 {
        let statuses = &[200, 429];
        plan.groups.push(UserGroup { statuses, ..customer(name, users, texts, bytes) });
    }
    // At a full queue another one has more waiting, so that these never give way. Room for bytes is for whoever comes first.
    let statuses: &[u16] = if has_room { &[200] } else { &[200, 429] };
    plan.groups.push(UserGroup { statuses, ..customer(1, 2, texts, bytes) });
    plan.duration = MS * (6_000 / users as u32).clamp(50, 300);
    plan
}

/// Classifiers with odd ways, under customers who fill the queue or not.
pub(super) fn classifiers(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 10);
    let mut plan = plan(seed, dice);
    let (strategy, limit) = (dice.one_of(&StrategyName::ALL), dice.one_of(&[20, 10_000]));
    let mut batching = usual_batching(QueueOptions { strategy, limit, ..QueueOptions::default() });
    (batching.classifier_timeout, batching.queue_timeout) = (MS * 50, MS * 400);
    plan.options.batching = Some(batching);
    let gap = Duration::from_micros(dice.one_of(&[0, 100, 2_000]));
    let plain = Script::Plain(Duration::from_micros(dice.draw(2_000)), 0);
    let faults = [Script::Silence, Script::StallBody, Script::Hangup, Script::Lie, Script::Error];
    let words = [Script::Twice(gap), Script::TwiceHeld, Script::Split(gap, dice.draw(120) as usize)];
    plan.classifier_ways = vec![plain; 6];
    let fails = dice.one_in(2);
    for _ in 0..1 + dice.draw(3) {
        plan.classifier_ways.push(if fails { dice.one_of(&faults) } else { dice.one_of(&words) });
    }
    plan.options.reuse = dice.one_of(&Reuse::ALL);
    let deceit = if fails || plan.options.reuse == Reuse::Never { Deceit::None } else { Deceit::Anybody };
    let statuses: &[u16] = if fails { &[200, 429, 500, 502, 503, 504] } else { &[200, 429, 502, 504] };
    // A batch of five that is halved until each is alone, each part as late as may be, before its own and behind another's.
    let within = Some(MS * 400 + MS * 50 * 12);
    for name in 1..1 + dice.one_of(&[1, 4]) {
        let (users, texts) = (dice.one_of(&[1, 5, 40]), 1 + dice.draw(3) as usize);
        let group = customer(name, users, texts, 30);
        plan.groups.push(UserGroup { statuses, deceit, served_within: within, ..group });
    }
    plan.blameless = !fails;
    plan.duration = MS * 300;
    plan
}
