//! `tidegate report`, by the real binary: figures, messages, files, exit codes.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

struct Folder(TempDir);

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> &Folder {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn report(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let Output { status, stdout, stderr } =
            command.arg("report").args(arguments).current_dir(self.0.path()).output().unwrap();
        Ended {
            code: status.code().expect("an exit code"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// 20 rows a second for 10 s in rotation: A takes 10, 20, 30, … 100 ms again and again, B 200 ms, C 250 ms.
fn rotation() -> String {
    let mut text = HEADER.to_owned();
    for n in 0..200 {
        let (second, micros) = (n / 20, n % 20 * 50_000);
        let latency = [10 * (n / 3 % 10 + 1), 200, 250][n % 3];
        let port = 8081 + n % 3;
        writeln!(
            text,
            "2026-03-04T05:06:{second:02}.{micros:06},http://localhost:{port},{latency},200,round-robin"
        )
        .unwrap();
    }
    text
}

/// The cells of the first line of a Markdown text that has this one.
fn cells<'a>(markdown: &'a str, cell: &str) -> Vec<&'a str> {
    let line = markdown.lines().find(|line| line.contains(&format!("| {cell} "))).expect(cell);
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_figures_are_those_worked_out_by_hand() {
    let folder = Folder::new();
    let ended = folder.file("rr.csv", &rotation()).report(&["rr.csv", "--duration", "10s"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    // A has 67 rows: 6 rounds of 550 ms and 7 more of 10 to 70 ms, together 3,580 ms; B 67 of 200; C 66 of 250. The mean is
    // (3580 + 13400 + 16500) / 200 = 167.40. In order, the last 66 of 200 are 250 and the 67 before 200: p50, p95 and p99, at
    // positions 99.5, 189.05 and 197.01, are 200, 250 and 250. The squares of A are 6 · 38,500 + 14,000 = 245,000, so the
    // variance is (245000 + 67 · 40000 + 66 · 62500 − 200 · 167.4²) / 199 = 7,263.56, whose root is 85.23.
    assert_eq!(
        cells(&ended.stdout, "round-robin"),
        ["rr", "round-robin", "200", "20.00", "167.40", "200.0", "250.0", "250.0", "85.23", "0"]
    );
    assert!(ended.stdout.contains("|  33.50 |  33.50 |  33.00 |"), "{}", ended.stdout);
    // Without a duration: from the first row to the last, 9.95 s.
    let ended = folder.report(&["rr.csv"]);
    assert_eq!(cells(&ended.stdout, "round-robin")[3], "20.10");
    assert!(ended.stdout.contains("9.950 s, first row to last"));
}

#[test]
fn json_has_the_same_figures() {
    let folder = Folder::new();
    let ended = folder.file("rr.csv", &rotation()).report(&[
        "--name",
        "mine=rr.csv",
        "--format",
        "json",
        "--duration",
        "10s",
    ]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let log = &json["logs"][0];
    assert_eq!((&log["name"], &log["file"]), (&"mine".into(), &"rr.csv".into()));
    assert_eq!((&log["figures"]["requests"], &log["figures"]["requests_per_s"]), (&200.into(), &20.0.into()));
    assert_eq!((&log["figures"]["latency"]["mean_ms"], &log["duration_s"]), (&167.4.into(), &10.0.into()));
    assert_eq!(
        (&log["backends"][2]["name"], &log["backends"][2]["share_percent"]),
        (&"http://localhost:8083".into(), &33.0.into())
    );
    assert_eq!((&log["malformed"], &json["verdicts"]), (&0.into(), &serde_json::json!([])));
}

#[test]
fn malformed_rows_are_named_counted_and_do_not_end_the_run() {
    let folder = Folder::new();
    let text = rotation() + "torn\n" + &rotation()[HEADER.len()..] + &"x,y\n".repeat(20);
    let ended = folder.file("log.csv", &text).report(&["log.csv"]);
    assert_eq!(ended.code, 0);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "tidegate: log.csv:202: 1 fields, too few for a backend_url; row left out");
    assert_eq!(lines[10], "tidegate: log.csv: 11 more malformed rows left out");
    assert_eq!((lines.len(), cells(&ended.stdout, "round-robin")[2]), (11, "400"));
    assert!(
        ended.stdout.contains("- `log.csv`: 21 malformed rows left out (line 202, 403, 404,"),
        "{}",
        ended.stdout
    );
}

#[test]
fn logs_without_rows_are_reported_as_such() {
    let folder = Folder::new();
    folder.file("empty.csv", "").file("header.csv", HEADER);
    let ended = folder.report(&["empty.csv", "header.csv"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(cells(&ended.stdout, "header")[2..4], ["0", "–"]);
    assert!(ended.stdout.contains("- `empty.csv`: no rows."), "{}", ended.stdout);
}

#[test]
fn what_is_no_log_and_what_is_not_there_end_with_1() {
    let folder = Folder::new();
    let ended = folder.file("notes.txt", "dear diary\n").report(&["notes.txt"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.starts_with("tidegate: notes.txt:1: not a request log: no column timestamp, "),
        "{}",
        ended.stderr
    );
    let ended = folder.report(&["nowhere.csv"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (1, "tidegate: cannot read nowhere.csv: no such file or directory\n")
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = Folder::new();
    for (arguments, message) in [
        (vec![], "required"),
        (vec!["--name", "x"], "--name: `x` is not LABEL=FILE"),
        (vec!["x.csv", "--duration", "120"], "needs a unit"),
        (vec!["x.csv", "--format", "xml"], "xml"),
    ] {
        let ended = folder.report(&arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_gets_report_and_pictures_and_is_never_overwritten() {
    let folder = Folder::new();
    folder.file("rr.csv", &rotation());
    let ended = folder.report(&["rr.csv", "--out", "a/b"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let mut names: Vec<_> = fs::read_dir(folder.path("a/b"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let pictures = [
        "latency_ecdf",
        "mean_latency",
        "p95_latency",
        "request_distribution",
        "requests_per_second",
        "time_line",
    ];
    let mut expected: Vec<_> =
        pictures.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]).collect();
    expected.extend(["report.html", "report.json", "report.md"].map(str::to_owned));
    expected.sort();
    assert_eq!(names, expected);
    let page = fs::read_to_string(folder.path("a/b/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<td>rr</td><td>round-robin</td>"));
    let markdown = fs::read_to_string(folder.path("a/b/report.md")).unwrap();
    for name in pictures {
        assert!(markdown.contains(&format!("]({name}.svg)")), "{name}");
        let png = fs::read(folder.path("a/b").join(format!("{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
    }
    fs::write(folder.path("a/b/report.md"), "mine").unwrap();
    let ended = folder.report(&["rr.csv", "--out", "a/b"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (2, "tidegate: --out: a/b/report.md is there already; name another folder\n")
    );
    assert_eq!(fs::read_to_string(folder.path("a/b/report.md")).unwrap(), "mine");
}

#[test]
fn the_page_alone_goes_to_the_standard_output_or_a_folder() {
    let folder = Folder::new();
    folder.file("rr.csv", &rotation());
    let page = folder.report(&["rr.csv", "--format", "html"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    assert!(page.stdout.starts_with("<!DOCTYPE html>") && page.stdout.trim_end().ends_with("</html>"));
    assert_eq!(folder.report(&["rr.csv", "--format", "html", "--out", "x"]).code, 0);
    let written = fs::read_to_string(folder.path("x/report.html")).unwrap();
    assert!(written == page.stdout, "equal logs, equal pages");
    assert!(!folder.path("x/report.md").exists() && !folder.path("x/report.json").exists());
}

#[test]
fn repeats_of_two_names_get_verdicts() {
    let folder = Folder::new();
    let mut arguments = Vec::new();
    for (name, latency) in [("old", 200), ("new", 150)] {
        for repeat in 0..4 {
            let file = format!("{name}{repeat}.csv");
            let row = |n| {
                let latency = latency + 2 * repeat + n % 5;
                format!("2026-03-04T05:06:{n:02},http://localhost:8081,{latency},200,{name}\n")
            };
            folder.file(&file, &(HEADER.to_owned() + &(0..60).map(row).collect::<String>()));
            arguments.extend(["--name".to_owned(), format!("{name}={file}")]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = folder.report(&arguments);
    assert!(
        ended.stdout.contains(
            "- `new` is better than `old` in mean latency: 155.00 ms against 205.00 ms, 24.4 % lower;"
        ),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("- `new` and `old` cannot be compared in requests/s: 4 and 4 repeats are too few"),
        "{}",
        ended.stdout
    );
    assert_eq!(folder.report(&arguments).stdout, ended.stdout, "equal logs, equal reports");
}
