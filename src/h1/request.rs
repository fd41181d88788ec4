//! Bytes to a request head (RFC 9112 §3).
//!
//! Here: [`RequestHead`], parsed by httparse and judged strictly. Not here: the head that is forwarded
//! (`rewrite.rs`). Floor 1.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::diagnosis;
use super::fields::{FieldSet, Scan, has_bare_lf, named};
use super::persistence::Persistence;
use super::start_line::{self, RequestLine};
use super::target::{self, is_authority};
use super::{BodyLength, MAX_FIELDS, Version, Violation, is_within_crlf, offset};

pub use super::target::{Target, TargetRule};

/// Room for the fields of a head while it is looked at.
pub struct FieldSpace<'a> {
    pub(super) usual: [MaybeUninit<Header<'a>>; MAX_FIELDS],
    /// For heads whose first line httparse does not read.
    pub(super) other: Option<Box<[Header<'a>; MAX_FIELDS]>>,
}

/// Uninitialised room for a head's fields; costs nothing.
pub const fn field_space<'a>() -> FieldSpace<'a> {
    FieldSpace { usual: [const { MaybeUninit::uninit() }; MAX_FIELDS], other: None }
}

/// How large a request may be, and what its target may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of the head, from the request line to the empty line.
    pub head_bytes: usize,
    /// Fields of the head; at most [`MAX_FIELDS`].
    pub fields: usize,
    /// Bytes of the request target. RFC 9112 §3 wants 8,000 at least for the request line.
    pub target_bytes: usize,
    /// Bytes of the body, without its coding.
    pub body_bytes: u64,
    /// Which bytes a target may have.
    pub target: TargetRule,
}

impl Default for RequestLimits {
    fn default() -> RequestLimits {
        RequestLimits {
            head_bytes: 32 * 1024,
            fields: MAX_FIELDS,
            target_bytes: 8 * 1024,
            body_bytes: u64::MAX,
            target: TargetRule::Strict,
        }
    }
}

/// A complete request head that may be acted upon.
pub struct RequestHead<'h, 'b> {
    /// The bytes that were parsed; the head is the first [`RequestHead::len`] of them.
    pub(super) bytes: &'b [u8],
    /// Where the request line begins, after empty lines.
    pub(super) start: usize,
    /// Length of the head with its empty line, and of empty lines before it.
    pub len: usize,
    /// The method as it came.
    pub method: &'b str,
    /// The target by its form.
    pub target: Target<'b>,
    /// The client's version.
    pub version: Version,
    /// The same to the digit: 1.2 to 1.9 are as 1.1.
    pub(super) minor: u8,
    /// All fields in order.
    pub fields: &'h [Header<'b>],
    /// What delimits the body.
    pub body: BodyLength,
    /// Whether the client wants its connection kept.
    pub persistence: Persistence,
    pub(super) scan: Scan,
}

impl<'h, 'b> RequestHead<'h, 'b> {
    /// Parses the head at the start of `bytes`, within the usual limits; `None` if it is not complete yet.
    ///
    /// # Errors
    /// Those of [`RequestHead::parse_within`].
    pub fn parse(
        bytes: &'b [u8],
        space: &'h mut FieldSpace<'b>,
    ) -> Result<Option<RequestHead<'h, 'b>>, Violation> {
        RequestHead::parse_within(&RequestLimits::default(), bytes, space)
    }

    /// Parses the head at the start of `bytes`; `None` if it is not complete yet.
    ///
    /// # Errors
    /// What is wrong with the request; its connection must be closed after the answer, since the end of the request
    /// is not known.
    pub fn parse_within(
        limits: &RequestLimits,
        bytes: &'b [u8],
        space: &'h mut FieldSpace<'b>,
    ) -> Result<Option<RequestHead<'h, 'b>>, Violation> {
        let FieldSpace { usual, other } = space;
        let mut parsed = httparse::Request::new(&mut []);
        let (most, fields) = (limits.head_bytes, limits.fields.min(MAX_FIELDS));
        let len = match parsed.parse_with_uninit_headers(bytes, &mut usual[..fields]) {
            Ok(Status::Complete(len)) if len > most => return Err(too_large(bytes, most)),
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) if bytes.len() >= most => return Err(too_large(bytes, most)),
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::Token | httparse::Error::Version | httparse::Error::NewLine) => {
                return parse_otherwise(limits, bytes, other);
            }
            Err(e) => return Err(diagnosis::of_head(bytes, e)),
        };
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Violation::RequestLine);
        };
        if target.len() > limits.target_bytes {
            return Err(Violation::TargetTooLong);
        }
        let start = offset(bytes, method.as_bytes());
        if !is_within_crlf(bytes, start, len) {
            return Err(Violation::BareLf);
        }
        let target = target::parse(method, target, limits.target)?;
        judge(limits, bytes, &Outline { start, len, method, target, minor }, parsed.headers)
    }

    /// The bytes that came behind the head.
    pub fn rest(&self) -> &'b [u8] {
        &self.bytes[self.len..]
    }

    /// Whether the method may be one that [`RequestHead::max_forwards`] counts; no other has such a number.
    #[inline]
    pub fn may_be_counted(&self) -> bool {
        self.scan.anew && is_counted(self.method)
    }

    /// How often OPTIONS or TRACE may be forwarded, if it says so (RFC 9110 §7.6.2). `Max-Forwards` means nothing of other
    /// methods. A number that is too large is the largest there is.
    ///
    /// # Errors
    /// When it does not say so in one number.
    #[cold]
    pub fn max_forwards(&self) -> Result<Option<u64>, Violation> {
        if !matches!(self.method, "OPTIONS" | "TRACE") {
            return Ok(None);
        }
        let all = named(self.fields, b"max-forwards");
        let mut values = all.positions().map(|i| self.fields[i].value);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Violation::MaxForwards);
        }
        let digit = |b: &u8| u64::from(b - b'0');
        Ok(Some(value.iter().fold(0_u64, |n, b| n.saturating_mul(10).saturating_add(digit(b)))))
    }

    /// The request line as it came, without its end.
    pub fn first_line(&self) -> &'b [u8] {
        let head = &self.bytes[self.start..self.len];
        &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())]
    }

    /// Whether the method is safe to send again although the first sending may have been acted upon
    /// (RFC 9110 §9.2.2).
    #[inline]
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
    }

    /// Whether the response has no body whatever its fields say.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the client asks for a WebSocket in a way that can be granted: by GET, without a body (RFC 6455 §4.1), in
    /// HTTP/1.1 (RFC 9110 §7.8). In any other request `Upgrade` is passed over, as every server may.
    pub fn asks_for_websocket(&self) -> bool {
        self.scan.offers_websocket()
            && self.version == Version::Http11
            && self.method == "GET"
            && self.body == BodyLength::None
    }

    /// The value of the first field of that name, given in any case.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Host and port that the request is for (RFC 9112 §3.2.2, §3.2): those of the target or of `Host`; none in
    /// HTTP/1.0 without either.
    pub fn authority(&self) -> Option<&'b [u8]> {
        self.target.authority().map_or_else(|| self.field("host"), |authority| Some(authority.as_bytes()))
    }

    /// Where `X-Request-Id` stands, and its value if there is exactly one that is not for this hop alone.
    pub fn request_id(&self) -> (FieldSet, Option<&'b [u8]>) {
        let all = named(self.fields, b"x-request-id");
        let mut positions = all.positions();
        let only = match (positions.next(), positions.next()) {
            (Some(only), None) if !self.scan.dropped.contains(only) => Some(self.fields[only].value),
            _ => None,
        };
        (all, only)
    }

    /// Whether it has credentials of a scheme that logs in a connection (RFC 4559 §5): they hold for what follows on it.
    #[inline]
    pub const fn logs_in(&self) -> bool {
        self.scan.credentials
    }

    /// Whether the client waits for a 100 (Continue) before it sends the body (RFC 9110 §10.1.1), and the backend is told so.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.scan.expect && self.version == Version::Http11 && self.asks_to_continue()
    }

    #[cold]
    fn asks_to_continue(&self) -> bool {
        let said = |i: usize| {
            self.fields[i].value.eq_ignore_ascii_case(b"100-continue") && !self.scan.dropped.contains(i)
        };
        self.expectations().positions().any(said)
    }

    /// Where `Expect` stands.
    pub(super) fn expectations(&self) -> FieldSet {
        named(self.fields, b"expect")
    }
}

/// What a parser finds in a head beside its fields.
struct Outline<'b> {
    start: usize,
    len: usize,
    method: &'b str,
    target: Target<'b>,
    minor: u8,
}

/// Whether the method may be OPTIONS or TRACE, of which the number of forwardings is written anew.
#[inline]
fn is_counted(method: &str) -> bool {
    matches!(method.as_bytes(), [b'O' | b'T', ..])
}

/// Judges a head that is complete.
#[inline(always)]
fn judge<'h, 'b>(
    limits: &RequestLimits,
    bytes: &'b [u8],
    outline: &Outline<'b>,
    fields: &'h [Header<'b>],
) -> Result<Option<RequestHead<'h, 'b>>, Violation> {
    let Outline { start, len, method, target, minor } = *outline;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let mut scan = Scan::default();
    scan.look_at(bytes, fields, version)?;
    if scan.anew && has_bare_lf(bytes, fields) {
        return Err(Violation::BareLf);
    }
    scan.anew |= is_counted(method);
    check_host(&scan, fields, version)?;
    let body = scan.framing.of_request()?;
    if matches!(body, BodyLength::Exact(n) if n > limits.body_bytes) {
        return Err(Violation::BodyTooLarge);
    }
    let persistence = Persistence::of_message(version, scan.close, scan.keep_alive);
    Ok(Some(RequestHead {
        bytes,
        start,
        len,
        method,
        target,
        version,
        minor,
        fields,
        body,
        persistence,
        scan,
    }))
}

/// Parses a head whose first line httparse refuses, maybe rightly.
#[cold]
#[inline(never)]
fn parse_otherwise<'h, 'b>(
    limits: &RequestLimits,
    bytes: &'b [u8],
    space: &'h mut Option<Box<[Header<'b>; MAX_FIELDS]>>,
) -> Result<Option<RequestHead<'h, 'b>>, Violation> {
    let (most, fields) = (limits.head_bytes, limits.fields.min(MAX_FIELDS));
    let partial = || if bytes.len() >= most { Err(too_large(bytes, most)) } else { Ok(None) };
    let Some(line) = start_line::request(bytes)? else { return partial() };
    let RequestLine { start, end, method, minor, .. } = line;
    let target = target::parse_bytes(method, line.target, limits.target)?;
    let space = space.insert(Box::new([httparse::EMPTY_HEADER; MAX_FIELDS]));
    let (len, fields) = match httparse::parse_headers(&bytes[end..], &mut space[..fields]) {
        Ok(Status::Complete((len, fields))) => (end + len, fields),
        Ok(Status::Partial) => return partial(),
        Err(e) => return Err(diagnosis::of_head(bytes, e)),
    };
    if len > most {
        return Err(too_large(bytes, most));
    }
    if line.target.len() > limits.target_bytes {
        return Err(Violation::TargetTooLong);
    }
    if !is_within_crlf(bytes, start, len) {
        return Err(Violation::BareLf);
    }
    let mut head = judge(limits, bytes, &Outline { start, len, method, target, minor }, fields)?;
    if let Some(head) = &mut head {
        head.scan.anew |= minor > 1;
    }
    Ok(head)
}

/// Whether bytes that are refused as a request head, or are only part of one, begin as HEAD does: whoever sent them takes
/// no content for an answer (RFC 9110 §9.3.2).
pub fn begins_as_head(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"HEAD ")
}

/// A head of more than `most` bytes: is it the request line alone, after empty lines, that is so long?
fn too_large(bytes: &[u8], most: usize) -> Violation {
    match memchr::memchr(b'\n', bytes[..bytes.len().min(most)].trim_ascii_start()) {
        Some(_) => Violation::HeadTooLarge,
        None => Violation::TargetTooLong,
    }
}

/// RFC 9112 §3.2: exactly one valid `Host` in HTTP/1.1, at most one in HTTP/1.0.
#[inline(always)]
fn check_host(scan: &Scan, fields: &[Header<'_>], version: Version) -> Result<(), Violation> {
    match scan.host {
        None if version == Version::Http11 => Err(Violation::NoHost),
        _ if scan.several_hosts => Err(Violation::SeveralHosts),
        Some(i) if !is_authority(fields[usize::from(i)].value) => Err(Violation::HostForm),
        _ => Ok(()),
    }
}
