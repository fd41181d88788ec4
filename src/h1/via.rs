//! Our element of `Via` (RFC 9110 §7.6.3).
//!
//! Here: [`Via`], a pseudonym with a number that tells this run from all others, so that a request which comes back is known;
//! the elements of others of our kind. Not here: where it is written (`rewrite.rs`), what a loop is answered with (`proxy/`).
//! Floor 1.

use super::Version;
use super::fields::named;
use super::request::RequestHead;

/// The line of a forwarded request up to where the client's address begins; `0`s stand for the number.
const LINES: [&[u8; 53]; 2] = [
    b"Via: 1.0 tidegate-0000000000000000\r\nX-Forwarded-For: ",
    b"Via: 1.1 tidegate-0000000000000000\r\nX-Forwarded-For: ",
];

/// Where in a line the pseudonym is, and the number in it.
const NAME: std::ops::Range<usize> = 9..34;
const NUMBER: usize = 18;

/// What every proxy of our kind calls itself, before its number.
const KIND: &[u8] = b"tidegate-";

/// What this proxy calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// By version.
    lines: [[u8; 53]; 2],
}

impl Via {
    /// That of a run, which is told from others by `run`, drawn at random.
    pub fn new(run: u64) -> Via {
        let number = format!("{run:016x}");
        let lines = LINES.map(|line| {
            let mut line = *line;
            line[NUMBER..NAME.end].copy_from_slice(number.as_bytes());
            line
        });
        Via { lines }
    }

    /// The name alone.
    pub fn name(&self) -> &[u8] {
        &self.lines[0][NAME]
    }

    /// The whole line, and the name of the next one, `X-Forwarded-For`, with its colon and space.
    #[inline]
    pub(super) fn lines(&self, version: Version) -> &[u8; 53] {
        match version {
            Version::Http10 => &self.lines[0],
            Version::Http11 => &self.lines[1],
        }
    }

    /// The line of a request of our own, with its CR LF.
    pub fn line(&self) -> &[u8] {
        &self.lines[1][..NAME.end + 2]
    }

    /// Whether a request has been here before. Without a `Via` there is nothing to look at.
    #[inline]
    pub fn is_in(&self, head: &RequestHead<'_, '_>) -> bool {
        head.scan.via.is_some() && self.is_among(head)
    }

    #[cold]
    #[inline(never)]
    fn is_among(&self, head: &RequestHead<'_, '_>) -> bool {
        elements(head).any(|(_, name)| name.eq_ignore_ascii_case(self.name()))
    }
}

/// The elements that others of our kind have written, as the value of one field; empty if there are none. They must not be
/// lost where requests are merged, or a loop would not be known.
#[inline]
pub fn others(head: &RequestHead<'_, '_>) -> Vec<u8> {
    if head.scan.via.is_none() { Vec::new() } else { of_our_kind(head) }
}

#[cold]
#[inline(never)]
fn of_our_kind(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let all = elements(head).filter(|(_, name)| {
        let number = name.get(KIND.len()..).filter(|_| name.len() == NAME.len());
        let is_number = |number: &[u8]| number.iter().all(u8::is_ascii_hexdigit);
        name.to_ascii_lowercase().starts_with(KIND) && number.is_some_and(is_number)
    });
    all.map(|(protocol, name)| [protocol, b" ", name].concat()).collect::<Vec<_>>().join(&b", "[..])
}

/// Protocol and name of each element, comments left out.
fn elements<'b>(head: &RequestHead<'_, 'b>) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
    let fields = named(head.fields, b"via");
    let values: Vec<_> = fields.positions().map(|i| head.fields[i].value).collect();
    let elements = values.into_iter().flat_map(|value| value.split(|&b| b == b','));
    elements.filter_map(|element| {
        let mut words = element.split(|b| b" \t".contains(b)).filter(|word| !word.is_empty());
        Some((words.next()?, words.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::request::field_space;

    fn with<T>(fields: &str, judge: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let mut space = field_space();
        judge(&RequestHead::parse(bytes.as_bytes(), &mut space).unwrap().expect("complete"))
    }

    #[test]
    fn our_own_name_is_known_wherever_it_stands_and_no_other_is() {
        let via = Via::new(0xab_cdef);
        assert_eq!(via.name(), b"tidegate-0000000000abcdef");
        assert_eq!(via.line(), b"Via: 1.1 tidegate-0000000000abcdef\r\n");
        let own = "tidegate-0000000000abcdef";
        for fields in [
            format!("Via: 1.1 {own}\r\n"),
            format!("via: 1.0 edge (a, b), HTTP/1.1\t{own} (comment)\r\nX-A: b\r\nVia: 1.1 other\r\n"),
            format!("Via: 1.1 a,1.1 {},1.1 b\r\n", own.to_uppercase()),
        ] {
            assert!(with(&fields, |head| via.is_in(head)), "{fields}");
        }
        for fields in [
            String::new(),
            "Via: \r\n".to_owned(),
            "Via: 1.1 tidegate, 1.1 tidegate-0000000000abcdee\r\n".to_owned(),
            format!("Via: 1.1 {own}0, 1.1 x{own}, {own}\r\n"),
            format!("X-Via: 1.1 {own}\r\n"),
        ] {
            assert!(!with(&fields, |head| via.is_in(head)), "{fields}");
        }
    }

    #[test]
    fn of_others_those_of_our_kind_are_kept() {
        let kept = |fields: &str| String::from_utf8(with(fields, others)).unwrap();
        assert_eq!(kept(""), "");
        assert_eq!(kept("Via: 1.1 varnish (Varnish/6.0), 1.1 tidegate, 1.1 tidegate-x\r\n"), "");
        assert_eq!(
            kept("Via: 1.0 tidegate-0123456789abcdef, 1.1 b\r\nVia: 1.1 tidegate-fedcba9876543210 (c)\r\n"),
            "1.0 tidegate-0123456789abcdef, 1.1 tidegate-fedcba9876543210"
        );
    }
}
