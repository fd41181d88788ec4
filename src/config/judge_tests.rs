//! Tests of the rules: each is told with its place, and all at once.

use std::io::Write;

use clap::{Args, Command, FromArgMatches};
use proptest::prelude::*;

use super::*;
use crate::config::{Settings, Source};

/// What is wrong with these flags and this file, a line each; the file is called `F`.
fn told(flags: &[&str], toml: &str, audience: Audience) -> Vec<String> {
    let command = Settings::augment_args(Command::new("t").no_binary_name(true));
    let matches = command.try_get_matches_from(flags).expect("flags");
    let given = Settings::from_arg_matches(&matches).expect("flags");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let (name, file_name) = (file.path().display().to_string(), Some(file.path().to_owned()));
    let source = Source {
        given,
        matches,
        misgiven: Vec::new(),
        file: file_name,
        audience,
        descriptors: 1000,
        dashboard_port: None,
    };
    match source.load() {
        Ok(_) => Vec::new(),
        Err(errors) => errors.lines().into_iter().map(|line| line.replace(&name, "F")).collect(),
    }
}

fn shape(path: &str) -> String {
    format!("[[shape]]\npath = \"{path}\"\nrequest-field = \"i\"\nresponse-field = \"o\"\n")
}

#[test]
fn all_that_settings_must_keep_together_is_told_at_once_with_its_place() {
    let file = [
        "listen = \"127.0.0.1:9191\"\nadmin = \":9191\"\n",
        "backend = [\"a:1\", \"http://A:1/\", \"127.0.0.1:9191\"]\n",
        "explain = \"on\"\nrequest-id = \"off\"\ncsv = \"x\"\ntrace = \"x\"\nclassifier = \"localhost:9191\"\n",
    ];
    let shapes = ["/docs", "/a", "/a", "/proxy_classify"].map(shape).concat();
    let lines = told(&[], &(file.concat() + &shapes), Audience::Proxy);
    let hint = "requests would come back; name other servers, or listen elsewhere";
    assert_eq!(
        lines,
        [
            "F:2:9: `admin`: 0.0.0.0:9191 for the dashboard is taken by the proxy, at 127.0.0.1:9191",
            "F:3:19: `backend`: http://a:1 is there twice; name each server once",
            &format!(
                "F:3:34: `backend`: http://127.0.0.1:9191 is the proxy itself, which listens on 127.0.0.1:9191; {hint}"
            ),
            &format!(
                "F:3:34: `backend`: http://127.0.0.1:9191 is the dashboard itself, which listens on 0.0.0.0:9191; {hint}"
            ),
            "F:5:14: `request-id`: `explain` and `trace` need `request-id`, which is off; leave request-id out, or say on",
            "F:7:9: `trace`: x is the CSV file too",
            &format!(
                "F:8:14: `classifier`: http://localhost:9191 is the proxy itself, which listens on 127.0.0.1:9191; {hint}"
            ),
            &format!(
                "F:8:14: `classifier`: http://localhost:9191 is the dashboard itself, which listens on 0.0.0.0:9191; {hint}"
            ),
            "F:9:1: `shape`: /docs is a path of the proxy's own",
            "F:17:1: `shape`: two shapes have the path `/a`; remove one",
            "F:21:1: `shape`: two shapes have the path `/proxy_classify`; remove one; the other one comes with the program",
        ]
    );
}

#[test]
fn each_rule_alone_and_by_whose_word() {
    let proxy = |flags: &[&str], toml: &str| told(flags, toml, Audience::Proxy);
    let testbed = |flags: &[&str], toml: &str| told(flags, toml, Audience::Testbed);
    for (errors, expected) in [
        (proxy(&[], "backend = []"), "F:1:11: `backend`: there is neither a backend nor a classifier"),
        (proxy(&["--backend=a,http://a:80/"], ""), "--backend: http://a:80 is there twice"),
        (proxy(&["--backend=[::1],http://[0:0::1]:80"], ""), "--backend: http://[::1]:80 is there twice"),
        (proxy(&["--classifier=a:1,a:1"], ""), "--classifier: http://a:1 is there twice"),
        (
            proxy(&["--listen=:8081"], ""),
            "--listen: http://localhost:8081 is the proxy itself, which listens on 0.0",
        ),
        (proxy(&[], "admin = \":8082\""), "F:1:9: `admin`: http://localhost:8082 is the dashboard itself"),
        (
            proxy(&[], "backend = \"[::1]:9\"\nlisten = \"[::]:9\""),
            "F:1:11: `backend`: http://[::1]:9 is the proxy",
        ),
        (proxy(&["--request-id=off"], "explain = \"on\""), "--request-id: `explain` and `trace` need"),
        (proxy(&["--trace=t", "--request-id=off"], ""), "--request-id: `explain` and `trace` need"),
        (testbed(&["--listen=:8083"], ""), "--listen: 0.0.0.0:8083 for the proxy is taken by the backend C"),
        (
            testbed(&[], "admin = \"127.0.0.1:8001\""),
            "F:1:9: `admin`: 127.0.0.1:8001 for the dashboard is taken by",
        ),
        (
            testbed(&["--backend-listen=:1,:2,:1"], ""),
            "--backend-listen: 0.0.0.0:1 for the backend C is taken by the backend A",
        ),
        (
            testbed(&["--classifier-listen=:9090"], ""),
            "--classifier-listen: 0.0.0.0:9090 for the classifier is taken by the proxy",
        ),
        (
            testbed(&["--listen=:5002"], ""),
            "--listen: 0.0.0.0:5002 for the proxy is taken by the dashboard, at 127.",
        ),
    ] {
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}\n{expected}");
    }
    for (flags, toml) in [
        (&["--classifier=a:1"][..], "backend = []"),
        (&["--classifier=a:1", "--listen=:8081"], ""),
        (&["--listen=:0", "--admin=:0"], ""),
        (&["--backend=a:1,a:2,b:1", "--classifier=a:1"], ""),
        (&["--listen=127.0.0.1:8081", "--backend=127.0.0.2:8081,a:8081"], ""),
        (&["--csv=/dev/null", "--trace=/dev/null"], ""),
        (&["--explain=on", "--trace=t"], ""),
    ] {
        assert_eq!(proxy(flags, toml), Vec::<String>::new(), "{flags:?}");
    }
    assert_eq!(testbed(&[], "listen = \":8000\""), Vec::<String>::new());
}

#[test]
fn nothing_is_concluded_from_what_cannot_be_read() {
    let lines = told(&[], "backend = \"ftp://a\"\nlisten = \":8081\"\n", Audience::Proxy);
    assert!(lines.len() == 1 && lines[0].contains("ftp://a"), "{lines:?}");
    let lines = told(&[], "trace = 5\nexplain = 6\nrequest-id = \"off\"\n", Audience::Proxy);
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_file_for_either_is_the_testbeds_if_it_names_servers_of_its_own() {
    let file = "classifier-listen = \":7001\"\nlisten = \":8081\"\n";
    let lines = told(&[], file, Audience::Either);
    assert!(lines.len() == 1 && lines[0].contains("taken by the backend A"), "{lines:?}");
    let lines = told(&[], "listen = \":8081\"", Audience::Either);
    assert!(lines.len() == 1 && lines[0].contains("is the proxy itself"), "{lines:?}");
}

/// Lines of a file that are wrong, each for itself.
const WRONG: [&str; 6] = [
    "routng = 1",
    "sma-window = 0",
    "csv = true",
    "idle-timeout = 10",
    "ewma-alpha = \"x\"",
    "halve = \"perhaps\"",
];

/// Lines that are right.
const RIGHT: [&str; 4] = ["routing = \"adaptive\"", "split = false", "# nothing", "queue-limit = 7"];

proptest! {
    #[test]
    fn each_wrong_line_is_told_and_no_other(
        order in Just((0..WRONG.len() + RIGHT.len()).collect::<Vec<_>>()).prop_shuffle(),
        used in prop::collection::vec(any::<bool>(), WRONG.len() + RIGHT.len()),
    ) {
        let chosen = order.into_iter().filter(|&i| used[i]);
        let lines: Vec<_> = chosen.map(|i| *WRONG.get(i).unwrap_or_else(|| &RIGHT[i - WRONG.len()])).collect();
        let errors = told(&[], &lines.join("\n"), Audience::Proxy);
        let expected = (1..).zip(&lines).filter(|(_, line)| WRONG.contains(line)).map(|(n, _)| format!("F:{n}:"));
        let expected: Vec<_> = expected.collect();
        prop_assert_eq!(errors.len(), expected.len(), "{:?}", errors);
        for (error, place) in errors.iter().zip(expected) {
            prop_assert!(error.starts_with(&place), "{} {}", error, place);
        }
    }
}
