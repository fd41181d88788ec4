//! `tidegate backend`: one simulated backend.
//!
//! Here: its options, from flags and environment. Not here: the backend (`testbed/`). Floor 5.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Args;
use log::LevelFilter;

use super::start::start_log;
use super::{CliError, Exit, simulated};
use crate::config::{ConfigError, Count, parse};
use crate::testbed::{BackendOptions, Fault, Profile, SimulatedBackend};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate backend --id B --listen :8082
  SERVER_ID=C PORT=8083 tidegate backend
  tidegate backend --profile 5,5,100x3
  tidegate backend --profile lognormal:50,0.5 --capacity 16 --fault stall,from=1s,for=500ms,every=5s
  tidegate backend --fault slow:x10,from=20s,for=10s --fault error:0.2,after=1ms,from=40s,for=5s

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

    /// How long answers take: milliseconds used in turn, such as 10,15,20,400x3, or constant:MS, uniform:MS-MS,
    /// exponential:MEAN, lognormal:MEDIAN,SIGMA, percentiles:0=MS,50=MS,...,100=MS [default: that of its id]
    #[arg(long, value_name = "PROFILE", value_parser = parse::<Profile>)]
    profile: Option<Profile>,

    /// How many requests are worked on at once; the others wait in order of arrival [default: all]
    #[arg(long, value_name = "N", value_parser = parse::<Count>)]
    capacity: Option<Count>,

    /// What goes wrong, repeatable: stall, slow:xFACTOR, throttle:xFACTOR, error:SHARE, reset:SHARE or refuse, then from=TIME
    /// (since the start), for=TIME and, to come again, every=TIME; an error also after=TIME
    #[arg(long, value_name = "FAULT", value_parser = parse::<Fault>)]
    fault: Vec<Fault>,

    /// Equal seeds draw equal times and hit equal requests, by their number
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// What is told on stderr: error, warn, info, debug, trace, off [default: info]
    #[arg(long, value_name = "LEVEL", env = "TIDEGATE_LOG_LEVEL", value_parser = parse::<LevelFilter>)]
    log_level: Option<LevelFilter>,
}

/// What a simulated backend is told.
#[derive(Debug, PartialEq)]
struct Setup {
    listen: SocketAddr,
    options: BackendOptions,
}

/// Runs the command.
pub(super) fn run(args: BackendArgs) -> Result<Exit, CliError> {
    start_log(args.log_level.unwrap_or(LevelFilter::Info))?;
    let Setup { listen, options } = args.setup(simulated::port().as_deref())?;
    simulated::serve(&format!("the backend {}", options.id), listen, |listener, address, control| {
        SimulatedBackend::new(options, listener, address, control)
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
        let capacity = self.capacity.and_then(|count| NonZeroUsize::new(count.0));
        let plain = BackendOptions::plain(id, profile);
        Ok(Setup {
            listen,
            options: BackendOptions { capacity, faults: self.fault, seed: self.seed, ..plain },
        })
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
            let (capacity, fault) = (None, Vec::new());
            let args =
                BackendArgs { id, listen: None, profile: None, capacity, fault, seed: 0, log_level: None };
            let setup = args.setup(Some("7")).unwrap();
            assert_eq!(setup.options, BackendOptions::plain(expected, Profile::of(expected)));
            assert_eq!(setup.listen.to_string(), "0.0.0.0:7");
        }
    }
}
