//! The promise: what Prometheus reads adds up to what was sent, in formats that its own tools accept.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use support::admin::{Admin, administered, with_admin};
use support::classifier::{asking, echoing};
use support::{Client, Launch, Origin, Refusing, simulated, url};

/// Samples by their name with labels, as they are written.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

fn scrape(admin: &mut Admin) -> String {
    let response = admin.get("/metrics");
    assert_eq!(response.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    response.text()
}

/// The sum over all series of a metric.
fn total(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    let own = |key: &str| key.split('{').next() == Some(name);
    samples.iter().filter(|(key, _)| own(key)).map(|(_, value)| value).sum()
}

#[test]
fn metrics_add_up_to_the_requests_sent() {
    let fast = simulated('A', "1");
    let teapot = Origin::answering("HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n");
    let dead = Refusing::new();
    let urls = [url(fast.address()), teapot.url(), dead.url()];
    let (proxy, mut admin) =
        administered(&urls.each_ref().map(String::as_str), &["--retry-budget=0%", "--eject-after=off"]);
    let mut client = Client::connect(proxy.address);
    for _ in 0..30 {
        client.get("/");
    }
    admin.wait_for_requests(30);
    let samples = samples(&scrape(&mut admin));
    let name = |i: usize| urls[i].trim_start_matches("http://");
    let requests = |i: usize, code: &str| {
        let key = format!("tidegate_requests_total{{backend=\"{}\",code=\"{code}\"}}", name(i));
        samples.get(&key).copied()
    };
    assert_eq!(
        (requests(0, "200"), requests(1, "2xx"), requests(2, "502")),
        (Some(10.0), Some(10.0), Some(10.0))
    );
    assert_eq!(total(&samples, "tidegate_requests_total"), 30.0);
    assert_eq!(total(&samples, "tidegate_failed_requests_total"), 10.0);
    assert_eq!(total(&samples, "tidegate_request_duration_seconds_count"), 30.0);
    for i in 0..3 {
        let buckets: Vec<_> = samples
            .iter()
            .filter(|(key, _)| {
                key.starts_with("tidegate_request_duration_seconds_bucket{") && key.contains(name(i))
            })
            .map(|(_, count)| *count)
            .collect();
        assert_eq!(buckets.iter().copied().fold(0.0, f64::max), 10.0, "{buckets:?}");
    }
    assert_eq!(total(&samples, "tidegate_upstream_connections_reused_total"), 18.0);
    let opened = total(&samples, "tidegate_upstream_connections_opened_total");
    assert!(opened >= 2.0, "{opened}");
    assert_eq!(total(&samples, "tidegate_upstream_connect_seconds_count"), 2.0);
    assert_eq!(total(&samples, "tidegate_idle_upstream_connections"), 2.0);
    assert_eq!(total(&samples, "tidegate_backend_up"), 3.0);
    assert_eq!(total(&samples, "tidegate_in_flight_requests"), 0.0);
    assert_eq!(samples["tidegate_routing_mode{mode=\"round-robin\"}"], 1.0);
    assert!(total(&samples, "process_cpu_seconds_total") > 0.0);
    assert!(total(&samples, "process_resident_memory_bytes") > 1e6);
    assert!(total(&samples, "process_open_fds") > 5.0);
    assert!(total(&samples, "process_start_time_seconds") > 1.7e9);

    assert_eq!(admin.post(&format!("/api/v1/backends/{}/drain", name(0))).status, 200);
    admin.wait_for("draining", |live| live["backends"][0]["state"] == "draining");
    let after = self::samples(&scrape(&mut admin));
    assert_eq!(after[&format!("tidegate_backend_up{{backend=\"{}\"}}", name(0))], 0.0);
    proxy.stop();
}

#[test]
fn batches_and_customers_are_told() {
    let classifier = echoing();
    let (proxy, mut admin) = with_admin(Launch::batching(&classifier.url(), &["--admin=127.0.0.1:0"]));
    for customer in 0..25 {
        let mut client = asking(proxy.address, &format!("c{customer}"), &["a", "bb"]);
        assert_eq!(client.response().status, 200);
    }
    admin.wait_for_requests(25);
    let samples = samples(&scrape(&mut admin));
    assert_eq!(total(&samples, "tidegate_batch_size_sum"), 50.0);
    assert_eq!(total(&samples, "tidegate_batch_size_count"), 25.0);
    assert_eq!(total(&samples, "tidegate_queue_seconds_count"), 25.0);
    assert_eq!(total(&samples, "tidegate_batch_duration_seconds_count"), 25.0);
    assert_eq!(total(&samples, "tidegate_queue_depth"), 0.0);
    assert_eq!(total(&samples, "tidegate_customer_sequences_total"), 50.0);
    let customers =
        samples.keys().filter(|key| key.starts_with("tidegate_customer_sequences_total{")).count();
    assert_eq!(customers, 21, "twenty, and all others together");
    assert_eq!(samples["tidegate_customer_sequences_total{customer=\"other\",kind=\"others\"}"], 10.0);
    assert_eq!(samples["tidegate_batch_strategy{strategy=\"sjf\"}"], 1.0);
}

/// Lines in the trace file and lines missing there, as metrics and as the status tell.
fn traces(admin: &mut Admin) -> [(f64, Option<f64>); 2] {
    let (samples, status) = (samples(&scrape(admin)), admin.json("/api/v1/status"));
    ["written", "dropped"].map(|what| {
        let told = status["trace"][format!("lines_{what}")].as_f64();
        (total(&samples, &format!("tidegate_traces_{what}_total")), told)
    })
}

#[test]
fn traces_are_counted_also_when_the_file_was_opened_again_or_takes_none() {
    let backend = simulated('A', "1");
    let backend = url(backend.address());
    let (proxy, mut admin) = administered(&[&backend], &["--trace=trace.jsonl", "--routing=round-robin"]);
    let mut client = Client::connect(proxy.address);
    let lines =
        |count: u64| move |live: &serde_json::Value| live["status"]["trace"]["lines_written"] == count;
    (0..5).for_each(|_| drop(client.get("/")));
    admin.wait_for("five lines", lines(5));
    std::fs::rename(proxy.file("trace.jsonl"), proxy.file("old.jsonl")).expect("renamed");
    proxy.signal(Signal::USR1);
    let created = || proxy.file("trace.jsonl").exists();
    admin.wait_for("a new file", |_| created());
    assert_eq!(admin.put("/api/v1/routing", &json!({"mode": "adaptive_sma"})).status, 200);
    (0..3).for_each(|_| drop(client.get("/")));
    admin.wait_for("eight lines", lines(8));
    assert_eq!(traces(&mut admin), [(8.0, Some(8.0)), (0.0, Some(0.0))]);
    assert_eq!(admin.json("/api/v1/status")["trace"]["path"], "trace.jsonl");
    let modes: Vec<_> = proxy.stop().trace.iter().map(|line| line["mode"].clone()).collect();
    assert_eq!(modes, ["adaptive_sma"; 3], "what the admin listener set is traced");

    let (proxy, mut admin) = administered(&[&backend], &["--trace=/dev/full"]);
    let mut client = Client::connect(proxy.address);
    (0..5).for_each(|_| drop(client.get("/")));
    admin.wait_for("five missing", |live| live["status"]["trace"]["lines_dropped"] == 5);
    assert_eq!(traces(&mut admin), [(0.0, Some(0.0)), (5.0, Some(5.0))]);
}

#[test]
fn openmetrics_is_sent_when_asked_for() {
    let backend = simulated('A', "1");
    let (_proxy, mut admin) = administered(&[&url(backend.address())], &[]);
    let response =
        admin.ask("GET", "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n", "");
    let content_type = response.field("Content-Type");
    assert_eq!(content_type, Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = response.text();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.contains("# TYPE tidegate_requests counter\n"), "{text}");
    let older = scrape(&mut admin);
    assert!(!older.contains("# EOF") && older.contains("# TYPE tidegate_requests_total counter\n"));
}

#[test]
fn promtool_accepts_the_metrics() {
    let classifier = echoing();
    let (proxy, mut admin) = with_admin(Launch::batching(&classifier.url(), &["--admin=127.0.0.1:0"]));
    for _ in 0..25 {
        asking(proxy.address, "a", &["x"]).response();
    }
    Client::connect(proxy.address).get("/other");
    admin.wait_for_requests(26);
    let text = scrape(&mut admin);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "promtool is missing: {e}");
            eprintln!("SKIPPED: promtool is not installed ({e}); Debian: apt-get install prometheus");
            return;
        }
    };
    promtool.stdin.take().expect("its stdin").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
