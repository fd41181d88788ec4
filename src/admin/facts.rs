//! What does not change while the proxy runs.
//!
//! Here: [`Facts`], told once at start. Not here: what changes (`telemetry::Snapshot`, `configuration.rs`). The door makes
//! them. Floor 3.

use std::net::SocketAddr;

use super::configuration::Configuration;
use crate::time::WallTime;

/// What is known of the proxy before it serves.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where this listener is.
    pub admin: SocketAddr,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The file that gets a row for each request, if there is one.
    pub csv: Option<String>,
    /// The trace file, if lines are written.
    pub trace: Option<String>,
    /// Where the settings in force are to be found.
    pub configuration: Configuration,
    /// When the program started.
    pub started: WallTime,
}
