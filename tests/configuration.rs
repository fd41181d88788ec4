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
