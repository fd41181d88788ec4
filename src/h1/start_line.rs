//! First lines that httparse refuses.
//!
//! Here: request and status lines of HTTP/1.2 to 1.9, which are read as those of 1.1 (RFC 9110 §2.5), request targets that are
//! no UTF-8, and what is wrong with all others. What has come decides as soon as it can, so that what more comes makes no
//! difference. Not here: the usual lines, which httparse reads (`request.rs`, `response.rs`). Floor 1.

use super::{Violation, is_text, is_token};

/// A request line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'b> {
    /// Where it begins, after empty lines.
    pub(super) start: usize,
    /// Where the line behind it begins.
    pub(super) end: usize,
    pub(super) method: &'b str,
    pub(super) target: &'b [u8],
    pub(super) minor: u8,
}

/// The request line at the start of `bytes`; `None` if it is not complete yet.
pub(super) fn request(bytes: &[u8]) -> Result<Option<RequestLine<'_>>, Violation> {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let line = &bytes[start..];
    match line {
        [] | [b'\r'] => return Ok(None),
        [b'\r', ..] => return Err(Violation::BareCr),
        [b'\n', ..] => return Err(Violation::BareLf),
        _ => {}
    }
    let Some((method, rest)) = word(line, is_token)? else { return Ok(None) };
    let Some((target, rest)) = word(rest, |byte| byte > b' ' && byte != 0x7f)? else { return Ok(None) };
    let Some((minor, rest)) = version(rest, Violation::RequestLine)? else { return Ok(None) };
    let rest = match rest {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', rest @ ..] => rest,
        [b'\r', ..] => return Err(Violation::BareCr),
        [b'\n', ..] => return Err(Violation::BareLf),
        [b'0'..=b'9' | b'.', ..] => return Err(Violation::VersionForm),
        _ => return Err(Violation::RequestLine),
    };
    let end = bytes.len() - rest.len();
    // A token is ASCII.
    let method = std::str::from_utf8(method).unwrap_or_default();
    Ok(Some(RequestLine { start, end, method, target, minor }))
}

/// A part of a line, and what follows it; `None` if it is not complete yet.
type Part<'b, T> = Result<Option<(T, &'b [u8])>, Violation>;

/// A word of a request line, and what follows the space behind it.
fn word(line: &[u8], is_part: fn(u8) -> bool) -> Part<'_, &[u8]> {
    let end = line.iter().take_while(|&&byte| is_part(byte)).count();
    match &line[end..] {
        [] => Ok(None),
        [b' ', rest @ ..] if end > 0 => Ok(Some((&line[..end], rest))),
        _ => Err(Violation::RequestLine),
    }
}

/// The minor version of HTTP/1 at the start of `bytes`, and what follows; `otherwise` if there is no version at all.
fn version(bytes: &[u8], otherwise: Violation) -> Part<'_, u8> {
    const NAME: &[u8] = b"HTTP/";
    let named = bytes.len().min(NAME.len());
    if bytes[..named] != NAME[..named] {
        return Err(otherwise);
    }
    let digits = &bytes[named..];
    let is_right = |at: usize, byte: &u8| if at == 1 { *byte == b'.' } else { byte.is_ascii_digit() };
    if !digits.iter().take(3).enumerate().all(|(at, byte)| is_right(at, byte)) {
        return Err(Violation::VersionForm);
    }
    match digits {
        [b'1', b'.', minor, rest @ ..] => Ok(Some((minor - b'0', rest))),
        [_, _, _, byte, ..] if byte.is_ascii_digit() || *byte == b'.' => Err(Violation::VersionForm),
        [_, _, _, _, ..] => Err(Violation::OtherVersion),
        _ => Ok(None),
    }
}

/// A status line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusLine<'b> {
    /// Where the line behind it begins.
    pub(super) end: usize,
    pub(super) minor: u8,
    pub(super) status: u16,
    /// Empty if it is not ASCII, as httparse has it.
    pub(super) reason: &'b str,
}

/// The status line at the start of `bytes`, which may end in LF alone; `None` if it is not complete yet.
pub(super) fn status(bytes: &[u8]) -> Result<Option<StatusLine<'_>>, Violation> {
    if matches!(bytes, [b'\r' | b'\n', ..]) {
        return Err(Violation::EmptyLineFirst);
    }
    let Some((minor, rest)) = version(bytes, Violation::StatusLine)? else { return Ok(None) };
    match rest {
        [] => return Ok(None),
        [b' ', ..] => {}
        [b'0'..=b'9' | b'.', ..] => return Err(Violation::VersionForm),
        _ => return Err(Violation::StatusLine),
    }
    let digits = rest[1..].iter().take(3);
    if !digits.clone().all(u8::is_ascii_digit) {
        return Err(Violation::StatusLine);
    }
    let Some(behind) = rest.get(4..) else { return Ok(None) };
    let status = digits.fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    let text = match behind {
        [b' ', text @ ..] => text,
        [] | [b'\r' | b'\n', ..] => behind,
        _ => return Err(Violation::StatusLine),
    };
    let end = text.iter().take_while(|&&byte| is_text(byte)).count();
    let rest = match &text[end..] {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
        _ => return Err(Violation::StatusLine),
    };
    let reason = std::str::from_utf8(&text[..end]).ok().filter(|reason| reason.is_ascii());
    let end = bytes.len() - rest.len();
    Ok(Some(StatusLine { end, minor, status, reason: reason.unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_request_line_is_told_by_its_rule() {
        for (line, violation) in [
            ("GET / HTTP/01.1\r\n", Violation::VersionForm),
            ("GET / HTTP/1.01\r\n", Violation::VersionForm),
            ("GET / HTTP/11.1\r\n", Violation::VersionForm),
            ("GET / HTTP/1.10\r\n", Violation::VersionForm),
            ("GET / HTTP/1\r\n", Violation::VersionForm),
            ("GET / HTTP/1,1\r\n", Violation::VersionForm),
            ("GET / HTTP/x.1\r\n", Violation::VersionForm),
            ("GET / HTTP/2.0.1\r\n", Violation::VersionForm),
            ("GET / HTTP/0.9\r\n", Violation::OtherVersion),
            ("GET / HTTP/2.0\r\n", Violation::OtherVersion),
            ("GET / http/1.1\r\n", Violation::RequestLine),
            ("GET / HTTP/1.1 \r\n", Violation::RequestLine),
            ("GET / \r\n", Violation::RequestLine),
            ("GET /\r\n", Violation::RequestLine),
            ("GET /a b HTTP/1.1\r\n", Violation::RequestLine),
            ("GET  / HTTP/1.1\r\n", Violation::RequestLine),
            (" GET / HTTP/1.1\r\n", Violation::RequestLine),
            ("GE@T / HTTP/1.1\r\n", Violation::RequestLine),
            ("GET /\u{7f} HTTP/1.1\r\n", Violation::RequestLine),
            ("GET / HTTP/1.2\n", Violation::BareLf),
            ("GET / HTTP/1.2\rx", Violation::BareCr),
            ("\nGET / HTTP/1.2\r\n", Violation::BareLf),
        ] {
            assert_eq!(request(line.as_bytes()), Err(violation), "{line:?}");
            let whole = |cut: usize| request(&line.as_bytes()[..cut]);
            assert!(
                (0..line.len()).all(|cut| matches!(whole(cut), Ok(None)) || whole(cut) == Err(violation))
            );
        }
        let line = request(b"\r\nGET /\xe9 HTTP/1.7\r\nrest").unwrap().unwrap();
        assert_eq!((line.start, line.end, line.method), (2, 19, "GET"));
        assert_eq!((line.target, line.minor), (&b"/\xe9"[..], 7));
    }

    #[test]
    fn each_wrong_status_line_is_told_by_its_rule() {
        for (line, violation) in [
            ("\r\nHTTP/1.2 200 OK\r\n", Violation::EmptyLineFirst),
            ("SSH-2.0-OpenSSH_9.6\r\n", Violation::StatusLine),
            ("HTTP/2.0 200 OK\r\n", Violation::OtherVersion),
            ("HTTP/2 200 OK\r\n", Violation::VersionForm),
            ("HTTP/1.10 200 OK\r\n", Violation::VersionForm),
            ("HTTP/1.2\r\n", Violation::StatusLine),
            ("HTTP/1.2  200 OK\r\n", Violation::StatusLine),
            ("HTTP/1.2 20 OK\r\n", Violation::StatusLine),
            ("HTTP/1.2 2000 OK\r\n", Violation::StatusLine),
            ("HTTP/1.2 200 O\0K\r\n", Violation::StatusLine),
            ("HTTP/1.2 200 OK\rX", Violation::StatusLine),
        ] {
            assert_eq!(status(line.as_bytes()), Err(violation), "{line:?}");
            let whole = |cut: usize| status(&line.as_bytes()[..cut]);
            assert!(
                (0..line.len()).all(|cut| matches!(whole(cut), Ok(None)) || whole(cut) == Err(violation))
            );
        }
        for (line, reason) in
            [("HTTP/1.2 404\n", ""), ("HTTP/1.2 404 \r\n", ""), ("HTTP/1.2 404 No such\n", "No such")]
        {
            let read = status(line.as_bytes()).unwrap().unwrap();
            assert_eq!(read, StatusLine { end: line.len(), minor: 2, status: 404, reason });
            assert!((0..line.len()).all(|cut| status(&line.as_bytes()[..cut]) == Ok(None)));
        }
    }
}
