//! URLs of backends.
//!
//! Here: reading them. Not here: looking up their names (`names.rs`), connecting (`proxy/`).
//! Floor 5.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::diagnose::reason;
use super::values::Value;
use crate::proxy::Backend;

/// The URL of a backend: `http://host:port`, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendUrl {
    url: String,
    host: String,
    port: u16,
}

/// A backend whose name could not be looked up.
#[derive(Debug)]
pub struct ResolveError {
    /// The backend's URL.
    pub url: String,
    /// The name in it.
    pub host: String,
    /// Why not; `None` if the name has no address.
    pub source: Option<io::Error>,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResolveError { url, host, .. } = self;
        write!(f, "cannot find the address of `{host}` for the backend {url}: ")?;
        match &self.source {
            Some(e) => f.write_str(&reason(e)),
            None => f.write_str("the name has none"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

impl BackendUrl {
    /// A backend on this machine.
    pub fn local(port: u16) -> BackendUrl {
        BackendUrl { url: format!("http://localhost:{port}"), host: "localhost".to_owned(), port }
    }

    /// The backend behind this URL, its address known without asking.
    pub fn at(&self, address: SocketAddr) -> Backend {
        self.with(vec![address])
    }

    /// The backend behind this URL, at these addresses.
    pub(super) fn with(&self, addresses: Vec<SocketAddr>) -> Backend {
        Backend { url: self.url.clone(), authority: self.authority(), addresses }
    }

    /// The whole, as it was given.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What tells it from others: the name in small letters or the address, and the port.
    pub(super) fn identity(&self) -> (String, u16) {
        let host = match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) => self.host.to_ascii_lowercase(),
        };
        (host, self.port)
    }

    /// The name or address.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// That its name has no address.
    pub(super) fn unresolved(&self, source: Option<io::Error>) -> ResolveError {
        ResolveError { url: self.url.clone(), host: self.host.clone(), source }
    }

    fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// Host and port as they stand in a URL.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Each address once, IPv4 first, otherwise as the resolver ranked them.
pub(super) fn in_order(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
}

impl Value for BackendUrl {
    const EXPECTED: &'static str = "a backend's URL such as \"http://localhost:8081\"";

    fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("bad backend URL `{text}`: {why}");
        let trimmed = text.trim();
        let (url, rest) = match trimmed.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (trimmed.to_owned(), rest),
            Some((scheme, _)) => {
                return Err(bad(&format!("the scheme `{scheme}` is not supported, only http is")));
            }
            None => (format!("http://{trimmed}"), trimmed),
        };
        let url = url.strip_suffix('/').map(str::to_owned).unwrap_or(url);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let parts = [('@', "a user name"), ('?', "a query"), ('#', "a fragment"), ('/', "a path")];
        if let Some((_, part)) = parts.into_iter().find(|&(sign, _)| rest.contains(sign)) {
            return Err(bad(&format!("it must not have {part}; give http://host:port")));
        }
        let (host, port) = host_and_port(rest).map_err(|why| bad(&why))?;
        Ok(BackendUrl { url, host, port })
    }

    fn show(&self) -> String {
        self.url.clone()
    }
}

/// The host and the port, 80 if none is given, of the authority `rest`.
pub(super) fn host_and_port(rest: &str) -> Result<(String, u16), String> {
    let (host, port) = split_port(rest)?;
    let port = match port {
        None => 80,
        Some(port) => match port.parse() {
            Ok(port @ 1..) if port_digits(rest) => port,
            _ => return Err(format!("`{port}` is not a port, which is a number from 1 to 65535")),
        },
    };
    check_host(&host)?;
    Ok((host, port))
}

/// Rust's number parser lets a plus sign pass.
fn port_digits(rest: &str) -> bool {
    rest.rsplit(':').next().is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn split_port(rest: &str) -> Result<(String, Option<&str>), String> {
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or("the bracket `[` is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is not an IPv6 address"))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host.to_owned(), Some(port))),
            None if after.is_empty() => Ok((host.to_owned(), None)),
            None => Err(format!("`{after}` after the bracket is not a port")),
        };
    }
    match rest.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address stands in brackets: [::1]:80".to_owned())
        }
        Some((host, port)) => Ok((host.to_owned(), Some(port))),
        None => Ok((rest.to_owned(), None)),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    // `--backend 8081` is a forgotten host, which getaddrinfo would take for the address 0.0.31.145.
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!("`{host}` is neither a name nor an IPv4 address; give http://host:port"));
    }
    match host.chars().find(|&c| !(c.is_ascii_alphanumeric() || "-._".contains(c))) {
        Some(c) => Err(format!("the host `{host}` must not have the character {c:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Names;

    fn parts(text: &str) -> (String, String) {
        let url = BackendUrl::parse(text).unwrap();
        (url.show(), url.authority())
    }

    #[test]
    fn a_url_is_kept_as_it_was_given() {
        for (text, url, authority) in [
            ("http://localhost:8081", "http://localhost:8081", "localhost:8081"),
            ("localhost:8081", "http://localhost:8081", "localhost:8081"),
            ("http://localhost:8081/", "http://localhost:8081", "localhost:8081"),
            (" a.b-c_d ", "http://a.b-c_d", "a.b-c_d:80"),
            ("http://[::1]:81", "http://[::1]:81", "[::1]:81"),
            ("[::1]", "http://[::1]", "[::1]:80"),
            ("127.0.0.1", "http://127.0.0.1", "127.0.0.1:80"),
        ] {
            assert_eq!(parts(text), (url.to_owned(), authority.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_url_and_what_is_wrong() {
        for (text, why) in [
            ("", "host is missing"),
            ("http://", "host is missing"),
            ("http://:80", "host is missing"),
            ("https://a", "`https` is not supported"),
            ("http://a/b", "a path"),
            ("http://a//", "a path"),
            ("http://a?b", "a query"),
            ("http://a#b", "a fragment"),
            ("http://u:p@a", "a user name"),
            ("a:0", "not a port"),
            ("a:65536", "not a port"),
            ("a:+80", "not a port"),
            ("a:", "not a port"),
            ("http://a:b", "not a port"),
            ("::1:80", "brackets"),
            ("[::1", "not closed"),
            ("[x]:80", "not an IPv6 address"),
            ("[::1]80", "not a port"),
            ("8081", "neither a name nor"),
            ("a b", "the character ' '"),
        ] {
            let error = BackendUrl::parse(text).expect_err(text);
            assert!(error.contains(&format!("`{text}`")) && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn ipv4_comes_first_and_each_address_once() {
        let found = ["[::1]:8", "10.0.0.2:8", "[::2]:8", "10.0.0.1:8", "10.0.0.2:8"];
        let shown: Vec<_> =
            in_order(found.iter().map(|a| a.parse().unwrap())).iter().map(Value::show).collect();
        assert_eq!(shown, ["10.0.0.2:8", "10.0.0.1:8", "[::1]:8", "[::2]:8"]);
    }

    #[test]
    fn localhost_is_one_backend_on_this_machine() {
        let url = BackendUrl::parse("localhost:8081").unwrap();
        let addresses = Names::of_system().addresses(&url).unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 8081));
    }

    #[test]
    fn a_name_without_address_is_named() {
        let url = BackendUrl::parse("no-such-name.invalid:1").unwrap();
        let error = Names::of_system().addresses(&url).unwrap_err();
        assert!(error.to_string().starts_with(
            "cannot find the address of `no-such-name.invalid` for the backend http://no-such-name.invalid:1: "
        ));
    }

    proptest! {
        #[test]
        fn a_shown_url_reads_back(text in "(http://)?[a-z\\[\\]:/@?#0-9.]{0,16}") {
            if let Ok(url) = BackendUrl::parse(&text) {
                prop_assert_eq!(BackendUrl::parse(&url.show()), Ok(url));
            }
        }
    }
}
