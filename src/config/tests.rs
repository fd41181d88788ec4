//! Tests of merging: who wins, what the defaults are, what the rooms get.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

use super::*;
use crate::balance::{AllOut, HealthOptions, RoutingMode};
use crate::h1::request::{RequestLimits, TargetRule};
use crate::h1::response::LineEnds;
use crate::proxy::{CheckOptions, Limits, PoolLimit};

/// Loads as a command line would; a key of the environment is set by the binary's own tests (`tests/cli.rs`).
fn load_from(flags: &[&str], toml: Option<&str>, audience: Audience) -> Result<Effective, ConfigErrors> {
    let command = Settings::augment_args(Command::new("t").no_binary_name(true));
    let matches = command.try_get_matches_from(flags).expect("flags");
    let given = Settings::from_arg_matches(&matches).expect("flags");
    let file = toml.map(|text| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    });
    let file = file.as_ref().map(|file| file.path().to_owned());
    let misgiven = Vec::new();
    Source { given, matches, misgiven, file, audience, descriptors: 1000, dashboard_port: None }.load()
}

fn shown(effective: &Effective) -> String {
    effective.lines().join("\n")
}

#[test]
fn each_setting_has_the_default_that_its_help_tells() {
    let effective = load_from(&[], None, Audience::Either).unwrap();
    let lines = shown(&effective);
    for flag in Settings::augment_args(Command::new("t")).get_arguments() {
        let key = flag.get_long().unwrap();
        let help = flag.get_help().unwrap().to_string();
        let told = help.rsplit_once("[default: ").unwrap().1.trim_end_matches(']');
        let expected = match key {
            "max-connections" => "max-connections = 484  # default".to_owned(),
            "admin" => {
                assert_eq!(told, "127.0.0.1:5002 in the testbed, else off");
                let testbed = load_from(&[], None, Audience::Testbed).unwrap();
                assert_eq!(testbed.admin.value.show(), "127.0.0.1:5002");
                "admin = \"off\"  # default".to_owned()
            }
            "backend-listen" => {
                assert_eq!(told, effective.backend_listen.value.show());
                continue;
            }
            "classifier-listen" => {
                assert_eq!(told, effective.classifier_listen.value.show());
                continue;
            }
            "backend" => format!("backend = [\"{}\"]  # default", told.replace(',', "\", \"")),
            "sma-window"
            | "ewma-alpha"
            | "batch-size"
            | "queue-limit"
            | "max-head-bytes"
            | "max-header-fields"
            | "max-target-bytes"
            | "max-pipelined-bytes"
            | "health-rise"
            | "health-fall" => {
                format!("{key} = {told}  # default")
            }
            "classifier" | "customer-weight" | "repeatable" | "source-address" => {
                format!("{key} = []  # default")
            }
            _ => format!("{key} = \"{told}\"  # default"),
        };
        assert!(lines.lines().any(|line| line == expected), "{expected}\n{lines}");
    }
}

#[test]
fn every_flag_has_an_environment_variable_of_its_name() {
    for flag in Settings::augment_args(Command::new("t")).get_arguments() {
        // The contract's own name goes before the rule.
        let name = match flag.get_long().unwrap() {
            "strategy" => "PROXY_STRATEGY".to_owned(),
            name => format!("TIDEGATE_{}", name.to_uppercase().replace('-', "_")),
        };
        assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(name.as_str()));
    }
}

/// Every flag with a value that is not its default.
const FLAGS: &[&str] = &[
    "--listen=:8000",
    "--reuse-port=on",
    "--admin=localhost:1",
    "--backend=a:1,b",
    "--backend=a:2",
    "--classifier=c:1",
    "--source-address=127.0.0.2,::1",
    "--resolve=all",
    "--resolve-interval=7s",
    "--classifier-timeout=1s",
    "--strategy=fair",
    "--strategy-from=any",
    "--batch-size=6",
    "--batches-in-flight=2",
    "--split=off",
    "--halve=off",
    "--queue-limit=7",
    "--queue-bytes=3MiB",
    "--queue-timeout=8s",
    "--sjf-max-wait=9s",
    "--customer-weight=gold=2,b=1",
    "--connections=non-persistent",
    "--reuse=safe",
    "--routing=adaptive_ewma",
    "--routing-goal=mean",
    "--hedge=auto",
    "--hedge-budget=30%",
    "--repeatable=/search,/list",
    "--sma-window=5",
    "--ewma-alpha=1",
    "--reprobe-after=1s",
    "--upstream-timeout=1.5s",
    "--stream-idle-timeout=90s",
    "--connect-timeout=2us",
    "--header-timeout=1h",
    "--body-timeout=2ns",
    "--min-data-rate=250",
    "--idle-timeout=3m",
    "--pool-idle-timeout=4s",
    "--tunnel-idle-timeout=5m",
    "--drain-timeout=0s",
    "--client-keepalive=off",
    "--half-close=cancel",
    "--strict-upstream=on",
    "--target-bytes=pass",
    "--max-head-bytes=2000",
    "--max-header-fields=20",
    "--max-target-bytes=300",
    "--max-body-bytes=40",
    "--max-pipelined-bytes=5000",
    "--max-requests-per-connection=6",
    "--max-connections=7",
    "--max-connections-per-client=8",
    "--max-pool-per-backend=9",
    "--health-check=/up?deep=1",
    "--classifier-health-check=/v1",
    "--health-interval=3s",
    "--health-timeout=700ms",
    "--health-rise=4",
    "--health-fall=5",
    "--eject-after=off",
    "--eject-for=2s",
    "--eject-for-most=9s",
    "--eject-most=12.5%",
    "--eject-on=429,5xx",
    "--retry-on=502,503",
    "--all-out=any",
    "--slow-start=0s",
    "--retry-budget=5%",
    "--csv=a \"b\"\\.csv",
    "--trace=trace.jsonl",
    "--explain=off",
    "--request-id=on",
    "--log-level=off",
];

#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let by_flags = load_from(FLAGS, None, Audience::Proxy).unwrap();
    let by_file = load_from(&[], Some(&shown(&by_flags)), Audience::Proxy).unwrap();
    assert_eq!(shown(&by_flags).replace("# flag", "# file"), shown(&by_file));
    assert_eq!(shown(&by_file).matches("# file").count(), FLAGS.len() - 1);

    let shapes = "[[shape]]\npath = \"/a/{name}\"\nrequest-field = \"in \\\"\"\nresponse-field = \"out\"\n\
                  [[shape]]\npath = \"/b\"\nrequest-field = \"i\"\nresponse-field = \"o\"\nupstream = \"/c\"\n\
                  elements = \"strings\"\nheaders = [\"X-A\"]\nlatency = true";
    let by_file = load_from(&[], Some(shapes), Audience::Either).unwrap();
    assert_eq!(by_file.shape.value.len(), 2);
    assert_eq!(load_from(&[], Some(&shown(&by_file)), Audience::Either).unwrap().shape, by_file.shape);

    for flag in ["--backend-listen=:1,:2,:3", "--classifier-listen=:4"] {
        let testbed = load_from(&[flag], None, Audience::Testbed).unwrap();
        let again = load_from(&[], Some(&shown(&testbed)), Audience::Testbed).unwrap();
        let values = |e: &Effective| (e.backend_listen.value, e.classifier_listen.value);
        assert_eq!(values(&again), values(&testbed), "{flag}");
    }
}

#[test]
fn a_flag_beats_the_file_and_the_file_the_default() {
    let file = Some("sma-window = 7\nrouting = \"adaptive_sma\"");
    let effective = load_from(&["--sma-window", "9"], file, Audience::Proxy).unwrap();
    assert_eq!(effective.sma_window, Sourced { value: Count(9), origin: Origin::Flag });
    assert_eq!(effective.routing, Sourced { value: RoutingMode::AdaptiveSma, origin: Origin::File });
    assert_eq!(effective.ewma_alpha, Sourced { value: Weight(0.2), origin: Origin::Default });
}

#[test]
fn an_empty_list_of_the_file_stays_empty() {
    let effective = load_from(&["--classifier=127.0.0.1:1"], Some("backend = []"), Audience::Proxy).unwrap();
    let (backends, classifiers) = effective.look_up(&mut Names::of_system()).unwrap();
    assert_eq!(effective.into_options(backends, classifiers).unwrap().options.backends, []);
}

#[test]
fn beside_a_classifier_there_are_no_backends_unless_they_are_named() {
    let backends = |flags: &[&str], toml| {
        let effective = load_from(flags, toml, Audience::Proxy).unwrap();
        (effective.backend.value.len(), effective.backend.origin)
    };
    assert_eq!(backends(&[], None), (3, Origin::Default));
    assert_eq!(backends(&["--classifier=c:1"], None), (0, Origin::Default));
    assert_eq!(backends(&[], Some("classifier = \"c:1\"")), (0, Origin::Default));
    assert_eq!(backends(&[], Some("classifier = []")), (3, Origin::Default));
    assert_eq!(backends(&["--classifier=c:1"], Some("backend = \"a,b\"")), (2, Origin::File));
}

#[test]
fn servers_of_both_kinds_are_refused() {
    let error = load_from(&["--backend=a"], None, Audience::Testbed).unwrap_err().to_string();
    assert!(error.starts_with("--backend cannot be used here; the testbed"), "{error}");
    let error = load_from(&["--backend-listen=:0,:0,:0"], None, Audience::Proxy).unwrap_err().to_string();
    assert!(error.starts_with("--backend-listen cannot be used here"), "{error}");
    let error = load_from(&["--classifier-listen=:0"], None, Audience::Proxy).unwrap_err().to_string();
    assert!(error.starts_with("--classifier-listen cannot be used here; only the testbed"), "{error}");
    for (flag, file, keys) in [
        ("--backend-listen=:0,:0,:0", "backend=[]", ["backend", "backend-listen"]),
        ("--classifier-listen=:0", "backend=[]", ["backend", "classifier-listen"]),
        ("--classifier=a", "backend-listen=\":0,:0,:0\"", ["classifier", "backend-listen"]),
    ] {
        let error = load_from(&[flag], Some(file), Audience::Either).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}` and `{}` exclude each other", keys[0], keys[1])), "{error}");
    }
}

#[test]
fn the_proxy_gets_what_was_set() {
    let effective =
        load_from(&["--csv=off", "--client-keepalive=off", "--drain-timeout=0s"], None, Audience::Proxy);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8081));
    let setup = effective.unwrap().into_options(vec![BackendUrl::local(8081).at(address)], Vec::new());
    let setup = setup.unwrap();
    assert_eq!(setup.csv, None);
    assert_eq!(setup.listen.to_string(), "0.0.0.0:9090");
    assert!(!setup.options.client_keepalive);
    assert!(setup.options.drain_timeout.is_zero());
    assert_eq!(setup.options.backends[0].url, "http://localhost:8081");
    assert_eq!(setup.options.backends[0].authority, "localhost:8081");
}

#[test]
fn what_is_said_of_health_reaches_the_proxy() {
    let options = |flags: &[&str]| {
        let effective = load_from(flags, None, Audience::Proxy).unwrap();
        effective.into_options(Vec::new(), Vec::new()).unwrap().options
    };
    let usual = options(&[]);
    assert_eq!((usual.checks, usual.classifier_checks, usual.retry_budget), (None, None, 0.2));
    let set = options(&[
        "--classifier-health-check=/v1",
        "--health-interval=3s",
        "--health-timeout=700ms",
        "--health-rise=4",
        "--health-fall=5",
        "--eject-after=off",
        "--eject-for=2s",
        "--eject-for-most=9s",
        "--eject-most=25%",
        "--all-out=any",
        "--slow-start=0s",
    ]);
    let health = HealthOptions {
        eject_after: 0,
        eject_for: Duration::from_secs(2),
        eject_for_most: Duration::from_secs(9),
        eject_share: 0.25,
        all_out: AllOut::Any,
        slow_start: Duration::ZERO,
    };
    let checks = CheckOptions {
        path: "/v1".to_owned(),
        interval: Duration::from_secs(3),
        timeout: Duration::from_millis(700),
        rise: 4,
        fall: 5,
    };
    assert_eq!((set.health, set.checks, set.classifier_checks), (health, None, Some(checks)));
}

#[test]
fn what_ends_a_line_of_a_backend_is_an_option() {
    let line_ends = |flags: &[&str]| {
        let effective = load_from(flags, None, Audience::Proxy).unwrap();
        effective.into_options(Vec::new(), Vec::new()).unwrap().options.line_ends
    };
    assert_eq!((line_ends(&[]), line_ends(&["--strict-upstream=on"])), (LineEnds::LfToo, LineEnds::CrLf));
    let error = load_from(&[], Some("target-bytes = \"raw\""), Audience::Proxy);
    assert!(error.unwrap_err().to_string().contains("`raw` is neither strict nor pass"));
}

#[test]
fn a_limit_that_is_off_is_none_and_each_reaches_the_proxy() {
    let limits = |flags: &[&str]| {
        let effective = load_from(flags, None, Audience::Proxy).unwrap();
        effective.into_options(Vec::new(), Vec::new()).unwrap().options.limits
    };
    assert_eq!(limits(&[]), Limits { connections: 484, ..Limits::default() });
    let off =
        ["--max-body-bytes=off", "--max-requests-per-connection=off", "--max-connections-per-client=off"];
    assert_eq!(limits(&off), limits(&[]));
    let set = [
        "--max-head-bytes=2000",
        "--max-header-fields=20",
        "--max-target-bytes=300",
        "--max-body-bytes=40",
        "--target-bytes=pass",
        "--max-pipelined-bytes=5000",
        "--max-requests-per-connection=6",
        "--max-connections=7",
        "--max-connections-per-client=8",
        "--max-pool-per-backend=9",
    ];
    let request = RequestLimits {
        head_bytes: 2000,
        fields: 20,
        target_bytes: 300,
        body_bytes: 40,
        target: TargetRule::Pass,
    };
    let expected = Limits {
        request,
        pipelined_bytes: 5000,
        requests_per_connection: 6,
        connections: 7,
        connections_per_client: 8,
        pool_per_backend: PoolLimit::Most(9),
    };
    assert_eq!(limits(&set), expected);
}

#[test]
fn shapes_come_from_a_file_and_leave_our_own_paths_alone() {
    let shape = |path: &str| {
        let file = format!("[[shape]]\npath = \"{path}\"\nrequest-field = \"in\"\nresponse-field = \"out\"");
        let effective = load_from(&["--classifier=c:1"], Some(&file), Audience::Proxy)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        effective.into_options(Vec::new(), vec![BackendUrl::local(1).at(address)])
    };
    let batching = shape("/a").unwrap().options.batching.unwrap();
    assert!(
        ["/a", "/proxy_classify", "/v1/models/m:predict"].iter().all(|p| batching.shapes.find(p).is_some())
    );
    for path in ["/docs", "/strategy", "/proxy_classify", "no"] {
        let error = shape(path).unwrap_err().to_string();
        assert!(error.contains("`shape`"), "{error}");
    }
}

#[test]
fn descriptors_bound_the_connections() {
    let connections = |descriptors| {
        let matches = Settings::augment_args(Command::new("t")).get_matches_from(["t"]);
        let (given, audience) = (Settings::default(), Audience::Proxy);
        let misgiven = Vec::new();
        let source =
            Source { given, matches, misgiven, file: None, audience, descriptors, dashboard_port: None };
        source.load().unwrap().max_connections.value.0
    };
    assert_eq!((connections(0), connections(1024), connections(u64::MAX)), (1, 496, Count::MOST));
}
