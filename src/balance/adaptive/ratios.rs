//! How the latest answers compared with what was expected.
//!
//! Here: [`Ratios`], the last latencies as multiples of the load line when their requests were sent, and what follows: when
//! a sample is cut, what is unusually late. A ratio is luck without load. Not here: the line (`load_line.rs`), what hedges make
//! of many ratios (`luck.rs`). Floor 1.

/// How many ratios are remembered.
const REMEMBERED: usize = 32;

/// Fewer do not tell what is usual.
const FEW: usize = 5;

/// Samples are not cut before so many were seen.
const LEAST_TO_CUT: usize = 20;

/// A sample beyond so many times the 90 % quantile enters the line as that: a stall is for the tail to tell of, and the age
/// rule. Without, pauses of 500 ms take p99 from 30 to 56 ms.
const CUT: f64 = 2.0;

/// The last ratios of one backend.
#[derive(Clone, Debug)]
pub(super) struct Ratios {
    last: [f32; REMEMBERED],
    recorded: usize,
    /// How many had been recorded at the last refresh.
    refreshed: usize,
    q90: f64,
}

impl Default for Ratios {
    fn default() -> Ratios {
        Ratios { last: [0.0; REMEMBERED], recorded: 0, refreshed: 0, q90: f64::INFINITY }
    }
}

impl Ratios {
    pub(super) fn record(&mut self, ratio: f64) {
        self.last[self.recorded % REMEMBERED] = ratio as f32;
        self.recorded += 1;
    }

    /// The 90 % quantile at the last [`Ratios::refresh`]; infinite before there was one of enough.
    pub(super) fn q90(&self) -> f64 {
        self.q90
    }

    pub(super) fn refresh(&mut self) {
        let len = self.recorded.min(REMEMBERED);
        if len >= FEW && self.recorded != self.refreshed {
            self.refreshed = self.recorded;
            let mut last = self.last;
            let (_, q90, _) = last[..len].select_nth_unstable_by(len * 9 / 10, f32::total_cmp);
            self.q90 = f64::from(*q90);
        }
    }

    /// What of a latency enters the line, when `expected_ms` was expected.
    pub(super) fn cut_ms(&self, latency_ms: f64, expected_ms: f64) -> f64 {
        if self.recorded > LEAST_TO_CUT { latency_ms.min(CUT * self.q90 * expected_ms) } else { latency_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_beyond_the_usual_is_cut_and_not_before_it_is_known() {
        let mut ratios = Ratios::default();
        (0..20).for_each(|_| ratios.record(1.5));
        ratios.refresh();
        assert_eq!((ratios.q90(), ratios.cut_ms(900.0, 100.0)), (1.5, 900.0));
        ratios.record(1.5);
        assert_eq!((ratios.cut_ms(900.0, 100.0), ratios.cut_ms(299.0, 100.0)), (300.0, 299.0));
    }

    #[test]
    fn the_quantile_is_of_the_last_32() {
        let mut ratios = Ratios::default();
        (0..4).for_each(|_| ratios.record(1.0));
        ratios.refresh();
        assert_eq!(ratios.q90(), f64::INFINITY);
        (0..100).for_each(|i| ratios.record(f64::from(i)));
        ratios.refresh();
        // Of 68 to 99 the one that 28 precede.
        assert_eq!(ratios.q90(), 96.0);
    }
}
