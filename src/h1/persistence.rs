//! May this connection be used again (RFC 9112 §9.3)?
//!
//! Here: the one table, for both sides. Not here: when the question is asked (`proxy/exchange.rs`) and where an idle
//! connection waits (`proxy/pool.rs`). Floor 1.

use super::Version;

/// The verdict on reuse of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Further exchanges may follow.
    KeepAlive,
    /// This exchange is the last.
    Close,
}

impl Persistence {
    /// What the sender of a message of `version` says of its connection: `close` and `keep_alive` are the options of
    /// its `Connection` field.
    pub const fn of_message(version: Version, close: bool, keep_alive: bool) -> Persistence {
        match (version, close, keep_alive) {
            (_, true, _) | (Version::Http10, false, false) => Persistence::Close,
            (Version::Http11, false, _) | (Version::Http10, false, true) => Persistence::KeepAlive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_wins_and_http_10_must_ask_to_keep() {
        use Persistence::{Close, KeepAlive};
        use Version::{Http10, Http11};
        let table = [
            (Http11, false, false, KeepAlive),
            (Http11, false, true, KeepAlive),
            (Http11, true, true, Close),
            (Http10, false, false, Close),
            (Http10, false, true, KeepAlive),
            (Http10, true, true, Close),
        ];
        for (version, close, keep_alive, verdict) in table {
            assert_eq!(Persistence::of_message(version, close, keep_alive), verdict);
        }
    }
}
