//! URLs of what is to be asked.
//!
//! Here: [`TargetUrl`], a URL with path and query, read and looked up. Not here: backends' URLs, which have neither
//! (`url.rs`), and sending requests (`load/`). Floor 5.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use super::url::{authority, host_and_port, in_order};
use super::values::Value;

/// The URL of a resource: `http://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl {
    host: String,
    port: u16,
    /// Path and query, never empty.
    pub target: String,
}

impl TargetUrl {
    /// The same, but with `path` where none was given.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> TargetUrl {
        if self.target == "/" {
            path.clone_into(&mut self.target);
        }
        self
    }

    /// Host and port, as in a `Host` field.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Looks up the name; the addresses come with IPv4 first, and there is at least one.
    ///
    /// # Errors
    /// When the name has no address, or nobody can be asked.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses = in_order((self.host.as_str(), self.port).to_socket_addrs()?);
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl Value for TargetUrl {
    const EXPECTED: &'static str = "a URL such as \"http://localhost:9090/path\"";

    fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("bad URL `{text}`: {why}");
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(bad("https is not supported, there is no TLS here; give an http:// URL"));
            }
            Some((scheme, _)) => {
                return Err(bad(&format!("the scheme `{scheme}` is not supported, only http is")));
            }
            None => text,
        };
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (server, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if server.contains('@') {
            return Err(bad("it must not have a user name; give an Authorization field instead"));
        }
        let (host, port) = host_and_port(server).map_err(|why| bad(&why))?;
        if let Some(c) = target.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(bad(&format!("the character {c:?} must be percent-encoded")));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(TargetUrl { host, port, target: format!("{slash}{target}") })
    }

    fn show(&self) -> String {
        format!("http://{}{}", self.authority(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_kept_and_a_fragment_is_not_sent() {
        for (text, shown) in [
            ("http://localhost:9090", "http://localhost:9090/"),
            ("localhost", "http://localhost:80/"),
            ("HTTP://[::1]:8/a/b?c=d#e", "http://[::1]:8/a/b?c=d"),
            ("http://10.0.0.1?x=http://y/", "http://10.0.0.1:80/?x=http://y/"),
        ] {
            assert_eq!(TargetUrl::parse(text).unwrap().show(), shown, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_url_and_what_is_wrong() {
        for (text, why) in [
            ("https://a/", "no TLS here"),
            ("ftp://a/", "`ftp` is not supported"),
            ("", "the host is missing"),
            ("http://u@a/", "Authorization"),
            ("http://a:0/", "not a port"),
            ("http://a/b c", "' ' must be percent-encoded"),
            ("http://a/é", "percent-encoded"),
        ] {
            let error = TargetUrl::parse(text).expect_err(text);
            assert!(error.contains(&format!("`{text}`")) && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn localhost_is_this_machine_ipv4_first() {
        let addresses = TargetUrl::parse("localhost:9").unwrap().resolve().unwrap();
        assert!(addresses.iter().all(|a| a.ip().is_loopback() && a.port() == 9));
        assert!(addresses[0].is_ipv4() || addresses.iter().all(SocketAddr::is_ipv6));
    }
}
