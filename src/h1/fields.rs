//! Header fields that a proxy must understand.
//!
//! Here: which field a name is, sets of fields by position, and one pass over a head that collects framing,
//! connection options and the hop-by-hop fields (RFC 9110 §7.6.1). Not here: what follows from them
//! (`framing.rs`, `persistence.rs`, `rewrite.rs`). Floor 1.

use super::framing::FramingFields;
use super::{Version, Violation, offset};

/// A set of fields of one head, by their position. Two words instead of one of 128 bits: shifting that takes a dozen
/// instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet([u64; 2]);

impl FieldSet {
    /// Adds the field at `position`, below [`super::MAX_FIELDS`].
    #[inline]
    pub fn insert(&mut self, position: usize) {
        self.0[position / 64 % 2] |= 1 << (position % 64);
    }

    /// Whether the field at `position` is in the set.
    #[inline]
    pub const fn contains(self, position: usize) -> bool {
        self.0[position / 64 % 2] >> (position % 64) & 1 == 1
    }

    /// The positions of its fields, ascending.
    #[inline]
    pub fn positions(self) -> impl Iterator<Item = usize> {
        let FieldSet([mut half, mut high]) = self;
        let mut first = 0;
        std::iter::from_fn(move || {
            if half == 0 {
                (half, high, first) = (high, 0, 64);
            }
            let position = half.trailing_zeros();
            half &= half.wrapping_sub(1);
            (position < u64::BITS).then_some(first + position as usize)
        })
    }

    /// Calls `each` with the positions of its fields, ascending. Takes less than asking an iterator again and again.
    #[inline]
    pub fn for_each(self, mut each: impl FnMut(usize)) {
        for (first, mut left) in [(0, self.0[0]), (64, self.0[1])] {
            while left != 0 {
                each(first + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }

    /// The fields of either set.
    #[must_use]
    pub const fn union(self, other: FieldSet) -> FieldSet {
        FieldSet([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// Whether no field is in the set.
    pub const fn is_empty(self) -> bool {
        self.0[0] | self.0[1] == 0
    }
}

/// A field that the proxy reads, removes or adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// What asks for credentials, of an origin or a proxy.
    Challenge,
    Connection,
    ContentLength,
    /// Those credentials.
    Credentials,
    Date,
    Expect,
    Host,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    Other,
}

/// Which field a name is, without regard to case (RFC 9110 §5.1): by length first, then as folded words. A name is a
/// token, as the parser has made sure, and no two tokens that differ in more than case fold to the same word.
#[inline(always)]
pub(super) fn field(name: &str) -> Field {
    let name = name.as_bytes();
    match name.len() {
        2 if same(name, b"te") => Field::Te,
        3 if same(name, b"via") => Field::Via,
        4 if same(name, b"host") => Field::Host,
        4 if same(name, b"date") => Field::Date,
        6 if same(name, b"expect") => Field::Expect,
        7 if same(name, b"upgrade") => Field::Upgrade,
        7 if same(name, b"trailer") => Field::Trailer,
        10 if same(name, b"connection") => Field::Connection,
        10 if same(name, b"keep-alive") => Field::KeepAlive,
        13 if same(name, b"authorization") => Field::Credentials,
        14 if same(name, b"content-length") => Field::ContentLength,
        15 if same(name, b"x-forwarded-for") => Field::XForwardedFor,
        16 if same(name, b"proxy-connection") => Field::ProxyConnection,
        16 if same(name, b"x-forwarded-host") => Field::XForwardedHost,
        16 if same(name, b"www-authenticate") => Field::Challenge,
        17 if same(name, b"transfer-encoding") => Field::TransferEncoding,
        17 if same(name, b"x-forwarded-proto") => Field::XForwardedProto,
        18 if same(name, b"proxy-authenticate") => Field::Challenge,
        19 if same(name, b"proxy-authorization") => Field::Credentials,
        _ => Field::Other,
    }
}

/// Whether a token is `known` but for its case. `known` is lower-case, of letters and hyphens; setting bit 5 leaves
/// those as they are and folds capitals to them, and no other byte of a token.
#[inline(always)]
fn same<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    // Spelt out as words: left to itself the compiler compares bytes, each with a jump of its own.
    let ((words, name), (known_words, known)) = (name.as_chunks::<8>(), known.as_chunks::<8>());
    let ((halves, name), (known_halves, known)) = (name.as_chunks::<4>(), known.as_chunks::<4>());
    let ((pairs, name), (known_pairs, known)) = (name.as_chunks::<2>(), known.as_chunks::<2>());
    let words = words.iter().zip(known_words).fold(0, |differing, (word, known)| {
        differing | ((u64::from_le_bytes(*word) | u64::from_le_bytes([0x20; 8])) ^ u64::from_le_bytes(*known))
    });
    let halves = halves.iter().zip(known_halves).fold(0, |differing, (half, known)| {
        differing | ((u32::from_le_bytes(*half) | u32::from_le_bytes([0x20; 4])) ^ u32::from_le_bytes(*known))
    });
    let pairs = pairs.iter().zip(known_pairs).fold(0, |differing, (pair, known)| {
        differing | ((u16::from_le_bytes(*pair) | u16::from_le_bytes([0x20; 2])) ^ u16::from_le_bytes(*known))
    });
    let last = name.iter().zip(known).fold(0, |differing, (byte, known)| differing | ((byte | 0x20) ^ known));
    words | u64::from(halves) | u64::from(pairs) | u64::from(last) == 0
}

/// The fields called `known`, which is lower-case, of letters and hyphens. A pass of its own, for names that are looked for
/// only at times.
pub(super) fn named<const N: usize>(fields: &[httparse::Header<'_>], known: &[u8; N]) -> FieldSet {
    let mut found = FieldSet::default();
    for (i, header) in fields.iter().enumerate() {
        if header.name.len() == N && same(header.name.as_bytes(), known) {
            found.insert(i);
        }
    }
    found
}

/// The one transfer coding, as all readers know it.
pub(super) const CHUNKED: &[u8] = b"chunked";

/// Whether the line before a field of the head at the start of `bytes` ends in LF alone.
#[inline(always)]
fn ends_in_bare_lf(bytes: &[u8], header: &httparse::Header<'_>) -> bool {
    bytes.get(offset(bytes, header.name.as_bytes()).wrapping_sub(2)) != Some(&b'\r')
}

/// Whether a line before any of the `fields` of the head at the start of `bytes` does.
#[cold]
pub(super) fn has_bare_lf(bytes: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    fields.iter().any(|header| ends_in_bare_lf(bytes, header))
}

/// What one pass over the fields of a head finds. Positions are below [`super::MAX_FIELDS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    pub(super) framing: FramingFields,
    /// `Connection: close` was said.
    pub(super) close: bool,
    /// `Connection: keep-alive` was said.
    pub(super) keep_alive: bool,
    /// `Connection: upgrade` was said.
    upgrade: bool,
    /// `Upgrade` names the WebSocket protocol.
    websocket: bool,
    /// `Upgrade` names another protocol.
    other_protocol: bool,
    /// Some of what is forwarded cannot be copied as it came; so it is where a line ends in LF alone ([`has_bare_lf`]).
    pub(super) anew: bool,
    /// Hop-by-hop fields, what `Connection` names, and fields that only we may set.
    pub(super) dropped: FieldSet,
    pub(super) host: Option<u8>,
    pub(super) several_hosts: bool,
    /// The last of its kind, to which our own element is appended; none if it is dropped.
    pub(super) via: Option<u8>,
    /// The same of `X-Forwarded-For`.
    pub(super) forwarded_for: Option<u8>,
    pub(super) date: bool,
    /// There is one at most, or the head is refused.
    pub(super) transfer_encoding: Option<u8>,
    /// The same of this.
    pub(super) content_length: Option<u8>,
    pub(super) expect: bool,
    /// Credentials of a scheme that logs in a connection.
    pub(super) credentials: bool,
    /// The challenge of such a scheme.
    pub(super) challenge: bool,
}

impl Scan {
    /// Looks at the `fields` of the head at the start of `bytes`; also at how the line before each ends. To be
    /// called once, on what knows nothing: returned, it would be moved twice.
    #[inline(always)]
    pub(super) fn look_at(
        &mut self,
        bytes: &[u8],
        fields: &[httparse::Header<'_>],
        version: Version,
    ) -> Result<(), Violation> {
        let scan = self;
        let mut connection = FieldSet::default();
        for (i, header) in fields.iter().enumerate() {
            if ends_in_bare_lf(bytes, header) {
                scan.anew = true;
            }
            let position = Some(i as u8);
            match field(header.name) {
                Field::Other => {}
                Field::Connection => {
                    // What nearly every one says, and all that it does: the field of that name is dropped anyway.
                    match header.value == b"keep-alive" {
                        true => scan.keep_alive = true,
                        false => connection.insert(i),
                    }
                    scan.dropped.insert(i);
                }
                Field::ContentLength => {
                    scan.framing.content_length(header.value)?;
                    // Who takes what begins with 0 for octal reads another number.
                    if matches!(header.value, [b'0', _, ..]) {
                        scan.anew = true;
                    }
                    scan.content_length = position;
                }
                Field::TransferEncoding => {
                    scan.framing.transfer_encoding(header.value, version)?;
                    scan.anew |= header.value != CHUNKED;
                    scan.transfer_encoding = position;
                }
                Field::Upgrade => {
                    scan.read_upgrade(header.value);
                    scan.dropped.insert(i);
                }
                Field::Host => {
                    scan.several_hosts |= scan.host.is_some();
                    scan.host = position;
                }
                Field::Via => scan.via = position,
                Field::XForwardedFor => {
                    scan.anew |= scan.forwarded_for.is_some();
                    scan.forwarded_for = position;
                }
                Field::Date => scan.date = true,
                Field::Expect => scan.expect = true,
                Field::Credentials => scan.credentials |= has_connection_scheme(header.value, 1),
                Field::Challenge => scan.challenge |= has_connection_scheme(header.value, usize::MAX),
                // Trailers are dropped with the chunked coding's own form (RFC 9110 §6.5.1), so none is announced.
                Field::KeepAlive
                | Field::ProxyConnection
                | Field::Te
                | Field::Trailer
                | Field::XForwardedHost
                | Field::XForwardedProto => scan.dropped.insert(i),
            }
        }
        if !connection.is_empty() {
            scan.read_connection(fields, connection);
        }
        Ok(())
    }

    /// `Upgrade`: a list of protocols (RFC 9110 §7.8).
    #[cold]
    fn read_upgrade(&mut self, value: &[u8]) {
        for protocol in value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|p| !p.is_empty()) {
            if protocol.eq_ignore_ascii_case(b"websocket") {
                self.websocket = true;
            } else {
                self.other_protocol = true;
            }
        }
    }

    /// Whether the head offers the WebSocket protocol, maybe among others.
    pub(super) const fn offers_websocket(&self) -> bool {
        self.upgrade && self.websocket
    }

    /// Whether the head names the WebSocket protocol and no other.
    pub(super) const fn is_of_websocket(&self) -> bool {
        self.upgrade && self.websocket && !self.other_protocol
    }

    /// `Connection`: its options, and the fields that it makes hop-by-hop (RFC 9110 §7.6.1).
    #[inline(never)]
    fn read_connection(&mut self, fields: &[httparse::Header<'_>], connection: FieldSet) {
        let values = connection.positions().map(|i| fields[i].value);
        for option in values.flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
                self.drop_named(fields, option);
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                // The field that it names is dropped anyway, and so is `Upgrade`.
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.drop_named(fields, option);
            }
        }
    }

    /// Removes what `Connection` names. Fields on which framing and routing rest cannot be removed that way
    /// (RFC 9110 §7.6.1: they are never hop-by-hop); a name of one is passed over.
    fn drop_named(&mut self, fields: &[httparse::Header<'_>], option: &[u8]) {
        for (i, header) in fields.iter().enumerate() {
            if !header.name.as_bytes().eq_ignore_ascii_case(option) {
                continue;
            }
            match field(header.name) {
                Field::Host | Field::ContentLength | Field::TransferEncoding => continue,
                Field::Via => self.via = None,
                Field::XForwardedFor => self.forwarded_for = None,
                _ => {}
            }
            self.dropped.insert(i);
        }
    }
}

/// Whether one of the first `words` words names a scheme by which a connection is logged in, and not a request. Credentials begin
/// with their scheme; challenges stand in a list, and a realm that has such a word in it does no harm.
#[cold]
fn has_connection_scheme(value: &[u8], words: usize) -> bool {
    let is_word_end = |b: &u8| matches!(b, b' ' | b'\t' | b',');
    let is_scheme =
        |word: &[u8]| word.eq_ignore_ascii_case(b"ntlm") || word.eq_ignore_ascii_case(b"negotiate");
    value.split(is_word_end).take(words).any(is_scheme)
}

#[cfg(test)]
mod tests;
