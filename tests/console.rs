//! The console promises a line per choice and connection at level debug, and no cost for it above that level.

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use tidegate::balance::RoutingMode;
use tidegate::telemetry::console::{self, ConnectionEvent};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        LINES.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

// One test, because the logger and its level belong to the whole process.
#[test]
fn lines_appear_at_debug_and_cost_nothing_above() {
    log::set_logger(&Capture).unwrap();
    let url = "http://localhost:8082";
    let labels = console::labels(&["http://localhost:8081", url]);

    log::set_max_level(LevelFilter::Info);
    console::scores(RoutingMode::AdaptiveSma, &labels, || -> [Option<f64>; 2] { panic!("asked in vain") });
    console::chosen(RoutingMode::RoundRobin, url);
    assert!(LINES.lock().unwrap().is_empty());

    log::set_max_level(LevelFilter::Debug);
    console::chosen(RoutingMode::RoundRobin, url);
    console::scores(RoutingMode::RoundRobin, &labels, || [None, None]);
    console::scores(RoutingMode::AdaptiveSma, &labels, || [Some(12.3e6), None]);
    console::scores(RoutingMode::LeastRequests, &labels, || [None, None]);
    console::scores(RoutingMode::Adaptive, &labels, || [Some(12.3e6), None]);
    console::refreshing(RoutingMode::Adaptive, url);
    console::probing(RoutingMode::AdaptiveEwma, url);
    console::chosen(RoutingMode::AdaptiveEwma, url);
    console::connection(ConnectionEvent::Opened, url);
    console::connection(ConnectionEvent::Reused, url);
    console::connection(ConnectionEvent::Closed, url);
    assert_eq!(
        *LINES.lock().unwrap(),
        [
            "DEBUG [RR] chosen: http://localhost:8082",
            "DEBUG [SMA] SMAs: 8081=12.3ms, 8082=N/A",
            "DEBUG [ADAPTIVE] scores: 8081=12.3ms, 8082=N/A",
            "DEBUG [ADAPTIVE] probing stale: http://localhost:8082",
            "DEBUG [EWMA] probing unmeasured: http://localhost:8082",
            "DEBUG [EWMA] chosen: http://localhost:8082",
            "DEBUG connection opened: http://localhost:8082",
            "DEBUG connection reused: http://localhost:8082",
            "DEBUG connection closed: http://localhost:8082",
        ]
    );
}
