//! What came of a run.
//!
//! Here: [`Outcome`], and its figures' rows as a [`Log`]. Not here: files (`folder.rs`), figures (`analyze.rs`). Floor 4.

use std::path::PathBuf;
use std::time::Duration;

use super::rows::{Observed, Served};
use super::{Run, Servers, Study, letter};
use crate::lab::log::{Log, NO_ANSWER, Row};
use crate::load;
use crate::testbed::Meter;
use crate::time::WallTime;

/// What a client gets no answer for after it has left, and wrk leaves some at its end.
const CLIENT_LEFT: u16 = 499;

/// A run that is over.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub run: Run,
    /// When it began.
    pub began: WallTime,
    /// What was seen.
    pub rows: Rows,
    /// What the load says of it.
    pub load: Load,
    /// What each backend has worked since the warm-up; none of classifiers.
    pub meters: Vec<Meter>,
    /// After how long, if it was ended before its time.
    pub cut_short: Option<Duration>,
}

/// What was seen.
#[derive(Debug)]
pub enum Rows {
    /// By the load: every request that is over, in order of the ends on each thread.
    Seen(Vec<Observed>),
    /// By the proxy: its log, here; figures are of rows after this time, in microseconds of the log.
    Logged {
        /// The file.
        file: PathBuf,
        /// What it holds.
        log: Log,
        /// When the time of measurement begins.
        from_us: i64,
    },
}

/// What the load says.
#[derive(Debug)]
pub enum Load {
    /// Our own.
    Own(Box<load::Summary>),
    /// wrk's words.
    Wrk(String),
}

impl Outcome {
    /// How long figures were taken.
    pub fn measured(&self, study: &Study) -> Duration {
        match self.cut_short {
            Some(after) => after.saturating_sub(study.warm_up),
            None => study.duration,
        }
    }

    /// The rows that figures are taken of.
    pub fn log(&self, study: &Study) -> Log {
        match &self.rows {
            Rows::Seen(rows) => self.seen(study, rows),
            Rows::Logged { log, from_us, .. } => {
                let mut log = log.clone();
                let left = log.rows.iter().filter(|row| row.status == CLIENT_LEFT).count();
                log.rows.retain(|row| row.ended_us >= *from_us && row.status != CLIENT_LEFT);
                if left > 0 {
                    log.remarks
                        .push(format!("{left} requests that wrk left behind at an end are not counted"));
                }
                log
            }
        }
    }

    /// Whether figures are taken of a row: it was due, or in a closed loop of requests it ended, in the time of measurement.
    pub(super) fn counts(&self, study: &Study, row: &Observed) -> bool {
        let at = if study.demand.is_open() { row.due } else { row.ended };
        study.warm_up <= at && at < study.warm_up + self.measured(study)
    }

    fn seen(&self, study: &Study, rows: &[Observed]) -> Log {
        let mode = study.mode(self.run);
        let mut log = Log { modes: vec![mode.to_owned()], backends: study.servers.names(), ..Log::default() };
        let nobody = log.backends.len() as u16 - 1;
        log.rows = rows
            .iter()
            .filter(|row| self.counts(study, row))
            .map(|row| Row {
                ended_us: (self.began.as_nanos() / 1_000) as i64 + row.ended.as_micros() as i64,
                latency_ms: row.corrected().as_secs_f64() * 1e3,
                backend: match row.served {
                    Served::Backend(n) => n,
                    Served::Batch => 0,
                    Served::Nobody => nobody,
                },
                mode: 0,
                status: row.outcome.unwrap_or(NO_ANSWER),
            })
            .collect();
        log.rows.sort_by_key(|row| row.ended_us);
        if log.rows.iter().all(|row| row.backend != nobody) {
            log.backends.pop();
        }
        log
    }
}

impl Servers {
    /// What the servers are called in rows; the last stands for none.
    pub fn names(&self) -> Vec<String> {
        let names: Vec<String> = match self {
            Servers::Backends(all) => (0..all.len()).map(|n| letter(n).to_string()).collect(),
            Servers::Classifier(_) => vec!["classifier".to_owned()],
        };
        names.into_iter().chain(["-".to_owned()]).collect()
    }
}

impl Study {
    /// The routing mode or strategy of a run.
    pub fn mode(&self, run: Run) -> &'static str {
        let options = &self.variants[run.variant].options;
        match &options.batching {
            Some(batching) => batching.queue.strategy.name(),
            None => options.routing.name(),
        }
    }
}
