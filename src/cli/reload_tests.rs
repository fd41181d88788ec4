//! Tests of the keeper, with a resolver that answers by table and a proxy that is played.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::{Args, Command, FromArgMatches};

use super::*;
use crate::config::{Audience, Settings as Given};
use crate::proxy::Changes;

type Table = Arc<Mutex<BTreeMap<&'static str, Vec<&'static str>>>>;

struct House {
    keeper: Keeper,
    table: Table,
    brought: Receiver<Vec<(String, usize)>>,
}

/// A keeper of these backends, whose names lead where the table says.
fn house(flags: &[&str], names: &[(&'static str, &[&'static str])]) -> House {
    let table: Table = Arc::new(Mutex::new(names.iter().map(|(name, to)| (*name, to.to_vec())).collect()));
    let answers = Arc::clone(&table);
    let lookup = move |host: &str, port| {
        let answers = answers.lock().unwrap();
        let found = answers.get(host).ok_or(io::Error::other("unknown"))?;
        Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
    };
    let command = Given::augment_args(Command::new("t").no_binary_name(true));
    let matches = command.get_matches_from(flags);
    let given = Given::from_arg_matches(&matches).unwrap();
    let audience = Audience::Proxy;
    let misgiven = Vec::new();
    let source =
        Source { given, matches, misgiven, file: None, audience, descriptors: 1000, dashboard_port: None };
    let effective = source.load().unwrap();
    let mut names = Names::asking(Box::new(lookup));
    effective.look_up(&mut names).unwrap();
    let net = crate::net::OsNet::new().unwrap();
    let (bringer, changes): (_, Changes) = crate::remote::remote(net.waker().unwrap(), Bell::new().0);
    let (bring, brought) = bounded(16);
    std::thread::spawn(move || play(&changes, &bring));
    let settings = Settings { source, effective, names, own_servers: None };
    House { keeper: Keeper::new(settings, bringer, Configuration::default()), table, brought }
}

/// The proxy: takes what is brought, and says so.
fn play(changes: &Changes, bring: &Sender<Vec<(String, usize)>>) {
    let mut over = false;
    while !over {
        changes.each(|options| {
            let servers = options.backends.iter().map(|b| (b.url.clone(), b.addresses.len()));
            over = bring.send(servers.collect()).is_err();
            Ok(Changed::default())
        });
        std::thread::yield_now();
    }
}

impl House {
    fn set(&self, name: &'static str, to: Option<&[&'static str]>) {
        let mut table = self.table.lock().unwrap();
        match to {
            Some(to) => drop(table.insert(name, to.to_vec())),
            None => drop(table.remove(name)),
        }
    }

    /// What the proxy is brought when names are looked up again.
    fn look(&mut self) -> Vec<(String, usize)> {
        self.keeper.look_up_again();
        self.brought.recv_timeout(PATIENCE).expect("something is brought")
    }
}

fn urls(servers: &[(String, usize)]) -> Vec<&str> {
    servers.iter().map(|(url, _)| url.as_str()).collect()
}

#[test]
fn the_set_follows_the_name_and_a_failure_keeps_it() {
    let flags = ["--backend=http://service:80", "--resolve=all"];
    let mut house = house(&flags, &[("service", &["10.0.0.1"])]);
    house.set("service", Some(&["10.0.0.2", "10.0.0.1"]));
    let both = house.look();
    assert_eq!(urls(&both), ["http://10.0.0.1:80", "http://10.0.0.2:80"]);
    house.set("service", Some(&["10.0.0.1", "10.0.0.2"]));
    assert_eq!(house.look(), both, "the order is the resolver's whim");
    house.set("service", None);
    assert_eq!(house.look(), both);
    let state = house.keeper.shared.get();
    assert_eq!((state.names_failing, state.lookups_failed, state.last_failed), (1, 1, false));
    house.set("service", Some(&["10.0.0.3"]));
    assert_eq!(urls(&house.look()), ["http://10.0.0.3:80"]);
    assert_eq!(house.keeper.shared.get().names_failing, 0);
}

#[test]
fn a_name_that_is_one_backend_stays_one() {
    let mut house = house(&["--backend=http://service:80,10.0.0.9:80"], &[("service", &["10.0.0.1"])]);
    house.set("service", Some(&["10.0.0.2", "10.0.0.3", "::1"]));
    let brought = house.look();
    assert_eq!(brought, [("http://service:80".to_owned(), 3), ("http://10.0.0.9:80".to_owned(), 1)]);
}

#[test]
fn names_are_looked_up_only_where_there_are_any_and_they_are_to_be() {
    let waits = |flags: &[&str]| house(flags, &[("a", &["10.0.0.1"])]).keeper.ticks().capacity();
    // A ticker holds one tick; what never ticks holds none.
    assert_eq!(waits(&["--backend=a"]), Some(1));
    assert_eq!(waits(&["--backend=a", "--resolve-interval=off"]), Some(0));
    assert_eq!(waits(&["--backend=10.0.0.1,[::1]:8"]), Some(0));
}

#[test]
fn a_reload_looks_up_names_and_tells_what_came_of_it() {
    let mut house = house(&["--backend=http://service:80"], &[("service", &["10.0.0.1"])]);
    let reloaded = house.keeper.reload().ok().expect("nothing is wrong");
    assert_eq!(reloaded, Reloaded::default());
    let state = house.keeper.shared.get();
    assert_eq!((state.succeeded, state.failed, state.names_found), (1, 0, 2));
    assert!(state.settings.iter().any(|setting| setting.key == "backend"));
}

#[test]
fn a_name_that_comes_to_lead_to_ourselves_is_refused_and_the_set_stays() {
    let flags =
        ["--listen=127.0.0.1:7777", "--admin=127.0.0.1:7778", "--backend=http://service:7777,other:7778"];
    let names: [(&str, &[&str]); 2] = [("service", &["10.0.0.1"]), ("other", &["10.0.0.2"])];
    let mut house = house(&flags, &names);
    for (name, who) in [("service", "the proxy itself"), ("other", "the dashboard itself")] {
        house.set(name, Some(&["10.0.0.3", "127.0.0.1"]));
        house.keeper.look_up_again();
        assert!(house.brought.try_recv().is_err(), "nothing is brought");
        let Err(failed) = house.keeper.reload() else { panic!("{name} was taken over") };
        let told = failed.to_string();
        assert!(told.starts_with(&format!("`backend`: http://{name}:777")) && told.contains(who), "{told}");
        house.set(name, Some(&["10.0.0.3"]));
    }
    assert_eq!(urls(&house.look()), ["http://service:7777", "http://other:7778"]);
}
