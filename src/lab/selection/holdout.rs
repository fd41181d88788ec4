//! Scenarios drawn at random.
//!
//! Here: reading them from `holdout.txt`, which says what they are. Floor 4.

use std::time::Duration;

use super::scenario::{Arrivals, Group, Scenario};

const TEXT: &str = include_str!("holdout.txt");

const WARM_UP: Duration = Duration::from_secs(2);
const END: Duration = Duration::from_secs(30);

/// Those of the file.
pub(super) fn holdout() -> Vec<Scenario> {
    let text = TEXT.split_once("\n\n").map_or(TEXT, |(_heading, scenarios)| scenarios);
    text.split("\n\n").map(|block| read(block).unwrap_or_else(|| panic!("holdout.txt: {block}"))).collect()
}

fn read(block: &'static str) -> Option<Scenario> {
    let mut lines = block.lines();
    let [name, kind, load, proxies] = *lines.next()?.split(' ').collect::<Vec<_>>() else { return None };
    let arrivals = match kind {
        "open" => Arrivals::open(load.parse().ok()?),
        "closed" => Arrivals::Closed(load.parse().ok()?),
        _ => return None,
    };
    let groups = lines.map(group).collect::<Option<Vec<_>>>()?;
    let what = "drawn at random, never tuned on";
    let proxies = proxies.parse().ok()?;
    Some(Scenario { name, what, groups, arrivals, warm_up: WARM_UP, end: END, proxies })
}

fn group(line: &str) -> Option<Group> {
    let mut words = line.split(' ');
    let group = Group::new(1, words.next()?).capacity(words.next()?.parse().ok()?);
    Some(words.fold(group, Group::fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ten_are_read_with_their_loads_and_faults() {
        let all = holdout();
        assert_eq!(all.len(), 10);
        assert_eq!(all.iter().map(|scenario| scenario.groups.len()).sum::<usize>(), 169);
        assert_eq!((all[1].arrivals.clone(), all[1].proxies), (Arrivals::Closed(400), 4));
        assert_eq!(all[0].groups[8].faults[0].to_string(), "throttle:x5,from=10s,for=12s");
    }
}
