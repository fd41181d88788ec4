//! Tests of reports and of the charts that belong to them.

use super::*;
use crate::lab::charts::{NAMES, charts};
use crate::lab::log::read_from;

/// So many rows, one every `step_ms`, with a latency that alternates around `latency_ms`.
fn run(name: &str, mode: &str, rows: i64, step_ms: i64, latency_ms: i64) -> Run {
    let row = |n: i64| {
        let ms = n * step_ms;
        let (minutes, seconds, ms) = (ms / 60_000, ms / 1_000 % 60, ms % 1_000);
        let latency = latency_ms + if n % 2 == 0 { 1 } else { -1 };
        format!(
            "2026-01-01T12:{minutes:02}:{seconds:02}.{ms:03},http://localhost:808{},{latency},200,{mode}\n",
            n % 3 + 1
        )
    };
    let text: String = (0..rows).map(row).collect();
    let header = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
    let log = read_from((header.to_owned() + &text).as_bytes()).unwrap();
    Run::new(name.to_owned(), format!("{name}.csv"), log, None)
}

fn svg(report: &Report, name: &str) -> String {
    let chart = charts(report).unwrap().into_iter().find(|chart| chart.name == name).unwrap();
    chart.picture.svg().to_owned()
}

/// Texts of an SVG, in order.
fn texts(svg: &str) -> Vec<&str> {
    svg.split("<text")
        .skip(1)
        .map(|text| text.split('>').nth(1).unwrap().split('<').next().unwrap().trim())
        .collect()
}

#[test]
fn repeats_of_two_names_are_compared_and_single_logs_are_not() {
    let repeats = |name: &str, latency: i64| {
        let name = name.to_owned();
        (0..6).map(move |n| run(&name, "p2c", 100, 10, latency + n % 3))
    };
    let runs = repeats("old", 200).chain(repeats("new", 150)).chain([run("once", "p2c", 100, 10, 1)]);
    let report = Report::new(runs.collect());
    let said: Vec<String> = report.verdicts().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3);
    assert!(said[0].starts_with(
        "`new` is better than `old` in mean latency: 151.00 ms against 201.00 ms, 24.9 % lower"
    ));
    assert!(
        said[2].starts_with("No difference between `new` and `old` is shown in requests/s"),
        "{}",
        said[2]
    );
    assert!(report.markdown("Request logs", "", &[]).contains(&format!("## Verdicts\n\n- {}\n", said[0])));
    assert!(Report::new(vec![run("a", "p2c", 9, 10, 1), run("b", "p2c", 9, 10, 1)]).verdicts().is_empty());
}

#[test]
fn persistent_and_non_persistent_stand_side_by_side() {
    let runs = [("rr_p", "round-robin", 100), ("rr_np", "round-robin", 110), ("sma_np", "adaptive_sma", 120)];
    let report = Report::new(runs.map(|(name, mode, latency)| run(name, mode, 30, 10, latency)).to_vec());
    let svg = svg(&report, "mean_latency");
    let texts = texts(&svg);
    for text in ["persistent", "non-persistent", "round-robin", "adaptive_sma", "100.0", "110.0", "120.0"] {
        assert_eq!(texts.iter().filter(|&&other| other == text).count(), 1, "{text} in {texts:?}");
    }
}

#[test]
fn names_that_tell_no_connection_are_bars_of_their_own() {
    let report = Report::new(vec![run("before", "p2c", 30, 10, 100), run("after", "p2c", 30, 10, 90)]);
    let svg = svg(&report, "p95_latency");
    let texts = texts(&svg);
    assert!(texts.contains(&"before") && texts.contains(&"after") && !texts.contains(&"p2c"), "{texts:?}");
}

#[test]
fn every_picture_is_drawn_even_of_nothing() {
    let empty = Run::new("none".to_owned(), "none.csv".to_owned(), Log::default(), None);
    for runs in [vec![empty], vec![run("one", "p2c", 1, 10, 5)], vec![run("x", "p2c", 500, 10, 5); 50]] {
        let names: Vec<_> = charts(&Report::new(runs)).unwrap().iter().map(|chart| chart.name).collect();
        assert_eq!(names, NAMES);
    }
}

#[test]
fn more_curves_than_can_be_told_apart_are_left_out_with_a_word() {
    let runs = (0..16).map(|n| run(&format!("log{n:02}"), "p2c", 50, 10, 5 + n));
    let svg = svg(&Report::new(runs.collect()), "latency_ecdf");
    assert!(svg.contains("the first 14 of 16 variants") && svg.contains("log13") && !svg.contains("log14"));
}

#[test]
fn a_long_pause_is_remarked_unless_the_duration_is_given() {
    let paused = |given| {
        let mut log = run("x", "p2c", 100, 10, 5).log;
        log.rows.iter_mut().skip(50).for_each(|row| row.ended_us += 3_600_000_000);
        Run::new("x".to_owned(), "x.csv".to_owned(), log, given)
    };
    let text = Report::new(vec![paused(None)]).markdown("Request logs", "", &[]);
    assert!(text.contains("- `x.csv`: nothing ended for 3600 s: the log may hold several runs"), "{text}");
    let text = Report::new(vec![paused(Some(Duration::from_secs(2)))]).markdown("Request logs", "", &[]);
    assert!(!text.contains("nothing ended") && text.contains("2.0 s, given"), "{text}");
}

#[test]
fn several_modes_are_variants_of_their_own() {
    let mut log = run("x", "p2c", 60, 10, 5).log;
    log.modes.push("fair".to_owned());
    log.rows.iter_mut().skip(40).for_each(|row| row.mode = 1);
    let report = Report::new(vec![Run::new("x".to_owned(), "x.csv".to_owned(), log, None)]);
    let labels: Vec<_> = report.variants().iter().map(Variant::label).collect();
    assert_eq!(labels, ["x p2c", "x fair"]);
    let counts: Vec<_> = report.variants().iter().map(|variant| variant.latencies().len()).collect();
    assert_eq!(counts, [40, 20]);
    let rows: Vec<String> = report
        .markdown("Request logs", "", &[])
        .lines()
        .filter(|line| line.starts_with("| x "))
        .take(3)
        .map(str::to_owned)
        .collect();
    assert!(
        rows[0].contains("| all ") && rows[1].contains("| p2c ") && rows[2].contains("| fair "),
        "{rows:?}"
    );
}
