//! What does not change while the proxy runs.
//!
//! Here: [`Facts`], told once at start. Not here: what changes (`telemetry::Snapshot`). The door makes them. Floor 3.

use std::net::SocketAddr;

use serde_json::Value;

use crate::balance::BackendId;
use crate::time::WallTime;

/// What is known of the proxy before it serves.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where this listener is.
    pub admin: SocketAddr,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The connection mode's name.
    pub connections: &'static str,
    /// The file that gets a row for each request, if there is one.
    pub csv: Option<String>,
    /// The trace file, if lines are written.
    pub trace: Option<String>,
    /// All servers, in the order of their ids: backends, then classifiers.
    pub servers: Vec<ServerFacts>,
    /// The settings in force.
    pub settings: Vec<SettingFacts>,
    /// When the program started.
    pub started: WallTime,
}

/// A server that requests go to.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// What commands call it: host and port.
    pub name: String,
    /// As configured.
    pub url: String,
    /// Its name where space is short: the port, if no other has it.
    pub label: String,
    /// What it is for.
    pub kind: Kind,
}

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is chosen for a request.
    Backend,
    /// It gets batches.
    Classifier,
}

impl Kind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Backend => "backend",
            Kind::Classifier => "classifier",
        }
    }
}

/// A setting in force.
#[derive(Clone, Debug)]
pub struct SettingFacts {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Who set it.
    pub origin: String,
}

impl Facts {
    /// How many of the servers are backends; they come first.
    pub(super) fn backends(&self) -> usize {
        self.servers.iter().filter(|server| server.kind == Kind::Backend).count()
    }

    /// What a server is called where space is short.
    pub(super) fn label(&self, id: BackendId) -> &str {
        self.servers.get(usize::from(id.0)).map_or("-", |server| &server.label)
    }

    /// The ids of the servers called `name`: more than one if the same is configured twice.
    pub(super) fn called(&self, name: &str) -> Box<[BackendId]> {
        let ids = (0..).map(BackendId).zip(&self.servers);
        ids.filter(|(_, server)| server.name.eq_ignore_ascii_case(name)).map(|(id, _)| id).collect()
    }
}
