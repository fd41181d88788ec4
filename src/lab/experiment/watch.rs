//! Who looks on while an experiment is played.
//!
//! Here: [`Watch`], who is told how it goes; [`Watcher`], who waits meanwhile and hears of signals. Not here: how it is shown
//! (`cli/experiment/`). Floor 4.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::rows::Recent;
use super::{ExperimentError, Run, cannot};
use crate::net::{Event, Net, OsNet, Wake, Waker};
use crate::time::{Instant, WallTime};

/// How often an onlooker is told.
pub(super) const GLANCE: Duration = Duration::from_millis(250);

/// How an experiment goes.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse {
    /// The run under way.
    pub run: Run,
    /// How many are over, of how many.
    pub runs: (usize, usize),
    /// How long this run has gone on, of how long, in its own time.
    pub time: (Duration, Duration),
    /// How long the whole experiment has gone on, in the world's time.
    pub elapsed: Duration,
    /// Answers a second since the last glimpse, in the run's own time.
    pub rate: f64,
    /// The 0.99 quantile of latency since the last glimpse.
    pub p99: Option<Duration>,
}

/// Someone who is told.
pub trait Watch {
    /// This is how it goes now.
    fn glimpse(&mut self, glimpse: &Glimpse);
}

/// Waits, and hears of signals.
pub struct Watcher<'a> {
    net: OsNet,
    waker: Arc<Waker>,
    onlooker: &'a mut dyn Watch,
    interrupted: bool,
    start: Instant,
    /// How many runs are over, of how many.
    pub(super) runs: (usize, usize),
    last: Duration,
}

impl<'a> Watcher<'a> {
    /// A watcher by the signals of `net`, who tells `onlooker`.
    ///
    /// # Errors
    /// When the system gives no waker.
    pub fn new(net: OsNet, onlooker: &'a mut dyn Watch) -> Result<Watcher<'a>, ExperimentError> {
        let waker = Arc::new(net.waker().map_err(cannot("make a waker"))?);
        let start = net.now();
        Ok(Watcher { net, waker, onlooker, interrupted: false, start, runs: (0, 0), last: Duration::ZERO })
    }

    /// Whether a signal asked for the end.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// The civil time.
    pub fn wall(&self) -> WallTime {
        self.net.wall(self.net.now())
    }

    pub(super) fn now(&self) -> Instant {
        self.net.now()
    }

    /// Waits until something wakes it, at most so long.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<(), ExperimentError> {
        let mut events = Vec::new();
        let now = self.net.now();
        self.net.poll(&mut events, now, Some(now + limit)).map_err(cannot("wait"))?;
        self.interrupted |= events.contains(&Event::Woken(Wake::StopSignal));
        Ok(())
    }

    /// A waker for threads that end.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// A run begins.
    pub(super) fn begin(&mut self) {
        self.last = Duration::ZERO;
    }

    /// Tells the onlooker how the run goes after `passed` of `whole`, and empties what is `recent`.
    pub(super) fn tell(&mut self, run: Run, passed: Duration, whole: Duration, recent: &[Recent]) {
        let mut all: Option<Histogram<u64>> = None;
        for one in recent {
            let Ok(mut one) = one.lock() else { continue };
            match &mut all {
                None => all = Some(one.clone()),
                Some(all) => all.add(&*one).expect("all have the same bounds"),
            }
            one.reset();
        }
        let span = passed.saturating_sub(self.last).as_secs_f64();
        self.last = passed;
        let answers = all.as_ref().map_or(0, Histogram::len);
        let p99 =
            all.filter(|all| !all.is_empty()).map(|all| Duration::from_nanos(all.value_at_quantile(0.99)));
        let rate = if span > 0.0 { answers as f64 / span } else { 0.0 };
        let (elapsed, time) = (self.net.now() - self.start, (passed.min(whole), whole));
        self.onlooker.glimpse(&Glimpse { run, runs: self.runs, time, elapsed, rate, p99 });
    }
}
