//! The promise: no command dies of a standard stream that is gone, full or held.

mod support;

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::classifier::echoing;
use support::{Client, Launch, end_of, simulated, url};
use tempfile::TempDir;

/// A pipe whose reader is gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// A disk that is full.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("a full disk").into()
}

/// A run of the program that ends by itself.
struct Run {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Run {
    fn new(arguments: &[&str]) -> Run {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = "timestamp,backend_url,latency_ms,status_code,routing_mode\n\
                    2026-03-04T05:06:07.000000,http://a:1,10,200,round-robin\nnonsense\n";
        std::fs::write(folder.path().join("rows.csv"), rows).expect("written");
        Run { folder, arguments: arguments.iter().map(|&argument| argument.to_owned()).collect() }
    }

    /// Its exit code, and what it said on the standard error if that is `None` here.
    fn end(&self, stdout: Stdio, stderr: Option<Stdio>) -> (i32, String) {
        let (mut complaints, own) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(&self.arguments).current_dir(self.folder.path()).env_remove("TIDEGATE_LOG_LEVEL");
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr.unwrap_or_else(|| own.into()));
        let mut child = command.spawn().expect("the program starts");
        // The command holds the other end of the pipe.
        drop(command);
        let code = end_of(&mut child).code().expect("an exit code, not a signal");
        let mut said = String::new();
        complaints.read_to_string(&mut said).expect("text");
        (code, said)
    }
}

/// Commands that print, with what they say on the standard error if nothing goes wrong.
fn printing(server: &str, classifier: &str) -> Vec<(Run, &'static str)> {
    let row = "tidegate: rows.csv:3: ";
    [
        (vec!["--help"], ""),
        (vec!["--version"], ""),
        (vec!["proxy", "--help"], ""),
        (vec!["check"], ""),
        (vec!["report", "rows.csv"], row),
        (vec!["report", "rows.csv", "--format", "html"], row),
        (vec!["load", server, "-c1", "-d100ms"], ""),
        (vec!["load", server, "-c1", "-d100ms", "--json", "-"], ""),
        (vec!["clients", "--proxy", classifier, "--duration", "1h"], ""),
        (
            vec!["experiment", "routing", "--simulate", "--seconds", "1", "--routing", "round-robin"],
            "run 1 of ",
        ),
        (vec!["experiment", "selection", "--scenarios", "seed", "--routing", "round-robin"], ""),
    ]
    .into_iter()
    .map(|(arguments, says)| (Run::new(&arguments), says))
    .collect()
}

#[test]
fn whoever_reads_may_have_read_enough() {
    let (server, classifier) = (simulated('A', "1"), echoing());
    for (run, says) in printing(&url(server.address()), &classifier.url()) {
        let (code, said) = run.end(unread(), None);
        let expected = if says.is_empty() { said.is_empty() } else { said.starts_with(says) };
        assert!(code == 0 && expected && !said.contains("panicked"), "{:?}: {code}, {said}", run.arguments);
    }
}

#[test]
fn an_output_that_takes_nothing_is_told_and_fails_the_command() {
    let (server, classifier) = (simulated('A', "1"), echoing());
    for (mut run, _) in printing(&url(server.address()), &classifier.url()) {
        if let Some(hour) = run.arguments.iter_mut().find(|argument| *argument == "1h") {
            "700ms".clone_into(hour);
        }
        let (code, said) = run.end(full(), None);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(
            (code, last),
            (1, "tidegate: cannot write to the standard output: no space left on device"),
            "{:?}: {said}",
            run.arguments
        );
    }
}

#[test]
fn a_standard_error_that_is_gone_or_full_changes_nothing() {
    let (server, classifier) = (simulated('A', "1"), echoing());
    let mut runs = printing(&url(server.address()), &classifier.url());
    runs.retain(|(run, _)| {
        run.arguments[0] != "clients" && run.arguments.get(1).is_none_or(|a| a != "selection")
    });
    let mut expected: Vec<_> = runs.into_iter().map(|(run, _)| (run, 0)).collect();
    let wrong = [
        (vec!["proxi"], 2),
        (vec!["check", "--idle-timeout=10"], 2),
        (vec!["report", "none.csv"], 1),
        (vec!["load", "http://127.0.0.1:1/"], 1),
        (vec!["backend", "--listen=192.0.2.1:1"], 1),
    ];
    expected.extend(wrong.into_iter().map(|(arguments, code)| (Run::new(&arguments), code)));
    for (run, expected) in expected {
        for stderr in [unread(), full()] {
            assert_eq!(run.end(Stdio::null(), Some(stderr)).0, expected, "{:?}", run.arguments);
            // Experiments overwrite nothing.
            let _ = std::fs::remove_dir_all(run.folder.path().join("results"));
        }
    }
}

#[test]
fn servers_serve_on_when_nobody_reads_their_log() {
    let own = ["--backend-listen=127.0.0.1:0,127.0.0.1:0,127.0.0.1:0", "--classifier-listen=127.0.0.1:0"];
    let testbed = ["testbed", "--csv=off", "--admin=off", "--listen=127.0.0.1:0", "--log-level=debug"];
    for (arguments, who) in [
        (vec!["backend", "--listen=127.0.0.1:0", "--log-level=trace"], "the backend A"),
        (vec!["classifier", "--listen=127.0.0.1:0", "--log-level=trace"], "the classifier"),
        ([&testbed[..], &own[..]].concat(), "the proxy"),
    ] {
        let (server, log) = Launch::command(&arguments).start_with_log(who, true);
        drop(log);
        for _ in 0..3 {
            let status = Client::connect(server.address).get("/").status;
            assert_eq!(status, if who == "the classifier" { 404 } else { 200 }, "{who}");
        }
        for signal in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::XFSZ] {
            server.signal(signal);
        }
        Client::connect(server.address).get("/");
        assert_eq!(server.stop().code, 0, "{who}");
    }
}
