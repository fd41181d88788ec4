//! `tidegate testbed`: three simulated backends and the proxy in front of them.
//!
//! Here: from settings to four running servers. Not here: the servers (`proxy/`, `testbed/`). Floor 5.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ArgMatches;

use super::start::{bind, network_with_signals, next_signal_ends_at_once, start_log};
use super::{CliError, Exit, ServerArgs, proxy};
use crate::config::{Audience, BackendUrl};
use crate::proxy::Backend;
use crate::testbed::{Profile, spawn};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate testbed --routing adaptive_sma --connections non-persistent
  tidegate testbed --listen :0 --backend-listen :0,:0,:0 --csv off

The backends A (10 to 400 ms), B (200 ms) and C (250 ms) run in this process.
Flags beat the environment, which beats the file, which beats the defaults.
Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let effective = args.load(matches, Audience::Testbed)?;
    start_log(effective.log_level.value);
    let net = network_with_signals()?;
    let mut sockets = Vec::new();
    for (id, addr) in ['A', 'B', 'C'].into_iter().zip(effective.backend_listen.value.0) {
        sockets.push((id, bind(addr, &format!("the backend {id}"))?));
    }
    let backends = sockets.iter().map(|(_, socket)| seen_from_here(socket.addr)).collect();
    let setup = effective.into_options(backends, Vec::new())?;
    let door = bind(setup.listen, "the proxy")?;
    let telemetry = proxy::start_telemetry(&setup)?;
    let mut running = Vec::new();
    for (id, socket) in sockets {
        log::info!("the backend {id} listens on {}", socket.addr);
        let what = |source| CliError::System { what: format!("start the backend {id}"), source };
        running.push((id, spawn(socket.listener, id, Profile::of(id)).map_err(what)?));
    }
    let exit = proxy::serve(net, door, setup.options, telemetry)?;
    if exit == Exit::SecondSignal {
        running.into_iter().for_each(|(_, backend)| backend.abandon());
        return Ok(exit);
    }
    // The backends outlive the proxy, so that what it has in flight is answered.
    next_signal_ends_at_once()?;
    for (id, backend) in running {
        let what = |source| CliError::System { what: format!("keep the backend {id} running"), source };
        backend.stop().map_err(what)?;
    }
    Ok(exit)
}

/// A backend of this process as the proxy sees it: called localhost in the rows, reached where it listens.
fn seen_from_here(addr: SocketAddr) -> Backend {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    BackendUrl::local(addr.port()).at(SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_on_all_interfaces_is_reached_by_loopback() {
        for (bound, reached) in
            [("0.0.0.0:81", "127.0.0.1:81"), ("[::]:81", "[::1]:81"), ("127.0.0.2:81", "127.0.0.2:81")]
        {
            let backend = seen_from_here(bound.parse().unwrap());
            assert_eq!(backend.addresses, [reached.parse().unwrap()]);
            assert_eq!(backend.url, "http://localhost:81");
        }
    }
}
