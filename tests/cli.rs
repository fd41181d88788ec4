//! The command line, by the real binary: exit codes, messages, who wins.
//!
//! Every run here ends by itself, before anything serves.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A run of the program in a folder of its own, without the environment's settings.
struct Run {
    command: Command,
    folder: TempDir,
}

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn new(arguments: &[&str]) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).current_dir(folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        command.env_remove("PORT").env_remove("SERVER_ID").env_remove("DASHBOARD_PORT");
        Run { command, folder }
    }

    fn file(self, text: &str) -> Run {
        std::fs::write(self.path("tidegate.toml"), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    fn end(mut self) -> Ended {
        let Output { status, stdout, stderr } = self.command.output().unwrap();
        Ended {
            code: status.code().expect("an exit code"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Ends with `code`, nothing on stdout and this one line on stderr.
    fn fails(self, code: i32, line: &str) {
        let ended = self.end();
        assert_eq!(ended.stderr, format!("tidegate: {line}\n"));
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""));
    }
}

/// A port that is taken until the listener is dropped.
fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_port_in_use_is_one_line_with_port_user_and_remedy() {
    let (_held, port) = taken();
    let listen = format!("127.0.0.1:{port}");
    let own = ["--backend-listen=:0,:0,:0", "--classifier-listen=:0"];
    for (arguments, who) in [
        (vec!["proxy", "--csv=off", "--listen", &listen], "the proxy"),
        ([&["testbed", "--csv=off", "--listen", &listen], &own[..]].concat(), "the proxy"),
        (vec!["proxy", "--csv=off", "--listen=127.0.0.1:0", "--admin", &listen], "the dashboard"),
        ([&["testbed", "--csv=off", "--listen=:0", "--admin", &listen], &own[..]].concat(), "the dashboard"),
        (vec!["testbed", "--csv=off", "--backend-listen", &format!("{listen},:0,:0")], "the backend A"),
        (vec!["testbed", "--csv=off", "--backend-listen", &format!(":0,:0,{listen}")], "the backend C"),
        (vec!["testbed", "--csv=off", own[0], "--classifier-listen", &listen], "the classifier"),
        (vec!["backend", "--id=B", "--listen", &listen], "the backend B"),
        (vec!["classifier", "--listen", &listen], "the classifier"),
    ] {
        let line = format!(
            "cannot listen on {listen} for {who}: address already in use (who has it: ss -ltnp 'sport = :{port}')"
        );
        Run::new(&arguments).fails(1, &line);
    }
}

#[test]
fn a_port_is_shared_only_with_who_shares_it() {
    let (_held, port) = taken();
    let line = format!(
        "cannot listen on 127.0.0.1:{port} for the proxy: a process of another user or without --reuse-port on has the \
         port (who has it: ss -ltnp 'sport = :{port}')"
    );
    Run::new(&["proxy", "--csv=off", "--reuse-port=on", &format!("--listen=127.0.0.1:{port}")])
        .fails(1, &line);
}

#[test]
fn connections_come_only_from_addresses_of_this_machine() {
    let line = "cannot connect from 192.0.2.1: cannot assign requested address (--source-address takes addresses of this \
                machine: ip address)";
    Run::new(&["proxy", "--csv=off", "--listen=127.0.0.1:0", "--source-address=127.0.0.2,192.0.2.1"])
        .fails(1, line);
}

#[test]
fn an_address_of_another_machine_has_no_port_in_use() {
    Run::new(&["proxy", "--csv=off", "--listen=192.0.2.1:1"])
        .fails(1, "cannot listen on 192.0.2.1:1 for the proxy: cannot assign requested address");
}

#[test]
fn dashboard_port_names_the_port_unless_a_flag_does() {
    let admin = |run: Run| {
        let ended = run.file("admin = \"127.0.0.1:1\"\n").end();
        ended.stdout.lines().find(|line| line.starts_with("admin ")).unwrap_or(&ended.stderr).to_owned()
    };
    let check = |flags: &[&str]| Run::new(&[&["check", "--config=tidegate.toml"], flags].concat());
    assert_eq!(admin(check(&[])), "admin = \"127.0.0.1:1\"  # file");
    assert_eq!(admin(check(&[]).env("DASHBOARD_PORT", "2")), "admin = \"127.0.0.1:2\"  # environment");
    let both = check(&[]).env("DASHBOARD_PORT", "2").env("TIDEGATE_ADMIN", "[::1]:3");
    assert_eq!(admin(both), "admin = \"[::1]:2\"  # environment");
    let flag = check(&["--admin=127.0.0.1:4"]).env("DASHBOARD_PORT", "2");
    assert_eq!(admin(flag), "admin = \"127.0.0.1:4\"  # flag");
    assert_eq!(admin(check(&["--admin=off"]).env("DASHBOARD_PORT", "2")), "admin = \"off\"  # flag");
    Run::new(&["testbed"]).env("DASHBOARD_PORT", "x").fails(
        2,
        "the environment variable DASHBOARD_PORT is `x`, which is not a port; a port is a number from 0 to 65535",
    );
}

#[test]
fn a_bad_url_is_one_line_that_says_what_is_wrong() {
    Run::new(&["proxy", "--backend", "a:1,https://b"]).fails(
        2,
        "--backend: bad backend URL `https://b`: the scheme `https` is not supported, only http is",
    );
    Run::new(&["proxy", "--config=tidegate.toml"]).file("backend = [\"a:1\", \"b/c\"]").fails(
        2,
        "tidegate.toml:1:19: `backend`: bad backend URL `b/c`: it must not have a path; give http://host:port",
    );
}

#[test]
fn a_name_without_address_is_one_line() {
    let ended = Run::new(&["proxy", "--backend=no-such-name.invalid:1"]).end();
    assert_eq!((ended.code, ended.stderr.lines().count()), (1, 1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .starts_with("tidegate: cannot find the address of `no-such-name.invalid` for the backend ")
    );
}

#[test]
fn an_unknown_key_has_file_line_column_and_the_nearest_key() {
    for command in ["proxy", "testbed", "check"] {
        Run::new(&[command, "--config=tidegate.toml"])
            .file("# tides\ncsv = \"off\"\nroutng = \"round-robin\"\n")
            .fails(2, "tidegate.toml:3:1: unknown key `routng`; did you mean `routing`?");
    }
}

#[test]
fn a_wrong_type_has_file_line_column_and_the_key() {
    Run::new(&["check", "--config=tidegate.toml"]).file("sma-window = \"3\"").fails(
        2,
        "tidegate.toml:1:14: `sma-window`: invalid type: string \"3\", expected a whole number from 1 to 1000000",
    );
}

#[test]
fn a_missing_unit_is_asked_for() {
    let why = "`10` needs a unit: 10s or 10ms, for instance";
    Run::new(&["check", "--config=tidegate.toml"])
        .file("\nidle-timeout = 10")
        .fails(2, &format!("tidegate.toml:2:16: `idle-timeout`: {why}"));
    Run::new(&["check", "--idle-timeout=10"]).fails(2, &format!("--idle-timeout: {why}"));
    Run::new(&["check"])
        .env("TIDEGATE_IDLE_TIMEOUT", "10")
        .fails(2, &format!("TIDEGATE_IDLE_TIMEOUT: {why}"));
}

#[test]
fn a_missing_file_is_one_line() {
    Run::new(&["check", "--config=none.toml"])
        .fails(2, "cannot read the configuration file none.toml: no such file or directory");
}

#[test]
fn the_testbed_has_no_other_servers() {
    Run::new(&["testbed", "--classifier=a:1"]).fails(
        2,
        "--classifier cannot be used here; the testbed starts its own classifier; see --classifier-listen",
    );
    let why = "cannot be used here; the testbed starts its own backends; see --backend-listen";
    Run::new(&["testbed", "--backend=a:1"]).fails(2, &format!("--backend {why}"));
    Run::new(&["testbed"]).env("TIDEGATE_BACKEND", "a:1").fails(2, &format!("TIDEGATE_BACKEND {why}"));
    Run::new(&["testbed", "--config=tidegate.toml"])
        .file("backend = []")
        .fails(2, &format!("tidegate.toml:1:1: `backend` {why}"));
}

#[test]
fn a_bad_port_of_the_environment_is_one_line() {
    for command in ["backend", "classifier"] {
        Run::new(&[command]).env("PORT", "http").fails(
            2,
            "the environment variable PORT is `http`, which is not a port; a port is a number from 0 to 65535",
        );
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "sma-window = 5\nrouting = \"adaptive_sma\"\nupstream-timeout = \"5s\"\n";
    let ended = Run::new(&["check", "--config=tidegate.toml", "--sma-window=9"])
        .file(file)
        .env("TIDEGATE_SMA_WINDOW", "7")
        .env("TIDEGATE_ROUTING", "adaptive_ewma")
        .end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for line in [
        "sma-window = 9  # flag",
        "routing = \"adaptive_ewma\"  # environment",
        "upstream-timeout = \"5s\"  # file",
        "connect-timeout = \"2s\"  # default",
    ] {
        assert!(ended.stdout.lines().any(|l| l == line), "{line}\n{}", ended.stdout);
    }
    assert_eq!(ended.stdout.lines().last(), Some("configuration ok"));
}

#[test]
fn the_file_itself_may_come_from_the_environment() {
    let ended = Run::new(&["check"]).file("sma-window = 5").env("TIDEGATE_CONFIG", "tidegate.toml").end();
    assert!(ended.stdout.contains("sma-window = 5  # file"), "{}", ended.stdout);
}

#[test]
fn help_has_an_example_and_the_defaults() {
    for command in ["proxy", "testbed", "backend", "classifier", "check"] {
        let ended = Run::new(&[command, "--help"]).end();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        for part in ["Examples:\n", &format!("tidegate {command} "), "[default: "] {
            assert!(ended.stdout.contains(part), "{command}: {part}\n{}", ended.stdout);
        }
    }
    let of_testbed = Run::new(&["testbed", "--help"]).end().stdout;
    assert!(!of_testbed.contains("--backend <") && !of_testbed.contains("--classifier <"));
    let of_proxy = Run::new(&["proxy", "--help"]).end().stdout;
    assert!(!of_proxy.contains("--backend-listen") && !of_proxy.contains("--classifier-listen"));
}

#[test]
fn usage_errors_end_with_two_and_the_version_with_zero() {
    for arguments in [vec![], vec!["proxi"], vec!["proxy", "--routng=x"], vec!["proxy", "--hedge=on"]] {
        let ended = Run::new(&arguments).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}");
    }
    let ended = Run::new(&["--version"]).end();
    assert_eq!((ended.code, ended.stdout), (0, format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_bad_option_of_the_classifier_is_one_line() {
    for (option, why) in [
        (
            "--service-time=linear",
            "unknown service time `linear`; expected maxlen^2, affine:C0,C1 or padded:C0,C1",
        ),
        ("--error-rate=5", "`5` is not a number from 0 to 1"),
        ("--concurrency=0", "`0` is not a whole number from 1 to 1000000"),
    ] {
        let flag = option.split('=').next().unwrap();
        Run::new(&["classifier", option]).fails(2, &format!("{flag}: {why}"));
    }
}

#[test]
fn port_sets_the_port_of_the_classifier() {
    let (_held, port) = taken();
    let ended = Run::new(&["classifier"]).env("PORT", &port.to_string()).end();
    let line =
        format!("tidegate: cannot listen on 0.0.0.0:{port} for the classifier: address already in use");
    assert!(ended.code == 1 && ended.stderr.starts_with(&line), "{}", ended.stderr);
}

#[test]
fn an_unknown_server_id_is_backend_a() {
    let (_held, port) = taken();
    let ended = Run::new(&["backend"]).env("SERVER_ID", "Q").env("PORT", &port.to_string()).end();
    assert!(ended.stderr.contains("no backend is called `Q`; behaving as A"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("cannot listen on 0.0.0.0:{port} for the backend A")),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.code, 1);
}
