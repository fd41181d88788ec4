//! Which rule a head breaks that httparse refuses.
//!
//! Here: a second look at such a head, which may take its time. It ends at the byte at which httparse did, so that what more
//! of the head has come makes no difference. Not here: rules that httparse lets pass (`request.rs`, `response.rs`,
//! `fields.rs`). Floor 1.

use super::{Violation, is_text, is_token};

/// What is wrong with the fields of a head, of which httparse says `error`.
#[cold]
pub(super) fn of_head(bytes: &[u8], error: httparse::Error) -> Violation {
    match error {
        httparse::Error::TooManyHeaders => Violation::TooManyFields,
        httparse::Error::Version => Violation::VersionForm,
        httparse::Error::NewLine => Violation::BareCr,
        httparse::Error::Status => Violation::StatusLine,
        httparse::Error::Token => Violation::RequestLine,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => of_fields(behind_first_line(bytes)),
    }
}

/// What follows the first line that is not empty.
fn behind_first_line(bytes: &[u8]) -> &[u8] {
    let empty = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let line = &bytes[empty..];
    memchr::memchr(b'\n', line).map_or(&[], |end| &line[end + 1..])
}

/// What is wrong first in lines that should be fields.
pub(super) fn of_fields(mut lines: &[u8]) -> Violation {
    let mut is_first = true;
    loop {
        let name = lines.iter().take_while(|&&b| is_token(b)).count();
        match lines.get(name) {
            Some(b':') if name > 0 => match behind_value(&lines[name + 1..]) {
                Ok(rest) => lines = rest,
                Err(violation) => return violation,
            },
            Some(b':') => return Violation::NoName,
            Some(b' ' | b'\t') if name > 0 => return Violation::SpaceInName,
            Some(b' ' | b'\t') if is_first => return Violation::SpaceBeforeFields,
            Some(b' ' | b'\t') => return Violation::FoldedLine,
            Some(b'\r' | b'\n') if name > 0 => return Violation::NoColon,
            Some(b'\r') => return Violation::BareCr,
            Some(&byte) if is_text(byte) => return Violation::NameCharacter,
            Some(_) | None => return Violation::ControlCharacter,
        }
        is_first = false;
    }
}

/// What follows the value of a field and the end of its line.
fn behind_value(value: &[u8]) -> Result<&[u8], Violation> {
    let end = value.iter().take_while(|&&b| is_text(b)).count();
    match &value[end..] {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Ok(rest),
        [b'\r', ..] => Err(Violation::BareCr),
        _ => Err(Violation::ControlCharacter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::request::{RequestHead, field_space};
    use crate::h1::response::ResponseHead;

    #[test]
    fn each_broken_line_is_told_by_its_rule() {
        for (line, violation) in [
            ("X y: a", Violation::SpaceInName),
            ("X : a", Violation::SpaceInName),
            ("X\t: a", Violation::SpaceInName),
            (" X: a", Violation::FoldedLine),
            ("\tX: a", Violation::FoldedLine),
            ("X", Violation::NoColon),
            (": a", Violation::NoName),
            ("X(: a", Violation::NameCharacter),
            ("X\u{e9}: a", Violation::NameCharacter),
            ("X\0: a", Violation::ControlCharacter),
            ("X: \0", Violation::ControlCharacter),
            ("X: a\u{7f}b", Violation::ControlCharacter),
            ("X: a\rb", Violation::BareCr),
            ("\rX: a", Violation::BareCr),
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: t\r\n{line}\r\nY: b\r\n\r\n");
            let response = format!("HTTP/1.1 200 OK\r\nHost: t\r\n{line}\r\nY: b\r\n\r\n");
            let (mut space, mut other) = (field_space(), field_space());
            let refused = RequestHead::parse(request.as_bytes(), &mut space).map(|_| ());
            assert_eq!(refused, Err(violation), "{line:?}");
            let refused = ResponseHead::parse(response.as_bytes(), false, &mut other).map(|_| ());
            assert_eq!(refused, Err(violation), "{line:?}");
        }
        let mut space = field_space();
        let refused = RequestHead::parse(b"GET / HTTP/1.1\r\n Host: t\r\n\r\n", &mut space).map(|_| ());
        assert_eq!(refused, Err(Violation::SpaceBeforeFields));
    }
}
