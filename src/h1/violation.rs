//! What a message breaks: one row per rule.
//!
//! Here: [`Violation`], each with the status that tells a client of it, a word for metrics and a sentence for people. Not
//! here: finding out (`request.rs`, `response.rs`, `body.rs`, `diagnosis.rs`). Floor 1.

use std::fmt;

/// Why a head or a body is not accepted. A client is answered with [`Violation::status`]; the answer of an upstream is
/// replaced by 502 whatever is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A line begins with white space and so continues the one before (RFC 9112 §5.2).
    FoldedLine,
    /// White space between the first line and the first field (RFC 9112 §2.2).
    SpaceBeforeFields,
    /// White space within a field's name, or between it and the colon (RFC 9112 §5.1).
    SpaceInName,
    /// A line of the header or trailer section without a colon.
    NoColon,
    /// A line that begins with the colon.
    NoName,
    /// A character in a field's name that is none of a token (RFC 9110 §5.1).
    NameCharacter,
    /// CR without LF (RFC 9112 §2.2).
    BareCr,
    /// LF without CR (RFC 9112 §2.2).
    BareLf,
    /// NUL or another control character (RFC 9110 §5.5).
    ControlCharacter,
    /// Not `method SP target SP version` (RFC 9112 §3).
    RequestLine,
    /// Not `version SP status SP reason` (RFC 9112 §4).
    StatusLine,
    /// A status below 100 (RFC 9110 §15).
    StatusCode,
    /// An empty line before a response.
    EmptyLineFirst,
    /// Not `HTTP/digit.digit` (RFC 9112 §2.3).
    VersionForm,
    /// A major version other than 1 (RFC 9110 §15.6.6).
    OtherVersion,
    /// A request target of none of the four forms (RFC 9112 §3.2).
    TargetForm,
    /// A fragment in a request target (RFC 9112 §3.2).
    TargetFragment,
    /// Bytes in a request target that are not ASCII (RFC 9112 §3.2).
    TargetNotAscii,
    /// A request target without a valid host (RFC 9112 §3.2.2).
    TargetAuthority,
    /// A request target for https on a connection that is clear text (RFC 9110 §7.4).
    SecureTarget,
    /// The request target exceeds the limit (RFC 9112 §3).
    TargetTooLong,
    /// CONNECT, which a reverse proxy does not serve (RFC 9110 §9.3.6).
    Connect,
    /// No `Host` in HTTP/1.1 (RFC 9112 §3.2).
    NoHost,
    /// More than one `Host`.
    SeveralHosts,
    /// A `Host` that is no host.
    HostForm,
    /// More than one `Content-Length` (RFC 9112 §6.3).
    SeveralLengths,
    /// A `Content-Length` that is no number (RFC 9110 §8.6).
    LengthForm,
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 §6.3).
    LengthAndCoding,
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1).
    CodingInHttp10,
    /// A transfer coding applied to a chunked body (RFC 9112 §6.1).
    CodingAfterChunked,
    /// A last transfer coding that is not chunked (RFC 9112 §6.3).
    CodingNotChunked,
    /// A transfer coding other than chunked (RFC 9112 §6.1).
    UnknownCoding,
    /// A `Max-Forwards` that is no number, or more than one (RFC 9110 §7.6.2).
    MaxForwards,
    /// The head exceeds the limit in bytes (RFC 6585 §5).
    HeadTooLarge,
    /// The head exceeds the limit in fields (RFC 6585 §5).
    TooManyFields,
    /// The body exceeds the limit (RFC 9110 §15.5.14).
    BodyTooLarge,
    /// A 101 that nobody asked for, or to another protocol (RFC 9110 §15.2.2).
    UnaskedSwitch,
    /// Interim answers without number before the final one (RFC 9110 §15.2).
    TooManyInterim,
    /// A chunk's size that is no hexadecimal number (RFC 9112 §7.1).
    ChunkSize,
    /// A chunk's size that exceeds 64 bits (RFC 9112 §7.1).
    ChunkSizeTooLarge,
    /// White space at the end of the line before a chunk (RFC 9112 §7.1).
    ChunkLineSpace,
    /// An extension that is not of its grammar (RFC 9112 §7.1.1).
    ChunkExtension,
    /// Something else than CR LF behind a chunk's data (RFC 9112 §7.1).
    ChunkEnd,
    /// Extensions of a chunk, or trailer fields, that exceed the limit (RFC 9112 §7.1.1).
    ChunkedTooLarge,
}

impl Violation {
    /// All of them, in order.
    pub const ALL: [Violation; 44] = [
        Violation::FoldedLine,
        Violation::SpaceBeforeFields,
        Violation::SpaceInName,
        Violation::NoColon,
        Violation::NoName,
        Violation::NameCharacter,
        Violation::BareCr,
        Violation::BareLf,
        Violation::ControlCharacter,
        Violation::RequestLine,
        Violation::StatusLine,
        Violation::StatusCode,
        Violation::EmptyLineFirst,
        Violation::VersionForm,
        Violation::OtherVersion,
        Violation::TargetForm,
        Violation::TargetFragment,
        Violation::TargetNotAscii,
        Violation::TargetAuthority,
        Violation::SecureTarget,
        Violation::TargetTooLong,
        Violation::Connect,
        Violation::NoHost,
        Violation::SeveralHosts,
        Violation::HostForm,
        Violation::SeveralLengths,
        Violation::LengthForm,
        Violation::LengthAndCoding,
        Violation::CodingInHttp10,
        Violation::CodingAfterChunked,
        Violation::CodingNotChunked,
        Violation::UnknownCoding,
        Violation::MaxForwards,
        Violation::HeadTooLarge,
        Violation::TooManyFields,
        Violation::BodyTooLarge,
        Violation::UnaskedSwitch,
        Violation::TooManyInterim,
        Violation::ChunkSize,
        Violation::ChunkSizeTooLarge,
        Violation::ChunkLineSpace,
        Violation::ChunkExtension,
        Violation::ChunkEnd,
        Violation::ChunkedTooLarge,
    ];

    /// The status that tells a client of it.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// A word for metrics.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// A sentence for people, without its full stop.
    pub const fn words(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Violation::FoldedLine => (400, "folded-line", "a folded line (obs-fold)"),
            Violation::SpaceBeforeFields => {
                (400, "space-before-fields", "white space before the first field")
            }
            Violation::SpaceInName => (400, "space-in-name", "white space in or behind a field's name"),
            Violation::NoColon => (400, "no-colon", "a field without a colon"),
            Violation::NoName => (400, "no-name", "a field without a name"),
            Violation::NameCharacter => {
                (400, "name-character", "a character in a field's name that has no place there")
            }
            Violation::BareCr => (400, "bare-cr", "CR without LF"),
            Violation::BareLf => (400, "bare-lf", "a line does not end in CR LF"),
            Violation::ControlCharacter => (400, "control-character", "a control character in a line"),
            Violation::RequestLine => (400, "request-line", "malformed request line"),
            Violation::StatusLine => (400, "status-line", "malformed status line"),
            Violation::StatusCode => (400, "status-code", "a status code below 100"),
            Violation::EmptyLineFirst => (400, "empty-line-first", "an empty line before the status line"),
            Violation::VersionForm => (400, "version-form", "malformed protocol version"),
            Violation::OtherVersion => (505, "other-version", "only HTTP/1 is understood"),
            Violation::TargetForm => (400, "target-form", "malformed request target"),
            Violation::TargetFragment => (400, "target-fragment", "a request target has no fragment"),
            Violation::TargetNotAscii => (400, "target-not-ascii", "a request target is of ASCII characters"),
            Violation::TargetAuthority => {
                (400, "target-authority", "malformed authority in the request target")
            }
            Violation::SecureTarget => {
                (421, "secure-target", "the target is for https, and this connection is clear text")
            }
            Violation::TargetTooLong => (414, "target-too-long", "the request target is too long"),
            Violation::Connect => (501, "connect", "CONNECT is not served here"),
            Violation::NoHost => (400, "no-host", "no Host field"),
            Violation::SeveralHosts => (400, "several-hosts", "more than one Host field"),
            Violation::HostForm => (400, "host-form", "malformed Host field"),
            Violation::SeveralLengths => (400, "several-lengths", "more than one Content-Length"),
            Violation::LengthForm => (400, "length-form", "Content-Length is not a number"),
            Violation::LengthAndCoding => {
                (400, "length-and-coding", "both Content-Length and Transfer-Encoding")
            }
            Violation::CodingInHttp10 => (400, "coding-in-http10", "Transfer-Encoding in HTTP/1.0"),
            Violation::CodingAfterChunked => (400, "coding-after-chunked", "a transfer coding after chunked"),
            Violation::CodingNotChunked => {
                (400, "coding-not-chunked", "Transfer-Encoding does not end in chunked")
            }
            Violation::UnknownCoding => {
                (501, "unknown-coding", "unknown transfer coding; only chunked is understood")
            }
            Violation::MaxForwards => (400, "max-forwards", "Max-Forwards is not one number"),
            Violation::HeadTooLarge => (431, "head-too-large", "the header section is too large"),
            Violation::TooManyFields => (431, "too-many-fields", "too many fields in the header section"),
            Violation::BodyTooLarge => (413, "body-too-large", "the body is too large"),
            Violation::UnaskedSwitch => {
                (400, "unasked-switch", "a switch to a protocol that was not asked for")
            }
            Violation::TooManyInterim => (400, "too-many-interim", "too many interim answers"),
            Violation::ChunkSize => (400, "chunk-size", "a chunk's size is not a number"),
            Violation::ChunkSizeTooLarge => (400, "chunk-size-too-large", "a chunk's size is too large"),
            Violation::ChunkLineSpace => {
                (400, "chunk-line-space", "white space at the end of a chunk's line")
            }
            Violation::ChunkExtension => (400, "chunk-extension", "a chunk extension is malformed"),
            Violation::ChunkEnd => (400, "chunk-end", "no CR LF behind a chunk's data"),
            Violation::ChunkedTooLarge => {
                (400, "chunked-too-large", "chunk extensions or trailer fields are too large")
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// How often each was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViolationCounts([u64; Violation::ALL.len()]);

impl Default for ViolationCounts {
    fn default() -> ViolationCounts {
        ViolationCounts([0; Violation::ALL.len()])
    }
}

impl ViolationCounts {
    /// It was seen once more.
    pub fn add(&mut self, violation: Violation) {
        if let Some(count) = self.0.get_mut(violation as usize) {
            *count += 1;
        }
    }

    /// Those that were seen, and how often.
    pub fn seen(&self) -> impl Iterator<Item = (Violation, u64)> {
        Violation::ALL.into_iter().zip(self.0).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place_and_its_own_name_and_words() {
        for (i, violation) in Violation::ALL.into_iter().enumerate() {
            assert_eq!(violation as usize, i);
            assert!((400..=599).contains(&violation.status()));
            assert!(
                violation.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            let others = || Violation::ALL.into_iter().filter(|other| *other != violation);
            assert!(others().all(|o| o.name() != violation.name() && o.words() != violation.words()));
        }
    }

    #[test]
    fn what_is_seen_is_counted_apart() {
        let mut counts = ViolationCounts::default();
        assert_eq!(counts.seen().count(), 0);
        counts.add(Violation::ChunkedTooLarge);
        counts.add(Violation::FoldedLine);
        counts.add(Violation::FoldedLine);
        let seen: Vec<_> = counts.seen().collect();
        assert_eq!(seen, [(Violation::FoldedLine, 2), (Violation::ChunkedTooLarge, 1)]);
    }
}
