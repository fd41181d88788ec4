//! Climates in which places are short: many users, few descriptors, one greedy address, slow clients.

use std::time::Duration;

use tidegate::net::Weather;
use tidegate::world::{Rows, Script, StressPlan, UserGroup, UserKind};

use super::{Dice, MS, many, pausing, plan, soon};

/// From as many users as there are places to ten times as many, who ask without a pause or after one, and some who fill places.
pub(super) fn crowd(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 1);
    let mut plan = plan(seed, dice);
    let places = dice.one_of(&[3, 20, 100, 100, 200, 500]);
    plan.options.limits.connections = places;
    let users = many(dice, places, 2_000);
    let script = soon(dice, users);
    let keen = if dice.one_in(3) { users } else { users / 2 };
    plan.groups.push(UserGroup::asking(keen, script));
    if keen < users {
        let pause = MS * dice.draw(40) as u32;
        plan.groups.push(pausing(UserGroup::asking(users - keen, script), pause));
    }
    if dice.one_in(3) {
        plan.groups.push(UserGroup::idling(places / 2, UserKind::Silent));
    }
    plan
}

/// So many users without a pause at so many places, of a proxy whose calls take time.
pub(crate) fn at_limit(users: usize, places: usize) -> StressPlan {
    let mut plan = plan(1, &mut Dice::new(1, 0));
    plan.options.limits.connections = places;
    plan.groups.push(UserGroup::asking(users, Script::Plain(MS, 200)));
    plan.weather = Weather::CALM;
    plan.work_a_call = Duration::from_nanos(1_000);
    plan.stops_under_load = false;
    plan
}

/// More users than descriptors, of which each request takes two.
pub(super) fn descriptors(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 2);
    let mut plan = plan(seed, dice);
    plan.descriptors = dice.one_of(&[8, 50, 200, 400]);
    let users = many(dice, plan.descriptors, 1_000);
    let script = soon(dice, users);
    plan.groups.push(UserGroup::asking(users / 2, script));
    plan.groups.push(pausing(UserGroup::asking(users - users / 2, script), MS * dice.draw(40) as u32));
    if dice.one_in(2) {
        // Room for a backend's connection beside each client's, as by default.
        plan.options.limits.connections = plan.descriptors / 2;
        return plan;
    }
    plan.options.limits.connections = usize::MAX;
    // Nobody can say then who gets a descriptor: a client, or the backend's connection that it needs.
    plan.groups.iter_mut().for_each(|group| {
        group.statuses = &[200, 503];
        group.may_be_cut = true;
    });
    plan
}

/// One address with many times its places, and many others with a few users each.
pub(super) fn hosts(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 3);
    let mut plan = plan(seed, dice);
    let most = dice.one_of(&[2, 20, 100]);
    plan.options.limits.connections_per_client = most;
    let users = many(dice, most, 1_000).max(most);
    let script = soon(dice, users);
    let greedy = UserGroup { may_be_cut: true, served_within: None, ..UserGroup::asking(users, script) };
    plan.groups.push(UserGroup { first_host: 7, ..greedy });
    plan.groups.push(UserGroup { hosts: 40, ..UserGroup::asking(40 * most.min(2), script) });
    plan.duration = MS * 60;
    plan
}

/// Slow clients and silent ones at every place and more of them before the door, and a few others.
pub(super) fn slow(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 4);
    let mut plan = plan(seed, dice);
    let places = dice.one_of(&[10, 60, 150]);
    plan.options.limits.connections = places;
    let often = MS * dice.one_of(&[100, 1_000]);
    let kinds = [
        UserKind::SlowHead(often),
        UserKind::SlowBody(often),
        // As few bytes a second as `--min-data-rate` asks for.
        UserKind::SlowReader(MS * 1_000),
        UserKind::HalfHead,
        UserKind::Silent,
    ];
    let mut all = 0;
    for _ in 0..dice.one_of(&[1, 1, 3]) {
        let users = many(dice, places, 300) / 2 + places / 2;
        all += users;
        plan.groups.push(UserGroup::idling(users, dice.one_of(&kinds)));
    }
    let script = Script::Plain(MS, 200);
    let group = pausing(UserGroup::asking(places / 5 + 1, script), MS * 40);
    // Who is slow gives way after 3 s, and those who come in instead are slow too.
    let rounds = (all + places / 5 + 1).div_ceil(places) as u32 + 1;
    let within = Some(MS * 3_500 * rounds);
    plan.groups.push(UserGroup { begin_within: MS * 2_000, served_within: within, ..group });
    plan.duration = MS * 4_000 * rounds;
    plan
}

/// A crowd, while nobody takes the rows, and nobody the lines of the log (`log_sink.rs`).
pub(super) fn sinks(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 12);
    let mut plan = crowd(seed);
    plan.duration = MS * 400;
    plan.rows = dice.one_of(&[Rows::Blocked, Rows::Halting(MS * 20)]);
    plan
}
