//! `tidegate testbed`: three simulated backends, a classifier, and the proxy in front of them.
//!
//! Here: from settings to six running servers. Not here: the servers (`proxy/`, `testbed/`). Floor 5.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::ArgMatches;

use super::reload::Settings;
use super::start::{Bound, bind, network_with_signals, start_log};
use super::{CliError, Exit, ServerArgs, proxy};
use crate::config::{Audience, BackendUrl, Names};
use crate::proxy::Backend;
use crate::server::RunningServer;
use crate::testbed::{BackendOptions, ClassifierOptions, Profile, spawn, spawn_classifier};

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate testbed --routing adaptive_sma --connections non-persistent
  tidegate testbed --listen :0 --backend-listen :0,:0,:0 --classifier-listen :0 --admin localhost:0 --csv off

The backends A (10 to 400 ms), B (200 ms) and C (250 ms) and the classifier run in this process.
Flags beat the environment, which beats the file, which beats the defaults.
Exit codes: 0 clean stop, 1 failed, 2 usage or configuration, 130 second signal.";

/// Runs the command.
pub(super) fn run(args: ServerArgs, matches: &ArgMatches) -> Result<Exit, CliError> {
    let source = args.source(matches, Audience::Testbed);
    let effective = source.load()?;
    start_log(effective.log_level.value)?;
    let net = network_with_signals()?;
    let mut sockets = Vec::new();
    for (id, addr) in ['A', 'B', 'C'].into_iter().zip(effective.backend_listen.value.0) {
        sockets.push((id, bind(addr, &format!("the backend {id}"))?));
    }
    let classifier = bind(effective.classifier_listen.value, "the classifier")?;
    let backends: Vec<_> = sockets.iter().map(|(_, socket)| seen_from_here(socket.addr)).collect();
    let classifiers = vec![seen_from_here(classifier.addr)];
    let setup = effective.clone().into_options(backends.clone(), classifiers.clone())?;
    let own_servers = Some((backends, classifiers));
    let settings = Settings { source, effective, names: Names::of_system(), own_servers };
    let stand = proxy::Stand::open(net, setup, settings)?;
    let telemetry = proxy::start_telemetry(&stand.setup)?;
    let mut running = Vec::new();
    for (id, Bound { listener, addr }) in sockets {
        start(&mut running, format!("the backend {id}"), addr, || {
            spawn(listener, BackendOptions::plain(id, Profile::of(id)))
        })?;
    }
    let Bound { listener, addr } = classifier;
    start(&mut running, "the classifier".to_owned(), addr, || {
        spawn_classifier(listener, ClassifierOptions::default())
    })?;
    let exit = proxy::serve(stand, telemetry)?;
    if exit == Exit::SecondSignal {
        running.into_iter().for_each(|(_, server)| server.abandon());
        return Ok(exit);
    }
    // The others outlive the proxy, so that what it has in flight is answered.
    for (name, server) in running {
        let what = |source| CliError::System { what: format!("keep {name} running"), source };
        server.stop().map_err(what)?;
    }
    Ok(exit)
}

/// Starts the server called `name`, which has `addr`.
fn start(
    running: &mut Vec<(String, RunningServer)>,
    name: String,
    addr: SocketAddr,
    spawn: impl FnOnce() -> io::Result<RunningServer>,
) -> Result<(), CliError> {
    log::info!("{name} listens on {addr}");
    let server = spawn().map_err(|source| CliError::System { what: format!("start {name}"), source })?;
    running.push((name, server));
    Ok(())
}

/// A server of this process as the proxy sees it: called localhost in the rows, reached where it listens.
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
    fn a_server_on_all_interfaces_is_reached_by_loopback() {
        for (bound, reached) in
            [("0.0.0.0:81", "127.0.0.1:81"), ("[::]:81", "[::1]:81"), ("127.0.0.2:81", "127.0.0.2:81")]
        {
            let backend = seen_from_here(bound.parse().unwrap());
            assert_eq!(backend.addresses, [reached.parse().unwrap()]);
            assert_eq!(backend.url, "http://localhost:81");
        }
    }
}
