//! How a command ends.
//!
//! Here: exit codes, and the errors that end a command, each of them one line. Not here: printing (`cli/mod.rs`).
//! Floor 5.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{ConfigError, ConfigErrors, ResolveError};
use crate::lab::experiment::ExperimentError;
use crate::lab::log::LogError;
use crate::telemetry::{Output, TelemetryError};

/// The program's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A clean stop, also when the drain limit cut requests off, or when whoever read the output has read enough.
    Clean = 0,
    /// It failed at start or while running.
    Failed = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// A second signal ended a server at once, or the first one a measurement.
    SecondSignal = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum CliError {
    /// The settings are wrong.
    Config(ConfigErrors),
    /// A backend's name has no address.
    Resolve(ResolveError),
    /// An address cannot be listened on.
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Who wanted it: `the proxy`.
        who: String,
        /// Why not.
        source: io::Error,
    },
    /// Connections cannot come from an address.
    ConnectFrom {
        /// The address.
        address: IpAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file for rows or traces cannot be written.
    File {
        /// Which one.
        kind: Output,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not a request log.
    Log(LogError),
    /// An experiment failed.
    Experiment(ExperimentError),
    /// Nobody reads the standard output any more: whoever did has read enough.
    ReaderGone,
    /// A fault of ours, told in the log when it happened.
    Panicked,
    /// Something else that the system refused.
    System {
        /// What was tried, after "cannot": `start the event loop`.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl From<TelemetryError> for CliError {
    fn from(error: TelemetryError) -> CliError {
        match error {
            TelemetryError::File { kind, path, source } => CliError::File { kind, path, source },
            TelemetryError::Thread { name, source } => {
                CliError::System { what: format!("start the thread `{name}`"), source }
            }
        }
    }
}

impl CliError {
    /// The exit code that tells of it.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Config(_) => Exit::Usage,
            CliError::ReaderGone => Exit::Clean,
            CliError::Resolve(_)
            | CliError::Listen { .. }
            | CliError::ConnectFrom { .. }
            | CliError::File { .. }
            | CliError::Log(_)
            | CliError::Experiment(_)
            | CliError::Panicked
            | CliError::System { .. } => Exit::Failed,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Config(e) => e.fmt(f),
            CliError::Resolve(e) => e.fmt(f),
            CliError::Listen { addr, who, source } => {
                write!(f, "cannot listen on {addr} for {who}: {}", crate::config::reason(source))?;
                if source.kind() == io::ErrorKind::AddrInUse {
                    write!(f, " (who has it: ss -ltnp 'sport = :{}')", addr.port())?;
                }
                Ok(())
            }
            CliError::ConnectFrom { address, source } => write!(
                f,
                "cannot connect from {address}: {} (--source-address takes addresses of this machine: ip address)",
                crate::config::reason(source)
            ),
            CliError::File { kind, path, source } => write!(
                f,
                "cannot write {} {}: {} (--{option} PATH names another, --{option} off writes none)",
                kind.name(),
                path.display(),
                crate::config::reason(source),
                option = kind.option()
            ),
            CliError::Log(e) => e.fmt(f),
            CliError::Experiment(e) => e.fmt(f),
            CliError::ReaderGone => f.write_str("nobody reads the standard output any more"),
            CliError::Panicked => f.write_str("a thread panicked"),
            CliError::System { what, source } => {
                write!(f, "cannot {what}: {}", crate::config::reason(source))
            }
        }
    }
}

impl std::error::Error for CliError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CliError::Config(e) => Some(e),
            CliError::Resolve(e) => Some(e),
            CliError::Log(e) => Some(e),
            CliError::Experiment(e) => Some(e),
            CliError::Listen { source, .. }
            | CliError::ConnectFrom { source, .. }
            | CliError::File { source, .. }
            | CliError::System { source, .. } => Some(source),
            CliError::ReaderGone | CliError::Panicked => None,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(e: ConfigError) -> CliError {
        CliError::Config(e.into())
    }
}

impl From<ConfigErrors> for CliError {
    fn from(e: ConfigErrors) -> CliError {
        CliError::Config(e)
    }
}

impl From<ResolveError> for CliError {
    fn from(e: ResolveError) -> CliError {
        CliError::Resolve(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_the_port_its_user_and_the_remedy() {
        let error = CliError::Listen {
            addr: "0.0.0.0:9090".parse().unwrap(),
            who: "the proxy".to_owned(),
            source: io::Error::from_raw_os_error(98),
        };
        assert_eq!(
            error.to_string(),
            "cannot listen on 0.0.0.0:9090 for the proxy: address already in use \
             (who has it: ss -ltnp 'sport = :9090')"
        );
        assert_eq!(error.exit(), Exit::Failed);
    }

    #[test]
    fn the_csv_file_is_named() {
        let source = io::Error::from_raw_os_error(13);
        let error = CliError::File { kind: Output::Csv, path: "/x/log.csv".into(), source }.to_string();
        assert!(error.starts_with("cannot write the CSV file /x/log.csv: permission denied ("), "{error}");
    }
}
