//! What the kernel tells of processes and of the machine.
//!
//! Here: processor time, which processors a process may use. Not here: what is made of it (`sample.rs`).

use std::ops::Sub;
use std::process::Command;

/// The processor that belongs to the proxy under test alone.
pub(crate) const PROXY_CPU: &str = "0";

/// Processor time of a process and its children, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }
}

impl Cpu {
    pub(crate) fn of(process: u32) -> Result<Cpu, String> {
        let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
        let mut total = Cpu { user: 0.0, system: 0.0 };
        for id in family(process)? {
            let stat = Stat::of(id)?;
            total.user += stat.user_ticks as f64 * tick;
            total.system += stat.system_ticks as f64 * tick;
        }
        Ok(total)
    }
}

/// What /proc/PID/stat says (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    fn of(process: u32) -> Result<Stat, String> {
        let path = format!("/proc/{process}/stat");
        let text = read(&path)?;
        let stat = || {
            // The name before it, in parentheses, may contain anything.
            let mut fields = text.rsplit_once(')')?.1.split_whitespace();
            let parent = fields.nth(1)?.parse().ok()?;
            let user_ticks = fields.nth(9)?.parse().ok()?;
            Some(Stat { parent, user_ticks, system_ticks: fields.next()?.parse().ok()? })
        };
        stat().ok_or_else(|| format!("{path}: not as expected: {text}"))
    }
}

/// The process and its children: nginx works in one.
pub(crate) fn family(process: u32) -> Result<Vec<u32>, String> {
    let all = std::fs::read_dir("/proc").map_err(|e| format!("cannot read /proc: {e}"))?;
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // Others may end while this looks.
    let children = ids.filter(|&id| Stat::of(id).is_ok_and(|stat| stat.parent == process));
    Ok([process].into_iter().chain(children).collect())
}

pub(crate) fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))
}

/// What the proxy's processor has done so far, in ticks.
pub(crate) struct Steal {
    stolen: u64,
    all: u64,
}

impl Steal {
    pub(crate) fn of_first_cpu() -> Result<Steal, String> {
        let text = read("/proc/stat")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("cpu0 "))
            .ok_or("/proc/stat has no line `cpu0`")?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
        // Guest time, behind it, is within user time (proc_stat(5)).
        Ok(Steal { stolen: ticks.get(7).copied().unwrap_or(0), all: ticks.iter().take(8).sum() })
    }

    /// Which share of the time since then the hypervisor gave to others.
    pub(crate) fn share_since(&self, before: &Steal) -> f64 {
        (self.stolen - before.stolen) as f64 / (self.all - before.all).max(1) as f64
    }
}

/// Leaves the first processor to the proxy: this process, and all that it starts without saying otherwise, keeps to the others.
pub(crate) fn leave_first_cpu() -> Result<(), String> {
    let processors = processors();
    if processors < 2 {
        return Err("this takes two processors: one for the proxy, one for load and backend".to_owned());
    }
    let others = format!("1-{}", processors - 1);
    let run = Command::new("taskset").args(["-pc", &others, &std::process::id().to_string()]).output();
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "cannot keep to processors {others}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(e) => Err(format!("cannot run taskset: {e} (Debian: apt-get install util-linux)")),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The machine in a sentence.
pub(crate) fn told(descriptors: u64) -> Result<String, String> {
    let info = read("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let release = read("/proc/sys/kernel/osrelease")?;
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    Ok(format!(
        "{count} processors ({model}), Linux {}, {descriptors} descriptors; the proxy alone on processor {PROXY_CPU}.",
        release.trim()
    ))
}
