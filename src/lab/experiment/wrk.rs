//! wrk as the driver of a run.
//!
//! Here: starting it, waiting for it, its words. Not here: the rest of a run (`live.rs`). Floor 4.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::watch::GLANCE;
use super::{Demand, ExperimentError, Pace, Run, Study, Watcher, cannot};
use crate::time::WallTime;

/// Puts the load on with wrk, first for the warm-up. Returns wrk's words, when the time of measurement began in microseconds of
/// the proxy's log, and after how long it was cut short, if it was.
pub(super) fn drive(
    study: &Study,
    run: Run,
    address: SocketAddr,
    watcher: &mut Watcher<'_>,
) -> Result<(String, i64, Option<Duration>), ExperimentError> {
    let Demand::Requests { pace: Pace::Closed { connections, .. }, threads, timeout, .. } = &study.demand
    else {
        return Err(ExperimentError::Wrk("it drives closed loops of requests only".to_owned()));
    };
    let began = watcher.now();
    let mut one = |time: Duration| {
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        let mut command = Command::new("wrk");
        command.arg(format!("-t{threads}")).arg(format!("-c{connections}"));
        command.args(["-d", &seconds(time), "--timeout", &seconds(*timeout), "--latency"]);
        command.arg(format!("http://{address}/"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child =
            child.map_err(|e| ExperimentError::Wrk(format!("{e}; is it installed? `make install-wrk`")))?;
        let words = wait(child, watcher, |watcher| {
            let passed = watcher.now() - began;
            watcher.tell(run, passed, study.run_time(), &[]);
        })?;
        Ok::<_, ExperimentError>((words, watcher.now(), watcher.wall(), watcher.interrupted()))
    };
    let mut from_us = None;
    if !study.warm_up.is_zero() {
        let (words, now, wall, interrupted) = one(study.warm_up)?;
        from_us = Some(civil_us(wall));
        if interrupted {
            return Ok((words, civil_us(wall), Some(now - began)));
        }
    }
    let (words, now, _, interrupted) = one(study.duration)?;
    Ok((words, from_us.unwrap_or(i64::MIN), interrupted.then(|| now - began)))
}

/// Waits for its end; a signal ends it early, with its words.
fn wait(
    mut child: Child,
    watcher: &mut Watcher<'_>,
    mut glance: impl FnMut(&mut Watcher<'_>),
) -> Result<String, ExperimentError> {
    let ended = loop {
        match child.try_wait().map_err(cannot("wait for wrk"))? {
            Some(status) => break status,
            None if watcher.interrupted() => {
                child.kill().map_err(cannot("end wrk"))?;
                break child.wait().map_err(cannot("wait for wrk"))?;
            }
            None => {
                watcher.wait(GLANCE)?;
                glance(watcher);
            }
        }
    };
    let (mut words, mut complaint) = (String::new(), String::new());
    let read = |from: Option<&mut dyn Read>, to: &mut String| match from {
        Some(from) => from.read_to_string(to).map(drop),
        None => Ok(()),
    };
    read(child.stdout.as_mut().map(|out| out as &mut dyn Read), &mut words)
        .map_err(cannot("read wrk's words"))?;
    read(child.stderr.as_mut().map(|out| out as &mut dyn Read), &mut complaint)
        .map_err(cannot("read wrk's words"))?;
    if !ended.success() && !watcher.interrupted() {
        return Err(ExperimentError::Wrk(format!("{ended}: {}", complaint.trim())));
    }
    Ok(words)
}

/// A civil time in the local zone, in microseconds as if it were UTC: as logs are read.
fn civil_us(wall: WallTime) -> i64 {
    let timestamp = Timestamp::from_nanosecond(i128::from(wall.as_nanos())).unwrap_or_default();
    let local = TimeZone::system().to_datetime(timestamp);
    Offset::UTC.to_timestamp(local).map_or(0, Timestamp::as_microsecond)
}
