//! `check` says of a configuration what the start says: over generated files, up to binding, which nothing does here.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use clap::{ArgMatches, FromArgMatches};
use proptest::prelude::*;

use super::check::CheckArgs;
use super::{ServerArgs, command, proxy};
use crate::config::{Audience, Names, Setup, Source};
use crate::net::{Fabric, VirtualNet, Weather};
use crate::proxy::{Backend, Proxy};
use crate::telemetry::tap;

/// The matches of one command.
fn matches(command_line: &[String]) -> ArgMatches {
    let line = std::iter::once("tidegate").chain(command_line.iter().map(String::as_str));
    let mut matches = command().try_get_matches_from(line).expect("a command line");
    matches.remove_subcommand().expect("a command").1
}

fn source_of(which: &str, flags: &[String], audience: Audience) -> Source {
    let matches = matches(&[&[which.to_owned()], flags].concat());
    ServerArgs::from_arg_matches(&matches).expect("flags").source(&matches, audience)
}

/// Names lead elsewhere, but one, as `localhost` does everywhere.
fn names() -> Names {
    Names::asking(Box::new(|host, port| {
        let ips: &[&str] = match host {
            "localhost" => &["127.0.0.1", "::1"],
            "a" | "A" => &["192.0.2.1"],
            _ => return Err(io::Error::other("unknown")),
        };
        Ok(ips.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), port)).collect())
    }))
}

/// What a listener takes of the addresses that occur here.
fn taken(listener: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let all = ["0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1"]
        .map(|ip| ip.parse::<IpAddr>().expect("an address"));
    all.into_iter()
        .filter(move |ip| match listener.ip() {
            own if own == *ip => true,
            IpAddr::V4(own) => own.is_unspecified() && ip.is_ipv4(),
            IpAddr::V6(own) => own.is_unspecified(),
        })
        .map(move |ip| SocketAddr::new(ip, listener.port()))
}

/// What the machine would make of it.
fn serves(setup: &Setup, own: &[SocketAddr]) -> Result<(), String> {
    let mut used = HashSet::new();
    let proxy = [Some(setup.listen), setup.admin].into_iter().flatten();
    let all: Vec<_> = proxy.chain(own.iter().copied()).collect();
    for listener in all.iter().filter(|listener| listener.port() != 0) {
        if !taken(*listener).all(|address| used.insert(address)) {
            return Err(format!("{listener} is taken"));
        }
    }
    let classifiers = setup.options.batching.as_ref().map_or(&[][..], |batching| &batching.classifiers);
    let servers = || setup.options.backends.iter().chain(classifiers);
    if let Some(server) =
        servers().find(|server| own.is_empty() && server.addresses.iter().any(|a| used.contains(a)))
    {
        return Err(format!("{} comes back", server.url));
    }
    let mut urls = HashSet::new();
    let twice = |servers: &[Backend]| {
        urls.clear();
        servers.iter().any(|server| !urls.insert(server.authority.to_lowercase()))
    };
    if own.is_empty() && [&setup.options.backends[..], classifiers].into_iter().any(twice) {
        return Err("a server is there twice".to_owned());
    }
    if servers().next().is_none() {
        return Err("nothing can be served".to_owned());
    }
    // It is made, and does not panic.
    let net = Fabric::new(1, Weather::CALM).net();
    let listener = net.listen("127.0.0.1:1".parse().expect("an address")).expect("a listener");
    drop(Proxy::<VirtualNet>::new(setup.options.clone(), listener, tap(setup.options.roster()).0));
    Ok(())
}

fn start(which: &str, flags: &[String]) -> Result<(), String> {
    let told = |e: &dyn std::fmt::Display| Err(e.to_string());
    if which == "proxy" {
        let source = source_of(which, flags, Audience::Proxy);
        return match proxy::prepare(source, names(), |_| Ok(())) {
            Ok((setup, _)) => serves(&setup, &[]),
            Err(e) => told(&e),
        };
    }
    let effective = match source_of(which, flags, Audience::Testbed).load() {
        Ok(effective) => effective,
        Err(e) => return told(&e),
    };
    let own = effective.backend_listen.value.0;
    let classifier = effective.classifier_listen.value;
    let server = |address: &SocketAddr| Backend {
        url: format!("http://{address}"),
        authority: address.to_string(),
        addresses: vec![*address],
    };
    match effective.into_options(own.iter().map(server).collect(), vec![server(&classifier)]) {
        Ok(setup) => serves(&setup, &[&own[..], &[classifier]].concat()),
        Err(e) => told(&e),
    }
}

fn check(which: &str, flags: &[String]) -> Result<(), String> {
    let line = [&["check".to_owned(), format!("--for={which}")], flags].concat();
    let matches = matches(&line);
    let args = CheckArgs::from_arg_matches(&matches).expect("flags");
    args.source(&matches).load().map(drop).map_err(|e| e.to_string())
}

/// A value for `key`, or none.
fn setting(key: &'static str, values: &'static [&'static str], often: f64) -> BoxedStrategy<Option<String>> {
    let value = prop::option::weighted(often, prop::sample::select(values));
    value.prop_map(move |value| Some(format!("{key} = {}\n", value?))).boxed()
}

fn list(key: &'static str, urls: &'static [&'static str], often: f64) -> BoxedStrategy<Option<String>> {
    let lists = prop::option::weighted(often, prop::collection::vec(prop::sample::select(urls), 0..3));
    lists.prop_map(move |urls| Some(format!("{key} = {:?}\n", urls?))).boxed()
}

const ADDRESSES: &[&str] = &[
    "\":1\"",
    "\"127.0.0.1:1\"",
    "\"127.0.0.2:2\"",
    "\"[::]:1\"",
    "\"[::1]:2\"",
    "\":0\"",
    "\":3\"",
    "\":8081\"",
    "\":8001\"",
];
const URLS: &[&str] = &[
    "localhost:1",
    "http://localhost:1/",
    "127.0.0.1:2",
    "[::1]:2",
    "a",
    "A:80",
    "a:1",
    "a:2",
    "a:3",
    "b/c",
];
const LISTENERS: &[&str] =
    &["\":4,:5,:6\"", "\":0,:0,:0\"", "\"127.0.0.1:8081,127.0.0.2:8081,:3\"", "\":5002,:8,:9\"", "\":1\""];
const PATHS: &[&str] = &["/a", "/b", "/c", "/{name}", "/docs", "/proxy_classify", "c"];

/// A file for the proxy or the testbed, now and then with something of the other.
fn file(testbed: bool) -> impl Strategy<Value = String> {
    let (of_proxy, of_testbed) = if testbed { (0.02, 0.4) } else { (0.5, 0.02) };
    let lines = vec![
        list("backend", URLS, of_proxy),
        list("classifier", URLS, of_proxy),
        setting("backend-listen", LISTENERS, of_testbed),
        setting("classifier-listen", ADDRESSES, of_testbed),
        setting("listen", ADDRESSES, 0.4),
        setting("admin", ADDRESSES, 0.3),
        setting("csv", &["\"off\"", "\"x\""], 0.4),
        setting("trace", &["\"off\"", "\"x\"", "\"y\""], 0.3),
        setting("explain", &["true", "\"off\""], 0.3),
        setting("request-id", &["true", "true", "false", "\"x\""], 0.3),
        setting("routing", &["\"adaptive\"", "\"prequal\"", "\"p2c_peak_ewma\"", "\"nearest\""], 0.2),
        setting("resolve", &["\"all\"", "\"one\""], 0.2),
        setting("batch-size", &["1", "1000000", "0"], 0.2),
    ];
    let shapes = prop::collection::vec(prop::sample::select(PATHS), 0..2);
    (lines, shapes).prop_map(|(lines, paths)| {
        let shape = |path: &&str| {
            format!("[[shape]]\npath = \"{path}\"\nrequest-field = \"i\"\nresponse-field = \"o\"\n")
        };
        lines.into_iter().flatten().chain(paths.iter().map(shape)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_starts_passes_check_and_what_check_passes_starts(
        (testbed, text) in any::<bool>().prop_flat_map(|testbed| (Just(testbed), file(testbed))),
    ) {
        let which = if testbed { "testbed" } else { "proxy" };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let flags = [format!("--config={}", file.path().display())];
        let (checked, started) = (check(which, &flags), start(which, &flags));
        prop_assert_eq!(checked.is_ok(), started.is_ok(), "{}\n{}check: {:?}\nstart: {:?}", which, text, checked, started);
        if let (Err(checked), Err(started)) = (checked, started) {
            prop_assert_eq!(checked, started);
        }
    }
}

/// Both verdicts occur, so that their being equal says something.
#[test]
fn the_generated_files_are_of_both_kinds() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut passed = [0, 0];
    for i in 0..200 {
        let text = file(i % 2 == 1).new_tree(&mut runner).expect("a file").current();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let flags = [format!("--config={}", file.path().display())];
        passed[i % 2] += usize::from(check(["proxy", "testbed"][i % 2], &flags).is_ok());
    }
    assert!(passed.iter().all(|passed| (15..85).contains(passed)), "{passed:?}");
}
