//! `tidegate testbed`: three simulated backends and the proxy in front of them.
//!
//! Here: from settings to four running servers. Not here: the servers (`proxy/`, `testbed/`). Floor 5.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ArgMatches;

use super::start::{Bound, bind, network_with_signals, start_log};
use super::{CliError, Exit, ServerArgs, proxy};
use crate::config::{Audience, BackendUrl, Profile};
use crate::proxy::Backend;

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
    let addresses = effective.backend_listen.value.0;
    let mut simulated = Vec::with_capacity(addresses.len());
    for (id, addr) in ['A', 'B', 'C'].into_iter().zip(addresses) {
        let bound = bind(addr, &format!("the backend {id}"))?;
        simulated.push(Simulated { id, profile: Profile::of(id), bound });
    }
    let backends = simulated.iter().map(|backend| seen_from_here(backend.bound.addr)).collect();
    let setup = effective.into_options(backends)?;
    let bound = bind(setup.listen, "the proxy")?;
    start_backends(simulated)?;
    log::info!("the proxy listens on {}", bound.addr);
    proxy::serve(net, bound, setup)
}

/// A simulated backend that has its socket, and not yet a thread.
struct Simulated {
    id: char,
    profile: Profile,
    bound: Bound,
}

/// Starts a thread for each backend.
fn start_backends(simulated: Vec<Simulated>) -> Result<(), CliError> {
    // WIRE: a thread and an `OsNet::with_fine_timer` for each; keep the wakers, and join after `proxy::serve`.
    for Simulated { id, profile, bound } in simulated {
        log::info!("the backend {id} listens on {}", bound.addr);
        log::debug!("nothing runs yet: {profile:?}");
        drop(bound.listener);
    }
    Ok(())
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
