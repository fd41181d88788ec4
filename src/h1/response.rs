//! Bytes to a response head (RFC 9112 §4).
//!
//! Here: [`ResponseHead`], interim ones included, parsed by httparse and judged strictly. Not here: the head that is
//! forwarded (`rewrite.rs`). Floor 1.

use httparse::{Header, Status};

use super::diagnosis;
use super::fields::{Scan, has_bare_lf};
use super::persistence::Persistence;
use super::request::FieldSpace;
use super::start_line::{self, StatusLine};
use super::{BodyLength, MAX_FIELDS, Version, Violation, is_within_crlf};

/// A backend's head may take this many bytes. Larger than a request's: applications set large cookies and policies.
pub const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;

/// The status whose `Upgrade` is passed on (RFC 9110 §15.5.22).
pub(super) const UPGRADE_REQUIRED: u16 = 426;

/// How the lines of a response head may end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// In CR LF, as senders must.
    CrLf,
    /// In LF alone too, as recipients may have it (RFC 9112 §2.2).
    #[default]
    LfToo,
}

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
    /// Parses the head at the start of `bytes`, which answers a HEAD request or not, strictly; `None` if it is not complete
    /// yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        bytes: &'b [u8],
        to_head: bool,
        space: &'h mut FieldSpace<'b>,
    ) -> Result<Option<ResponseHead<'h, 'b>>, Violation> {
        ResponseHead::parse_with(LineEnds::CrLf, bytes, to_head, space)
    }

    /// The same with lines that may end otherwise.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_with(
        line_ends: LineEnds,
        bytes: &'b [u8],
        to_head: bool,
        space: &'h mut FieldSpace<'b>,
    ) -> Result<Option<ResponseHead<'h, 'b>>, Violation> {
        let FieldSpace { usual, other } = space;
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let len = match config.parse_response_with_uninit_headers(&mut parsed, bytes, usual) {
            Ok(Status::Complete(len)) if len > MAX_RESPONSE_HEAD_BYTES => {
                return Err(Violation::HeadTooLarge);
            }
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) if bytes.len() >= MAX_RESPONSE_HEAD_BYTES => {
                return Err(Violation::HeadTooLarge);
            }
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::Version) => return parse_otherwise(line_ends, bytes, to_head, other),
            Err(e) => return Err(diagnosis::of_head(bytes, e)),
        };
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(Violation::StatusLine);
        };
        if !bytes.starts_with(b"HTTP/") {
            return Err(Violation::EmptyLineFirst);
        }
        let reason = parsed.reason.unwrap_or_default();
        judge(line_ends, bytes, &Outline { len, minor, status, reason, to_head }, parsed.headers)
    }

    /// Whether the connection is to be logged in by what follows on it: the challenge of a scheme that does so (RFC 4559 §5).
    #[inline]
    pub const fn asks_for_login(&self) -> bool {
        self.scan.challenge && matches!(self.status, 401 | 407)
    }

    /// Whether the connection speaks WebSocket from here on, and nothing else: a 101 must name the protocol, once
    /// (RFC 9110 §15.2.2, RFC 6455 §4.1).
    pub fn switches_to_websocket(&self) -> bool {
        self.status == 101 && self.version == Version::Http11 && self.scan.is_of_websocket()
    }
}

/// What a parser finds in a head beside its fields, and what it answers.
struct Outline<'b> {
    len: usize,
    minor: u8,
    status: u16,
    reason: &'b str,
    to_head: bool,
}

/// Judges a head that is complete.
#[inline(always)]
fn judge<'h, 'b>(
    line_ends: LineEnds,
    bytes: &'b [u8],
    outline: &Outline<'b>,
    fields: &'h [Header<'b>],
) -> Result<Option<ResponseHead<'h, 'b>>, Violation> {
    let Outline { len, minor, status, reason, to_head } = *outline;
    if status < 100 {
        return Err(Violation::StatusCode);
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let mut scan = Scan::default();
    scan.look_at(bytes, fields, version)?;
    let is_cut = !is_within_crlf(bytes, 0, len);
    if is_cut | scan.anew {
        if line_ends == LineEnds::CrLf && (is_cut || has_bare_lf(bytes, fields)) {
            return Err(Violation::BareLf);
        }
        scan.anew = true;
    }
    scan.anew |= status == UPGRADE_REQUIRED;
    let body = scan.framing.of_response(status, to_head)?;
    let persistence = Persistence::of_message(version, scan.close, scan.keep_alive);
    Ok(Some(ResponseHead { bytes, len, status, reason, version, fields, body, persistence, scan }))
}

/// Parses a head whose status line httparse refuses, maybe rightly.
#[cold]
#[inline(never)]
fn parse_otherwise<'h, 'b>(
    line_ends: LineEnds,
    bytes: &'b [u8],
    to_head: bool,
    space: &'h mut Option<Box<[Header<'b>; MAX_FIELDS]>>,
) -> Result<Option<ResponseHead<'h, 'b>>, Violation> {
    let partial = || match bytes.len() >= MAX_RESPONSE_HEAD_BYTES {
        true => Err(Violation::HeadTooLarge),
        false => Ok(None),
    };
    let Some(StatusLine { end, minor, status, reason }) = start_line::status(bytes)? else {
        return partial();
    };
    let space = space.insert(Box::new([httparse::EMPTY_HEADER; MAX_FIELDS]));
    let (len, fields) = match httparse::parse_headers(&bytes[end..], &mut space[..]) {
        Ok(Status::Complete((len, fields))) => (end + len, fields),
        Ok(Status::Partial) => return partial(),
        Err(e) => return Err(diagnosis::of_head(bytes, e)),
    };
    if len > MAX_RESPONSE_HEAD_BYTES {
        return Err(Violation::HeadTooLarge);
    }
    let mut head = judge(line_ends, bytes, &Outline { len, minor, status, reason, to_head }, fields)?;
    if let Some(head) = &mut head {
        head.scan.anew |= minor > 1;
    }
    Ok(head)
}
