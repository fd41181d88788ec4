//! `tidegate experiment`, by the real binary: what it writes, where, and that equal seeds give equal figures.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Two backends and two variants that differ.
const STUDY: &str = "\
title = \"Two ways\"
seed = 5
repeats = 5
duration = \"2s\"
warm-up = \"500ms\"

[[backend]]
profile = \"uniform:5-10\"

[[backend]]
profile = \"20\"

[load]
connections = 8
threads = 2

[[variant]]
name = \"in turn\"

[[variant]]
name = \"faster\"
routing = \"adaptive_sma\"
";

struct Place(TempDir);

impl Place {
    fn with(study: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("two.toml"), study).unwrap();
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("experiment").args(arguments).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The folders of results, oldest first.
    fn folders(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.0.path().join("results")).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = all.filter(|path| path.is_dir() && !path.is_symlink()).collect();
        folders.sort();
        folders
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn report_of(rows: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let output = command.args(["report", "--format", "json"]).arg(rows).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn equal_seeds_give_equal_figures_in_virtual_time_and_nothing_is_overwritten() {
    let place = Place::with(STUDY);
    place.run(&["run", "two.toml", "--simulate"]);
    place.run(&["run", "two.toml", "--simulate"]);
    place.run(&["run", "two.toml", "--simulate", "--seed", "6"]);
    let folders = place.folders();
    let [one, two, three] = &folders[..] else { panic!("{folders:?}") };
    let summary = |folder: &Path| fs::read_to_string(folder.join("summary.json")).unwrap();
    assert_eq!(summary(one), summary(two));
    assert_ne!(summary(one), summary(three));
    assert_eq!(fs::read_to_string(one.join("study.toml")).unwrap(), STUDY);
    assert!(fs::read_to_string(three.join("study.toml")).unwrap().starts_with("seed = 6\n"));
}

#[test]
fn a_folder_holds_all_that_is_needed_to_judge_and_repeat() {
    let place = Place::with(STUDY);
    let said = place.run(&["run", "two.toml", "--simulate"]);
    let folder = place.folders().remove(0);
    assert!(folder.file_name().unwrap().to_string_lossy().ends_with("_two"));
    for name in
        ["report.md", "requests_per_second.png", "mean_latency.svg", "time_line.png", "latency_ecdf.svg"]
    {
        assert!(folder.join(name).metadata().unwrap().len() > 500, "{name}");
    }
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(
        page.contains("<title>Two ways") && page.contains("Simulated: ") && page.contains("uniform:5-10")
    );
    let environment = json(&folder.join("environment.json"));
    assert_eq!(environment["simulated"], true);
    for key in ["version", "commit", "kernel", "processor", "began"] {
        assert!(environment[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let report = fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.starts_with("# Two ways\n") && report.contains("**Simulated**"), "{report}");
    let summary = json(&folder.join("summary.json"));
    assert_eq!((&summary["complete"], &summary["study"]["seed"]), (&true.into(), &5.into()));
    assert_eq!(summary["runs"].as_array().unwrap().len(), 10);
    // One connection in turn makes 7.5 and 20 ms alike; the better backend alone 7.5.
    let in_turn = summary["variants"][0]["mean_ms"]["mean"].as_f64().unwrap();
    let faster = summary["variants"][1]["mean_ms"]["mean"].as_f64().unwrap();
    assert!((in_turn - 13.75).abs() < 0.5 && (faster - 7.5).abs() < 0.5, "{in_turn} {faster}");
    let verdict = summary["verdicts"][0]["sentence"].as_str().unwrap();
    assert!(verdict.starts_with("`faster` is better than `in turn` in mean latency"), "{verdict}");
    assert!(String::from_utf8_lossy(&said.stdout).contains(verdict));
}

#[test]
fn rows_can_be_reported_on_and_tell_what_the_summary_does() {
    let place = Place::with(&STUDY.replace("500ms", "0s"));
    place.run(&["run", "two.toml", "--simulate"]);
    let folder = place.folders().remove(0);
    for run in json(&folder.join("summary.json"))["runs"].as_array().unwrap() {
        let rows = report_of(&folder.join(run["rows"].as_str().unwrap()));
        let (own, again) = (&run["figures"]["figures"], &rows["logs"][0]["figures"]);
        assert_eq!(own["requests"], again["requests"]);
        assert_eq!(own["latency"]["p95_ms"], again["latency"]["p95_ms"]);
        assert_eq!(
            run["figures"]["backends"][0]["share_percent"],
            rows["logs"][0]["backends"][0]["share_percent"]
        );
        let counted = run["load"]["statuses"]["200"].as_u64().unwrap();
        assert!(counted.abs_diff(own["requests"].as_u64().unwrap()) <= 8, "{counted} {}", own["requests"]);
    }
}

#[test]
fn the_same_study_is_played_over_sockets() {
    let place = Place::with(STUDY);
    place.run(&["run", "two.toml", "--seconds", "1", "--repeats", "1"]);
    let summary = json(&place.folders().remove(0).join("summary.json"));
    assert_eq!((&summary["complete"], &summary["study"]["simulated"]), (&true.into(), &false.into()));
    for run in summary["runs"].as_array().unwrap() {
        let figures = &run["figures"]["figures"];
        assert!(figures["requests"].as_u64().unwrap() > 50, "{run}");
        assert_eq!(figures["errors"], 0);
        let backends = run["figures"]["backends"].as_array().unwrap();
        let shares: Vec<_> = backends.iter().map(|part| part["share_percent"].as_f64().unwrap()).collect();
        match run["variant"].as_str().unwrap() {
            "in turn" => assert!((shares[0] - 50.0).abs() < 5.0, "{shares:?}"),
            _ => assert!(shares[0] > 90.0, "{shares:?}"),
        }
    }
}

#[test]
fn customers_are_played_with_each_strategy_switched_over_sockets() {
    let place = Place::with("");
    place.run(&["batching", "--seconds", "1", "--strategies", "fair,adaptive"]);
    let summary = json(&place.folders().remove(0).join("summary.json"));
    let runs = summary["runs"].as_array().unwrap();
    let modes: Vec<_> = runs.iter().map(|run| run["figures"]["modes"][0]["name"].as_str().unwrap()).collect();
    assert_eq!(modes, ["fair", "adaptive"]);
    assert!(runs.iter().all(|run| run["figures"]["figures"]["errors"] == 0));
    let results = place.0.path().join("results");
    let names =
        fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut links: Vec<_> = names.filter(|name| !name.ends_with("_batching")).collect();
    links.sort();
    let stamped = |name: &str| name.split_at("YYYYMMDD_HHMMSS_".len()).1.to_owned();
    assert_eq!(
        links.iter().map(|name| stamped(name)).collect::<Vec<_>>(),
        ["latency_comparison.png", "summary.txt"]
    );
    assert!(fs::read(results.join(&links[0])).unwrap().starts_with(b"\x89PNG"));
    let text = fs::read_to_string(results.join(&links[1])).unwrap();
    assert!(text.contains("FAIR") && text.contains("ADAPTIVE"), "{text}");
}

#[test]
fn selection_is_played_in_virtual_time_with_and_without_the_proxy_and_over_sockets() {
    let place = Place::with("");
    let row = |arguments: &[&str]| {
        let modes = ["selection", "--scenarios", "seed", "--routing", "least_requests"];
        let output = place.run(&[&modes[..], arguments].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        let header = said.lines().next().unwrap();
        let named = header.split('|').map(|cell| cell.trim().to_owned());
        let row = said.lines().nth(2).unwrap().split('|').map(|cell| cell.trim().to_owned());
        named.zip(row).collect::<std::collections::BTreeMap<_, _>>()
    };
    let folders = || place.0.path().join("results").exists();
    let (model, world) = (row(&["--in", "model"]), row(&["--in", "world"]));
    assert!(!folders());
    let sockets = row(&["--in", "sockets", "--seconds", "4"]);
    for row in [&model, &world, &sockets] {
        let number = |name: &str| row[name].parse::<f64>().unwrap_or_else(|e| panic!("{name}: {e}: {row:?}"));
        assert_eq!((row["routing"].as_str(), row["extra work"].as_str()), ("least_requests", "0 %"));
        let (mean, rate) = (number("mean ms"), number("req/s"));
        // Alone with its clients: 100 of them, each with one request under way.
        assert!((180.0..230.0).contains(&mean) && (mean * rate / 1e5 - 1.0).abs() < 0.1, "{row:?}");
        assert!((390.0..450.0).contains(&number("p95")), "{row:?}");
        let shares = row["share of the first"].trim_end_matches(" %").split('/');
        let sum: f64 = shares.map(|share| share.parse::<f64>().unwrap()).sum();
        assert!((sum - 100.0).abs() < 0.2, "{row:?}");
    }
    let folder = place.folders().remove(0);
    for name in ["summary.json", "study.toml", "report.md", "time_line.png", "selection.md"] {
        assert!(folder.join(name).metadata().unwrap().len() > 100, "{name}");
    }
    let summary = json(&folder.join("summary.json"));
    // 4 s of about 530 requests, of 188 ms each.
    let work = summary["runs"][0]["backend_work_s"].as_f64().unwrap();
    assert!((250.0..550.0).contains(&work), "{work}");
}

#[test]
fn selection_says_what_is_for_sockets_alone() {
    let place = Place::with("");
    for (arguments, said) in [
        (&["--seconds", "3"][..], "--seconds is for what is played over sockets"),
        (&["--in", "sockets", "--scenarios", "gc"][..], "`gc` is not played over sockets"),
    ] {
        let output = place.command(&["selection"]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{told}");
    }
}

/// Reads until a line has been read that tells of progress; what follows is read away.
fn first_progress(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    std::thread::spawn(move || lines.read_to_string(&mut String::new()));
    line
}

#[test]
fn an_interrupted_experiment_keeps_what_it_has_and_exits_with_130() {
    let place = Place::with(&STUDY.replace("2s", "100s").replace("500ms", "0s"));
    let mut command = place.command(&["run", "two.toml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let line = first_progress(&mut child);
    assert!(
        line.starts_with("run 1 of 10, ") && line.contains(" req/s, p99 ") && line.contains(" left"),
        "{line}"
    );
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let folder = place.folders().remove(0);
    let summary = json(&folder.join("summary.json"));
    let runs = summary["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &summary["complete"]), (1, &false.into()));
    let after = runs[0]["cut_short_after_s"].as_f64().unwrap();
    assert!((0.2..60.0).contains(&after), "{after}");
    assert!(runs[0]["figures"]["figures"]["requests"].as_u64().unwrap() > 20);
    assert!(fs::read_to_string(folder.join("report.md")).unwrap().contains("(cut short after "));
}

#[test]
fn a_study_that_is_wrong_ends_with_2_before_anything_is_written() {
    let place = Place::with("[[backend]]\nprofile = \"1\"\n[[variant]]\nname = \"a\"\nroutng = \"x\"\n");
    let output = place.command(&["run", "two.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said, "tidegate: two.toml:5:1: unknown key `routng`; did you mean `routing`?\n");
    assert!(!place.0.path().join("results").exists());
    let missing = place.command(&["run", "none.toml"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&missing.stderr).starts_with("tidegate: cannot read the study none.toml: ")
    );
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn the_choice_of_backends_is_compared_in_a_table() {
    let place = Place::with(STUDY);
    let output = place.run(&["selection", "--scenarios=gc-closed,seed", "--routing=adaptive,round-robin"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| seed") || line.starts_with("| gc-closed"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let names: Vec<_> = rows.iter().map(|row| (row[1], row[2])).collect();
    let modes =
        ["round-robin", "adaptive", "adaptive, goal mean", "adaptive, hedge 10 %", "adaptive, hedge 30 %"];
    let expected: Vec<_> =
        ["seed", "gc-closed"].into_iter().flat_map(|name| modes.map(|mode| (name, mode))).collect();
    assert_eq!(names, expected, "{text}");
    assert_eq!((rows[0][3], rows[0][5], rows[0][11]), ("197.67", "400.0", "33.3/33.3/33.3 %"));
    assert!(text.contains("- seed: backends A, B and C, 100 clients"), "{text}");
    assert!(!place.0.path().join("results").exists());

    let output = place.command(&["selection", "--scenarios=seed,sed"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("no scenario `sed`") && told.contains("gc-closed"), "{told}");
}
