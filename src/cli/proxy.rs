//! `tidegate proxy`: the proxy in front of backends that run elsewhere.
//!
//! Here: from settings to a running proxy. Not here: the proxy (`proxy/`). Floor 5.

use clap::ArgMatches;

use super::start::{Bound, bind, network_with_signals, start_log};
use super::{CliError, Exit, ServerArgs};
use crate::config::{Audience, Setup};
use crate::net::OsNet;

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate proxy --backend http://localhost:8081,http://localhost:8082 --routing adaptive_ewma
  tidegate proxy --listen :8000 --backend 10.0.0.7:8080 --connections non-persistent --csv off

Flags beat the environment, which beats the file, which beats the defaults.
Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let effective = args.load(matches, Audience::Proxy)?;
    start_log(effective.log_level.value);
    let backends = effective.resolve_backends()?;
    let setup = effective.into_options(backends)?;
    let net = network_with_signals()?;
    let bound = bind(setup.listen, "the proxy")?;
    log::info!("the proxy listens on {}", bound.addr);
    serve(net, bound, setup)
}

/// Runs the proxy until it is told to stop.
pub(super) fn serve(net: OsNet, bound: Bound, setup: Setup) -> Result<Exit, CliError> {
    // WIRE: open setup.csv (CliError::Csv), build the handler from setup.options, run the reactor on `net`.
    log::debug!("nothing runs on {} yet: {setup:?}", bound.addr);
    drop((net, bound.listener));
    Ok(Exit::Clean)
}
