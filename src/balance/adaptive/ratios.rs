//! How the latest answers compared with what was expected.
//!
//! Here: [`Ratios`], the last latencies as multiples of the load line when their requests were sent, and what follows: when
//! a sample is cut, what is unusually late. A ratio is luck without load. Not here: the line (`load_line.rs`), what hedges make
//! of many ratios (`luck.rs`). Floor 1.

/// The usual is that of so many answers: more would be slow to tell a stall (12.7 instead of 11.6 ms with pauses of 500 ms)...
const LEAST_LOOKED_AT: usize = 32;

/// ...but of as many as are in flight, up to so many: answers that were asked for together come together, the fast ones first,
/// and fewer tell nothing of the slow. Without, the mean goal has 670 instead of 695 requests/s on the profile of A, B and C.
const REMEMBERED: usize = 64;

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

    pub(super) fn refresh(&mut self, in_flight: u32) {
        let wanted = (in_flight as usize).clamp(LEAST_LOOKED_AT, REMEMBERED);
        let len = self.recorded.min(wanted);
        if len >= FEW && self.recorded != self.refreshed {
            self.refreshed = self.recorded;
            let mut last = self.last;
            // The oldest first.
            last.rotate_left(self.recorded % REMEMBERED);
            let newest = &mut last[REMEMBERED - len..];
            let (_, q90, _) = newest.select_nth_unstable_by(len * 9 / 10, f32::total_cmp);
            self.q90 = f64::from(*q90);
        }
    }

    /// What of a latency enters the line, when `expected_ms` was expected. No less than that is left: the quantile is that of the
    /// last refresh, and if all was faster than expected before it, the line would fall from then to the next without end.
    pub(super) fn cut_ms(&self, latency_ms: f64, expected_ms: f64) -> f64 {
        if self.recorded <= LEAST_TO_CUT {
            return latency_ms;
        }
        latency_ms.min((CUT * self.q90).max(1.0) * expected_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_beyond_the_usual_is_cut_and_not_before_it_is_known() {
        let mut ratios = Ratios::default();
        (0..20).for_each(|_| ratios.record(1.5));
        ratios.refresh(1);
        assert_eq!((ratios.q90(), ratios.cut_ms(900.0, 100.0)), (1.5, 900.0));
        ratios.record(1.5);
        assert_eq!((ratios.cut_ms(900.0, 100.0), ratios.cut_ms(299.0, 100.0)), (300.0, 299.0));
    }

    #[test]
    fn what_is_no_more_than_was_expected_is_not_cut_although_all_was_faster_before() {
        let mut ratios = Ratios::default();
        (0..32).for_each(|_| ratios.record(0.1));
        ratios.refresh(1);
        assert_eq!((ratios.cut_ms(99.0, 100.0), ratios.cut_ms(900.0, 100.0)), (99.0, 100.0));
    }

    #[test]
    fn the_quantile_is_of_the_last_32_or_as_many_as_are_in_flight() {
        let mut ratios = Ratios::default();
        (0..4).for_each(|_| ratios.record(1.0));
        ratios.refresh(1);
        assert_eq!(ratios.q90(), f64::INFINITY);
        for (in_flight, known) in [(1, 196.0), (50, 195.0), (1000, 193.0)] {
            // Of 168 to 199 the one that 28 precede, of 150 to 199 that 45 do, of 136 to 199 that 57 do.
            (0..200).for_each(|i| ratios.record(f64::from(i)));
            ratios.refresh(in_flight);
            assert_eq!(ratios.q90(), known, "{in_flight}");
        }
    }
}
