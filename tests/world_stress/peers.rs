//! Climates in which those at the other ends are odd, or the proxy stands still.

use std::time::Duration;

use tidegate::proxy::Reuse;
use tidegate::world::{Deceit, LookUps, Script, Stalls, StressPlan, UserGroup};

use super::{Dice, MS, pausing, plan, sending};

/// The proxy stands still again and again, for longer than its timeouts.
pub(super) fn stalls(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 5);
    let mut plan = plan(seed, dice);
    let long = MS * dice.one_of(&[50, 900, 2_500, 12_000, 35_000, 80_000]);
    plan.stalls = Some(Stalls { every: MS * dice.one_of(&[100, 300, 1_000]), long });
    let users = dice.one_of(&[24, 24, 60, 200]);
    let size = dice.one_of(&[100, 100, 100, 30_000]);
    // So late that a stall meets most of them in flight, and not so early that hardly anything happens beside.
    let script = Script::Plain(MS * dice.one_of(&[20, 50, 900, 4_000]), size);
    let within = Some(long * 4 + Duration::from_secs(10));
    plan.groups.push(UserGroup { served_within: within, ..UserGroup::asking(users, script) });
    if dice.one_in(2) {
        let body = dice.one_of(&[10, 10, 20_000]);
        let group = sending(users / 4, script, body, dice.one_in(2).then_some(MS));
        plan.groups.push(UserGroup { served_within: within, ..group });
    }
    plan.options.retry_budget = 0.0;
    // Three of them, and what comes in between.
    plan.duration = (MS * 1_000).max(long * 3);
    plan
}

/// Few users who send bodies one after the other, in one write or in two.
pub(super) fn uploads(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 6);
    let mut plan = plan(seed, dice);
    let users = dice.one_of(&[1, 2, 10, 50]);
    let script = Script::Plain(Duration::from_micros(dice.draw(500)), 100);
    for _ in 0..1 + dice.draw(2) {
        let body = dice.one_of(&[10, 10, 10, 2_000, 2_000, 20_000, 20_000, 100_000]);
        let after = dice.one_of(&[None, Some(Duration::ZERO), Some(MS / 10), Some(MS * 3)]);
        plan.groups.push(sending(users, script, body, after));
    }
    plan.duration = MS * (1_000 / users as u32).clamp(30, 300);
    plan
}

/// Answers that begin and then are silent for long, 102 again and again, uploads that a backend reads late.
pub(super) fn silences(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 8);
    let mut plan = plan(seed, dice);
    let second = Duration::from_secs(1);
    plan.groups.push(pausing(UserGroup::asking(5, Script::Plain(MS, 100)), MS * 300));
    match dice.draw(3) {
        0 => {
            let script = Script::Stream(second * dice.one_of(&[12, 15, 29, 100]), 4);
            let within = Some(second * 500);
            plan.groups.push(UserGroup { served_within: within, ..UserGroup::asking(20, script) });
        }
        1 => {
            plan.options.upstream_timeout = second;
            let script = Script::Interims(MS * 200, second * 60);
            let within = Some(second * 4);
            plan.groups.push(UserGroup {
                served_within: within,
                statuses: &[504, 503],
                ..UserGroup::asking(3, script)
            });
            // They are to blame.
            plan.blameless = false;
            plan.groups[0].statuses = &[200, 503];
        }
        _ => {
            let script = Script::LateReader(second * 14);
            let group = sending(4, script, 1_000_000, None);
            plan.groups.push(UserGroup { served_within: Some(second * 30), ..group });
        }
    }
    plan.duration = second * 120;
    plan
}

/// Backends that say the same answer twice, in two writes or with the next request; that answer early; that speak in two writes.
pub(super) fn two_answers(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 7);
    let mut plan = plan(seed, dice);
    plan.backends = 1;
    plan.options.reuse = dice.one_of(&Reuse::ALL);
    let deceit = match plan.options.reuse {
        Reuse::Always => Deceit::Anybody,
        Reuse::Safe => Deceit::NotFirst,
        Reuse::Never => Deceit::Own,
    };
    let users = dice.one_of(&[2, 10, 60]);
    let pause = MS * dice.one_of(&[0, 0, 1, 20]) as u32;
    let gap = Duration::from_micros(dice.one_of(&[0, 100, 2_000, 30_000]));
    let odd =
        [Script::Twice(gap), Script::TwiceHeld, Script::Early, Script::Split(gap, dice.draw(320) as usize)];
    let plain = Script::Plain(Duration::from_micros(dice.draw(3_000)), 100);
    plan.groups.push(pausing(UserGroup::asking(users, plain), pause));
    for _ in 0..1 + dice.draw(2) {
        let script = dice.one_of(&odd);
        let (body, after) = (dice.one_of(&[10, 20_000]), dice.one_of(&[None, Some(MS)]));
        let group = match script {
            Script::Early => sending(1 + users / 5, script, body, after),
            _ => UserGroup::asking(1 + users / 5, script),
        };
        plan.groups.push(pausing(group, pause));
    }
    plan.groups.iter_mut().for_each(|group| group.deceit = deceit);
    plan.duration = MS * (1_200 / users as u32).clamp(40, 300);
    plan
}

/// Names that are looked up again and again and lead elsewhere each time, also to where nobody is; now and then that takes seconds,
/// or never ends.
pub(super) fn names(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 11);
    let mut plan = plan(seed, dice);
    plan.backends = 1 + dice.draw(4) as usize;
    plan.look_ups =
        Some(LookUps { every: MS * dice.one_of(&[1, 5, 20]), hangs: MS * dice.one_of(&[50, 5_000]) });
    let users = dice.one_of(&[10, 60, 200]);
    let script = Script::Plain(Duration::from_micros(dice.draw(5_000).max(10 * users as u64)), 200);
    plan.groups.push(UserGroup::asking(users / 2, script));
    let pause = MS * dice.draw(20) as u32;
    plan.groups.push(pausing(UserGroup::asking(users / 2, script), pause));
    if dice.one_in(2) {
        plan.groups.push(sending(users / 5, script, 2_000, Some(MS)));
    }
    plan.duration = MS * 80;
    plan
}
