//! Response heads: what is accepted is well-formed, and what the client gets of it is one response, the same.

use tidegate::h1::coding::Coding;
use tidegate::h1::persistence::Persistence;
use tidegate::h1::request::field_space;
use tidegate::h1::response::{LineEnds, ResponseHead};
use tidegate::h1::rewrite::{self, ResponseContext, Told};
use tidegate::h1::{BodyLength, Version, Violation};

use super::splits::same_in_any_split;
use super::strict::{self, Framing};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Checks a response head, as the answer to HEAD and to another method; says what became of it.
pub(crate) fn check(bytes: &[u8]) -> String {
    let strict = check_answer_to(bytes, false, LineEnds::CrLf);
    let lenient = check_answer_to(bytes, false, LineEnds::LfToo);
    let to_head = check_answer_to(bytes, true, LineEnds::LfToo);
    // Whatever ends the lines, a head means the same.
    let tidy = check_answer_to(&with_crlf(bytes), false, LineEnds::CrLf);
    if lenient != "partial" && tidy != "partial" {
        assert_eq!(lenient, tidy, "{}", with_crlf(bytes).escape_ascii());
    }
    match strict == lenient {
        true => format!("{strict} | {to_head}"),
        false => {
            assert_eq!(strict, Violation::BareLf.words(), "else {lenient}");
            format!("with LF {lenient} | {to_head}")
        }
    }
}

fn check_answer_to(bytes: &[u8], to_head: bool, line_ends: LineEnds) -> String {
    let verdict = |bytes: &[u8]| -> Option<Result<usize, Violation>> {
        let mut space = field_space();
        let head = ResponseHead::parse_with(line_ends, bytes, to_head, &mut space);
        head.map(|head| head.map(|head| head.len)).transpose()
    };
    match same_in_any_split(bytes, verdict) {
        None => return "partial".to_owned(),
        Some(Err(error)) => return error.to_string(),
        Some(Ok(_)) => {}
    }
    let mut space = field_space();
    let Ok(Some(head)) = ResponseHead::parse_with(line_ends, bytes, to_head, &mut space) else {
        unreachable!("just parsed")
    };
    well_formed(bytes, &head, line_ends);
    if head.status < 200 {
        return interim(&head, to_head);
    }
    let told =
        Told { request_id: Some(b"X-Request-Id: me\r\n"), explanation: Some(b"X-Tidegate-Backend: b\r\n") };
    for version in [Version::Http10, Version::Http11] {
        for (persistence, told) in [(Persistence::Close, None), (Persistence::KeepAlive, Some(told))] {
            let coding = Coding::of(head.body, version);
            let context = ResponseContext { version, coding, persistence, date: DATE, told };
            let mut out = Vec::new();
            rewrite::response(&head, &context, &mut out);
            passed_on(&head, &context, to_head, &out);
        }
    }
    let (keep, body) = (head.persistence == Persistence::KeepAlive, head.body);
    let body = if let BodyLength::Exact(_) = body { BodyLength::Exact(1) } else { body };
    format!("{:?} {}xx {body:?} keep {keep} {}", head.version, head.status / 100, head.fields.len().min(9))
}

/// What is accepted has no other reading.
fn well_formed(bytes: &[u8], head: &ResponseHead<'_, '_>, line_ends: LineEnds) {
    let bytes = &bytes[..head.len];
    let lines = match line_ends {
        LineEnds::CrLf => bytes.to_vec(),
        LineEnds::LfToo => with_crlf(bytes),
    };
    let model = strict::head(&lines).expect("a well-formed head").expect("a whole head");
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    assert_eq!((model.len, model.fields), (lines.len(), fields));
    let (version, rest) = model.first.split_at(8);
    let is_10 = version == b"HTTP/1.0";
    assert!(version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit());
    assert_eq!(is_10, head.version == Version::Http10);
    let rest = rest.strip_prefix(format!(" {}", head.status).as_bytes()).expect("the status");
    assert!(rest.is_empty() || rest.starts_with(b" "), "{}", model.first.escape_ascii());
}

/// Each line of a head with CR LF at its end.
fn with_crlf(head: &[u8]) -> Vec<u8> {
    let lines = head.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// Names, in lower case, and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Fields for this hop alone, framing, and what only we may set.
const OF_THIS_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "x-forwarded-host",
    "x-forwarded-proto",
];

fn without(fields: &[(&[u8], &[u8])], gone: &[Vec<u8>]) -> Fields {
    let lower = fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
    let gone = |name: &Vec<u8>| gone.contains(name) || OF_THIS_HOP.iter().any(|hop| hop.as_bytes() == name);
    lower.filter(|(name, _)| !gone(name)).collect()
}

/// What the backend sent for the client, apart from framing and what is replaced (RFC 9110 §7.6.1).
fn end_to_end(head: &ResponseHead<'_, '_>, replaced: &[&str]) -> Fields {
    let came: Vec<_> = head.fields.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let connection = came.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
    let options = connection.flat_map(|(_, value)| value.split(|&b| b == b','));
    let named = options.map(|option| option.trim_ascii().to_ascii_lowercase());
    // What routing rests on is never hop-by-hop, in requests; it is not asked which kind of head it is.
    let gone =
        named.filter(|name| name != b"host").chain(replaced.iter().map(|name| name.as_bytes().to_vec()));
    without(&came, &gone.collect::<Vec<_>>())
}

fn passed_on(head: &ResponseHead<'_, '_>, context: &ResponseContext<'_>, to_head: bool, out: &[u8]) {
    let sent = strict::head(out).expect("a well-formed head").expect("a whole head");
    assert_eq!((sent.len, sent.status()), (out.len(), Ok(head.status)));
    sent.is_plainly_framed().expect("one reading");
    let expected = match (head.body, context.coding) {
        (BodyLength::None, _) => Framing::Nothing,
        (BodyLength::Exact(n), _) => Framing::Length(n),
        (BodyLength::Chunked | BodyLength::UntilClose, Coding::Chunked) => Framing::Chunked,
        (BodyLength::Chunked | BodyLength::UntilClose, Coding::Identity) => Framing::UntilClose,
    };
    assert_eq!(sent.framing_of_response(to_head), Ok(expected));
    let kept: &[u8] = match (context.persistence, context.version) {
        (Persistence::Close, _) => b"close",
        (Persistence::KeepAlive, Version::Http10) => b"keep-alive",
        (Persistence::KeepAlive, Version::Http11) => b"",
    };
    // A 426 says to what the client is to switch.
    let came = head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case("upgrade") && !f.value.is_empty());
    let came: Vec<_> = came.filter(|_| head.status == 426).map(|f| f.value).collect();
    assert_eq!(sent.values("upgrade").concat(), came.join(&b", "[..]));
    let options = [kept].into_iter().chain((!came.is_empty()).then_some(&b"Upgrade"[..]));
    let options: Vec<_> = options.filter(|option| !option.is_empty()).collect();
    assert_eq!(sent.values("connection").concat(), options.join(&b", "[..]));

    let replaced: &[&str] =
        if context.told.is_some() { &["x-request-id", "x-tidegate-backend"] } else { &[] };
    let mut expected = end_to_end(head, replaced);
    // A backend's date may be for this hop alone; it is not replaced then.
    if !head.fields.iter().any(|field| field.name.eq_ignore_ascii_case("date")) {
        expected.push((b"date".to_vec(), DATE.into()));
    }
    if context.told.is_some() {
        expected.push((b"x-request-id".to_vec(), b"me".to_vec()));
        expected.push((b"x-tidegate-backend".to_vec(), b"b".to_vec()));
    }
    assert_eq!(without(&sent.fields, &[]), expected);
}

/// 1xx.
fn interim(head: &ResponseHead<'_, '_>, to_head: bool) -> String {
    let switches = head.switches_to_websocket();
    let mut out = Vec::new();
    match switches {
        true => rewrite::switching(head, None, &mut out),
        false => rewrite::interim(head, &mut out),
    }
    let sent = strict::head(&out).expect("a well-formed head").expect("a whole head");
    assert_eq!((sent.len, sent.status()), (out.len(), Ok(head.status)));
    assert_eq!(sent.framing_of_response(to_head), Ok(Framing::Nothing));
    assert_eq!(without(&sent.fields, &[]), end_to_end(head, &[]));
    assert_eq!(!sent.values("upgrade").is_empty(), switches);
    format!("interim, switches {switches}")
}
