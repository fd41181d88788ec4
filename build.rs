//! Tells the program which commit it is built from: `TIDEGATE_COMMIT`, `unknown` without git.

use std::path::Path;
use std::process::Command;

fn main() {
    for path in [".git/HEAD", ".git/logs/HEAD", "src", "Cargo.lock"] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let commit = described.ok().filter(|output| output.status.success());
    let commit = commit.and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo::rustc-env=TIDEGATE_COMMIT={}", commit.as_deref().unwrap_or("unknown").trim());
}
