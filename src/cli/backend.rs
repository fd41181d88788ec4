//! `tidegate backend`: one simulated backend.
//!
//! Here: its options, from flags and environment. Not here: the backend (`testbed/`). Floor 5.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use log::LevelFilter;

use super::start::{Bound, bind, network_with_signals, start_log};
use super::{CliError, Exit};
use crate::config::{ConfigError, parse};
use crate::net::{OsNet, raise_descriptor_limit};
use crate::reactor::Reactor;
use crate::testbed::{Control, Profile, SimulatedBackend, TICK_SHIFT};

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
    let port = std::env::var_os("PORT").map(|port| port.to_string_lossy().into_owned());
    let setup = args.setup(port.as_deref())?;
    raise_descriptor_limit();
    let net = network_with_signals()?;
    let bound = bind(setup.listen, &format!("the backend {}", setup.id))?;
    log::info!("the backend {} listens on {}", setup.id, bound.addr);
    serve(net, bound, setup)
}

/// Runs the backend until it is told to stop.
fn serve(net: OsNet, bound: Bound, setup: Setup) -> Result<Exit, CliError> {
    let failed = |source| CliError::System { what: "run the event loop".to_owned(), source };
    let mut reactor = Reactor::new(net.with_fine_timer().map_err(failed)?, TICK_SHIFT);
    let control = Arc::new(Control::default());
    let mut backend = SimulatedBackend::new(setup.id, setup.profile, bound.listener, control);
    reactor.begin(|turn| backend.open(turn)).map_err(failed)?;
    reactor.run(&mut backend).map_err(failed)?;
    Ok(if backend.forced() { Exit::SecondSignal } else { Exit::Clean })
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
        let listen = match (self.listen, port) {
            (Some(listen), _) => listen,
            (None, None) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            (None, Some(text)) => {
                let port = text.parse::<u16>().map_err(|_| {
                    ConfigError::new(format!(
                        "the environment variable PORT is `{text}`, which is not a port"
                    ))
                    .hint("a port is a number from 0 to 65535")
                })?;
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
            }
        };
        let profile = self.profile.unwrap_or_else(|| Profile::of(id));
        Ok(Setup { id, listen, profile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(id: Option<&str>, listen: Option<&str>, port: Option<&str>) -> Result<Setup, ConfigError> {
        let args = BackendArgs {
            id: id.map(str::to_owned),
            listen: listen.map(|addr| addr.parse().unwrap()),
            profile: None,
            log_level: None,
        };
        args.setup(port)
    }

    #[test]
    fn an_unknown_id_is_a() {
        for (id, expected) in
            [(None, 'A'), (Some("B"), 'B'), (Some("C"), 'C'), (Some("Z"), 'A'), (Some(""), 'A')]
        {
            let setup = setup(id, None, None).unwrap();
            assert_eq!((setup.id, setup.profile), (expected, Profile::of(expected)));
        }
    }

    #[test]
    fn a_flag_beats_port_and_port_the_default() {
        let listen = |flag, port| setup(None, flag, port).map(|setup| setup.listen.to_string());
        assert_eq!(listen(Some("127.0.0.1:5"), Some("7")).unwrap(), "127.0.0.1:5");
        assert_eq!(listen(Some("127.0.0.1:5"), Some("x")).unwrap(), "127.0.0.1:5");
        assert_eq!(listen(None, Some("7")).unwrap(), "0.0.0.0:7");
        assert_eq!(listen(None, None).unwrap(), "0.0.0.0:8080");
        assert!(listen(None, Some("70000")).unwrap_err().to_string().contains("PORT is `70000`"));
    }
}
