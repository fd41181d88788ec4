//! What one backend's latest answers took, and under which load.
//!
//! Here: [`Recent`], from which a probe is answered: the median of the answers under about the present load (Prequal, §4.1
//! "Load signals"). Not here: probes (`pool.rs`). Floor 1.

/// How many answers are remembered.
const ANSWERS: usize = 32;

/// The median is of so many of them, those whose load was nearest.
const NEAREST: usize = 9;

/// The latest answers of one backend.
#[derive(Debug, Default)]
pub(in crate::balance) struct Recent {
    /// Requests in flight when it was sent, itself included, and what it took.
    answers: [(u32, f64); ANSWERS],
    recorded: usize,
}

impl Recent {
    pub(in crate::balance) fn record(&mut self, in_flight: u32, latency_ms: f64) {
        self.answers[self.recorded % ANSWERS] = (in_flight, latency_ms);
        self.recorded += 1;
    }

    /// What one more request would take, in milliseconds, when `in_flight` are there; `None` before the first answer.
    pub(in crate::balance) fn latency_ms(&self, in_flight: u32) -> Option<f64> {
        let len = self.recorded.min(ANSWERS);
        let mut near = [(0u32, 0.0f64); ANSWERS];
        for (place, &(load, latency)) in near.iter_mut().zip(&self.answers[..len]) {
            *place = (load.abs_diff(in_flight + 1), latency);
        }
        let near = &mut near[..len];
        let kept = len.min(NEAREST);
        if kept == 0 {
            return None;
        }
        near.select_nth_unstable_by(kept - 1, |a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (_, median, _) = near[..kept].select_nth_unstable_by(kept / 2, |a, b| a.1.total_cmp(&b.1));
        Some(median.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_nine_answers_under_the_nearest_load() {
        let mut recent = Recent::default();
        assert_eq!(recent.latency_ms(0), None);
        for load in 1..=20 {
            recent.record(load, f64::from(load) * 10.0);
        }
        // One more at 9 in flight is the tenth: those from 6 to 14.
        assert_eq!(recent.latency_ms(9), Some(100.0));
        assert_eq!(recent.latency_ms(0), Some(50.0));
        for _ in 0..ANSWERS {
            recent.record(10, 7.0);
        }
        assert_eq!(recent.latency_ms(0), Some(7.0));
    }
}
