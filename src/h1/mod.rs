//! HTTP/1.1 as pure functions on slices (RFC 9110, RFC 9112).
//!
//! Here: heads, framing, bodies, persistence, the heads we forward and those we originate: bytes in, decisions
//! out. Not here: sockets, buffers, time. The handlers (`proxy/`, `testbed/`) call it. Floor 1.

pub mod body;
mod chunked;
pub mod coding;
mod date;
pub mod fields;
pub mod framing;
pub mod persistence;
pub mod reply;
pub mod request;
pub mod request_id;
pub mod response;
pub mod rewrite;
pub mod timing;

use std::fmt;

pub use date::HttpDate;

/// Protocol version of a message; no other is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// What delimits a message's body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// This many bytes.
    Exact(u64),
    /// The chunked coding.
    Chunked,
    /// All until the connection closes; responses only.
    UntilClose,
}

/// Why a head is not accepted. Each kind hints the status that a client's head is answered with; an upstream's head
/// is answered 502 whatever is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Not HTTP, or not strictly so; with what is wrong.
    Malformed(&'static str),
    /// The body's length can be read in more than one way (RFC 9112 §6.3).
    AmbiguousFraming(&'static str),
    /// A transfer coding other than chunked (RFC 9112 §6.1).
    UnknownCoding,
    /// CONNECT, which a reverse proxy does not serve (RFC 9110 §9.3.6).
    Connect,
    /// The request target exceeds the limit (RFC 9112 §3).
    TargetTooLong,
    /// The head exceeds the limit in bytes or fields (RFC 6585 §5).
    TooLarge,
    /// The body that the head announces exceeds the limit (RFC 9110 §15.5.14).
    BodyTooLarge,
    /// A major version other than 1 (RFC 9110 §15.6.6).
    Version,
}

impl HeadError {
    /// The status that tells a client of it.
    pub const fn status(self) -> u16 {
        match self {
            HeadError::Malformed(_) | HeadError::AmbiguousFraming(_) => 400,
            HeadError::BodyTooLarge => 413,
            HeadError::TargetTooLong => 414,
            HeadError::TooLarge => 431,
            HeadError::UnknownCoding | HeadError::Connect => 501,
            HeadError::Version => 505,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::Malformed(what) | HeadError::AmbiguousFraming(what) => what,
            HeadError::UnknownCoding => "unknown transfer coding; only chunked is understood",
            HeadError::Connect => "CONNECT is not served here",
            HeadError::TargetTooLong => "the request target is too long",
            HeadError::TooLarge => "the header section is too large",
            HeadError::BodyTooLarge => "the body is too large",
            HeadError::Version => "only HTTP/1.0 and HTTP/1.1 are understood",
        })
    }
}

/// The bits of a [`fields::FieldSet`]: no head may have more fields.
pub const MAX_FIELDS: usize = 128;

/// Offset of `part` in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Whether the head `bytes[..len]` ends in two CR LF and begins, at `start`, behind nothing but such: httparse lets bare LF
/// pass too. That the other lines end so is seen where its fields are (`fields.rs`); it has made sure that CR and LF
/// stand nowhere else.
#[inline]
fn is_within_crlf(bytes: &[u8], start: usize, len: usize) -> bool {
    bytes[..len].ends_with(b"\r\n\r\n") && bytes[..start].chunks(2).all(|pair| pair == b"\r\n")
}
