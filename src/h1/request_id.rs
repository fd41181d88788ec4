//! `X-Request-Id`: one name for a request on all its way.
//!
//! Here: which names of others are taken over ([`IdField::received`]), and making our own ([`IdMaker`]). No RFC knows the
//! field; it is what other proxies and logs call it. Not here: where it stands in a head (`rewrite.rs`), the draw behind
//! our own names (the door). Floor 1.

/// A name may be this long.
pub const MAX_ID_BYTES: usize = 128;

const NAME: &[u8] = b"X-Request-Id: ";
const LINE_END: &[u8] = b"\r\n";
const LONGEST_LINE: usize = NAME.len() + MAX_ID_BYTES + LINE_END.len();
/// A line with a name of our own.
const MADE_LINE: usize = NAME.len() + 2 * DIGITS + LINE_END.len();

/// A request's name, as a whole line of a head.
#[derive(Clone, Copy)]
pub struct IdField {
    line: [u8; LONGEST_LINE],
    len: u8,
}

impl Default for IdField {
    /// An empty name.
    fn default() -> Self {
        IdField::new(b"")
    }
}

impl IdField {
    /// The name that somebody else gave; none if it is empty, longer than [`MAX_ID_BYTES`], or holds anything but the
    /// characters of a token (RFC 9110 §5.6.2) and `/`, `:`, `=`, `@`, which base64 and URNs need. So it cannot end a line,
    /// a list or a quoted string wherever it is written.
    pub fn received(value: &[u8]) -> Option<IdField> {
        let sane = (1..=MAX_ID_BYTES).contains(&value.len()) && value.iter().all(|&b| SANE[usize::from(b)]);
        sane.then(|| IdField::new(value))
    }

    fn new(value: &[u8]) -> IdField {
        let mut line = [0; LONGEST_LINE];
        let (start, end) = (NAME.len(), NAME.len() + value.len());
        line[..start].copy_from_slice(NAME);
        line[start..end].copy_from_slice(value);
        line[end..end + LINE_END.len()].copy_from_slice(LINE_END);
        IdField { line, len: (end + LINE_END.len()) as u8 }
    }

    /// Becomes a copy of `other`: for a name of our own a third of what assigning it would copy.
    pub fn set(&mut self, other: &IdField) {
        self.len = other.len;
        match usize::from(other.len) {
            MADE_LINE => self.line[..MADE_LINE].copy_from_slice(&other.line[..MADE_LINE]),
            len => self.line[..len].copy_from_slice(&other.line[..len]),
        }
    }

    /// The line with its CR LF.
    pub fn line(&self) -> &[u8] {
        &self.line[..usize::from(self.len)]
    }

    /// The name alone.
    pub fn value(&self) -> &[u8] {
        &self.line[NAME.len()..usize::from(self.len) - LINE_END.len()]
    }
}

const SANE: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        table[b] = is_sane(b as u8);
        b += 1;
    }
    table
};

const fn is_sane(b: u8) -> bool {
    let of_token = b.is_ascii_alphanumeric()
        || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(b, b'^' | b'_' | b'`' | b'|' | b'~');
    of_token || matches!(b, b'/' | b':' | b'=' | b'@')
}

/// How many digits the part has that tells requests of one run apart, and as many before it that tell runs apart.
const DIGITS: usize = 16;

/// Makes names: 32 hexadecimal digits, half of them the run's and half a count. Two of one run are never equal, two runs
/// only by a chance of 2^-64.
pub struct IdMaker {
    next: IdField,
}

impl IdMaker {
    /// For one run, which is told from others by `run`, drawn at random.
    pub fn new(run: u64) -> IdMaker {
        IdMaker { next: IdField::new(format!("{run:016x}{:016x}", 0).as_bytes()) }
    }

    /// A name that was not given before. Counts in the text itself, which is cheaper than writing a number anew.
    pub fn make(&mut self) -> &IdField {
        let start = NAME.len() + DIGITS;
        for digit in self.next.line[start..start + DIGITS].iter_mut().rev() {
            *digit = match *digit {
                b'9' => b'a',
                b'f' => {
                    *digit = b'0';
                    continue;
                }
                other => other + 1,
            };
            break;
        }
        &self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_taken_over_and_what_is_not() {
        let longest = "x".repeat(MAX_ID_BYTES);
        for sane in [
            "1",
            "7b92f7a2-6a1e-4b0e-9d54-1f1d0e2c3b4a",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "Self=1-67891234-12456789abcdef012345678",
            "AbC+/09==",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "a.b_c~d|e@f!#$%&'*^`",
            longest.as_str(),
        ] {
            let field = IdField::received(sane.as_bytes()).unwrap_or_else(|| panic!("{sane} is sane"));
            assert_eq!(field.value(), sane.as_bytes());
            assert_eq!(field.line(), format!("X-Request-Id: {sane}\r\n").as_bytes());
            let mut copy = *IdMaker::new(0).make();
            copy.set(&field);
            assert_eq!(copy.line(), field.line());
        }
        let too_long = "x".repeat(MAX_ID_BYTES + 1);
        for insane in [
            "",
            " ",
            "a b",
            "a\tb",
            "a,b",
            "a;b",
            "\"a\"",
            "a\\b",
            "<a>",
            "{a}",
            "a\r\nX-Evil: 1",
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "é",
            too_long.as_str(),
        ] {
            assert!(IdField::received(insane.as_bytes()).is_none(), "{insane:?}");
        }
    }

    #[test]
    fn names_of_a_run_differ_and_are_counted_through_every_digit() {
        let mut maker = IdMaker::new(0x0123_4567_89ab_cdef);
        let mut copy = IdField::new(b"another");
        for n in 1..=70_000_u64 {
            let field = maker.make();
            let name = format!("0123456789abcdef{n:016x}");
            assert_eq!(field.line(), format!("X-Request-Id: {name}\r\n").as_bytes());
            copy.set(field);
            assert_eq!(copy.value(), name.as_bytes());
            assert_eq!(
                IdField::received(name.as_bytes()).map(|f| f.value().to_vec()),
                Some(name.into_bytes())
            );
        }
        assert_ne!(IdMaker::new(1).make().value(), IdMaker::new(2).make().value());
    }

    proptest! {
        /// Whatever is taken over stands in the line unchanged, and the line is one field with that value.
        #[test]
        fn what_is_taken_over_is_one_field_as_it_came(value in prop::collection::vec(any::<u8>(), 0..140)) {
            if let Some(field) = IdField::received(&value) {
                prop_assert_eq!(field.value(), &value[..]);
                let head = [field.line(), b"\r\n"].concat();
                let mut space = [httparse::EMPTY_HEADER; 4];
                let (_, fields) = httparse::parse_headers(&head, &mut space).unwrap().unwrap();
                prop_assert_eq!(fields.len(), 1);
                prop_assert_eq!((fields[0].name, fields[0].value), ("X-Request-Id", &value[..]));
            }
        }
    }
}
