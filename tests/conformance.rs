//! The promise: a black-box suite of conformance, smuggling and fault cases passes, MUST and SHOULD, in both connection modes.
//!
//! The suite is not part of the project: `TIDEGATE_CONFORMANCE` names its folder. Where the variable is not set, nothing is run, and
//! said so. The project's own tests of the same classes are framing.rs, bodies.rs, connections.rs, failures.rs, health.rs, limits.rs,
//! timeouts.rs and websocket.rs.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Four ports in a row that are free: below those that the kernel hands out, since the suite's backends leave theirs and come
/// back to them.
fn four_ports(apart: u16) -> [u16; 4] {
    let begin = (std::process::id() % 2_000) as u16 * 8 + apart;
    let blocks = (0..2_000u16).map(|i| 12_000 + (begin + i * 8) % 16_000);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    blocks
        .map(|first| [first, first + 1, first + 2, first + 3])
        .find(|ports| ports.iter().all(free))
        .expect("four free ports in a row")
}

fn folder() -> Option<PathBuf> {
    let Some(named) = std::env::var_os("TIDEGATE_CONFORMANCE") else {
        // Past the test's capture, which would hide it.
        let told = "SKIPPED: TIDEGATE_CONFORMANCE does not name the folder of the conformance suite";
        let _ = writeln!(std::io::stderr(), "{told}");
        return None;
    };
    let folder = PathBuf::from(named);
    assert!(folder.join("conformance.py").is_file(), "no conformance.py in {}", folder.display());
    Some(folder)
}

fn conforms(mode: &str, apart: u16) {
    let Some(folder) = folder() else { return };
    let [proxy, a, b, c] = four_ports(apart);
    let start = format!(
        "{} proxy --listen 127.0.0.1:{proxy} --csv off --connections {mode} --upstream-timeout 5s --header-timeout 5s \
         --backend http://127.0.0.1:{a} --backend http://127.0.0.1:{b} --backend http://127.0.0.1:{c}",
        env!("CARGO_BIN_EXE_tidegate")
    );
    let suite = Command::new("python3")
        .args(["conformance.py", "-q", "--strict", "--proxy", &format!("127.0.0.1:{proxy}")])
        .args(["--backend-ports", &format!("{a},{b},{c}"), "--start", &start])
        .current_dir(&folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("python3 is needed for {}: {e}", folder.display()));
    let told = String::from_utf8_lossy(&suite.stdout);
    let errors = String::from_utf8_lossy(&suite.stderr);
    assert!(suite.status.success(), "{mode}:\n{told}{errors}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.contains(" passed, 0 failed, 0 skipped"), "{mode}: {last}");
}

#[test]
fn with_persistent_upstream_connections() {
    conforms("persistent", 0);
}

#[test]
fn with_non_persistent_upstream_connections() {
    conforms("non-persistent", 4);
}
