//! The six scenarios of the contract: each combination of connection and routing mode under wrk.
//!
//! `SECONDS=30 WARMUP=5 cargo bench --bench scenarios`. Starts `tidegate testbed` on free ports for each and drives it with
//! `wrk -t4 -c100`. Requests per second and errors are wrk's; mean and p95 are over the CSV rows after the warm-up; shares
//! are over all rows, with those that wrk left in flight when it stopped (499), which non-2xx leaves out.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Backend, latency in ms and status of a row.
type Row = (String, f64, u16);

/// What an overhead-free proxy reaches on this profile, in requests per second.
const LIMITS: [(&str, f64); 3] = [("round-robin", 505.3), ("adaptive_sma", 499.4), ("adaptive_ewma", 499.4)];

fn main() {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (seconds, warmup) = (setting("SECONDS", "30"), setting("WARMUP", "5"));
    println!("wrk -t4 -c100 -d{seconds}s each, after {warmup} s of warm-up\n");
    println!(
        "| connections | routing | req/s | of limit | mean ms | p95 ms | A | B | C | non-2xx | errors |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for connections in ["persistent", "non-persistent"] {
        for (routing, limit) in LIMITS {
            scenario(connections, routing, limit, &seconds, &warmup);
        }
    }
}

fn scenario(connections: &str, routing: &str, limit: f64, seconds: &str, warmup: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = folder.path().join("rows.csv");
    let (mut testbed, url, backends) = start(&csv, connections, routing);
    wrk(&url, warmup);
    let before = rows(&csv).len();
    let said = wrk(&url, seconds);
    stop(&mut testbed);
    let all = rows(&csv);
    report(&format!("{connections} | {routing}"), limit, &said, &backends, &all, &all[before..]);
}

/// The running testbed, the proxy's URL, and the backends' URLs in the order A, B, C.
fn start(csv: &Path, connections: &str, routing: &str) -> (Child, String, Vec<String>) {
    let mut testbed = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args([
            "testbed",
            "--listen",
            "127.0.0.1:0",
            "--backend-listen",
            "127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
            "--classifier-listen",
            "127.0.0.1:0",
            "--admin",
            "off",
        ])
        .args(["--connections", connections, "--routing", routing, "--csv"])
        .arg(csv)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the testbed starts");
    let mut lines = BufReader::new(testbed.stderr.take().expect("its log")).lines();
    let ports: Vec<String> = lines
        .by_ref()
        .map_while(Result::ok)
        .filter(|line| !line.contains("the classifier "))
        .filter_map(|line| line.split_once(" listens on 127.0.0.1:").map(|(_, port)| port.to_owned()))
        .take(4)
        .collect();
    let [backends @ .., proxy] = &ports[..] else { panic!("the testbed did not start") };
    let backends = backends.iter().map(|port| format!("http://localhost:{port}")).collect();
    let url = format!("http://127.0.0.1:{proxy}/");
    std::thread::spawn(move || lines.for_each(drop));
    (testbed, url, backends)
}

/// Runs wrk; returns its requests per second, and its lines on errors if there are any.
fn wrk(url: &str, seconds: &str) -> (f64, String) {
    let run = Command::new("wrk").args(["-t4", "-c100", &format!("-d{seconds}s"), url]).output();
    let run = run.expect("wrk is installed (`make install-wrk`)");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let lines = || text.lines().map(str::trim);
    let rate = lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    let errors: Vec<&str> =
        lines().filter(|line| line.starts_with("Socket errors") || line.starts_with("Non-2xx")).collect();
    (rate.expect("wrk's rate"), if errors.is_empty() { "none".to_owned() } else { errors.join("; ") })
}

fn rows(csv: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(csv).expect("the CSV file");
    let row = |r: csv::Result<csv::StringRecord>| {
        let r = r.ok()?;
        Some((r.get(1)?.to_owned(), r.get(2)?.parse().ok()?, r.get(3)?.parse().ok()?))
    };
    reader.records().filter_map(row).collect()
}

fn stop(testbed: &mut Child) {
    let stopped = Command::new("kill").args(["-TERM", &testbed.id().to_string()]).status();
    assert!(stopped.is_ok_and(|s| s.success()), "cannot signal the testbed");
    assert!(testbed.wait().expect("its end").success(), "the testbed failed");
}

fn report(
    name: &str,
    limit: f64,
    (rate, errors): &(f64, String),
    backends: &[String],
    all: &[Row],
    measured: &[Row],
) {
    let n = measured.len() as f64;
    let mut latencies: Vec<f64> = measured.iter().map(|r| r.1).collect();
    latencies.sort_by(f64::total_cmp);
    let p95 = latencies.get((n * 0.95) as usize).copied().unwrap_or(f64::NAN);
    let count = |url: &str| all.iter().filter(|r| r.0 == url).count();
    let shares: Vec<String> = backends
        .iter()
        .map(|name| format!("{} ({:.2} %)", count(name), count(name) as f64 / all.len() as f64 * 100.0))
        .collect();
    let bad = all.iter().filter(|r| r.2 != 499 && !(200..300).contains(&r.2)).count();
    println!(
        "| {name} | {rate:.1} | {:.2} % | {:.2} | {p95:.0} | {} | {bad} | {errors} |",
        rate / limit * 100.0,
        latencies.iter().sum::<f64>() / n,
        shares.join(" | "),
    );
}
