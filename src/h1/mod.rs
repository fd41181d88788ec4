//! HTTP/1.1 as pure functions on slices (RFC 9110, RFC 9112).
//!
//! Here: heads, framing, bodies, persistence, the heads we forward and those we originate: bytes in, decisions
//! out. Not here: sockets, buffers, time. The handlers (`proxy/`, `testbed/`) call it. Floor 1.

pub mod body;
mod chunked;
pub mod coding;
mod date;
mod diagnosis;
pub mod fields;
pub mod framing;
pub mod persistence;
mod provenance;
pub mod reply;
pub mod request;
pub mod request_id;
pub mod response;
pub mod rewrite;
mod start_line;
mod target;
pub mod timing;
pub mod via;
pub mod violation;

pub use date::HttpDate;
pub use violation::Violation;

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

/// The bits of a [`fields::FieldSet`]: no head may have more fields.
pub const MAX_FIELDS: usize = 128;

/// Offset of `part` in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Whether the head `bytes[..len]` ends in two CR LF and begins, at `start`, behind nothing but such: httparse lets bare LF
/// pass too. That the other lines end so is seen where its fields are (`fields.rs`); it has made sure that CR and LF
/// stand nowhere else.
#[inline(always)]
fn is_within_crlf(bytes: &[u8], start: usize, len: usize) -> bool {
    bytes[..len].ends_with(b"\r\n\r\n") && (start == 0 || is_of_empty_lines(&bytes[..start]))
}

#[cold]
fn is_of_empty_lines(bytes: &[u8]) -> bool {
    bytes.chunks(2).all(|pair| pair == b"\r\n")
}

/// A character of a token (RFC 9110 §5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// A character of a field's value, or of a quoted string: no control but the tab.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
