//! Bytes to a request head (RFC 9112 §3).
//!
//! Here: [`RequestHead`], parsed by httparse and judged strictly. Not here: the head that is forwarded
//! (`rewrite.rs`). Floor 1.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::diagnosis;
use super::fields::{FieldSet, Scan, named};
use super::persistence::Persistence;
use super::{BodyLength, MAX_FIELDS, Version, Violation, is_within_crlf, offset};

/// Room for the fields of a head while it is looked at.
pub type FieldSpace<'a> = [MaybeUninit<Header<'a>>; MAX_FIELDS];

/// Uninitialised room for a head's fields; costs nothing.
pub const fn field_space<'a>() -> FieldSpace<'a> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// How large a request may be.
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
}

impl Default for RequestLimits {
    fn default() -> RequestLimits {
        RequestLimits {
            head_bytes: 32 * 1024,
            fields: MAX_FIELDS,
            target_bytes: 8 * 1024,
            body_bytes: u64::MAX,
        }
    }
}

/// The request target, by its form (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/path?query`, or `*` for OPTIONS.
    Origin(&'a str),
    /// `http://authority/path?query`; the path may be empty.
    Absolute {
        /// Host and port, which take the place of `Host` (RFC 9112 §3.2.2).
        authority: &'a str,
        /// Path and query as they came, possibly empty.
        path: &'a str,
    },
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
        let mut parsed = httparse::Request::new(&mut []);
        let most = limits.head_bytes;
        let len = match parsed.parse_with_uninit_headers(bytes, &mut space[..limits.fields.min(MAX_FIELDS)]) {
            Ok(Status::Complete(len)) if len > most => return Err(too_large(bytes, most)),
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) if bytes.len() >= most => return Err(too_large(bytes, most)),
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::Version) => return Err(version(bytes)),
            Err(e) => return Err(diagnosis::of_head(bytes, e)),
        };
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Violation::RequestLine);
        };
        if target.len() > limits.target_bytes {
            return Err(Violation::TargetTooLong);
        }
        let fields: &'h [Header<'b>] = parsed.headers;
        let start = offset(bytes, method.as_bytes());
        if !is_within_crlf(bytes, start, len) {
            return Err(Violation::BareLf);
        }
        let version = if version == 0 { Version::Http10 } else { Version::Http11 };
        let target = parse_target(method, target)?;
        let mut scan = Scan::default();
        scan.look_at(bytes, fields, version)?;
        check_host(&scan, fields, version)?;
        let body = scan.framing.of_request()?;
        if matches!(body, BodyLength::Exact(n) if n > limits.body_bytes) {
            return Err(Violation::BodyTooLarge);
        }
        let persistence = Persistence::of_message(version, scan.close, scan.keep_alive);
        Ok(Some(RequestHead { bytes, start, len, method, target, version, fields, body, persistence, scan }))
    }

    /// The bytes that came behind the head.
    pub fn rest(&self) -> &'b [u8] {
        &self.bytes[self.len..]
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
        match self.target {
            Target::Absolute { authority, .. } => Some(authority.as_bytes()),
            Target::Origin(_) => self.field("host"),
        }
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

/// What stands in the place of the version is one that we do not speak, or none: `GET /a b HTTP/1.1`.
fn version(bytes: &[u8]) -> Violation {
    let third = bytes.trim_ascii_start().splitn(3, |&b| b == b' ').nth(2).unwrap_or_default();
    if third.starts_with(b"HTTP/") { Violation::OtherVersion } else { Violation::RequestLine }
}

fn parse_target<'a>(method: &str, target: &'a str) -> Result<Target<'a>, Violation> {
    if method == "CONNECT" {
        return Err(Violation::Connect);
    }
    // RFC 9112 §3.2: what is not ASCII is percent-encoded, and others would not read it as we do.
    if !is_plain(target) {
        return Err(match target.is_ascii() {
            true => Violation::TargetFragment,
            false => Violation::TargetNotAscii,
        });
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(Target::Origin(target));
    }
    let scheme = target.get(..7).filter(|s| s.eq_ignore_ascii_case("http://"));
    let rest = scheme.map(|s| &target[s.len()..]).ok_or(Violation::TargetForm)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() || !is_authority(authority.as_bytes()) {
        return Err(Violation::TargetAuthority);
    }
    Ok(Target::Absolute { authority, path })
}

/// Whether a target is of ASCII and without a fragment. Apart, for the registers' sake.
#[inline(never)]
fn is_plain(target: &str) -> bool {
    match target.len() {
        // Done before a search for many bytes at a time has begun.
        ..16 => target.bytes().all(|b| b.is_ascii() && b != b'#'),
        _ => target.is_ascii() && memchr::memchr(b'#', target.as_bytes()).is_none(),
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

/// `uri-host [ ":" port ]` of RFC 3986 §3.2, loosely: no user information, no delimiter that would end it.
#[inline(never)]
fn is_authority(value: &[u8]) -> bool {
    let Some(end) = value.iter().position(|&b| !HOST_BYTES[usize::from(b)]) else { return true };
    is_literal_or_port(value, end)
}

/// The same of one whose first byte that is not of a name stands at `end`.
fn is_literal_or_port(value: &[u8], end: usize) -> bool {
    let rest = match value[end] {
        b'[' if end == 0 => match after_literal(&value[1..]) {
            Some(rest) => rest,
            None => return false,
        },
        _ => &value[end..],
    };
    rest.strip_prefix(b":").map_or(rest.is_empty(), |port| port.iter().all(u8::is_ascii_digit))
}

/// What follows the IPv6 address at the start of `value` and its bracket.
fn after_literal(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|&b| b == b']')?;
    let is_address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    (end > 0 && value[..end].iter().all(is_address)).then(|| &value[end + 1..])
}

const HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        table[b] = is_host_byte(b as u8);
        b += 1;
    }
    table
};

const fn is_host_byte(b: u8) -> bool {
    // unreserved, percent-encoded, sub-delims
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}
