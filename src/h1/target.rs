//! Request targets (RFC 9112 §3.2).
//!
//! Here: their forms, which bytes they may have, and what a host is. Not here: the request line (`request.rs`,
//! `start_line.rs`). Floor 1.

use super::Violation;

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
    /// One of these that is no UTF-8; only with [`TargetRule::Pass`].
    Raw {
        /// That of the absolute form.
        authority: Option<&'a str>,
        /// Path and query as they came, not empty.
        path: &'a [u8],
    },
}

impl<'a> Target<'a> {
    /// Path and query as they came, empty perhaps in absolute form.
    pub fn path(&self) -> &'a [u8] {
        match *self {
            Target::Origin(path) | Target::Absolute { path, .. } => path.as_bytes(),
            Target::Raw { path, .. } => path,
        }
    }

    /// The same as text, if it is.
    pub const fn text(&self) -> Option<&'a str> {
        match *self {
            Target::Origin(path) | Target::Absolute { path, .. } => Some(path),
            Target::Raw { .. } => None,
        }
    }

    /// The host that it names, in absolute form.
    pub const fn authority(&self) -> Option<&'a str> {
        match *self {
            Target::Origin(_) => None,
            Target::Absolute { authority, .. } => Some(authority),
            Target::Raw { authority, .. } => authority,
        }
    }
}

/// Which bytes a request target may have beside ASCII without a fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetRule {
    /// None: what is not ASCII is percent-encoded (RFC 9112 §3.2), and others might not read it as we do.
    #[default]
    Strict,
    /// All that are not ASCII, as they came.
    Pass,
}

impl TargetRule {
    /// Both.
    pub const ALL: [TargetRule; 2] = [TargetRule::Strict, TargetRule::Pass];

    /// The name in options and files.
    pub const fn name(self) -> &'static str {
        match self {
            TargetRule::Strict => "strict",
            TargetRule::Pass => "pass",
        }
    }
}

/// The target of a request with that method.
#[inline(always)]
pub(super) fn parse<'a>(method: &str, target: &'a str, bytes: TargetRule) -> Result<Target<'a>, Violation> {
    if method == "CONNECT" {
        return Err(Violation::Connect);
    }
    if !is_plain(target) {
        judge_bytes(target.as_bytes(), bytes)?;
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(Target::Origin(target));
    }
    let (authority, path) = split_absolute(target.as_bytes())?;
    // Both begin and end where a character does.
    Ok(Target::Absolute { authority, path: &target[target.len() - path.len()..] })
}

/// The same of one that may be no UTF-8.
pub(super) fn parse_bytes<'a>(
    method: &str,
    target: &'a [u8],
    bytes: TargetRule,
) -> Result<Target<'a>, Violation> {
    if let Ok(target) = std::str::from_utf8(target) {
        return parse(method, target, bytes);
    }
    if method == "CONNECT" {
        return Err(Violation::Connect);
    }
    judge_bytes(target, bytes)?;
    if target.starts_with(b"/") {
        return Ok(Target::Raw { authority: None, path: target });
    }
    split_absolute(target).map(|(authority, path)| Target::Raw { authority: Some(authority), path })
}

/// Whether a target is of ASCII and without a fragment. Apart, for the registers' sake.
#[inline(never)]
fn is_plain(target: &str) -> bool {
    let (words, rest) = target.as_bytes().as_chunks::<8>();
    let mut last = [b'/'; 8];
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(first), Some(end)) => {
            last[..4].copy_from_slice(first);
            last[4..].copy_from_slice(end);
        }
        _ => last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from),
    }
    let found = words.iter().fold(oddities(last), |found, word| found | oddities(*word));
    found & u64::from_ne_bytes([0x80; 8]) == 0
}

/// Of eight bytes at once: the highest bit of each is set if it is not ASCII or a `#`, and may be if it stands beside a `#`.
const fn oddities(bytes: [u8; 8]) -> u64 {
    let word = u64::from_ne_bytes(bytes);
    word | (word ^ u64::from_ne_bytes([b'#'; 8])).wrapping_sub(u64::from_ne_bytes([1; 8]))
}

/// Whether a target that is not plain will do all the same. A fragment never does: some who route by the path end it there,
/// others do not.
#[cold]
fn judge_bytes(target: &[u8], bytes: TargetRule) -> Result<(), Violation> {
    match bytes {
        _ if memchr::memchr(b'#', target).is_some() => Err(Violation::TargetFragment),
        TargetRule::Strict => Err(Violation::TargetNotAscii),
        TargetRule::Pass => Ok(()),
    }
}

/// Host and the rest of a target in absolute form.
fn split_absolute(target: &[u8]) -> Result<(&str, &[u8]), Violation> {
    let begins = |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    let (scheme, is_secure) = match () {
        () if begins(b"http://") => (b"http://".len(), false),
        () if begins(b"https://") => (b"https://".len(), true),
        () => return Err(Violation::TargetForm),
    };
    let rest = &target[scheme..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = std::str::from_utf8(authority).unwrap_or_default();
    match authority.is_empty() || !is_authority(authority.as_bytes()) {
        true => Err(Violation::TargetAuthority),
        // RFC 9110 §7.4: a request for a secured scheme on a connection that is not.
        false if is_secure => Err(Violation::SecureTarget),
        false => Ok((authority, path)),
    }
}

/// `uri-host [ ":" port ]` of RFC 3986 §3.2, loosely: no user information, no delimiter that would end it.
#[inline(never)]
pub(super) fn is_authority(value: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_judged_by_words_is_as_by_bytes(target in "[ -~]{0,20}([#\u{7f}-\u{ff}]|)[!-~]{0,20}") {
            prop_assert_eq!(is_plain(&target), target.bytes().all(|b| b.is_ascii() && b != b'#'), "{}", target);
            let name = target.bytes().all(is_host_byte);
            prop_assert!(!name || is_authority(target.as_bytes()), "{}", target);
            let odd = target.bytes().any(|b| !is_host_byte(b) && !b"[]:".contains(&b));
            prop_assert!(!odd || !is_authority(target.as_bytes()), "{}", target);
        }
    }

    #[test]
    fn a_port_or_a_literal_may_stand_anywhere_among_the_bytes() {
        for length in 0..20 {
            let host = "h".repeat(length);
            for (end, valid) in [
                ("", true),
                (":80", true),
                (":", true),
                (":8a", false),
                ("/", false),
                ("@h", false),
                ("[", false),
            ] {
                assert_eq!(is_authority(format!("{host}{end}").as_bytes()), valid, "{host}{end}");
            }
        }
        assert!(is_authority(b"[::1]:8080") && !is_authority(b"[::1]8080") && !is_authority(b"[]"));
    }
}
