//! The promise: `check`, the start and a reload judge a configuration alike, quickly, and say all that is wrong with it.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::Value;
use support::admin::with_admin;
use support::{Client, Launch, PATIENCE, simulated, url};
use tempfile::TempDir;

/// What a run that ends by itself came to.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program in a folder, without the environment's settings.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    for name in ["PORT", "SERVER_ID", "PROXY_STRATEGY", "DASHBOARD_PORT"] {
        command.env_remove(name);
    }
    command
}

/// Waits for its end, and for no longer than `patience`.
fn ended(mut child: Child, patience: Duration) -> Ended {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
    let (mut out, mut err) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
    let read = |from: &mut dyn std::io::Read| {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("text");
        text
    };
    let (told, hears) = channel();
    std::thread::spawn(move || {
        let err = std::thread::spawn(move || read(&mut err));
        let _ = told.send((read(&mut out), err.join().expect("text")));
    });
    let Ok((stdout, stderr)) = hears.recv_timeout(patience) else {
        rustix::process::kill_process(pid, Signal::KILL).expect("it is ours");
        panic!("it does not end");
    };
    Ended { code: child.wait().expect("its end").code().expect("an exit code"), stdout, stderr }
}

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = program(folder, arguments);
    ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"), PATIENCE)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn pipe(path: PathBuf) -> PathBuf {
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    path
}

/// As many keys as nobody means.
fn keys(count: usize) -> String {
    (0..count).map(|n| format!("k{n}=1\n")).collect()
}

#[test]
fn a_configuration_is_a_regular_file_of_bounded_size() {
    let folder = folder();
    pipe(folder.path().join("pipe"));
    fs::write(folder.path().join("large"), keys(2_000_000)).unwrap();
    fs::write(folder.path().join("many"), keys(90_000)).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let refused = |path: &str, why: &str| format!("cannot read the configuration file {path}: {why}");
    for command in ["check", "proxy", "testbed"] {
        for (path, line) in [
            ("pipe", refused("pipe", "it is a pipe, and only a regular file is read")),
            ("folder", refused("folder", "it is a directory, and only a regular file is read")),
            ("/dev/zero", refused("/dev/zero", "it is a device, and only a regular file is read")),
            ("large", refused("large", "it is larger than 1 MiB, the most that is read")),
            ("many", "many:1:1: unknown key `k0`".to_owned()),
        ] {
            let Ended { code, stdout, stderr } = run(folder.path(), &[command, "--config", path]);
            assert_eq!((code, stdout.as_str()), (2, ""), "{command} {path}: {stderr}");
            assert!(stderr.starts_with(&format!("tidegate: {line}")), "{command} {path}: {stderr}");
        }
    }
    let study = run(folder.path(), &["experiment", "run", "pipe", "--simulate"]);
    let line = "tidegate: cannot read the study pipe: it is a pipe, and only a regular file is read\n";
    assert_eq!((study.code, study.stderr.as_str()), (2, line));
    let load = run(folder.path(), &["load", "http://127.0.0.1:1/", "--body", "@pipe"]);
    let line = "tidegate: --body: cannot read the file pipe: it is a pipe, and only a regular file is read\n";
    assert_eq!((load.code, load.stderr.as_str()), (2, line));
}

#[test]
fn a_reload_of_a_file_that_nobody_can_read_ends_at_once_and_says_why() {
    let backend = simulated('A', "1");
    let text = format!("backend = [\"{}\"]\n", url(backend.address()));
    let (proxy, mut admin) = with_admin(Launch::proxy(&[], &["--admin=127.0.0.1:0"]).file(&text));
    let file = proxy.file("tidegate.toml");
    let mut refused = |why: &str| {
        let response = admin.post("/api/v1/reload");
        let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
        let detail = problem["detail"].as_str().expect("a detail").to_owned();
        assert!(response.status == 422 && detail.contains(why), "{} {detail}", response.status);
        assert_eq!(Client::connect(proxy.address).get("/").status, 200);
    };
    fs::write(&file, keys(2_000_000)).unwrap();
    refused("it is larger than 1 MiB, the most that is read");
    fs::write(&file, keys(90_000)).unwrap();
    refused("unknown key `k0`");
    fs::remove_file(&file).unwrap();
    pipe(file);
    refused("it is a pipe, and only a regular file is read");
    assert_eq!(proxy.stop().code, 0);
}

#[test]
fn a_report_tells_that_it_waits_for_a_pipe_and_refuses_a_device() {
    let folder = folder();
    let path = pipe(folder.path().join("pipe"));
    let mut command = program(folder.path(), &["report", "pipe"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let writer = std::thread::spawn(move || {
        let mut pipe = fs::OpenOptions::new().write(true).open(path).expect("a reader");
        pipe.write_all(b"timestamp,backend_url,latency_ms,status_code,routing_mode\n").expect("written");
    });
    let Ended { code, stderr, stdout } = ended(child, PATIENCE);
    writer.join().expect("written");
    let line = "tidegate: pipe is a pipe: it is read until all who write into it have closed it\n";
    assert_eq!((code, stderr.as_str()), (0, line), "{stdout}");
    let device = run(folder.path(), &["report", "/dev/zero"]);
    let line = "tidegate: cannot read /dev/zero: it is a device, and logs are files or pipes\n";
    assert_eq!((device.code, device.stderr.as_str()), (1, line));
}

/// A port that nobody has just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

#[test]
fn what_check_refuses_the_start_refuses_in_the_same_words() {
    let folder = folder();
    let shape =
        |path: &str| format!("[[shape]]\npath = \"{path}\"\nrequest-field = \"i\"\nresponse-field = \"o\"\n");
    let address = format!("127.0.0.1:{}", free_port());
    for (command, text, lines) in [
        ("proxy", "backend = []".to_owned(), 1),
        ("proxy", "backend = [\"localhost:8081\", \"http://LOCALHOST:8081/\"]".to_owned(), 1),
        ("proxy", format!("listen = \"{address}\"\nadmin = \"{address}\""), 1),
        ("proxy", format!("listen = \"{address}\"\nbackend = \"{address}\""), 1),
        (
            "proxy",
            "classifier = \"a\"\nadmin = \":0\"\nlisten = \"[::]:80\"\nbackend = \"[::1]\"".to_owned(),
            1,
        ),
        ("proxy", "explain = \"on\"\nrequest-id = \"off\"".to_owned(), 1),
        ("proxy", shape("/docs") + &shape("/a") + &shape("/a"), 2),
        ("proxy", "backend-listen = \":0,:0,:0\"\nroutng = 1\nsma-window = 0".to_owned(), 3),
        ("testbed", format!("listen = \"{address}\"\nadmin = \"{address}\"\nbackend = []"), 2),
        ("testbed", "backend-listen = \":0,:7001,:7001\"\nclassifier-listen = \":9090\"".to_owned(), 2),
    ] {
        fs::write(folder.path().join("f"), &text).unwrap();
        let checked = run(folder.path(), &["check", "--config=f", &format!("--for={command}")]);
        let started = run(folder.path(), &[command, "--config=f", "--csv=off"]);
        assert_eq!((checked.code, started.code), (2, 2), "{text}\n{}\n{}", checked.stderr, started.stderr);
        assert_eq!(checked.stderr, started.stderr, "{text}");
        assert_eq!(checked.stderr.lines().count(), lines, "{}", checked.stderr);
        assert!(checked.stderr.lines().all(|line| line.starts_with("tidegate: f:")), "{}", checked.stderr);
    }
}

#[test]
fn what_check_passes_starts() {
    let port = free_port();
    for text in [
        "classifier = \"127.0.0.1:1\"".to_owned(),
        format!("backend = [\"127.0.0.2:{port}\", \"127.0.0.1:1\"]\nclassifier = \"127.0.0.1:1\""),
        "explain = \"on\"\nadmin = \"127.0.0.1:0\"\nhedge = \"auto\"".to_owned(),
    ] {
        let listen = format!("--listen=127.0.0.1:{port}");
        let proxy = Launch::proxy(&[], &[&listen]).file(&text).start("the proxy");
        let folder = proxy.file("tidegate.toml");
        let folder = folder.parent().expect("a folder");
        let checked = run(folder, &["check", "--config=tidegate.toml", &listen]);
        assert_eq!(checked.code, 0, "{text}: {}", checked.stderr);
        assert!(checked.stdout.ends_with("configuration ok\n"), "{}", checked.stdout);
        // What may be a mistake is said by both.
        let remark = "hedges are sent in routing mode adaptive alone, and this is round-robin";
        let told = proxy.stop().log.iter().any(|line| line.contains(remark));
        assert_eq!((told, checked.stderr.contains(remark)), (text.contains("hedge"), text.contains("hedge")));
    }
}

#[test]
fn flags_variables_and_file_are_told_together() {
    let folder = folder();
    fs::write(folder.path().join("f"), "routng = 1\nlisten = \":8081\"\nexplain = true\n").unwrap();
    let flags = ["--config=f", "--idle-timeout=10", "--split=perhaps", "--request-id=off"];
    for command in ["check", "proxy"] {
        let mut program = program(folder.path(), &[&[command][..], &flags].concat());
        program.env("TIDEGATE_EWMA_ALPHA", "2").env("PROXY_STRATEGY", "best");
        let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let Ended { code, stderr, .. } = ended(child, PATIENCE);
        let mut told: Vec<_> =
            stderr.lines().map(|line| line.strip_prefix("tidegate: ").expect("a line")).collect();
        told.sort_unstable();
        let expected = [
            "--idle-timeout: `10` needs a unit",
            "--request-id: `explain` and `trace` need `request-id`",
            "--split: `perhaps` is neither on nor off",
            "PROXY_STRATEGY: unknown strategy `best`",
            "TIDEGATE_EWMA_ALPHA: `2` is not a number above 0 and at most 1",
            "f:1:1: unknown key `routng`",
            "f:2:10: `listen`: http://localhost:8081 is the proxy itself",
        ];
        assert_eq!((code, told.len()), (2, expected.len()), "{stderr}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{stderr}");
    }
    let other = run(folder.path(), &["load", "http://a", "--threads=0", "--duration=5"]);
    assert_eq!((other.code, other.stderr.lines().count()), (2, 2), "{}", other.stderr);
}

#[test]
fn a_study_tells_all_that_is_wrong_with_it() {
    let folder = folder();
    let text = "repeats = 0\nsead = 1\n[[backend]]\nprofile = \"x\"\n[[variant]]\nname = \"a\"\nroutng = 1\n\
                [[variant]]\nname = \"b\"\nsma-window = 0\nexplain = true\n[[variant]]\nname = \"c\"\n\
                explain = true\nrequest-id = false\n[[variant]]\nlisten = \":1\"\n";
    fs::write(folder.path().join("s.toml"), text).unwrap();
    let ended = run(folder.path(), &["experiment", "run", "s.toml", "--simulate"]);
    let places: Vec<_> = ended.stderr.lines().map(|line| line.split(": ").nth(1).expect("a place")).collect();
    assert_eq!(ended.code, 2);
    let expected = [
        "s.toml:1:11",
        "s.toml:2:1",
        "s.toml:4:11",
        "s.toml:7:1",
        "s.toml:10:14",
        "s.toml:12:1",
        "s.toml:16:1",
    ];
    assert_eq!(places, expected, "{}", ended.stderr);
}

#[test]
fn a_reload_judges_as_the_start_and_tells_all() {
    let backend = simulated('A', "1");
    let right = format!("backend = [\"{}\"]\n", url(backend.address()));
    let options = ["--admin=127.0.0.1:0", &format!("--listen=127.0.0.1:{}", free_port())];
    let (mut proxy, mut admin) = with_admin(Launch::proxy(&[], &options).file(&right));
    let wrong = format!("backend = [\"{}\", \"a\", \"a:80\"]\nroutng = 1\n", url(proxy.address));
    fs::write(proxy.file("tidegate.toml"), &wrong).unwrap();
    let response = admin.post("/api/v1/reload");
    let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(response.status, 422, "{problem}");
    let errors = problem["errors"].as_array().expect("errors");
    let places: Vec<_> =
        errors.iter().map(|e| [&e["line"], &e["column"]].map(|n| n.as_u64().unwrap())).collect();
    let last = wrong.find("\"a:80\"").unwrap() as u64 + 1;
    assert_eq!(places, [[1, 12], [1, last], [2, 1]], "{problem}");
    assert_eq!((problem["line"].as_u64(), problem["column"].as_u64()), (Some(1), Some(12)));
    let details: Vec<_> = errors.iter().map(|e| e["detail"].as_str().expect("a detail").to_owned()).collect();
    assert_eq!(problem["detail"], details.join("\n"));
    for (detail, part) in
        details.iter().zip(["is the proxy itself", "http://a:80 is there twice", "unknown key `routng`"])
    {
        assert!(detail.contains(part), "{detail}");
        proxy.says(&format!("the settings stay as they are: {detail}"));
    }
    assert_eq!(Client::connect(proxy.address).get("/").status, 200);
    // Whatever cannot change is told at once, too.
    fs::write(
        proxy.file("tidegate.toml"),
        format!("{right}reuse-port = true\ntrace = \"t\"\nexplain = true\n"),
    )
    .unwrap();
    proxy.signal(Signal::HUP);
    for key in ["reuse-port", "trace"] {
        proxy.says(&format!("`{key}` cannot change while the program runs"));
    }
}
