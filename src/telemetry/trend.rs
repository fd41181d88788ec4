//! Latencies over the last minutes.
//!
//! Here: [`Trend`], two quantiles of each server for each step of civil time. Not here: the distribution since the start
//! (`histogram.rs`) and how it is drawn. `figures.rs` feeds it. Floor 2.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram as Hdr;

use crate::balance::BackendId;
use crate::record::Record;
use crate::time::WallTime;

/// How long a step is.
pub const TREND_STEP: Duration = Duration::from_secs(2);

/// How many steps are kept: five minutes.
const STEPS: usize = 150;

/// Of more servers no trend is kept.
const SERVERS: usize = 64;

const LOWEST_NS: u64 = 1_000;
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// What happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrendPoint {
    /// When the step began.
    pub start: WallTime,
    /// By `BackendId`, the first 64 of them; none where no request of it ended in the step.
    pub servers: Vec<Option<TrendValue>>,
}

/// One server's requests that ended in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrendValue {
    /// How many there were.
    pub requests: u64,
    /// Half took at most this many nanoseconds (two digits).
    pub p50_ns: u64,
    /// 99 % took at most this many nanoseconds (two digits).
    pub p99_ns: u64,
}

#[derive(Debug)]
pub(super) struct Trend {
    past: VecDeque<Arc<TrendPoint>>,
    /// The number of the present step since the epoch.
    step: u64,
    present: Vec<Hdr<u64>>,
}

impl Trend {
    pub(super) fn new(servers: usize) -> Trend {
        let mut trend = Trend { past: VecDeque::with_capacity(STEPS), step: 0, present: Vec::new() };
        trend.make_room(servers);
        trend
    }

    /// There are so many ids now.
    pub(super) fn make_room(&mut self, servers: usize) {
        while self.present.len() < servers.min(SERVERS) {
            let mut counts =
                Hdr::new_with_bounds(LOWEST_NS, 1_000_000_000, 2).expect("constant bounds are valid");
            counts.auto(true);
            self.present.push(counts);
        }
    }

    /// Another has this id now.
    pub(super) fn forget(&mut self, id: BackendId) {
        let index = usize::from(id.0);
        let points = self.past.iter_mut().filter(|point| matches!(point.servers.get(index), Some(Some(_))));
        points.for_each(|point| Arc::make_mut(point).servers[index] = None);
        self.present.get_mut(index).into_iter().for_each(Hdr::reset);
    }

    pub(super) fn add(&mut self, record: &Record) {
        let step = record.ended.as_secs() / TREND_STEP.as_secs();
        // The civil clock may be set back: what comes then belongs to the present step all the same.
        if step > self.step {
            self.end_step();
            self.step = step;
        }
        if let Some(counts) = record.backend.and_then(|id| self.present.get_mut(usize::from(id.0)))
            && record.latency_ns > 0
        {
            // Within the bounds the counters grow as needed, which cannot fail on 64 bits.
            let _ = counts.record(record.latency_ns.clamp(LOWEST_NS, HIGHEST_NS));
        }
    }

    /// The steps that are over, and the present one as far as it has come; without steps in which nothing ended.
    pub(super) fn points(&self) -> Vec<Arc<TrendPoint>> {
        self.past.iter().cloned().chain(self.point().map(Arc::new)).collect()
    }

    fn point(&self) -> Option<TrendPoint> {
        let value = |counts: &Hdr<u64>| {
            (!counts.is_empty()).then(|| TrendValue {
                requests: counts.len(),
                p50_ns: counts.value_at_quantile(0.50),
                p99_ns: counts.value_at_quantile(0.99),
            })
        };
        let servers: Vec<_> = self.present.iter().map(value).collect();
        let start = WallTime::from_nanos(self.step * TREND_STEP.as_nanos() as u64);
        servers.iter().any(Option::is_some).then_some(TrendPoint { start, servers })
    }

    fn end_step(&mut self) {
        if let Some(point) = self.point() {
            if self.past.len() == STEPS {
                self.past.pop_front();
            }
            self.past.push_back(Arc::new(point));
            self.present.iter_mut().for_each(Hdr::reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{BackendId, RoutingMode};
    use crate::record::{Averages, Mode};

    fn record(second: u64, backend: u16, ms: u64) -> Record {
        Record {
            ended: WallTime::from_nanos(second * 1_000_000_000),
            latency_ns: ms * 1_000_000,
            backend: Some(BackendId(backend)),
            status: 200,
            mode: Mode::Routing(RoutingMode::RoundRobin),
            failed: false,
            reused: false,
            connect_us: 0,
            averages: Averages::UNMEASURED,
        }
    }

    #[test]
    fn each_step_tells_of_the_servers_that_had_requests() {
        let mut trend = Trend::new(2);
        assert_eq!(trend.points(), []);
        for record in [record(10, 0, 10), record(11, 0, 30), record(11, 0, 10), record(15, 1, 200)] {
            trend.add(&record);
        }
        let told: Vec<_> = trend.points().iter().map(|p| (p.start.as_secs(), p.servers.clone())).collect();
        let ms = |ns: u64| (ns as f64 / 1e6).round() as u64;
        let [(10, first), (14, second)] = &told[..] else { panic!("{told:?}") };
        let value = first[0].unwrap();
        assert_eq!((value.requests, ms(value.p50_ns), ms(value.p99_ns), first[1]), (3, 10, 30, None));
        assert_eq!((second[0], second[1].unwrap().requests), (None, 1));
    }

    #[test]
    fn no_more_than_five_minutes_are_kept_and_a_clock_set_back_loses_nothing() {
        let mut trend = Trend::new(1);
        (0..1000).for_each(|second| trend.add(&record(second, 0, 1)));
        trend.add(&record(3, 0, 1));
        let points = trend.points();
        assert_eq!(points.len(), STEPS + 1);
        assert_eq!(points.last().unwrap().servers[0].unwrap().requests, 3);
    }
}
