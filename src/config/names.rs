//! The names of servers, looked up again and again.
//!
//! Here: [`Names`], which remembers what each name led to: a name that cannot be looked up keeps its former addresses, and
//! is told of once. Addresses themselves are never looked up. Who is asked is a value, so that tests can answer. It may take
//! seconds, so never in an event loop. Not here: when (`cli/reload.rs`), what a change does (`proxy/`). Floor 5.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::url::{BackendUrl, ResolveError, in_order};
use crate::config::reason;

/// Finds the addresses of a name, for a port.
pub type Lookup = Box<dyn FnMut(&str, u16) -> io::Result<Vec<SocketAddr>> + Send>;

/// What names lead to.
pub struct Names {
    lookup: Lookup,
    known: BTreeMap<(String, u16), Known>,
    /// Counts looks at all names; what was looked up in this one is not looked up again.
    round: u64,
    /// Look-ups that found something.
    pub found: u64,
    /// Look-ups that did not.
    pub failed: u64,
}

struct Known {
    addresses: Vec<SocketAddr>,
    failing: bool,
    round: u64,
}

impl Names {
    /// Asks the system, as every program does (getaddrinfo).
    pub fn of_system() -> Names {
        Names::asking(Box::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect)))
    }

    /// Asks `lookup`.
    pub fn asking(lookup: Lookup) -> Names {
        Names { lookup, known: BTreeMap::new(), round: 0, found: 0, failed: 0 }
    }

    /// From here on every name is looked up once more.
    pub fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Nobody has any more the names that were not asked for in this round.
    pub fn end_round(&mut self) {
        self.known.retain(|_, known| known.round == self.round);
    }

    /// Whether there are names to look up again.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many names could not be looked up in the last round that asked for them.
    pub fn failing(&self) -> usize {
        self.known.values().filter(|known| known.failing).count()
    }

    /// The addresses behind a URL, IPv4 first.
    ///
    /// # Errors
    /// When a name that is not known yet has no address, or nobody can be asked.
    pub fn addresses(&mut self, url: &BackendUrl) -> Result<Vec<SocketAddr>, ResolveError> {
        let (host, port) = (url.host(), url.port());
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let key = (host.to_owned(), port);
        if let Some(known) = self.known.get(&key).filter(|known| known.round == self.round) {
            return Ok(known.addresses.clone());
        }
        let failure = match (self.lookup)(host, port).map(|found| in_order(found.into_iter())) {
            Ok(addresses) if !addresses.is_empty() => {
                self.found += 1;
                if self.known.get(&key).is_some_and(|known| known.failing) {
                    log::info!("the name `{host}` can be looked up again");
                }
                let known = Known { addresses: addresses.clone(), failing: false, round: self.round };
                self.known.insert(key, known);
                return Ok(addresses);
            }
            Ok(_) => None,
            Err(e) => Some(e),
        };
        self.failed += 1;
        let why = failure.as_ref().map_or("it has none".to_owned(), reason);
        let Some(known) = self.known.get_mut(&key) else { return Err(url.unresolved(failure)) };
        if !known.failing {
            log::warn!("cannot find the addresses of `{host}` again: {why}; it keeps those that it had");
        }
        (known.failing, known.round) = (true, self.round);
        Ok(known.addresses.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Value;

    type Answers = Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>;

    /// Answers by table; who is not in it is unknown. Returns what was asked for, too.
    fn names() -> (Names, Answers, Arc<Mutex<Vec<String>>>) {
        let (answers, asked): (Answers, Arc<Mutex<Vec<String>>>) = Default::default();
        let (table, log) = (Arc::clone(&answers), Arc::clone(&asked));
        let lookup = move |host: &str, port| {
            log.lock().unwrap().push(host.to_owned());
            let table = table.lock().unwrap();
            let found = table.get(host).ok_or(io::Error::other("unknown"))?;
            Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
        };
        (Names::asking(Box::new(lookup)), answers, asked)
    }

    fn url(text: &str) -> BackendUrl {
        BackendUrl::parse(text).unwrap()
    }

    fn shown(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_looked_up_once_a_round_and_an_address_never() {
        let (mut names, answers, asked) = names();
        answers.lock().unwrap().insert("a".to_owned(), vec!["::1", "10.0.0.2", "10.0.0.1", "::1"]);
        for _ in 0..2 {
            names.begin_round();
            for _ in 0..3 {
                let found = names.addresses(&url("a:80")).unwrap();
                assert_eq!(shown(&found), ["10.0.0.2:80", "10.0.0.1:80", "[::1]:80"]);
                for literal in ["10.1.2.3:5", "[::1]:5"] {
                    assert_eq!(shown(&names.addresses(&url(literal)).unwrap()), [literal]);
                }
            }
        }
        assert_eq!(
            (asked.lock().unwrap().as_slice(), names.found),
            (["a", "a"].map(str::to_owned).as_slice(), 2)
        );
    }

    #[test]
    fn what_was_known_outlasts_a_failure_and_what_was_not_is_an_error() {
        let (mut names, answers, _) = names();
        answers.lock().unwrap().insert("a".to_owned(), vec!["10.0.0.1"]);
        let mut round = |answer: Option<Vec<&'static str>>| {
            let mut table = answers.lock().unwrap();
            table.clear();
            answer.into_iter().for_each(|answer| drop(table.insert("a".to_owned(), answer)));
            drop(table);
            names.begin_round();
            let found = names.addresses(&url("a:80")).map(|found| shown(&found)).map_err(|e| e.to_string());
            (found, names.failing(), names.failed)
        };
        let error = round(None).0.unwrap_err();
        assert_eq!(error, "cannot find the address of `a` for the backend http://a:80: unknown");
        assert!(round(Some(vec![])).0.unwrap_err().ends_with("the name has none"));
        let one = Ok(vec!["10.0.0.1:80".to_owned()]);
        assert_eq!(round(Some(vec!["10.0.0.1"])), (one.clone(), 0, 2));
        assert_eq!(round(None), (one.clone(), 1, 3));
        assert_eq!(round(Some(vec![])), (one, 1, 4));
        assert_eq!(round(Some(vec!["10.0.0.9"])), (Ok(vec!["10.0.0.9:80".to_owned()]), 0, 4));
        // Nobody asks for it in this round: nothing is known of it afterwards.
        names.begin_round();
        names.end_round();
        assert!(names.is_empty() && names.addresses(&url("b:80")).is_err());
    }
}
