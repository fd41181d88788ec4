//! What the worlds under stress are like: each climate draws its plans from seeds.

mod customers;
mod peers;
mod places;

use std::time::Duration;

use tidegate::balance::{AllOut, HealthOptions};
use tidegate::net::Weather;
use tidegate::proxy::Options;
use tidegate::testbed::ClassifierOptions;
use tidegate::world::{Rows, Script, StressPlan, UserGroup, UserKind, usual_options};

pub(crate) use places::at_limit;

/// A kind of worlds.
pub(crate) struct Climate {
    pub(crate) name: &'static str,
    pub(crate) plan: fn(u64) -> StressPlan,
}

/// All of them.
pub(crate) const CLIMATES: [Climate; 12] = [
    Climate { name: "crowd", plan: places::crowd },
    Climate { name: "descriptors", plan: places::descriptors },
    Climate { name: "hosts", plan: places::hosts },
    Climate { name: "slow", plan: places::slow },
    Climate { name: "stalls", plan: peers::stalls },
    Climate { name: "uploads", plan: peers::uploads },
    Climate { name: "silences", plan: peers::silences },
    Climate { name: "two-answers", plan: peers::two_answers },
    Climate { name: "batching", plan: customers::batching },
    Climate { name: "classifiers", plan: customers::classifiers },
    Climate { name: "names", plan: peers::names },
    Climate { name: "sinks", plan: places::sinks },
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
        classifier_ways: Vec::new(),
        backends: 1 + dice.draw(3) as usize,
        groups: Vec::new(),
        weather: dice.weather(),
        descriptors: usize::MAX,
        work_a_call: Duration::from_nanos(dice.one_of(&[0, 500, 2_000])),
        stalls: None,
        look_ups: None,
        rows: Rows::Taken,
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
