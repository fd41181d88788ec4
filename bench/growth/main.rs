//! How the cost of a proxied request grows: with connections, backends, the request's head and the answer's body.
//!
//! `ROUNDS=5 SECONDS=2 WARMUP=1 cargo bench --bench growth` (`make growth`). One quantity grows at a time; the others are as
//! in `peers`' first workload: 100 clients, three backends, a tiny body, kept connections. So are the places of proxy, load
//! and backend, and the rounds: interleaved, every other one backwards. Prints Markdown; writes `results/growth.csv` and
//! `results/growth.svg`.

#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod curve;
mod picture;
mod told;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use common::sample::{Effort, Sample};
use common::server::Backend;
use common::{machine, number};
use curve::{BACKENDS, BODIES, Curve};

/// The rounds of each step of each curve.
pub(crate) type Runs = BTreeMap<(&'static str, usize), Vec<Sample>>;

/// Where figures and picture go.
const FOLDER: &str = "results";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("growth: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let effort = Effort {
        rounds: number("ROUNDS", 5)? as usize,
        seconds: number("SECONDS", 2)?,
        warmup: number("WARMUP", 1)?,
    };
    let descriptors = tidegate::net::raise_descriptor_limit();
    machine::leave_first_cpu()?;
    let folder = tempfile::tempdir().map_err(|e| format!("cannot make a folder: {e}"))?;
    let backend = Backend::start(folder.path(), BACKENDS, &BODIES)?;
    let machine = machine::told(descriptors)?;
    println!("{machine}");
    let mut steps: Vec<_> = Curve::ALL
        .into_iter()
        .flat_map(|curve| curve.steps().iter().map(move |&step| (curve, step)))
        .collect();
    let mut runs = Runs::new();
    for round in 0..effort.rounds {
        for &(curve, step) in &steps {
            let at = |why| format!("{} {step}: {why}", curve.name());
            let sample = curve.run(step, &effort, &backend).map_err(at)?;
            eprintln!("round {}, {} {step}: {sample}", round + 1, curve.name());
            runs.entry((curve.name(), step)).or_default().push(sample);
        }
        steps.reverse();
    }
    told::print(&runs);
    println!("\nMedians of {} rounds, and the least and the most.", effort.rounds);
    keep(&runs, &format!("Medians of {} rounds. {machine}", effort.rounds))
}

/// Writes what can be kept.
fn keep(runs: &Runs, note: &str) -> Result<(), String> {
    let folder = Path::new(FOLDER);
    std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {FOLDER}: {e}"))?;
    let (figures, drawn) = (folder.join("growth.csv"), folder.join("growth.svg"));
    told::write(&figures, runs).map_err(|e| format!("cannot write {}: {e}", figures.display()))?;
    let picture = picture::draw(runs, note.to_owned()).map_err(|e| e.to_string())?;
    std::fs::write(&drawn, picture.svg()).map_err(|e| format!("cannot write {}: {e}", drawn.display()))?;
    println!("\nWritten: {}, {}.", figures.display(), drawn.display());
    Ok(())
}
