//! What the process takes of the machine.
//!
//! Here: [`ProcessFigures`], read from the kernel when somebody asks. Floor 2.

use std::fs;

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What the process takes at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessFigures {
    /// Seconds of processor time, user and system, of all threads.
    pub cpu_s: f64,
    /// Resident memory in bytes; none if `/proc` is not to be had.
    pub resident_bytes: Option<u64>,
    /// Open descriptors; none if `/proc` is not to be had.
    pub open_fds: Option<u64>,
    /// How many descriptors may be open; none without a limit.
    pub max_fds: Option<u64>,
}

impl ProcessFigures {
    /// Asks the kernel.
    pub fn read() -> ProcessFigures {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        ProcessFigures {
            cpu_s: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: resident_pages().map(|pages| pages * page_size() as u64),
            // One of them is the folder that is being read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1)),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// proc(5): the second field of `statm`.
fn resident_pages() -> Option<u64> {
    fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_file_is_counted_and_work_takes_time() {
        let before = ProcessFigures::read();
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/proc/self/statm").unwrap()).collect();
        let after = ProcessFigures::read();
        // Other tests of this process open and close some too.
        assert!(after.open_fds.unwrap() > before.open_fds.unwrap() + 250, "{before:?} {after:?}");
        assert!(after.cpu_s > before.cpu_s && after.resident_bytes.unwrap() > 1_000_000);
        assert!(after.max_fds.is_none_or(|most| most > files.len() as u64));
    }
}
