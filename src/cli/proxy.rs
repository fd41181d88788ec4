//! `tidegate proxy`: the proxy in front of backends that run elsewhere.
//!
//! Here: from settings to a running proxy. Not here: the proxy (`proxy/`). Floor 5.

use std::time::Duration;

use clap::ArgMatches;

use crossbeam_channel::{Receiver, never};
use log::LevelFilter;

use super::reload::{Keeper, Settings, hear_hangups};
use super::start::{
    Bound, bind, bind_shared, draw_run, network_with_signals, next_signal_ends_at_once, start_log,
};
use super::{CliError, Exit, ServerArgs, admin, panics};
use crate::admin::{Configuration, Facts, InForce};
use crate::config::{Audience, Names, Setup, Source};
use crate::net::{Net, OsNet};
use crate::proxy::{Options, Proxy, TICK_SHIFT};
use crate::reactor::Reactor;
use crate::remote::{Bell, remote};
use crate::telemetry::{Recorder, Telemetry, TelemetryOptions};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate proxy --backend http://localhost:8081,http://localhost:8082 --routing adaptive_ewma
  tidegate proxy --listen :8000 --backend 10.0.0.7:8080 --connections non-persistent --csv off

Flags beat the environment, which beats the file, which beats the defaults.
Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// How long the end waits for files that take nothing.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The same after a second signal.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let (setup, settings) = prepare(args.source(matches, Audience::Proxy), Names::of_system(), start_log)?;
    let net = network_with_signals()?;
    let stand = Stand::open(net, setup, settings)?;
    let telemetry = start_telemetry(&stand.setup)?;
    serve(stand, telemetry)
}

/// Judges the settings and looks up the names in them. `told`: the level of the log, before anything may be logged.
pub(super) fn prepare(
    source: Source,
    mut names: Names,
    told: impl FnOnce(LevelFilter) -> Result<(), CliError>,
) -> Result<(Setup, Settings), CliError> {
    let effective = source.load()?;
    told(effective.log_level.value)?;
    let (backends, classifiers) = effective.look_up(&mut names)?;
    let setup = effective.clone().into_options(backends, classifiers)?;
    Ok((setup, Settings { source, effective, names, own_servers: None }))
}

/// A proxy before it serves: what it listens on is bound.
pub(super) struct Stand {
    net: OsNet,
    door: Bound,
    dashboard: Option<(Bound, Facts)>,
    pub(super) setup: Setup,
    settings: Settings,
    configuration: Configuration,
    hangups: Receiver<()>,
}

impl Stand {
    /// Listens for the proxy, and for its dashboard if there is to be one.
    pub(super) fn open(mut net: OsNet, setup: Setup, settings: Settings) -> Result<Stand, CliError> {
        // Before anything can be seen of the program, so that nobody ends it who means a reload.
        let hangups = hear_hangups()
            .map_err(|source| CliError::System { what: "watch for SIGHUP".to_owned(), source })?;
        let configuration = Configuration::default();
        configuration.set(InForce { since: net.wall(net.now()), ..InForce::default() });
        net.connect_from(&setup.sources)
            .map_err(|(address, source)| CliError::ConnectFrom { address, source })?;
        let listen = if setup.reuse_port { bind_shared } else { bind };
        let door = listen(setup.listen, "the proxy")?;
        let dashboard = match setup.admin {
            None => None,
            Some(addr) => {
                let bound = bind(addr, "the dashboard")?;
                let facts = admin::facts(&setup, configuration.clone(), &door, &bound, &net);
                Some((bound, facts))
            }
        };
        Ok(Stand { net, door, dashboard, setup, settings, configuration, hangups })
    }
}

/// Opens the files and starts what writes them: before anything is logged, so that a failure is one line.
pub(super) fn start_telemetry(setup: &Setup) -> Result<(Recorder, Telemetry), CliError> {
    let (csv, trace) = (setup.csv.clone(), setup.trace.clone());
    Ok(Telemetry::start(TelemetryOptions { roster: setup.options.roster(), csv, trace })?)
}

/// Runs the proxy until it is told to stop; every row is written then.
pub(super) fn serve(stand: Stand, (recorder, telemetry): (Recorder, Telemetry)) -> Result<Exit, CliError> {
    let failed = |source| CliError::System { what: "run the event loop".to_owned(), source };
    let Stand { net, door, dashboard, setup, settings, configuration, hangups } = stand;
    let options = Options { run: draw_run()?, ..setup.options };
    settings.effective.remarks().iter().for_each(|remark| log::warn!("{remark}"));
    let waker = net.waker().map_err(failed)?;
    // The keeper waits for each answer itself: this bell is for nobody.
    let (bringer, changes) = remote(waker.clone(), Bell::new().0);
    let mut proxy = Proxy::new(options, door.listener, recorder).changed_by(changes);
    let (mut running, mut asked, mut askers) = (None, never(), None);
    let keeper = Keeper::new(settings, bringer, configuration);
    if let Some((bound, facts)) = dashboard {
        let (server, wishes) = admin::start(bound, facts, telemetry.snapshots(), waker)?;
        proxy = proxy.commanded_by(wishes.orders);
        (running, asked, askers) = (Some(server), wishes.asked, Some(wishes.askers));
    }
    let what = |source| CliError::System { what: "start the thread `settings`".to_owned(), source };
    keeper.start(asked, askers, hangups).map_err(what)?;
    log::info!("the proxy listens on {}", door.addr);
    let ended = panics::caught(|| run_reactor(net, proxy));
    // Nothing reads signals as readiness any more, and files may let us wait.
    next_signal_ends_at_once()?;
    let summary = telemetry.stop(if matches!(ended, Ok(true)) { AT_ONCE } else { LAST_LINES });
    if summary.rows_dropped + summary.records_dropped > 0 {
        log::warn!(
            "{} rows are missing in the CSV file, which could not keep up, and {} records in the figures; {} rows were written",
            summary.rows_dropped,
            summary.records_dropped,
            summary.rows_written
        );
    }
    if summary.traces_dropped > 0 {
        log::warn!(
            "{} lines are missing in the trace file, which could not keep up; {} were written",
            summary.traces_dropped,
            summary.traces_written
        );
    }
    let exit = if ended? { Exit::SecondSignal } else { Exit::Clean };
    match running {
        Some(dashboard) if exit == Exit::SecondSignal => dashboard.abandon(),
        Some(dashboard) => {
            let what = |source| CliError::System { what: "keep the dashboard running".to_owned(), source };
            dashboard.stop().map_err(what)?;
        }
        None => {}
    }
    Ok(exit)
}

/// Whether a second signal cut the run short.
fn run_reactor(net: OsNet, mut proxy: Proxy<OsNet>) -> Result<bool, CliError> {
    let failed = |source| CliError::System { what: "run the event loop".to_owned(), source };
    let mut reactor = Reactor::new(net, TICK_SHIFT);
    reactor.begin(|turn| proxy.open(turn)).map_err(failed)?;
    reactor.run(&mut proxy).map_err(failed)?;
    Ok(proxy.forced())
}
