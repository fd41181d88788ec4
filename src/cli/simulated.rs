//! What the commands that run one simulated server share.
//!
//! Here: where it listens, and serving until it is told to stop. Not here: their options (`backend.rs`,
//! `classifier.rs`), the servers (`testbed/`). Floor 5.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::start::{bind, network_with_signals_and_hangup};
use super::{CliError, Exit};
use crate::config::ConfigError;
use crate::net::{OsNet, raise_descriptor_limit};
use crate::reactor::Reactor;
use crate::server::{Control, Server, Service};
use crate::testbed::TICK_SHIFT;

/// What the environment variable PORT says, if it is set.
pub(super) fn port() -> Option<String> {
    std::env::var_os("PORT").map(|port| port.to_string_lossy().into_owned())
}

/// The address of the flag; without it all addresses, at `port`, which is what PORT says, or at `default`.
///
/// # Errors
/// When PORT is needed and is no port.
pub(super) fn listen_address(
    flag: Option<SocketAddr>,
    port: Option<&str>,
    default: u16,
) -> Result<SocketAddr, ConfigError> {
    let port = match (flag, port) {
        (Some(listen), _) => return Ok(listen),
        (None, None) => default,
        (None, Some(text)) => text.parse().map_err(|_| {
            ConfigError::new(format!("the environment variable PORT is `{text}`, which is not a port"))
                .hint("a port is a number from 0 to 65535")
        })?,
    };
    Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

/// Runs the server that `make` makes, called `name` in the middle of a sentence, until it is told to stop.
///
/// # Errors
/// When it cannot listen, or the event loop fails.
pub(super) fn serve<S: Service>(
    name: &str,
    listen: SocketAddr,
    make: impl FnOnce(mio::net::TcpListener, SocketAddr, Arc<Control>) -> Server<OsNet, S>,
) -> Result<Exit, CliError> {
    let failed = |source| CliError::System { what: "run the event loop".to_owned(), source };
    raise_descriptor_limit();
    let net = network_with_signals_and_hangup()?;
    let bound = bind(listen, name)?;
    log::info!("{name} listens on {}", bound.addr);
    let mut reactor = Reactor::new(net.with_fine_timer().map_err(failed)?, TICK_SHIFT);
    let mut server = make(bound.listener, bound.addr, Arc::new(Control::default()));
    reactor.begin(|turn| server.open(turn)).map_err(failed)?;
    reactor.run(&mut server).map_err(failed)?;
    Ok(if server.forced() { Exit::SecondSignal } else { Exit::Clean })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_port_and_port_the_default() {
        let listen = |flag: Option<&str>, port| {
            let flag = flag.map(|addr| addr.parse().unwrap());
            listen_address(flag, port, 8080).map(|listen| listen.to_string())
        };
        assert_eq!(listen(Some("127.0.0.1:5"), Some("7")).unwrap(), "127.0.0.1:5");
        assert_eq!(listen(Some("127.0.0.1:5"), Some("x")).unwrap(), "127.0.0.1:5");
        assert_eq!(listen(None, Some("7")).unwrap(), "0.0.0.0:7");
        assert_eq!(listen(None, None).unwrap(), "0.0.0.0:8080");
        assert!(listen(None, Some("70000")).unwrap_err().to_string().contains("PORT is `70000`"));
    }
}
