//! `tidegate backend`: one simulated backend.
//!
//! Here: its options, from flags and environment. Not here: the backend (`testbed/`). Floor 5.

use std::net::SocketAddr;

use clap::Args;
use log::LevelFilter;

use super::start::start_log;
use super::{CliError, Exit, simulated};
use crate::config::{ConfigError, parse};
use crate::testbed::{Profile, SimulatedBackend};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate backend --id B --listen :8082
  SERVER_ID=C PORT=8083 tidegate backend
  tidegate backend --profile 5,5,100x3

A takes 10 15 20 400 400 400 10 15 20 ms in turn, B always 200 ms, C always 250 ms.
Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// What `backend` takes.
#[derive(Args)]
pub(super) struct BackendArgs {
    /// Who it is: A, B or C; any other behaves as A [default: A]
    #[arg(long, env = "SERVER_ID")]
    id: Option<String>,

    /// Where clients connect; the environment variable PORT sets the port alone [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse::<SocketAddr>)]
    listen: Option<SocketAddr>,

    /// Latencies in milliseconds, used in turn, such as 10,15,20,400x3 [default: that of its id]
    #[arg(long, value_name = "MS,MS,...", value_parser = parse::<Profile>)]
    profile: Option<Profile>,

    /// What is told on stderr: error, warn, info, debug, trace, off [default: info]
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_LOG_LEVEL", value_parser = parse::<LevelFilter>)]
    log_level: Option<LevelFilter>,
}

/// What a simulated backend is told.
#[derive(Debug, PartialEq)]
struct Setup {
    id: char,
    listen: SocketAddr,
    profile: Profile,
}

/// Runs the command.
pub(super) fn run(args: BackendArgs) -> Result<Exit, CliError> {
    start_log(args.log_level.unwrap_or(LevelFilter::Info));
    let Setup { id, listen, profile } = args.setup(simulated::port().as_deref())?;
    simulated::serve(&format!("the backend {id}"), listen, |listener, control| {
        SimulatedBackend::new(id, profile, listener, control)
    })
}

impl BackendArgs {
    /// `port` is what the environment variable PORT says.
    fn setup(self, port: Option<&str>) -> Result<Setup, ConfigError> {
        let id = match self.id.as_deref() {
            Some("B") => 'B',
            Some("C") => 'C',
            Some("A") | None => 'A',
            Some(other) => {
                log::warn!("no backend is called `{other}`; behaving as A");
                'A'
            }
        };
        let listen = simulated::listen_address(self.listen, port, 8080)?;
        let profile = self.profile.unwrap_or_else(|| Profile::of(id));
        Ok(Setup { id, listen, profile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_a() {
        for (id, expected) in
            [(None, 'A'), (Some("B"), 'B'), (Some("C"), 'C'), (Some("Z"), 'A'), (Some(""), 'A')]
        {
            let id = id.map(str::to_owned);
            let args = BackendArgs { id, listen: None, profile: None, log_level: None };
            let setup = args.setup(Some("7")).unwrap();
            assert_eq!((setup.id, setup.profile), (expected, Profile::of(expected)));
            assert_eq!(setup.listen.to_string(), "0.0.0.0:7");
        }
    }
}
