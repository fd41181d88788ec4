//! The accepted figures, and when a measured one fails.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How much more than accepted passes. Runs differ by 0.3 % at most, whatever else the machine does.
const TOLERANCE_PER_CENT: u64 = 3;

const HEADER: &str = "\
# User-space instructions per exchange of the reactor's thread, as last accepted, by processor architecture.
# Written by `make instructions ACCEPT=1`; `make test` fails when one is exceeded by more than 3 %.
";

/// All that is accepted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(pub(crate) BTreeMap<String, Accepted>);

/// What is accepted on one architecture.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    /// With what it was measured.
    pub(crate) measured_with: Tools,
    /// Instructions per exchange, by the exchange's name.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What figures depend on beside the sources.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    pub(crate) rustc: String,
    pub(crate) valgrind: String,
    pub(crate) libc: String,
    /// The vector instructions at hand.
    pub(crate) simd: String,
}

impl Tools {
    fn in_words(&self) -> String {
        format!("{}, {}, {}, {}", self.rustc, self.valgrind, self.libc, self.simd)
    }
}

impl Figures {
    /// The file's figures; none if there is no file yet.
    pub(crate) fn read(path: &Path) -> Result<Figures, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Figures(BTreeMap::new())),
            Err(e) => Err(format!("cannot read {}: {e}", path.display())),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|e| format!("cannot write the figures as TOML: {e}"))?;
        std::fs::write(path, format!("{HEADER}\n{text}"))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))
    }

    pub(crate) fn of_this_architecture(&self) -> Result<&Accepted, String> {
        let missing = || {
            format!(
                "no figures are accepted for {ARCH} yet; `make instructions ACCEPT=1` on such a machine does"
            )
        };
        self.0.get(ARCH).ok_or_else(missing)
    }

    /// Replaces the figures of this architecture.
    pub(crate) fn accept(&mut self, measured: Accepted) {
        self.0.insert(ARCH.to_owned(), measured);
    }
}

/// Measured and accepted figures side by side.
pub(crate) fn table(measured: &Accepted, accepted: &Accepted) -> String {
    let mut out =
        "| exchange | instructions | accepted | change |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for (name, &now) in &measured.instructions {
        // Writing to a String cannot fail.
        let _ = match accepted.instructions.get(name) {
            Some(&then) => writeln!(out, "| {name} | {now} | {then} | {:+.1} % |", change(now, then) * 100.0),
            None => writeln!(out, "| {name} | {now} | | |"),
        };
    }
    out
}

/// The most that passes.
const fn most(accepted: u64) -> u64 {
    accepted + accepted * TOLERANCE_PER_CENT / 100
}

/// What to do where figures have fallen by so much that as much could creep back unseen.
pub(crate) fn advice(measured: &Accepted, accepted: &Accepted) -> Option<String> {
    let fallen = |(name, &now): (&String, &u64)| {
        accepted.instructions.get(name).is_some_and(|&then| most(now) < then).then(|| format!("`{name}`"))
    };
    let names: Vec<String> = measured.instructions.iter().filter_map(fallen).collect();
    let takes = "`make instructions ACCEPT=1`, so that they stay there";
    (!names.is_empty())
        .then(|| format!("{} fell by more than {TOLERANCE_PER_CENT} %: {takes}", names.join(", ")))
}

fn change(now: u64, then: u64) -> f64 {
    now as f64 / then as f64 - 1.0
}

/// Whether no measured figure is more than [`TOLERANCE_PER_CENT`] above the accepted one, and the two name the same exchanges.
///
/// # Errors
/// Each figure that is, with what can be done.
pub(crate) fn compare(measured: &Accepted, accepted: &Accepted) -> Result<(), String> {
    let mut complaints = Vec::new();
    for (name, &now) in &measured.instructions {
        match accepted.instructions.get(name) {
            Some(&then) if now > most(then) => complaints.push(format!(
                "`{name}` takes {now} instructions per exchange; {then} are accepted, and up to {} \
                 (+{TOLERANCE_PER_CENT} %) would pass",
                most(then),
            )),
            Some(_) => {}
            None => complaints.push(format!("`{name}` has no accepted figure")),
        }
    }
    for name in accepted.instructions.keys().filter(|&name| !measured.instructions.contains_key(name)) {
        complaints.push(format!("`{name}` has an accepted figure, but is not measured any more"));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    let tools = match measured.measured_with == accepted.measured_with {
        true => String::new(),
        false => format!(
            "\n  mind     the figures were accepted with {}\n           and these measured with {}",
            accepted.measured_with.in_words(),
            measured.measured_with.in_words()
        ),
    };
    Err(format!(
        "{}\n  look     make instructions PROFILE=persistent (or another exchange) tells where they go\n  \
         accept   make instructions ACCEPT=1, and commit bench/instructions/figures.toml with the reason{tools}",
        complaints.join("\n  and ")
    ))
}
