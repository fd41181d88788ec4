//! Studies as they are written.

use super::*;
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::lab::selection::Contender;
use crate::proxy::ConnectionMode;

fn study(text: &str) -> Study {
    parse_study("s.toml", "s", text, 1000).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn error(text: &str) -> String {
    parse_study("s.toml", "s", text, 1000).expect_err(text).to_string()
}

const ROUTING: &str = "\
[[backend]]
profile = \"10\"
copies = 2
[[backend]]
profile = \"20\"
[[variant]]
name = \"rr\"
[[variant]]
name = \"sma\"
routing = \"adaptive_sma\"
";

const BATCHING: &str = "\
[classifier]
concurrency = 1
[[customer]]
customer = \"A\"
copies = 2
rate = 0.5
[[customer]]
customer = \"B\"
[load]
switching = true
[[variant]]
name = \"fair\"
strategy = \"fair\"
[[variant]]
name = \"adaptive\"
strategy = \"adaptive\"
";

#[test]
fn what_is_left_out_is_as_the_contract_has_it() {
    let study = study(ROUTING);
    assert_eq!((study.name.as_str(), study.title.as_str(), study.repeats, study.seed), ("s", "s", 1, 1));
    assert_eq!((study.duration, study.warm_up), (Duration::from_secs(120), Duration::ZERO));
    let Demand::Requests { pace, threads, body_bytes, timeout } = study.demand else { panic!("no requests") };
    assert_eq!(pace, Pace::Closed { connections: 100, pause: Duration::ZERO });
    assert_eq!((threads, body_bytes, timeout), (4, 0, Duration::from_secs(10)));
    assert_eq!(study.servers.names(), ["A", "B", "C", "-"]);
    assert_eq!(study.variants[0].options.routing, RoutingMode::RoundRobin);
    assert_eq!(study.variants[1].options.routing, RoutingMode::AdaptiveSma);
}

#[test]
fn variants_inherit_the_settings_of_all() {
    let text = format!("[proxy]\nsma-window = 7\nrouting = \"adaptive_ewma\"\n{ROUTING}");
    let options = study(&text).variants.into_iter().map(|variant| variant.options);
    let seen: Vec<_> = options.map(|options| (options.routing, options.sma_window)).collect();
    assert_eq!(seen, [(RoutingMode::AdaptiveEwma, 7), (RoutingMode::AdaptiveSma, 7)]);
}

#[test]
fn a_rate_makes_an_open_loop() {
    let pace = |load: &str| match study(&format!("{ROUTING}[load]\n{load}")).demand {
        Demand::Requests { pace, .. } => pace,
        Demand::Customers { .. } => panic!("no requests"),
    };
    assert_eq!(pace("rate = 250"), Pace::Open { rate: 250.0, poisson: true, connections: 10_000 });
    assert_eq!(
        pace("rate = 2.5\narrivals = \"even\"\nconnections = 5"),
        Pace::Open { rate: 2.5, poisson: false, connections: 5 }
    );
    assert_eq!(
        pace("pause = \"1s\"\nconnections = 5"),
        Pace::Closed { connections: 5, pause: Duration::from_secs(1) }
    );
}

#[test]
fn customers_ask_a_classifier() {
    let study = study(BATCHING);
    let Demand::Customers { customers, switching, .. } = &study.demand else { panic!("no customers") };
    let seen: Vec<_> = customers.iter().map(|(customer, rate)| (customer.name.as_str(), *rate)).collect();
    assert_eq!(seen, [("A-1", Some(0.5)), ("A-2", Some(0.5)), ("B", None)]);
    assert!(switching);
    let strategies = study
        .variants
        .iter()
        .map(|variant| variant.options.batching.as_ref().expect("batching").queue.strategy);
    assert_eq!(strategies.collect::<Vec<_>>(), [StrategyName::Fair, StrategyName::Adaptive]);
    assert_eq!(study.servers.names(), ["classifier", "-"]);
}

#[test]
fn what_is_wrong_has_its_place_or_at_least_its_file() {
    let after = |more: &str| format!("{ROUTING}{more}");
    for (text, expected) in [
        ("seed = 1".to_owned(), "s.toml: no [[backend]] and no [classifier]; a study needs servers"),
        ("seed = \"x\"".to_owned(), "s.toml:1:8: `seed`: invalid type: string \"x\", expected u64"),
        ("sead = 1".to_owned(), "s.toml:1:1: unknown field `sead`, expected one of "),
        ("name = \"a/b\"\n".to_owned() + ROUTING, "s.toml: `name`: `a/b` is part of a folder's name"),
        ("[[backend]]\nprofile = \"x\"".to_owned(), "s.toml:2:11: bad profile `x`"),
        ("[[backend]]\ncopies = 2".to_owned(), "s.toml:1:1: `backend`: missing field `profile`"),
        ("[[backend]]\nprofile = \"1\"".to_owned(), "s.toml: no [[variant]]; each has a name"),
        (after("[[variant]]\nrouting = \"round-robin\""), "s.toml:11:1: a variant without a name"),
        (after("[[variant]]\nname = \"rr\""), "s.toml:11:1: two variants are called `rr`"),
        (after("[[variant]]\nname = 5"), "s.toml:12:8: the name of a variant is a text"),
        (
            after("[[variant]]\nname = \"x\"\nroutng = \"x\""),
            "s.toml:13:1: unknown key `routng`; did you mean `routing`?",
        ),
        (
            after("[[variant]]\nname = \"x\"\nrouting = \"x\""),
            "s.toml:13:11: `routing`: unknown routing mode `x`",
        ),
        (
            after("[[variant]]\nname = \"x\"\ncsv = \"off\""),
            "s.toml:13:1: `csv` cannot be used here; an experiment sees",
        ),
        (after("[proxy]\nlisten = \":1\""), "s.toml:12:1: `listen` cannot be used here"),
        (
            "variant = 5\n".to_owned(),
            "s.toml:1:11: `variant` is not a list of tables; write [[variant]] above each",
        ),
        (after("[classifier]"), "s.toml: [[backend]] and [classifier] exclude each other"),
        (after("[[customer]]\ncustomer = \"A\""), "s.toml: [[customer]] needs a [classifier]"),
        (after("[load]\nrate = 5\npause = \"1s\""), "s.toml: [load] has a `rate` and a `pause`"),
        (after("[load]\narrivals = \"even\""), "s.toml: `arrivals` needs a `rate`"),
        (after("[load]\nswitching = true"), "s.toml: `switching` is for batching"),
        (BATCHING.replace("switching = true", "rate = 5"), "s.toml: `rate` is of requests for backends"),
        (BATCHING.replace("\"B\"", "\"a-1=1x1,1s\""), "s.toml: two customers are called `a-1`"),
        ("[classifier]".to_owned(), "s.toml: no [[customer]]; someone must ask the classifier"),
        (
            BATCHING.replace("strategy = \"fair\"", "strategy = \"fair\"\nbatch-size = 4"),
            "s.toml: `fair` and `adaptive` differ in more than their strategy; only that can be switched",
        ),
    ] {
        let error = error(&text);
        assert!(error.starts_with(expected), "{text}\n{error}\n{expected}");
    }
}

#[test]
fn overrides_stand_in_the_text() {
    let text = format!("title = \"t\"\nseed = 3\nrepeats=2\nduration = \"9s\"\n{ROUTING}");
    let overrides = Overrides { seed: Some(7), duration: Some(Duration::from_secs(20)), repeats: None };
    let applied = overrides.apply(&text);
    assert!(
        applied.starts_with("seed = 7\nduration = \"20s\"\ntitle = \"t\"\nrepeats=2\n[[backend]]\n"),
        "{applied}"
    );
    let study = study(&applied);
    assert_eq!((study.seed, study.duration, study.repeats), (7, Duration::from_secs(20), 2));
    assert_eq!(Overrides::default().apply(&text), text);
}

#[test]
fn the_original_studies_are_those_of_the_commands() {
    let seconds = Duration::from_secs;
    let routing = routing_study(&ROUTING_VARIANTS, seconds(120), 1, 1);
    assert_eq!(routing, include_str!("../../../bench/studies/routing.toml"));
    let batching = batching_study(&BATCHING_VARIANTS, seconds(30), 1, 1);
    assert_eq!(batching, include_str!("../../../bench/studies/batching.toml"));
    let variants = study(&routing).variants;
    assert_eq!(variants.len(), 6);
    assert_eq!(variants[3].name, "round-robin non-persistent");
    assert_eq!(variants[3].options.connections, ConnectionMode::NonPersistent);
}

#[test]
fn the_study_of_selection_gives_each_contender_its_options() {
    let contenders = Contender::all();
    let study = study(&selection_study(&contenders, Duration::from_secs(30), 3));
    assert_eq!((study.seed, study.warm_up), (3, Duration::from_secs(5)));
    for (variant, contender) in study.variants.iter().zip(&contenders) {
        let (told, meant) = (&variant.options, &contender.options);
        assert_eq!((&variant.name, told.routing), (&contender.name, contender.mode));
        assert_eq!((told.routing_goal, told.reprobe_after), (meant.goal, meant.reprobe_after));
        assert_eq!((told.sma_window, told.ewma_alpha), (meant.sma_window, meant.ewma_alpha));
    }
    assert_eq!(study.variants.len(), contenders.len());
}

#[test]
fn every_study_that_comes_with_the_program_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/studies");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).expect("the folder of studies") {
        let path = file.expect("a study").path();
        let study = read_study(&path, &Overrides::default(), 20_000).unwrap_or_else(|e| panic!("{e}"));
        assert!(study.variants.len() >= 2, "{} compares nothing", study.name);
        names.push(study.name);
    }
    assert!(names.len() >= 6, "{names:?}");
}
