//! From which load on a backend is hot.
//!
//! Here: [`Loads`], the latest loads that probes have told of, and their quantile (Prequal, §4.2: the limit is the Q_RIF
//! quantile of the estimated distribution of requests in flight). Not here: what follows from it (`pool.rs`). Floor 1.

/// How many loads the quantile is of.
const REMEMBERED: usize = 128;

/// Q_RIF: a backend above this quantile of the loads is hot. The paper's production value.
const HOT_QUANTILE: f64 = 0.84;

/// The latest loads, and the same in order of size.
#[derive(Debug)]
pub(super) struct Loads {
    latest: [u32; REMEMBERED],
    sorted: Vec<u32>,
    recorded: usize,
}

impl Default for Loads {
    fn default() -> Loads {
        Loads { latest: [0; REMEMBERED], sorted: Vec::with_capacity(REMEMBERED), recorded: 0 }
    }
}

impl Loads {
    pub(super) fn record(&mut self, load: u32) {
        let place = &mut self.latest[self.recorded % REMEMBERED];
        if self.recorded >= REMEMBERED {
            let oldest = self.sorted.partition_point(|&other| other < *place);
            self.sorted.remove(oldest);
        }
        *place = load;
        self.recorded += 1;
        let at = self.sorted.partition_point(|&other| other < load);
        self.sorted.insert(at, load);
    }

    /// The limit as it is now.
    pub(super) fn limit(&self) -> Hot {
        let rank = (self.sorted.len() as f64 * HOT_QUANTILE) as usize;
        let limit = self.sorted.get(rank.min(self.sorted.len().saturating_sub(1))).copied().unwrap_or(0);
        Hot { limit, least: self.sorted.first().copied().unwrap_or(0) }
    }
}

/// What is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hot {
    limit: u32,
    least: u32,
}

impl Hot {
    /// At the limit itself too, unless the least load is as high.
    pub(super) fn covers(self, load: u32) -> bool {
        load > self.limit || (load == self.limit && self.limit > self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_quantile_of_the_latest_loads() {
        let mut loads = Loads::default();
        assert!(!loads.limit().covers(0) && loads.limit().covers(1));
        (0..1000).for_each(|load| loads.record(load % 100));
        // The last 128 are 72 to 99 and 0 to 99: 107 of them lie below 78 or are 78.
        let mut last: Vec<u32> = (872..1000).map(|load| load % 100).collect();
        last.sort_unstable();
        assert_eq!(loads.sorted, last);
        assert!(loads.limit().covers(last[107]) && !loads.limit().covers(last[107] - 1));
    }

    #[test]
    fn equal_loads_are_not_hot() {
        let mut loads = Loads::default();
        (0..10).for_each(|_| loads.record(4));
        assert!(!loads.limit().covers(4) && loads.limit().covers(5));
    }
}
