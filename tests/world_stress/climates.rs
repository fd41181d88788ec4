//! What the worlds under stress are like: each climate draws its plans from seeds.

use std::time::Duration;

use tidegate::balance::{AllOut, HealthOptions};
use tidegate::net::Weather;
use tidegate::proxy::Options;
use tidegate::testbed::ClassifierOptions;
use tidegate::world::{Script, Stalls, StressPlan, UserGroup, UserKind, usual_options};

/// A kind of worlds.
pub(crate) struct Climate {
    pub(crate) name: &'static str,
    pub(crate) plan: fn(u64) -> StressPlan,
}

/// All of them.
pub(crate) const CLIMATES: [Climate; 6] = [
    Climate { name: "crowd", plan: crowd },
    Climate { name: "descriptors", plan: descriptors },
    Climate { name: "hosts", plan: hosts },
    Climate { name: "stalls", plan: stalls },
    Climate { name: "uploads", plan: uploads },
    Climate { name: "silences", plan: silences },
];

const MS: Duration = Duration::from_millis(1);

/// From whom has been idle for a shorter time no place is taken.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// Numbers drawn from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, salt: u64) -> Dice {
        Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt)
    }

    fn draw(&mut self, below: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draw(of.len() as u64) as usize]
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.draw(of) == 0
    }

    /// Links of some length, now and then with other faults than losses.
    fn weather(&mut self) -> Weather {
        let most = self.one_of(&[50, 50, 200, 1_000]);
        Weather {
            delay: (Duration::from_micros(10), Duration::from_micros(most)),
            capacity: self.one_of(&[4_000, 64 * 1024, 256 * 1024]),
            short_writes: self.one_of(&[0.0, 0.0, 0.2]),
            split_segments: self.one_of(&[0.0, 0.0, 0.2]),
            instant_connects: self.one_of(&[0.0, 0.5, 1.0]),
            spurious: self.one_of(&[0.0, 0.0, 0.05]),
            ..Weather::CALM
        }
    }
}

/// Backends are ejected as by default.
const HEALTH: HealthOptions = HealthOptions {
    eject_after: 3,
    eject_for: Duration::from_secs(10),
    eject_for_most: Duration::from_secs(300),
    eject_share: 0.7,
    all_out: AllOut::Fail,
    slow_start: Duration::ZERO,
};

fn plan(seed: u64, dice: &mut Dice) -> StressPlan {
    let options = Options { run: seed, health: HEALTH, ..usual_options(Vec::new()) };
    StressPlan {
        seed,
        options,
        classifier: ClassifierOptions::default(),
        backends: 1 + dice.draw(3) as usize,
        groups: Vec::new(),
        weather: dice.weather(),
        descriptors: usize::MAX,
        work_a_call: Duration::from_nanos(dice.one_of(&[0, 500, 2_000])),
        stalls: None,
        blameless: true,
        stops_under_load: dice.one_in(2),
        duration: MS * 250,
    }
}

/// The same users, who ask after pauses: a connection may be taken from them in a long one.
fn pausing(group: UserGroup, pause: Duration) -> UserGroup {
    let kind = match group.kind {
        UserKind::Asks { script, body, body_after, alone, .. } => {
            UserKind::Asks { script, body, body_after, pause, alone }
        }
        other => other,
    };
    UserGroup { kind, may_be_cut: pause >= KEPT_FOR / 2, ..group }
}

/// Users who send a body, in one write with its head or in one of its own.
fn sending(users: usize, script: Script, body: usize, body_after: Option<Duration>) -> UserGroup {
    let kind = UserKind::Asks { script, body, body_after, pause: Duration::ZERO, alone: false };
    UserGroup { kind, ..UserGroup::asking(users, script) }
}

/// Answers after up to 3 ms, or later where there are so many users that a moment is enough of them.
fn soon(dice: &mut Dice, users: usize) -> Script {
    Script::Plain(Duration::from_micros(dice.draw(3_000).max(10 * users as u64)), 200)
}

/// Up to `most` users at once, from a seed: few, as many as there are places, or many times so many.
fn many(dice: &mut Dice, places: usize, most: usize) -> usize {
    let tenths = dice.one_of(&[9, 10, 11, 12, 20, 50, 100]);
    (places * tenths / 10).clamp(4, most)
}

/// From as many users as there are places to ten times as many, who ask without a pause or after one, and some who fill places.
fn crowd(seed: u64) -> StressPlan {
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
fn descriptors(seed: u64) -> StressPlan {
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
fn hosts(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 3);
    let mut plan = plan(seed, dice);
    let most = dice.one_of(&[2, 20, 100]);
    plan.options.limits.connections_per_client = most;
    let users = many(dice, most, 1_000).max(most);
    let script = soon(dice, users);
    let greedy = UserGroup { may_be_cut: true, served_within: None, ..UserGroup::asking(users, script) };
    plan.groups.push(UserGroup { first_host: 7, ..greedy });
    plan.groups.push(UserGroup { hosts: 40, ..UserGroup::asking(40 * most.min(2), script) });
    plan
}

/// The proxy stands still again and again, for longer than its timeouts.
fn stalls(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 5);
    let mut plan = plan(seed, dice);
    let long = MS * dice.one_of(&[50, 900, 2_500, 12_000, 35_000, 80_000]);
    plan.stalls = Some(Stalls { every: MS * dice.one_of(&[100, 1_000, 5_000]), long });
    let users = dice.one_of(&[5, 24, 100, 300]);
    let script = Script::Plain(MS * dice.one_of(&[1, 50, 900, 4_000]), dice.one_of(&[100, 100_000]));
    let within = Some(long * 4 + Duration::from_secs(10));
    plan.groups.push(UserGroup { served_within: within, ..UserGroup::asking(users, script) });
    if dice.one_in(2) {
        let body = dice.one_of(&[10, 20_000, 300_000]);
        let group = sending(users / 2, script, body, dice.one_in(2).then_some(MS));
        plan.groups.push(UserGroup { served_within: within, ..group });
    }
    plan.options.retry_budget = 0.0;
    plan.duration = Duration::from_secs(20).max(long * 5);
    plan
}

/// Few users who send bodies one after the other, in one write or in two.
fn uploads(seed: u64) -> StressPlan {
    let dice = &mut Dice::new(seed, 6);
    let mut plan = plan(seed, dice);
    let users = dice.one_of(&[1, 2, 10, 50]);
    let script = Script::Plain(Duration::from_micros(dice.draw(500)), 100);
    for _ in 0..1 + dice.draw(2) {
        let body = dice.one_of(&[10, 20_000, 20_000, 200_000]);
        let after = dice.one_of(&[None, Some(Duration::ZERO), Some(MS / 10), Some(MS * 3)]);
        plan.groups.push(sending(users, script, body, after));
    }
    plan.duration = MS * 20_000 / (users as u32 * 10).max(30);
    plan
}

/// Answers that begin and then are silent for long, 102 again and again, uploads that a backend reads late.
fn silences(seed: u64) -> StressPlan {
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
