//! What one more request costs.
//!
//! Here: the toll, the growth cap, and both added to the load line. Not here: which cost wins (`band.rs`). Floor 1.

use super::load_line::LoadLine;

/// A backend may have twice as many in flight as it has been seen to bear before that costs more...
const GROWTH: f64 = 2.0;

/// ...and so many beyond. The cap stops a rush to a backend whose line was learned at rest: without it, unequal capacities at
/// 95 % go from 18.7 to 21.5 ms, a hundred backends at 70 % from 13.6 to 15.5.
const GROWTH_ROOM: f64 = 4.0;

/// How fast it is forgotten how many a backend has borne, in milliseconds without a sample.
const PEAK_MEMORY_MS: f64 = 10_000.0;

/// The most requests in flight that answers have come back from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak(f64);

impl Peak {
    /// An answer came to a request that was sent as the `in_flight`th, `gap_ms` after the one before.
    pub(super) fn record(&mut self, gap_ms: f64, in_flight: f64) {
        self.0 = if in_flight >= self.0 {
            in_flight
        } else {
            in_flight.max(self.0 * (-gap_ms / PEAK_MEMORY_MS).exp())
        };
    }

    fn excess(self, in_flight: f64) -> f64 {
        (in_flight / (GROWTH * self.0 + GROWTH_ROOM)).max(1.0)
    }
}

/// The cost in milliseconds of a request that joins `others` in flight: its own latency, and the delay that it causes to
/// the others (the toll: without it, unequal capacities at 95 % go from 18.7 to 26.8 ms).
pub(super) fn cost_ms(line: &LoadLine, peak: Peak, others: u32) -> f64 {
    let others = f64::from(others);
    let toll = line.slope_ms() * others;
    (line.at_ms(others + 1.0) + toll) * peak.excess(others + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_pays_for_the_delay_of_the_others_and_beyond_twice_the_peak_for_the_risk() {
        let (mut line, mut peak) = (LoadLine::default(), Peak::default());
        for i in 0..4000 {
            let load = f64::from(i % 20 + 1);
            line.record(0.0, load, 10.0 * load);
            peak.record(0.0, load);
        }
        let own = |in_flight: u32| line.at_ms(f64::from(in_flight));
        assert_eq!(cost_ms(&line, peak, 0), own(1));
        assert_eq!(cost_ms(&line, peak, 9), own(10) + 9.0 * line.slope_ms());
        let free = own(44) + 43.0 * line.slope_ms();
        assert_eq!(cost_ms(&line, peak, 43), free);
        assert_eq!(cost_ms(&line, peak, 87), (own(88) + 87.0 * line.slope_ms()) * 2.0);
    }

    #[test]
    fn a_peak_is_forgotten_while_there_are_no_samples() {
        let mut peak = Peak::default();
        peak.record(0.0, 100.0);
        peak.record(1.0, 10.0);
        assert!(peak.0 > 99.0);
        peak.record(10_000.0, 10.0);
        assert!((peak.0 - 36.78).abs() < 0.1, "{peak:?}");
        peak.record(1e9, 10.0);
        assert_eq!(peak.0, 10.0);
    }
}
