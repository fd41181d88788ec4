//! Where an experiment was played.
//!
//! Here: [`Environment`]: what a reader must know to judge figures or to get them again. Floor 4.

use serde::Serialize;

use super::Watcher;
use crate::time::WallTime;

/// The circumstances of an experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// The program's version.
    pub version: &'static str,
    /// The commit it was built from, `-dirty` if sources had changed since; `unknown` if it was not built from a repository.
    pub commit: &'static str,
    /// When the experiment began, in local time with its offset.
    pub began: String,
    /// The kernel's name, release and machine.
    pub kernel: String,
    /// The processor.
    pub processor: String,
    /// How many cores the program may use.
    pub cores: usize,
    /// Whether nothing but the program's own work took time: virtual time, no sockets.
    pub simulated: bool,
    /// How the program was called.
    pub command: Vec<String>,
}

impl Environment {
    /// Of this process, now.
    pub fn here(watcher: &Watcher<'_>, simulated: bool) -> Environment {
        let uname = rustix::system::uname();
        let parts = [uname.sysname(), uname.release(), uname.machine()];
        let kernel: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
        Environment {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("TIDEGATE_COMMIT"),
            began: local(watcher.wall(), "%Y-%m-%dT%H:%M:%S%:z"),
            kernel: kernel.join(" "),
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            simulated,
            command: std::env::args().collect(),
        }
    }

    /// Each thing with its name, for people.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let played = if self.simulated { "in virtual time (simulated)" } else { "over loopback sockets" };
        vec![
            ("Played", played.to_owned()),
            ("Began", self.began.clone()),
            ("Program", format!("tidegate {} ({})", self.version, self.commit)),
            ("Kernel", self.kernel.clone()),
            ("Processor", format!("{}, {} cores", self.processor, self.cores)),
            ("Command", self.command.join(" ")),
        ]
    }
}

fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// A civil time in the local zone.
pub(super) fn local_time(wall: WallTime) -> jiff::civil::DateTime {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(wall.as_nanos())).unwrap_or_default();
    jiff::tz::TimeZone::system().to_datetime(timestamp)
}

/// A civil time in the local zone, as `format` says (strftime).
pub(super) fn local(wall: WallTime, format: &str) -> String {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(wall.as_nanos())).unwrap_or_default();
    timestamp.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string()
}
