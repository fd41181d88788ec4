//! What side-by-side measurements of proxies share.
//!
//! `machine.rs` tells processor time, `server.rs` starts backends and proxies, `wrk.rs` loads them, `client.rs` is a
//! client that may also be silent, `sample.rs` has the figures.
//! Shared by `bench/peers/` and `bench/growth/`.

pub(crate) mod client;
pub(crate) mod machine;
pub(crate) mod sample;
pub(crate) mod server;
pub(crate) mod wrk;

/// A whole number above 0 of the environment.
pub(crate) fn number(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => text
            .parse()
            .ok()
            .filter(|&n| n > 0)
            .ok_or_else(|| format!("{name}={text}: expected a whole number above 0")),
    }
}
