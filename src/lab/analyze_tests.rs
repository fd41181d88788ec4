//! Tests of the analysis, against values computed by hand.

use super::super::log::read_from;
use super::*;

const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

/// Ten rows over two seconds, in two modes.
fn log() -> Log {
    let rows = [
        (0, 8081, 10, 200, "round-robin"),
        (250, 8082, 200, 200, "round-robin"),
        (500, 8083, 250, 200, "round-robin"),
        (750, 8081, 20, 200, "round-robin"),
        (1000, 8082, 200, 504, "round-robin"),
        (1250, 8081, 30, 200, "adaptive_sma"),
        (1500, 8081, 40, 200, "adaptive_sma"),
        (1600, 8081, 50, 502, "adaptive_sma"),
        (1700, 8081, 60, 200, "adaptive_sma"),
        (2000, 8082, 140, 499, "adaptive_sma"),
    ];
    let row = |(at, port, latency, status, mode)| {
        format!(
            "2025-05-09T20:04:{:02}.{:03}000,http://localhost:{port},{latency},{status},{mode}\n",
            at / 1000,
            at % 1000
        )
    };
    read_from((HEADER.to_owned() + &rows.map(row).concat()).as_bytes()).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn totals_are_those_of_the_contract() {
    let analysis = analyze(&log(), None);
    assert_eq!(analysis.duration_s, Some(2.0));
    let Figures { requests, requests_per_s, latency, errors, error_statuses } = analysis.figures;
    assert_eq!((requests, requests_per_s), (10, Some(5.0)));
    // Sorted: 10 20 30 40 50 60 140 200 200 250; p95 at position 8.55, p99 at 8.91.
    let latency = latency.unwrap();
    assert!(near(latency.mean_ms, 100.0) && near(latency.p50_ms, 55.0));
    assert!(near(latency.p95_ms, 200.0 + 0.55 * 50.0) && near(latency.p99_ms, 200.0 + 0.91 * 50.0));
    // Squares of the distances: 8100 6400 4900 3600 2500 1600 1600 10000 10000 22500 = 71200.
    assert!(near(latency.deviation_ms.unwrap(), (71_200.0_f64 / 9.0).sqrt()));
    assert_eq!((latency.min_ms, latency.max_ms), (10.0, 250.0));
    assert_eq!((errors, error_statuses), (3, BTreeMap::from([(499, 1), (502, 1), (504, 1)])));
}

#[test]
fn a_duration_that_is_given_takes_the_place_of_the_span() {
    let analysis = analyze(&log(), Some(Duration::from_secs(4)));
    assert_eq!((analysis.duration_s, analysis.figures.requests_per_s), (Some(4.0), Some(2.5)));
    assert_eq!(analysis.backends[0].figures.requests_per_s, Some(1.5));
    // How long each of several modes ran is not given by it.
    assert_eq!(analysis.modes[0].duration_s, Some(1.0));
}

#[test]
fn shares_add_up_and_backends_are_in_order() {
    let analysis = analyze(&log(), None);
    let shares: Vec<_> =
        analysis.backends.iter().map(|part| (part.name.as_str(), part.share_percent)).collect();
    assert_eq!(
        shares,
        [("http://localhost:8081", 60.0), ("http://localhost:8082", 30.0), ("http://localhost:8083", 10.0)]
    );
    let first = &analysis.backends[0].figures;
    assert!(near(first.latency.unwrap().mean_ms, 35.0));
    assert_eq!((first.requests_per_s, first.errors), (Some(3.0), 1));
}

#[test]
fn each_mode_is_analysed_over_its_own_time() {
    let analysis = analyze(&log(), None);
    let [round_robin, sma] = analysis.modes.as_slice() else { panic!("two modes") };
    assert_eq!((round_robin.name.as_str(), round_robin.duration_s), ("round-robin", Some(1.0)));
    assert_eq!(round_robin.figures.requests_per_s, Some(5.0));
    assert_eq!((sma.duration_s, sma.share_percent, sma.figures.errors), (Some(0.75), 50.0, 2));
    let shares: Vec<_> = sma.backends.iter().map(|part| part.share_percent).collect();
    assert_eq!(shares, [80.0, 20.0, 0.0]);
}

#[test]
fn no_rows_and_one_row_have_no_rate() {
    let none = analyze(&Log::default(), None);
    assert_eq!((none.figures.requests, none.figures.requests_per_s, none.figures.latency), (0, None, None));
    let given = analyze(&Log::default(), Some(Duration::from_secs(10)));
    assert_eq!(given.figures.requests_per_s, Some(0.0));
    let row = "2025-05-09T20:04:04,http://localhost:8081,42,200,adaptive_sma\n";
    let one = analyze(&read_from(row.as_bytes()).unwrap(), None);
    assert_eq!((one.duration_s, one.figures.requests_per_s), (None, None));
    let latency = one.figures.latency.unwrap();
    assert_eq!((latency.p95_ms, latency.deviation_ms), (42.0, None));
}

#[test]
fn rows_out_of_order_change_neither_span_nor_pause() {
    let mut log = log();
    log.rows.swap(0, 9);
    let analysis = analyze(&log, None);
    assert_eq!(analysis.duration_s, Some(2.0));
    assert_eq!(analyze(&self::log(), None).longest_pause_s, 0.3);
}

#[test]
fn backends_are_named_by_port_where_that_suffices() {
    let labels = |urls: &[&str]| backend_labels(urls).join(" ");
    assert_eq!(labels(&["http://localhost:8081", "http://localhost:8082", "-"]), "8081 8082 none");
    assert_eq!(labels(&["http://a:80", "http://b:80/"]), "a:80 b:80");
    assert_eq!(labels(&["http://a", "http://a:81"]), "a a:81");
    assert_eq!(labels(&["http://[::1]:80", "http://[::1]:81"]), "80 81");
}

#[test]
fn backends_are_ordered_by_host_and_port() {
    let mut urls = ["http://b:90", "-", "http://a:10000", "http://a:9000"];
    urls.sort_by_cached_key(|url| place(url));
    assert_eq!(urls, ["http://a:9000", "http://a:10000", "http://b:90", "-"]);
}
