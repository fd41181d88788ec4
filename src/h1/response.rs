//! Bytes to a response head (RFC 9112 §4).
//!
//! Here: [`ResponseHead`], interim ones included, parsed by httparse and judged strictly. Not here: the head that is
//! forwarded (`rewrite.rs`). Floor 1.

use httparse::{Header, Status};

use super::diagnosis;
use super::fields::Scan;
use super::persistence::Persistence;
use super::request::FieldSpace;
use super::{BodyLength, Version, Violation, is_within_crlf};

/// A backend's head may take this many bytes. Larger than a request's: applications set large cookies and policies.
pub const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;

/// A complete response head.
pub struct ResponseHead<'h, 'b> {
    pub(super) bytes: &'b [u8],
    /// Length of the head with its empty line.
    pub len: usize,
    /// Three digits, 100 to 999.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: &'b str,
    /// The sender's version.
    pub version: Version,
    /// All fields in order.
    pub fields: &'h [Header<'b>],
    /// What delimits the body.
    pub body: BodyLength,
    /// Whether the sender keeps the connection.
    pub persistence: Persistence,
    pub(super) scan: Scan,
}

impl<'h, 'b> ResponseHead<'h, 'b> {
    /// Parses the head at the start of `bytes`, which answers a HEAD request or not; `None` if it is not complete
    /// yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        bytes: &'b [u8],
        to_head: bool,
        space: &'h mut FieldSpace<'b>,
    ) -> Result<Option<ResponseHead<'h, 'b>>, Violation> {
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let len = match config.parse_response_with_uninit_headers(&mut parsed, bytes, space) {
            Ok(Status::Complete(len)) if len > MAX_RESPONSE_HEAD_BYTES => {
                return Err(Violation::HeadTooLarge);
            }
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) if bytes.len() >= MAX_RESPONSE_HEAD_BYTES => {
                return Err(Violation::HeadTooLarge);
            }
            Ok(Status::Partial) => return Ok(None),
            Err(e) => return Err(diagnosis::of_head(bytes, e)),
        };
        let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
            return Err(Violation::StatusLine);
        };
        if !(100..=999).contains(&status) {
            return Err(Violation::StatusCode);
        }
        let fields: &'h [Header<'b>] = parsed.headers;
        if !bytes.starts_with(b"HTTP/") {
            return Err(Violation::EmptyLineFirst);
        }
        if !is_within_crlf(bytes, 0, len) {
            return Err(Violation::BareLf);
        }
        let version = if version == 0 { Version::Http10 } else { Version::Http11 };
        let mut scan = Scan::default();
        scan.look_at(bytes, fields, version)?;
        let body = scan.framing.of_response(status, to_head)?;
        let persistence = Persistence::of_message(version, scan.close, scan.keep_alive);
        let reason = parsed.reason.unwrap_or_default();
        Ok(Some(ResponseHead { bytes, len, status, reason, version, fields, body, persistence, scan }))
    }

    /// Whether the connection speaks WebSocket from here on, and nothing else: a 101 must name the protocol, once
    /// (RFC 9110 §15.2.2, RFC 6455 §4.1).
    pub fn switches_to_websocket(&self) -> bool {
        self.status == 101 && self.version == Version::Http11 && self.scan.is_of_websocket()
    }
}
