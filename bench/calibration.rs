//! How far verdicts can be trusted: pairs of variants whose difference is known, each played 10 times in virtual time.
//!
//! In A/A pairs the two are the same, with seeds of their own; a difference that is claimed is a mistake. In the other pairs the
//! service times of one are 5 % longer. `PAIRS=100 SECONDS=10 make calibrate` prints how often each is claimed.

use std::collections::BTreeMap;

use tidegate::config::parse_study;
use tidegate::lab::experiment::{Glimpse, Study, Watch, Watcher, simulate};
use tidegate::lab::report::Run as Logged;
use tidegate::lab::verdict::{CONFIDENCE, Finding, Metric, Repeats, compare};
use tidegate::net::OsNet;

const REPEATS: usize = 10;

/// Nobody.
struct Nobody;

impl Watch for Nobody {
    fn glimpse(&mut self, _glimpse: &Glimpse) {}
}

/// Three backends with a few requests each at once, under an open loop at three quarters of what they carry.
fn study(seed: u64, factor: f64, seconds: u64) -> Study {
    let median = 20.0 * factor;
    let text = format!(
        "seed = {seed}\nrepeats = {REPEATS}\nduration = \"{seconds}s\"\nwarm-up = \"1s\"\n\
         [[backend]]\nprofile = \"lognormal:{median},0.5\"\ncopies = 3\n\
         [load]\nrate = 400\n[[variant]]\nname = \"x\"\n"
    );
    parse_study("calibration", "calibration", &text, 20_000).expect("a study")
}

fn played(study: &Study, watcher: &mut Watcher<'_>) -> Repeats {
    let mut repeats = Repeats::new("x", 0.0);
    for run in study.runs() {
        let outcome = simulate(study, run, watcher).expect("no violation");
        let log = outcome.log(study);
        repeats.push(&Logged::new(String::new(), String::new(), log, Some(study.duration)).analysis.figures);
    }
    repeats
}

/// How often each finding comes for each figure in so many pairs.
fn pairs(number: u64, first: u64, factor: f64, seconds: u64) -> BTreeMap<&'static str, [u64; 3]> {
    let mut nobody = Nobody;
    let mut watcher = Watcher::new(OsNet::new().expect("a network"), &mut nobody).expect("a watcher");
    let mut found = BTreeMap::new();
    for pair in 0..number {
        let seed = first + 2 * pair;
        let old = played(&study(seed, 1.0, seconds), &mut watcher);
        let new = played(&study(seed + 1, factor, seconds), &mut watcher);
        let verdicts = compare(&old, &new, CONFIDENCE, 0);
        let claimed = verdicts.iter().any(|verdict| verdict.finding != Finding::NotShown);
        for (name, finding) in verdicts
            .iter()
            .map(|verdict| (verdict.metric.name(), verdict.finding))
            .chain([("any of them", if claimed { Finding::Worse } else { Finding::NotShown })])
        {
            let place = match finding {
                Finding::Better => 0,
                Finding::Worse => 1,
                Finding::NotShown | Finding::TooFewRepeats => 2,
            };
            found.entry(name).or_insert([0; 3])[place] += 1;
        }
    }
    found
}

fn main() {
    let setting = |name: &str, usual: u64| {
        std::env::var(name)
            .ok()
            .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (number, seconds) = (setting("PAIRS", 100), setting("SECONDS", 10));
    println!(
        "{number} pairs each, {REPEATS} repeats of {seconds} virtual seconds at 400 requests a second\n"
    );
    println!("| difference | figure | better | worse | not shown |");
    println!("| --- | --- | ---: | ---: | ---: |");
    let halves = |first, factor| {
        // Two cores.
        let other = std::thread::spawn(move || pairs(number / 2, first, factor, seconds));
        let mut found = pairs(number - number / 2, first + number, factor, seconds);
        for (name, counts) in other.join().expect("half of the pairs") {
            let all = found.entry(name).or_insert([0; 3]);
            all.iter_mut().zip(counts).for_each(|(all, more)| *all += more);
        }
        found
    };
    for (name, found) in [("none", halves(1_000_000, 1.0)), ("5 % longer", halves(2_000_000, 1.05))] {
        let figures = Metric::ALL.map(Metric::name).into_iter().chain(["any of them"]);
        for figure in figures {
            let [better, worse, not_shown] = found.get(figure).copied().unwrap_or_default();
            println!("| {name} | {figure} | {better} | {worse} | {not_shown} |");
        }
    }
}
