//! Fields that are not copied as they came.
//!
//! Here: line by line, a head of which something must be written anew: lines that end in LF alone, a `Content-Length` with
//! zeros before the number, a coding in capitals, several `X-Forwarded-For`. All of it is rare. Floor 1.

use httparse::Header;

use super::super::Version;
use super::super::fields::{CHUNKED, FieldSet, Scan, named};
use super::super::persistence::Persistence;
use super::super::reply::decimal;
use super::super::request::RequestHead;
use super::super::response::ResponseHead;
use super::super::via::Via;
use super::{
    RequestContext, ResponseContext, changed_status_line, put, put_via, write_request, write_response,
};

/// Appends a request head of which something is written anew.
#[cold]
#[inline(never)]
pub(super) fn request(head: &RequestHead<'_, '_>, context: &RequestContext<'_>, out: &mut Vec<u8>) {
    write_request::<true>(head, context, out);
}

/// The same of a final response.
#[cold]
#[inline(never)]
pub(super) fn response(head: &ResponseHead<'_, '_>, context: &ResponseContext<'_>, out: &mut Vec<u8>) {
    write_response::<true>(head, context, out);
}

/// Appends the fields of a request that are not `skipped`, and those with lists up to where the client's address begins.
#[cold]
#[inline(never)]
pub(super) fn request_fields(head: &RequestHead<'_, '_>, via: &Via, skipped: FieldSet, out: &mut Vec<u8>) {
    let forwarded_for = named(head.fields, b"x-forwarded-for");
    let mut skipped = skipped.union(forwarded_for);
    // One that is malformed is not forwarded, and neither is one that may go no further.
    let allowed = head.max_forwards().unwrap_or_default();
    if allowed.is_some() {
        skipped = skipped.union(named(head.fields, b"max-forwards"));
    }
    fields(head.fields, &head.scan, skipped, out);
    if let Some(allowed) = allowed {
        let mut digits = [0; 20];
        let left = decimal(&mut digits, allowed.saturating_sub(1));
        put(out, &[b"Max-Forwards: ", left, b"\r\n"]);
    }
    // A version later than 1.1 is told as it is (RFC 9110 §7.6.3).
    let mut lines = *via.lines(head.version);
    lines[b"Via: 1.".len()] = b'0' + head.minor;
    put_via(head.scan.via.map(|i| head.fields[usize::from(i)].value), &lines, out);
    // Some read the first of the fields alone, others the last.
    let kept = forwarded_for.positions().filter(|&i| !head.scan.dropped.contains(i));
    for received in kept.map(|i| head.fields[i].value).filter(|received| !received.is_empty()) {
        put(out, &[received, b", "]);
    }
}

/// Appends the status line and the fields of a response that are not `skipped`.
#[cold]
#[inline(never)]
pub(super) fn response_fields(head: &ResponseHead<'_, '_>, skipped: FieldSet, out: &mut Vec<u8>) {
    changed_status_line(head, out);
    fields(head.fields, &head.scan, skipped, out);
}

fn fields(fields: &[Header<'_>], scan: &Scan, skipped: FieldSet, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let length = scan.framing.length().map(|length| decimal(&mut digits, length));
    let is = |position: Option<u8>, i: usize| position.map(usize::from) == Some(i);
    for (i, field) in fields.iter().enumerate().filter(|(i, _)| !skipped.contains(*i)) {
        let value = match length {
            Some(length) if is(scan.content_length, i) => length,
            _ if is(scan.transfer_encoding, i) => CHUNKED,
            _ => field.value,
        };
        put(out, &[field.name.as_bytes(), b": ", value, b"\r\n"]);
    }
}

/// Appends the end of a 426, which says to what the client is to switch (RFC 9110 §15.5.22), and that it says so for this hop
/// (§7.8); nothing, and `false`, if the backend did not say to what.
pub(super) fn upgrade_required(
    head: &ResponseHead<'_, '_>,
    context: &ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let fields = named(head.fields, b"upgrade");
    let mut values = fields.positions().map(|i| head.fields[i].value).filter(|value| !value.is_empty());
    let Some(first) = values.next() else { return false };
    let connection: &[u8] = match (context.persistence, context.version) {
        (Persistence::KeepAlive, Version::Http11) => b"Connection: Upgrade\r\nUpgrade: ",
        (Persistence::KeepAlive, Version::Http10) => b"Connection: keep-alive, Upgrade\r\nUpgrade: ",
        (Persistence::Close, _) => b"Connection: close, Upgrade\r\nUpgrade: ",
    };
    put(out, &[connection, first]);
    values.for_each(|value| put(out, &[b", ", value]));
    out.extend_from_slice(b"\r\n\r\n");
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::h1::coding::Coding;
    use crate::h1::persistence::Persistence;
    use crate::h1::request::{RequestHead, RequestLimits, TargetRule, field_space};
    use crate::h1::response::{LineEnds, ResponseHead};
    use crate::h1::rewrite::{RequestContext, ResponseContext, interim, request, response};
    use crate::h1::via::Via;
    use crate::h1::{Version, Violation};

    fn sent(bytes: &[u8]) -> Result<Vec<u8>, Violation> {
        let limits = RequestLimits { target: TargetRule::Pass, ..RequestLimits::default() };
        let mut space = field_space();
        let head = RequestHead::parse_within(&limits, bytes, &mut space)?.expect("complete");
        head.max_forwards()?;
        let mut out = Vec::new();
        let (client, authority, via) = (b"127.0.0.1", "b:81", &Via::new(7));
        let context = RequestContext { client, authority, close: false, via, request_id: None };
        request(&head, &context, &mut out);
        Ok(out)
    }

    /// A request as it goes on, without the lines that are ours.
    fn forwarded(bytes: &str) -> Result<String, Violation> {
        let out = String::from_utf8(sent(bytes.as_bytes())?).unwrap();
        Ok(out.split("Via: ").next().unwrap().to_owned())
    }

    fn relayed(bytes: &str, line_ends: LineEnds) -> Result<String, Violation> {
        let mut space = field_space();
        let head =
            ResponseHead::parse_with(line_ends, bytes.as_bytes(), false, &mut space)?.expect("complete");
        let mut out = Vec::new();
        if head.status < 200 {
            interim(&head, &mut out);
        } else {
            let context = ResponseContext {
                version: Version::Http11,
                coding: Coding::of(head.body, Version::Http11),
                persistence: Persistence::KeepAlive,
                date: "D",
                told: None,
            };
            response(&head, &context, &mut out);
        }
        Ok(String::from_utf8(out).unwrap())
    }

    /// Who takes a leading zero for octal, or knows a coding by its letters alone, reads the same as we do.
    #[test]
    fn framing_is_written_so_that_all_read_it_alike() {
        let post = |field: &str| forwarded(&format!("POST / HTTP/1.1\r\nA: b\r\n{field}\r\nHost: h\r\n\r\n"));
        let expected = |field: &str| Ok(format!("POST / HTTP/1.1\r\nA: b\r\n{field}\r\nHost: h\r\n"));
        for (came, goes) in [
            ("content-length: 05", "content-length: 5"),
            ("Content-Length:\t010 ", "Content-Length: 10"),
            ("Content-Length: 00", "Content-Length: 0"),
            ("Content-Length: 0000000000000000000000000000000000009", "Content-Length: 9"),
            ("Content-Length: 018446744073709551615", "Content-Length: 18446744073709551615"),
            ("Transfer-Encoding: CHUNKED", "Transfer-Encoding: chunked"),
            ("Content-Length: 0", "Content-Length: 0"),
            ("Content-Length: 10", "Content-Length: 10"),
        ] {
            assert_eq!(post(came), expected(goes), "{came:?}");
        }
        assert_eq!(post("Content-Length: 018446744073709551616"), Err(Violation::LengthForm));
        assert_eq!(post("Content-Length: 5, 5"), Err(Violation::LengthForm));
        assert_eq!(post("Content-Length: 05\r\nContent-Length: 5"), Err(Violation::SeveralLengths));

        for line_ends in [LineEnds::CrLf, LineEnds::LfToo] {
            let answer = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 010\r\nA: b\r\n\r\n";
            let goes = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 10\r\nA: b\r\n\r\n";
            assert_eq!(relayed(answer, line_ends).unwrap(), goes);
            let not_modified = "HTTP/1.1 304 OK\r\nDate: x\r\nContent-Length: 07\r\n\r\n";
            assert!(relayed(not_modified, line_ends).unwrap().contains("Content-Length: 7\r\n"));
        }
    }

    #[test]
    fn later_minor_versions_are_as_1_1() {
        for minor in 2..=9 {
            let head = format!("PUT /x HTTP/1.{minor}\r\nHost: h\r\nA: b\r\n\r\n");
            let out = String::from_utf8(sent(head.as_bytes()).unwrap()).unwrap();
            let via = format!("Via: 1.{minor} tidegate-0000000000000007\r\n");
            assert!(out.starts_with("PUT /x HTTP/1.1\r\nHost: h\r\nA: b\r\n") && out.contains(&via), "{out}");
            let answer = format!("HTTP/1.{minor} 404 No\r\nDate: x\r\nContent-Length: 1\r\n\r\n");
            let goes = "HTTP/1.1 404 No\r\nDate: x\r\nContent-Length: 1\r\n\r\n";
            assert_eq!(relayed(&answer, LineEnds::CrLf).unwrap(), goes);
        }
        let no_host = "GET /x HTTP/1.3\r\nA: b\r\n\r\n";
        assert_eq!(forwarded(no_host), Err(Violation::NoHost));
        let folded = "GET /x HTTP/1.3\r\nHost: h\r\n b\r\n\r\n";
        assert_eq!(forwarded(folded), Err(Violation::FoldedLine));
        let bare = "GET /x HTTP/1.3\r\nHost: h\n\r\n";
        assert_eq!(forwarded(bare), Err(Violation::BareLf));
    }

    #[test]
    fn targets_that_are_not_ascii_go_on_as_they_came() {
        let strict = |bytes: &[u8]| RequestHead::parse(bytes, &mut field_space()).map(|_| ());
        for (target, goes) in [
            (&b"/caf\xe9?x=\xff"[..], &b"GET /caf\xe9?x=\xff HTTP/1.1\r\nHost: h\r\n"[..]),
            ("/caf\u{e9}".as_bytes(), "GET /caf\u{e9} HTTP/1.1\r\nHost: h\r\n".as_bytes()),
            (b"http://o:1/\xe9", b"GET /\xe9 HTTP/1.1\r\nHost: o:1\r\n"),
            (b"http://o?\xe9", b"GET /?\xe9 HTTP/1.1\r\nHost: o\r\n"),
        ] {
            let head = [b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
            let out = sent(&head).unwrap();
            assert!(out.starts_with(goes), "{}", out.escape_ascii());
            assert_eq!(strict(&head), Err(Violation::TargetNotAscii), "{}", head.escape_ascii());
        }
        for (target, violation) in [
            (&b"/\xe9#f"[..], Violation::TargetFragment),
            (b"\xe9", Violation::TargetForm),
            (b"http://\xe9/", Violation::TargetAuthority),
            (b"https://h/\xe9", Violation::SecureTarget),
        ] {
            let head = [b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
            assert_eq!(sent(&head), Err(violation), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn lines_of_a_backend_may_end_in_lf_alone() {
        let goes = "HTTP/1.1 200 OK\r\nA: b\r\nDate: x\r\nContent-Length: 2\r\n\r\n";
        for came in [
            "HTTP/1.1 200 OK\nA: b\nDate: x\nContent-Length: 2\n\n",
            "HTTP/1.1 200 OK\nA:  b \r\nDate:x\nContent-Length: 2\r\n\n",
            "HTTP/1.1 200 OK\r\nA: b\r\nDate: x\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\nDate: x\r\nContent-Length: 02\n\r\n",
            "HTTP/1.4 200 OK\nA: b\r\nDate: x\r\nConnection: y\nY: z\r\nContent-Length: 2\n\r\n",
        ] {
            assert_eq!(relayed(came, LineEnds::LfToo).unwrap(), goes, "{came:?}");
            assert_eq!(relayed(came, LineEnds::CrLf), Err(Violation::BareLf), "{came:?}");
        }
        let hints = "HTTP/1.1 103 Hints\nLink: a\nTransfer-Encoding: chunked\n\n";
        assert_eq!(relayed(hints, LineEnds::LfToo).unwrap(), "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n");
        assert_eq!(relayed("HTTP/1.1 204\n\n", LineEnds::LfToo).unwrap(), "HTTP/1.1 204 \r\nDate: D\r\n\r\n");
        for (bad, violation) in [
            ("HTTP/1.1 200 OK\nA: b\n c\n\n", Violation::FoldedLine),
            ("HTTP/1.1 200 OK\n A: b\n\n", Violation::SpaceBeforeFields),
            ("HTTP/1.1 200 OK\nA: b\rc\n\n", Violation::BareCr),
            ("HTTP/1.1 200 OK\nA: b\r\r\n\n", Violation::BareCr),
            ("HTTP/1.1 200 OK\nA: b\0\n\n", Violation::ControlCharacter),
            ("HTTP/1.1 200 OK\nA\n\n", Violation::NoColon),
            ("\nHTTP/1.1 200 OK\n\n", Violation::EmptyLineFirst),
            ("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n\n", Violation::SeveralLengths),
        ] {
            assert_eq!(relayed(bad, LineEnds::LfToo), Err(violation), "{bad:?}");
        }
    }

    #[test]
    fn options_and_trace_are_counted_down() {
        for (came, goes) in
            [("5", "4"), ("1", "0"), ("007", "6"), ("99999999999999999999", "18446744073709551614")]
        {
            for (method, hop) in [("OPTIONS", ""), ("TRACE", "Connection: max-forwards\r\n")] {
                let head = format!("{method} /x HTTP/1.1\r\nMax-Forwards: {came}\r\n{hop}Host: h\r\n\r\n");
                let expected = format!("{method} /x HTTP/1.1\r\nHost: h\r\nMax-Forwards: {goes}\r\n");
                assert_eq!(forwarded(&head), Ok(expected), "{came}");
            }
        }
        for bad in ["", "x", "-1", "+1", "1.0", "5, 5", "5\r\nmax-forwards: 5"] {
            let head = format!("TRACE /x HTTP/1.1\r\nMax-Forwards: {bad}\r\nHost: h\r\n\r\n");
            assert_eq!(forwarded(&head), Err(Violation::MaxForwards), "{bad:?}");
        }
        // It means nothing of other methods (RFC 9110 §7.6.2).
        for method in ["GET", "TRACES", "options"] {
            let head = format!("{method} /x HTTP/1.1\r\nMax-Forwards: x\r\nHost: h\r\n");
            assert_eq!(forwarded(&(head.clone() + "\r\n")), Ok(head));
        }
    }

    #[test]
    fn a_426_says_to_what_to_switch() {
        let answer = "HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nUpgrade: TLS/1.3\r\nConnection: Upgrade, X\r\nX: y\r\n\
                      Upgrade: h2c, websocket\r\nContent-Length: 0\r\n\r\n";
        let goes = "HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\n\
                    Upgrade: TLS/1.3, h2c, websocket\r\n\r\n";
        assert_eq!(relayed(answer, LineEnds::CrLf).unwrap(), goes);
        assert_eq!(relayed(&answer.replace("\r\n", "\n"), LineEnds::LfToo).unwrap(), goes);
        let other = answer.replace("426", "400");
        assert!(!relayed(&other, LineEnds::CrLf).unwrap().contains("pgrade:"));
        let nothing = "HTTP/1.1 426 No\r\nDate: x\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(relayed(nothing, LineEnds::CrLf).unwrap(), nothing);
    }

    proptest! {
        /// A head means the same whatever ends each of its lines, and in every split.
        #[test]
        fn line_ends_change_nothing(
            lines in prop::collection::vec("[A-Za-z-]{1,12}: {0,2}[!-~]{0,9}", 0..6),
            ends in prop::collection::vec(any::<bool>(), 8),
        ) {
            let written = |end: &dyn Fn(usize) -> &'static str| {
                let all = ["HTTP/1.1 200 OK".to_owned()].into_iter().chain(lines.clone()).chain([String::new()]);
                all.enumerate().map(|(i, line)| line + end(i)).collect::<String>()
            };
            let usual = relayed(&written(&|_| "\r\n"), LineEnds::CrLf);
            let mixed = written(&|i| if ends[i] { "\r\n" } else { "\n" });
            let read = relayed(&mixed, LineEnds::LfToo);
            let tidy = |out: &str| out.lines().map(|line| line.split_whitespace().collect()).collect::<Vec<String>>();
            prop_assert_eq!(usual.map(|out| tidy(&out)), read.map(|out| tidy(&out)));
            for cut in 0..mixed.len() {
                let mut space = field_space();
                let part = ResponseHead::parse_with(LineEnds::LfToo, &mixed.as_bytes()[..cut], false, &mut space);
                prop_assert!(matches!(part, Ok(None)), "cut at {}", cut);
            }
        }
    }
}
