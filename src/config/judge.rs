//! What settings must keep together.
//!
//! Here: [`judge`], every rule about more than one value. `check`, the start and a reload come by it, so that they say the
//! same. Not here: single values (`values.rs` and others), what only the machine can say: whether names lead somewhere, ports
//! are free, files can be written. Floor 5.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Audience;
use super::diagnose::ConfigError;
use super::effective::Effective;
use super::errors::ConfigErrors;
use super::origin::{Origin, Sourced};
use super::places::Places;
use super::reach::{Reach, exclude_each_other};
use super::server::ServerEntry;
use super::values::FileTarget;
use crate::codec::{Shape, Shapes};

/// The paths of the proxy itself where it batches.
const OWN_PATHS: [&str; 2] = ["/strategy", "/docs"];

/// Adds what is wrong with `settings`. `unusable`: keys whose values could not be read, of which nothing is concluded.
pub(super) fn judge(
    settings: &Effective,
    places: &Places,
    unusable: &BTreeSet<String>,
    errors: &mut ConfigErrors,
) {
    let mut judge = Judge { settings, places, unusable, errors };
    judge.shapes();
    judge.names_of_requests();
    match settings.audience {
        Audience::Study => return,
        Audience::Testbed => {}
        Audience::Proxy | Audience::Either => judge.servers(),
    }
    judge.listeners();
    judge.files();
}

struct Judge<'j> {
    settings: &'j Effective,
    places: &'j Places,
    unusable: &'j BTreeSet<String>,
    errors: &'j mut ConfigErrors,
}

impl Judge<'_> {
    /// Whether something can be said about these keys together.
    fn knows(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.unusable.contains(*key))
    }

    /// Adds an error about `key`, or about that element of its list, set by `origin`.
    fn add(
        &mut self,
        key: &str,
        origin: Origin,
        element: Option<usize>,
        error: impl FnOnce() -> ConfigError,
    ) {
        let places = self.places;
        self.errors.add(|| {
            let mut error = error();
            error.what = format!("{}: {}", name(key, origin), error.what);
            error.place = (origin == Origin::File).then(|| places.find(key, element)).flatten();
            error
        });
    }

    fn shapes(&mut self) {
        let Sourced { value: shapes, origin } = &self.settings.shape;
        let built_in = built_in_shapes();
        let count = built_in.len();
        let all: Vec<_> = built_in.into_iter().chain(shapes.iter().cloned()).collect();
        for i in Shapes::second_ones(&all) {
            let what = || {
                let path = all[i].path();
                let error = ConfigError::new(format!("two shapes have the path `{path}`; remove one"));
                let built_in = all[..count].iter().any(|shape| shape.path() == path);
                if built_in { error.hint("the other one comes with the program") } else { error }
            };
            self.add("shape", *origin, i.checked_sub(count), what);
        }
        for (i, shape) in shapes.iter().enumerate() {
            for path in OWN_PATHS.into_iter().filter(|path| shape.is_for(path)) {
                let what = || ConfigError::new(format!("{path} is a path of the proxy's own"));
                self.add("shape", *origin, Some(i), what);
            }
        }
    }

    fn names_of_requests(&mut self) {
        let needs_ids = self.settings.explain.value.0 || self.settings.trace.value != FileTarget::Off;
        let ids = &self.settings.request_id;
        if needs_ids && !ids.value.0 && self.knows(&["explain", "trace", "request-id"]) {
            let what = || {
                let error = ConfigError::new("`explain` and `trace` need `request-id`, which is off");
                error.hint("leave request-id out, or say on")
            };
            self.add("request-id", ids.origin, None, what);
        }
    }

    /// The backends and classifiers of the proxy.
    fn servers(&mut self) {
        let Effective { backend, classifier, .. } = self.settings;
        if backend.value.is_empty() && classifier.value.is_empty() && self.knows(&["backend", "classifier"]) {
            let what = || {
                ConfigError::new("there is neither a backend nor a classifier, so no request could be served")
                    .hint("name one, or leave `backend` out")
            };
            self.add("backend", backend.origin, None, what);
        }
        let servers = backend.value.len() + classifier.value.len();
        if servers > usize::from(u16::MAX) {
            self.add("backend", backend.origin, None, || too_many(servers));
        }
        for (key, servers) in [("backend", backend), ("classifier", classifier)] {
            self.doubles(key, servers);
            self.loops(key, servers);
        }
    }

    /// A server that is there twice would have two shares, and one name.
    fn doubles(&mut self, key: &str, servers: &Sourced<Vec<ServerEntry>>) {
        let mut seen = HashSet::new();
        for (i, server) in servers.value.iter().enumerate() {
            if !seen.insert(server.url.identity()) {
                let what = || {
                    let (host, port) = server.url.identity();
                    let url = super::url::authority(&host, port);
                    ConfigError::new(format!("http://{url} is there twice")).hint("name each server once")
                };
                self.add(key, servers.origin, Some(i), what);
            }
        }
    }

    /// A server whose address is one of our own, as far as the URL tells. What its name leads to is judged when it is looked
    /// up (`options.rs`).
    fn loops(&mut self, key: &str, servers: &Sourced<Vec<ServerEntry>>) {
        let reach = Reach::default();
        for (key_of_listener, who, listener, origin) in self.settings.listeners() {
            if !self.knows(&[key, key_of_listener]) {
                continue;
            }
            for (i, server) in servers.value.iter().enumerate() {
                let addresses = addresses(&server.url);
                if !addresses.into_iter().any(|address| reach.leads_to(address, listener)) {
                    continue;
                }
                let what = || itself(server.url.url(), who, listener);
                // Nobody has said that these are the backends.
                match servers.origin {
                    Origin::Default => self.add(key_of_listener, origin, None, what),
                    _ => self.add(key, servers.origin, Some(i), what),
                }
            }
        }
    }

    fn listeners(&mut self) {
        let all = self.settings.listeners();
        for (i, second) in all.iter().enumerate() {
            for first in &all[..i] {
                if !exclude_each_other(first.2, second.2) || !self.knows(&[first.0, second.0]) {
                    continue;
                }
                // Who has said nothing has made no mistake.
                let (one, other) =
                    if second.3 == Origin::Default { (first, second) } else { (second, first) };
                let (key, who, address, origin) = *one;
                let (_, taker, at, _) = *other;
                let what = || ConfigError::new(format!("{address} for {who} is taken by {taker}, at {at}"));
                self.add(key, origin, None, what);
            }
        }
    }

    /// Lines of two kinds in one file could be read by nobody.
    fn files(&mut self) {
        let Effective { csv, trace, .. } = self.settings;
        let (FileTarget::Path(rows), FileTarget::Path(traces)) = (&csv.value, &trace.value) else { return };
        if rows == traces && !rows.starts_with("/dev") && self.knows(&["csv", "trace"]) {
            let what = || ConfigError::new(format!("{} is the CSV file too", rows.display()));
            self.add("trace", trace.origin, None, what);
        }
    }
}

/// The shapes that every proxy has.
pub(super) fn built_in_shapes() -> [Shape; 2] {
    [Shape::classify(), Shape::kserve_v1()]
}

/// More servers than a backend's id can count.
pub(super) fn too_many(servers: usize) -> ConfigError {
    ConfigError::new(format!("{servers} backends are too many"))
}

/// A server that is one of our own listeners.
pub(super) fn itself(url: &str, who: &str, listener: SocketAddr) -> ConfigError {
    ConfigError::new(format!("{url} is {who} itself, which listens on {listener}"))
        .hint("requests would come back; name other servers, or listen elsewhere")
}

/// What a key is called by those who set it so.
pub(super) fn name(key: &str, origin: Origin) -> String {
    match (origin, key) {
        (Origin::Flag, _) => format!("--{key}"),
        (Origin::Environment, "strategy") => "PROXY_STRATEGY".to_owned(),
        (Origin::Environment, "admin") => "TIDEGATE_ADMIN or DASHBOARD_PORT".to_owned(),
        (Origin::Environment, _) => format!("TIDEGATE_{}", key.to_uppercase().replace('-', "_")),
        (Origin::File | Origin::Default, _) => format!("`{key}`"),
    }
}

/// Where a URL leads without anybody being asked.
fn addresses(url: &super::BackendUrl) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, url.port());
    match url.host().parse::<IpAddr>() {
        Ok(ip) => vec![at(ip)],
        // RFC 6761 §6.3
        Err(_) if url.host().eq_ignore_ascii_case("localhost") => {
            vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]
        }
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
