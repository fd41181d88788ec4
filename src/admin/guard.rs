//! Who is let near.
//!
//! Here: the check of `Host` against DNS rebinding, and that of `Origin` and `Sec-Fetch-Site`. A page of another site may
//! change nothing, and has nothing to read either: browsers would keep it from it, but not from taking places here with
//! feeds that never end. By rebinding its own name to this address it would become the same origin, but then `Host`
//! carries that name. Not here: who may connect at all (the listener's
//! address). Floor 3.

use std::net::{IpAddr, SocketAddr};

use super::problem::Problem;
use crate::h1::request::RequestHead;

/// Lets pass what was addressed to the listener at `admin` by one of its own names.
///
/// # Errors
/// It was addressed by another.
pub(super) fn check_host(head: &RequestHead<'_, '_>, admin: SocketAddr) -> Result<(), Problem> {
    let authority = head.authority().and_then(|authority| std::str::from_utf8(authority).ok());
    match authority {
        Some(authority) if is_own_name(host_of(authority), admin.ip()) => Ok(()),
        _ => {
            let detail = format!("the dashboard answers to localhost and {}, not to this Host", admin.ip());
            Err(Problem::new(403, detail))
        }
    }
}

/// Lets pass what no page of another origin has sent.
///
/// # Errors
/// One has.
pub(super) fn check_origin(head: &RequestHead<'_, '_>) -> Result<(), Problem> {
    match head.is_of_another_origin() {
        true => Err(Problem::new(403, "a page of another origin may neither read nor change anything here")),
        false => Ok(()),
    }
}

/// The host of `host:port`. The port is not compared: a forwarded one differs, and no name can be rebound by it.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, _)) => literal,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Whether `host` is a name of this machine that nobody else can give it: localhost, a loopback address, the
/// listener's own address; or any address if it listens on all. An address in `Host` was never looked up.
fn is_own_name(host: &str, own: IpAddr) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == own || own.is_unspecified(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_rebound_are_its_own() {
        let own = |authority: &str, ip: &str| is_own_name(host_of(authority), ip.parse().unwrap());
        for authority in [
            "localhost",
            "localhost:5002",
            "LOCALHOST:9",
            "localhost.:1",
            "127.0.0.1",
            "127.9.8.7:80",
            "[::1]:5002",
        ] {
            assert!(own(authority, "127.0.0.1") && own(authority, "0.0.0.0"), "{authority}");
        }
        for authority in
            ["evil.example", "localhost.evil.example:5002", "evil.localhost.example", "", ":5002"]
        {
            assert!(!own(authority, "127.0.0.1") && !own(authority, "0.0.0.0"), "{authority}");
        }
        assert!(
            own("192.0.2.7:5002", "192.0.2.7") && own("192.0.2.7", "0.0.0.0") && own("[2001:db8::1]", "::")
        );
        assert!(!own("192.0.2.8", "192.0.2.7") && !own("192.0.2.8", "127.0.0.1"));
    }
}
