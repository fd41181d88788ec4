//! The admin listener beside a server.
//!
//! Here: its network, its facts and its thread. Not here: what it answers (`admin/`). `proxy` and `testbed` start it.
//! Floor 5.

use std::path::PathBuf;

use serde_json::Value;

use super::CliError;
use super::reload::{Askers, reload_desk};
use super::start::Bound;
use crate::admin::{self, Admin, Configuration, Facts, SettingFacts};
use crate::config::{Effective, Setup};
use crate::net::{Net, OsNet, Waker};
use crossbeam_channel::Receiver;

use crate::remote::{Orders, remote};
use crate::server::{self, RunningServer, Server};
use crate::telemetry::Snapshots;

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
    configuration: Configuration,
    proxy: &Bound,
    bound: &Bound,
    net: &OsNet,
) -> Facts {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    Facts {
        admin: bound.addr,
        listen: proxy.addr,
        csv: path(&setup.csv),
        trace: path(&setup.trace),
        configuration,
        started: net.wall(net.now()),
    }
}

/// What is to be obeyed: the orders to the proxy, and the wishes for a reload, with what rings when there is one.
pub(super) struct Wishes {
    pub(super) orders: Orders<Waker>,
    pub(super) asked: Receiver<()>,
    pub(super) askers: Askers,
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
) -> Result<(RunningServer, Wishes), CliError> {
    let failed = |source| CliError::System { what: "start the dashboard".to_owned(), source };
    let net = OsNet::new().map_err(failed)?;
    let waker = net.waker().map_err(failed)?;
    let (remote, orders) = remote(proxy, waker.clone());
    let (reloads, asked, askers) = reload_desk(waker.clone());
    log::info!("the dashboard listens on {}", bound.addr);
    let server = server::spawn((net, waker), admin::TICK_SHIFT, bound.listener, |listener, control| {
        Server::serving(Admin::new(facts, snapshots, remote, reloads), admin::LIMITS, listener, control)
    });
    Ok((server.map_err(failed)?, Wishes { orders, asked, askers }))
}
