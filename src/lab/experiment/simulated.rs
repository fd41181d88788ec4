//! A run in virtual time.
//!
//! Here: from a study to a stage of the world. Not here: the world (`world/`), the same over sockets (`live.rs`). Floor 4.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::demand::part;
use super::outcome::{Load, Outcome, Rows};
use super::rows::{Observer, recent};
use super::{ExperimentError, Run, Servers, Study, Watcher};
use crate::load::Summary;
use crate::net::Weather;
use crate::testbed::ClassifierOptions;
use crate::time::WallTime;
use crate::world::{self, Stage, StagePlan};

/// Plays a run. What comes of it depends on the study alone.
///
/// # Errors
/// If something happens in the world that must not.
pub fn play(study: &Study, run: Run, watcher: &mut Watcher<'_>) -> Result<Outcome, ExperimentError> {
    // The stage knows better.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (load, asker) = part(study, run, 0, 1, nowhere);
    let mut meters = Vec::new();
    let (servers, backends) = match &study.servers {
        Servers::Backends(all) => {
            let backends = study.servers.backends(run.seed, study.warm_up);
            meters.extend(backends.iter().filter_map(|(_, options)| options.meter.clone()));
            (world::Servers::Backends(backends), all.len())
        }
        Servers::Classifier(options) => {
            let options = ClassifierOptions { seed: run.seed, ..options.clone() };
            (world::Servers::Classifiers(vec![options]), 0)
        }
    };
    let recent = recent();
    let observer = Observer::new(asker, backends == 0, backends, recent.clone());
    let proxy = study.variants[run.variant].options.clone();
    let plan = StagePlan { seed: run.seed, weather: Weather::CALM, proxy, servers, steered: false };
    let whole = study.run_time();
    let mut passed = Duration::ZERO;
    watcher.begin();
    let mut failed = None;
    let played = Stage::new(plan, vec![(load, observer)]).run(|now| {
        passed = now;
        watcher.tell(run, now, whole, std::slice::from_ref(&recent));
        failed = watcher.wait(Duration::ZERO).err();
        failed.is_none() && !watcher.interrupted()
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let outcome = played.map_err(ExperimentError::Violation)?;
    let interrupted = outcome.interrupted;
    let played = outcome.only();
    Ok(Outcome {
        run,
        began: WallTime::from_nanos(0),
        rows: Rows::Seen(played.workload.finish()),
        load: Load::Own(Box::new(Summary::new(&played.tally))),
        meters,
        cut_short: interrupted.then_some(passed),
    })
}
