//! User-space instructions per exchange, counted by callgrind and compared with accepted figures: a gate against slow
//! creep that a noisy machine cannot blur.
//!
//! `make instructions` measures and compares, `make instructions ACCEPT=1` writes `figures.toml` anew,
//! `make instructions PROFILE=1` (or `PROFILE=` and an exchange's name) tells where the instructions go.
//!
//! What runs under valgrind is the released program, so that what is gated is what users run: `tidegate proxy` as
//! `cargo build --release` makes it. (Without link-time optimisation it is hardly built faster, and takes 19 % more.) A
//! client and three backends (`traffic.rs`) drive it in lock-step over one connection, or clients and a classifier
//! (`batched.rs`). It is run twice, with few exchanges and with many; the difference, divided, leaves out start and stop.
//!
//! Only the reactor's thread counts. The telemetry thread works by the clock, ten times a second, so its share of an
//! exchange depends on how long an exchange takes, which under valgrind is no figure of anything.

mod batched;
mod callgrind;
mod gate;
mod program;
mod traffic;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use callgrind::Profile;
use gate::{Accepted, Figures};
use traffic::Exchange;

/// The exchanges of the two runs whose difference is measured. The first is enough to warm every pool.
const FEW: u32 = 200;
const MANY: u32 = 2200;

/// The accepted figures, beside this file.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/instructions/figures.toml");

/// The lines of a profile.
const TOP: usize = 25;

enum Task {
    Compare,
    Accept,
    Profile(Exchange),
}

impl Task {
    fn wanted() -> Result<Task, String> {
        let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty() && value != "0");
        match (setting("ACCEPT"), setting("PROFILE")) {
            (None, None) => Ok(Task::Compare),
            (Some(_), None) => Ok(Task::Accept),
            (None, Some(name)) if name == "1" => Ok(Task::Profile(Exchange::ALL[0])),
            (None, Some(name)) => match Exchange::ALL.into_iter().find(|e| e.name() == name) {
                Some(exchange) => Ok(Task::Profile(exchange)),
                None => {
                    let names = Exchange::ALL.map(Exchange::name).join(", ");
                    Err(format!("PROFILE={name}: no such exchange; there are {names}"))
                }
            },
            (Some(_), Some(_)) => Err("either ACCEPT or PROFILE, not both".to_owned()),
        }
    }
}

fn main() -> ExitCode {
    match Task::wanted().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), String> {
    let program = program::build()?;
    let measured = || -> Result<Accepted, String> {
        let mut instructions = BTreeMap::new();
        for exchange in Exchange::ALL {
            instructions.insert(exchange.name().to_owned(), per_exchange(&program, exchange)?);
        }
        Ok(Accepted { measured_with: program::tools()?, instructions })
    };
    match task {
        Task::Compare => {
            let figures = Figures::read(Path::new(FIGURES))?;
            let measured = measured()?;
            let accepted = figures.of_this_architecture()?;
            println!("{}", gate::table(&measured, accepted));
            gate::advice(&measured, accepted).iter().for_each(|advice| println!("{advice}"));
            gate::compare(&measured, accepted)
        }
        Task::Accept => {
            let measured = measured()?;
            let mut figures = Figures::read(Path::new(FIGURES))?;
            println!("{}", gate::table(&measured, figures.of_this_architecture().unwrap_or(&measured)));
            figures.accept(measured);
            figures.write(Path::new(FIGURES))
        }
        Task::Profile(exchange) => {
            let (few, many) = both_runs(&program, exchange)?;
            println!("{}", callgrind::report(exchange.name(), &few, &many, MANY - FEW, TOP));
            Ok(())
        }
    }
}

fn per_exchange(program: &Path, exchange: Exchange) -> Result<u64, String> {
    let (few, many) = both_runs(program, exchange)?;
    let more = many.total.checked_sub(few.total).ok_or("more exchanges took fewer instructions")?;
    Ok((more as f64 / f64::from(MANY - FEW)).round() as u64)
}

fn both_runs(program: &Path, exchange: Exchange) -> Result<(Profile, Profile), String> {
    Ok((program::run(program, exchange, FEW)?, program::run(program, exchange, MANY)?))
}
