//! Tests of the page. None needs a browser: what runs in it reads one block of JSON.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::lab::log::read_from;
use crate::lab::plot::{Bar, BarChart, Group};
use crate::lab::report::Run;

/// 200 rows, one every 10 ms, with a latency that alternates around `latency_ms`.
fn run(name: &str, mode: &str, latency_ms: u64) -> Run {
    let row = |n: u64| {
        let (second, ms) = (n / 100, n % 100 * 10);
        let latency = if n.is_multiple_of(2) { latency_ms + 1 } else { latency_ms - 1 };
        let status = if n == 7 { 504 } else { 200 };
        format!(
            "2026-01-01T12:00:{second:02}.{ms:03},http://localhost:{},{latency},{status},{mode}\n",
            8081 + n % 3
        )
    };
    let header = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
    let text = header.to_owned() + &(0..200).map(row).collect::<String>();
    Run::new(name.to_owned(), format!("{name}.csv"), read_from(text.as_bytes()).unwrap(), None)
}

fn repeats() -> Report {
    let of = |name: &'static str, latency: u64| (0..4).map(move |n| run(name, "p2c", latency + n % 2));
    Report::new(of("old", 200).chain(of("new", 150)).collect())
}

/// What stands between the first `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect(start).0
}

fn figures_of(page: &str) -> Vec<Value> {
    let json = between(page, r#"<script type="application/json" id="figures">"#, "</script>");
    serde_json::from_str(json).unwrap()
}

fn figure(page: &str, name: &str) -> Value {
    figures_of(page).into_iter().find(|figure| figure["name"] == name).expect(name)
}

/// The page without Plotly, whose source has whatever it likes.
fn own_part(page: &str) -> String {
    page.replace(crate::plotly::script(), "")
}

#[test]
fn every_chart_of_the_report_is_there_with_its_place_and_numbers() {
    let page = page(&repeats(), &PageExtra::default());
    let figures = figures_of(&page);
    let names: Vec<&str> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = crate::lab::charts::NAMES.into();
    expected.insert(5, "latency_percentiles");
    assert_eq!(names, expected);
    let own = own_part(&page);
    for n in 0..names.len() {
        let place = between(&own, &format!(r#"id="chart-{n}""#), "</figure>");
        assert!(place.contains(r#"class="plot""#) && place.contains("<td"), "{place}");
    }
    assert_eq!(own.matches("<figure").count(), names.len());
}

#[test]
fn bars_have_the_values_and_intervals_of_the_pictures() {
    let report = repeats();
    let page = page(&report, &PageExtra::default());
    for (name, metric) in [
        ("requests_per_second", Metric::RequestsPerS),
        ("mean_latency", Metric::MeanMs),
        ("p95_latency", Metric::P95Ms),
    ] {
        let bars = &figure(&page, name)["data"][0];
        assert_eq!((&bars["customdata"][0], &bars["customdata"][1]), (&"old".into(), &"new".into()));
        for (n, variant) in report.variants().iter().enumerate() {
            let (value, interval) = variant.repeats().estimate(metric, SEED).unwrap();
            assert_eq!(bars["y"][n], value, "{name}");
            let whisker = interval.map(|interval| (interval.high - value, value - interval.low));
            let drawn = &bars["error_y"];
            let found = drawn["array"][n].as_f64().zip(drawn["arrayminus"][n].as_f64());
            assert_eq!(found, whisker, "{name}");
        }
    }
    let shares = figure(&page, "request_distribution");
    assert_eq!(shares["names"], serde_json::json!(["backend 8081", "backend 8082", "backend 8083"]));
    assert_eq!(shares["data"][0]["y"], serde_json::json!([33.5, 33.5]));
}

#[test]
fn persistent_and_non_persistent_stand_side_by_side() {
    let runs = vec![
        run("rr_p", "round-robin", 100),
        run("rr_np", "round-robin", 110),
        run("sma_np", "adaptive_sma", 120),
    ];
    let page = page(&Report::new(runs), &PageExtra::default());
    let mean = figure(&page, "mean_latency");
    assert_eq!(mean["names"], serde_json::json!(["persistent", "non-persistent"]));
    assert_eq!(mean["data"][0]["y"], serde_json::json!([100.0, null]));
    assert_eq!(mean["data"][1]["y"], serde_json::json!([110.0, 120.0]));
}

#[test]
fn a_long_name_is_whole_except_below_its_bar() {
    let name = "a_name_that_would_leave_its_bar_no_room <&>";
    let page = page(&Report::new(vec![run(name, "p2c", 100), run("b", "p2c", 110)]), &PageExtra::default());
    let mean = figure(&page, "mean_latency");
    assert_eq!(mean["layout"]["xaxis"]["ticktext"], serde_json::json!(["a_name_that_would_leave_its…", "b"]));
    assert_eq!(mean["data"][0]["customdata"][0], "a_name_that_would_leave_its_bar_no_room &lt;&amp;&gt;");
}

#[test]
fn curves_have_units_and_a_bounded_number_of_points() {
    let mut long = run("x", "p2c", 200);
    let rows = long.log.rows.clone();
    long.log.rows = (0..20_000)
        .map(|n| {
            let mut row = rows[0];
            row.ended_us += n * 1_000;
            row.latency_ms = n as f64 + 0.123;
            row
        })
        .collect();
    let page =
        page(&Report::new(vec![Run::new("x".into(), "x.csv".into(), long.log, None)]), &PageExtra::default());
    for (name, x_axis, panels) in [
        ("latency_ecdf", "latency (ms)", vec!["share of requests (%)"]),
        ("latency_percentiles", "percentile", vec!["latency (ms)"]),
        ("time_line", "time since the first row (s)", vec!["requests/s", "mean (ms)", "p95 (ms)"]),
    ] {
        let figure = figure(&page, name);
        let layout = &figure["layout"];
        assert_eq!(layout["xaxis"]["title"]["text"], x_axis);
        for (n, trace) in figure["data"].as_array().unwrap().iter().enumerate() {
            let axis = if n == 0 { "yaxis".to_owned() } else { format!("yaxis{}", n + 1) };
            assert_eq!(layout[&axis]["title"]["text"], panels[n]);
            assert_eq!(trace["yaxis"], axis.replace("axis", ""));
            let points = trace["x"].as_array().unwrap().len();
            assert!(points > 90 && points < 1_010, "{name}: {points}");
        }
    }
    let ecdf = figure(&page, "latency_ecdf");
    let [x, y] = ["x", "y"].map(|axis| ecdf["data"][0][axis].as_array().unwrap().clone());
    assert_eq!((&x[0], &y[0]), (&0.123.into(), &0.0.into()));
    assert_eq!((x.last().unwrap(), y.last().unwrap()), (&19_999.123.into(), &100.0.into()));
    assert!(page.len() < crate::plotly::script().len() + 500_000, "{}", page.len());
}

#[test]
fn verdicts_come_first_each_with_its_word() {
    let report = repeats();
    let page = own_part(&page(&report, &PageExtra::default()));
    let [verdicts, charts] = ["<h2>Verdicts</h2>", "<h2>Charts</h2>"].map(|title| page.find(title).unwrap());
    assert!(verdicts < charts && page.find("<h2>").unwrap() == page.find("<h2>Verdicts</h2>").unwrap());
    assert!(page.contains(r#"<span class="badge better">▲ better</span> <code>new</code> is better than <code>old</code> in mean latency: "#));
    assert!(page.contains("○ too few repeats"), "requests/s does not vary: four repeats tell nothing");
}

#[test]
fn what_was_run_is_said_and_only_what_was_given() {
    let bare = own_part(&page(&repeats(), &PageExtra::default()));
    assert!(!bare.contains(r#"class="banner""#) && !bare.contains("<dl") && !bare.contains("<h2>Study</h2>"));
    let chart = BarChart {
        title: "Batch sizes".to_owned(),
        note: String::new(),
        axis: "batches".to_owned(),
        groups_axis: Some("requests in a batch".to_owned()),
        decimals: 0,
        series: vec![String::new()],
        groups: vec![Group { name: "5".to_owned(), bars: vec![Some(Bar::from(31.0))] }],
    };
    let picture = chart.draw().unwrap();
    let mut rows = Table::new(1, &["customer", "requests"]);
    rows.push(vec!["A".to_owned(), "87".to_owned()]);
    let extra = PageExtra {
        title: "Gate & tide".to_owned(),
        subtitle: Some("simulated in virtual time".to_owned()),
        intro: vec![("Seed".to_owned(), "42".to_owned())],
        study_text: Some("seed = 42\n".to_owned()),
        sections: vec![Section {
            title: "Batches".to_owned(),
            contents: vec![
                Content::Text("Five at most.".to_owned()),
                Content::Table(rows),
                Content::Chart("batch_sizes".to_owned(), Drawing::Bars(chart)),
                Content::Picture("Four panels".to_owned(), picture),
            ],
        }],
    };
    let full = page(&repeats(), &extra);
    let sizes = figure(&full, "batch_sizes");
    assert_eq!(sizes["data"][0]["y"], serde_json::json!([31.0]));
    assert_eq!(sizes["layout"]["xaxis"]["title"]["text"], "requests in a batch");
    let own = own_part(&full);
    for text in [
        "<title>Gate &amp; tide</title>",
        r#"<p class="banner" role="note">simulated in virtual time</p>"#,
        "<dt>Seed</dt><dd>42</dd>",
        "seed = 42\n</pre>",
        "<p>Five at most.</p>",
        r#"<td class="number">87</td>"#,
        r#"id="chart-7""#,
        r#"<img class="picture" alt="Four panels" src="data:image/svg+xml;charset=utf-8,&lt;svg "#,
    ] {
        assert!(own.contains(text), "{text}");
    }
    let source = between(&own, "src=\"data:", "\"");
    assert!(!source.contains('#') && !source.contains("% "), "a # would end the picture");
}

#[test]
fn errors_and_remarks_are_told() {
    let mut broken = run("x", "p2c", 200);
    broken.log.malformed = 3;
    let page = own_part(&page(&Report::new(vec![broken]), &PageExtra::default()));
    assert!(page.contains("3 malformed rows left out") && page.contains(">504</td>"));
    let empty = Run::new("none".into(), "none.csv".into(), crate::lab::log::Log::default(), None);
    let page = own_part(&super::page(&Report::new(vec![empty]), &PageExtra::default()));
    assert!(page.contains("no rows.") && page.contains("None: no status of 400 or above."));
}

#[test]
fn nothing_is_fetched() {
    let page = page(&repeats(), &PageExtra::default());
    let policy = between(&page, r#"<meta http-equiv="Content-Security-Policy" content=""#, "\"");
    assert!(policy.starts_with("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"));
    for source in ["http", "'self'", "*"] {
        assert!(!policy.contains(source), "{policy}");
    }
    let own = own_part(&page);
    assert!(page.find("Content-Security-Policy").unwrap() < page.find("<script").unwrap());
    for fetching in [" src=", "<link", "@import", "url(", "fetch(", "import("] {
        assert!(!own.contains(fetching), "{fetching}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_name_is_inert(name in prop_oneof![
        "\\PC{1,20}",
        Just("</script><script>alert(1)</script>".to_owned()),
        Just("<!--<script>".to_owned()),
        Just("\"'><img src=x onerror=alert(1)>`".to_owned()),
        Just("a&lt;b|%{y}<b>x</b>".to_owned()),
    ]) {
        let report = Report::new(vec![run(&name, "p2c", 200), run("b", "p2c", 100)]);
        let extra = PageExtra { title: name.clone(), subtitle: Some(name.clone()), study_text: Some(name.clone()), ..PageExtra::default() };
        let page = page(&report, &extra);
        let own = own_part(&page);
        // No tag, attribute or comment more than on a page with a plain name.
        let plain = PageExtra { title: "a".into(), subtitle: Some("a".into()), study_text: Some("a".into()), ..PageExtra::default() };
        let plain = own_part(&super::page(&Report::new(vec![run("a", "p2c", 200), run("b", "p2c", 100)]), &plain));
        prop_assert_eq!(own.matches('<').count(), plain.matches('<').count());
        prop_assert_eq!(tags(&own), tags(&plain));
        // The data have the name as it is for the legend, and without tags where Plotly would take them as such.
        let ecdf = figure(&page, "latency_ecdf");
        prop_assert_eq!(ecdf["names"][0].as_str().unwrap(), format!("{name} (n = 200)"));
        let shown = ecdf["data"][0]["name"].as_str().unwrap();
        prop_assert!(!shown.contains('<') && !shown.contains("%{"), "{}", shown);
    }
}

/// The names of all tags.
fn tags(page: &str) -> Vec<&str> {
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '/').unwrap_or(rest.len());
    page.split('<').skip(1).map(|rest| &rest[..name(rest)]).collect()
}
