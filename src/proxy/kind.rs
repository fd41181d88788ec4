//! What a request is as far as it matters to sending it more than once.
//!
//! Here: [`RequestKind`], and how long a request may be to be kept. Not here: when it is sent again (`rules.rs`, `retry.rs`) or
//! while an earlier sending is under way (`race.rs`). Floor 3.

use crate::h1::BodyLength;
use crate::h1::request::RequestHead;

/// A request that is at most this long is kept while it may have to be sent again.
pub(super) const MAX_REPLAY_BYTES: usize = 16 * 1024;

/// What a head may gain by the way.
const ADDED_BYTES: u64 = 512;

/// What matters of a request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// Its response has no body.
    Head,
    /// A GET that asks for a WebSocket.
    WebSocket,
    /// Any other that may be sent while an earlier sending is under way: its method is safe (RFC 9110 §9.2.1), or its path is
    /// declared so.
    Repeatable,
    /// Any other that may be sent again (RFC 9110 §9.2.2). Not while another sending is under way: that could take effect
    /// after what the client sends next.
    Idempotent,
    Other,
}

impl RequestKind {
    /// `repeatable`: what the paths begin with on which every request may be sent more than once.
    pub(super) fn of(head: &RequestHead<'_, '_>, repeatable: &[String]) -> RequestKind {
        match head.method {
            "GET" if head.asks_for_websocket() => RequestKind::WebSocket,
            "GET" | "OPTIONS" | "TRACE" => RequestKind::Repeatable,
            "HEAD" => RequestKind::Head,
            _ if !repeatable.is_empty() && is_on(head, repeatable) => RequestKind::Repeatable,
            "PUT" | "DELETE" => RequestKind::Idempotent,
            _ => RequestKind::Other,
        }
    }

    /// Whether it may be sent more than once.
    pub(super) fn is_idempotent(self) -> bool {
        self != RequestKind::Other
    }

    /// Whether several of it may be waited for at once.
    pub(super) fn may_have_copies(self) -> bool {
        matches!(self, RequestKind::Head | RequestKind::Repeatable)
    }
}

#[cold]
fn is_on(head: &RequestHead<'_, '_>, paths: &[String]) -> bool {
    let path = head.target.path();
    paths.iter().any(|beginning| path.starts_with(beginning.as_bytes()))
}

/// Whether all of a request has come, of a length that is kept for another sending.
#[cold]
pub(super) fn is_kept_whole(head: &RequestHead<'_, '_>) -> bool {
    let body = match head.body {
        BodyLength::None => 0,
        BodyLength::Exact(length) => length,
        BodyLength::Chunked | BodyLength::UntilClose => return false,
    };
    let come = head.rest().len() as u64;
    !head.expects_continue()
        && body <= come
        && head.len as u64 + body + ADDED_BYTES <= MAX_REPLAY_BYTES as u64
}
