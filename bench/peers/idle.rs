//! What clients cost that are connected and say nothing.
//!
//! Here: the memory that the proxy holds for them, and seeing that all are served again. Not here: starting proxies
//! (`contenders.rs`), a client (`common/client.rs`).

use std::path::Path;

use super::SCENARIOS;
use super::common::client::Client;
use super::common::machine::{family, read};
use super::common::server::Backend;
use super::contenders::{Contender, Mode, check};

/// How many there are at first, of every proxy.
const FEW: usize = 5_000;

/// Descriptors of this process that are for other things.
const OTHERS: usize = 100;

/// Prints what each proxy holds without clients, with some and with as many as it takes.
pub(crate) fn compare(backend: &Backend, folder: &Path, descriptors: u64) -> Result<(), String> {
    println!("| proxy | clients | resident without, MiB | with, MiB | each, KiB | served again |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for contender in Contender::ALL {
        let most = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(OTHERS);
        let proxy = contender.start(Mode::Persistent, backend, folder)?;
        check(&proxy)?;
        // What comes with traffic, however few clients make it, is not for those who are silent.
        SCENARIOS[0].load(proxy.address, 1, folder)?;
        let without = resident_kib(proxy.id())?;
        let mut clients = Vec::new();
        for target in [FEW, contender.idle_clients()].map(|wanted| wanted.min(most)) {
            while clients.len() < target {
                clients.push(
                    Client::connect(proxy.address)
                        .map_err(|e| format!("client {}: {e}", clients.len() + 1))?,
                );
            }
            let with = resident_kib(proxy.id())?;
            let served = clients.iter_mut().filter_map(|client| client.ask().ok()).count();
            println!(
                "| {} | {target} | {:.1} | {:.1} | {:.2} | {served} |",
                contender.name(),
                without as f64 / 1024.0,
                with as f64 / 1024.0,
                (with as f64 - without as f64) / target as f64
            );
        }
    }
    Ok(())
}

/// The memory that a process and its children hold, in KiB; what several share is divided among them.
fn resident_kib(process: u32) -> Result<u64, String> {
    let mut total = 0;
    for id in family(process)? {
        let path = format!("/proc/{id}/smaps_rollup");
        let text = read(&path)?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.trim().trim_end_matches(" kB").parse::<u64>().ok());
        total += kib.ok_or_else(|| format!("{path} has no line `Pss:`"))?;
    }
    Ok(total)
}
