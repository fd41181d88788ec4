//! The admin listener beside a server.
//!
//! Here: its network, its facts and its thread. Not here: what it answers (`admin/`). `proxy` and `testbed` start it.
//! Floor 5.

use std::path::PathBuf;

use serde_json::Value;

use super::CliError;
use super::start::Bound;
use crate::admin::{self, Admin, Facts, Kind, ServerFacts, SettingFacts};
use crate::config::{Effective, Setup};
use crate::net::{Net, OsNet, Waker};
use crate::remote::{Orders, remote};
use crate::server::{self, RunningServer, Server};
use crate::telemetry::{Snapshots, console};

/// The settings in force, as the admin listener shows them.
pub(super) fn settings(effective: &Effective) -> Vec<SettingFacts> {
    let shown = effective.shown().into_iter();
    shown
        .map(|(key, text, origin)| SettingFacts { key, value: json(&text), origin: origin.to_string() })
        .collect()
}

/// A value of TOML as JSON; what is none is shown as it is written.
fn json(text: &str) -> Value {
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = value.ok().and_then(|mut table| table.remove("value"));
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| Value::from(text))
}

/// What the admin listener at `bound` tells of a proxy with this setup, which listens at `proxy`.
pub(super) fn facts(
    setup: &Setup,
    settings: Vec<SettingFacts>,
    proxy: &Bound,
    bound: &Bound,
    net: &OsNet,
) -> Facts {
    let urls: Vec<_> = setup.options.servers().map(|server| server.url.as_str()).collect();
    let labels = console::labels(&urls);
    let backends = setup.options.backends.len();
    let servers = setup.options.servers().zip(labels).enumerate().map(|(i, (server, label))| ServerFacts {
        name: server.authority.clone(),
        url: server.url.clone(),
        label,
        kind: if i < backends { Kind::Backend } else { Kind::Classifier },
    });
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    Facts {
        admin: bound.addr,
        listen: proxy.addr,
        connections: setup.options.connections.name(),
        csv: path(&setup.csv),
        trace: path(&setup.trace),
        servers: servers.collect(),
        settings,
        started: net.wall(net.now()),
    }
}

/// Starts it. `proxy` wakes the reactor that takes the orders.
///
/// # Errors
/// When the system gives no event loop or no thread.
pub(super) fn start(
    bound: Bound,
    facts: Facts,
    snapshots: Snapshots,
    proxy: Waker,
) -> Result<(RunningServer, Orders<Waker>), CliError> {
    let failed = |source| CliError::System { what: "start the dashboard".to_owned(), source };
    let net = OsNet::new().map_err(failed)?;
    let waker = net.waker().map_err(failed)?;
    let (remote, orders) = remote(proxy, waker.clone());
    log::info!("the dashboard listens on {}", bound.addr);
    let server = server::spawn((net, waker), admin::TICK_SHIFT, bound.listener, |listener, control| {
        Server::serving(Admin::new(facts, snapshots, remote), admin::LIMITS, listener, control)
    });
    Ok((server.map_err(failed)?, orders))
}
