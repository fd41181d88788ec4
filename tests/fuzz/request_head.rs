//! Request heads: what is accepted is well-formed, and what is forwarded of it is one request, the same.

use httparse::Header;
use tidegate::h1::persistence::Persistence;
use tidegate::h1::request::{RequestHead, RequestLimits, Target, TargetRule, field_space};
use tidegate::h1::request_id::IdField;
use tidegate::h1::rewrite::{self, RequestContext};
use tidegate::h1::via::Via;
use tidegate::h1::{BodyLength, MAX_FIELDS, Version, Violation};

use super::origin_form::origin_form;
use super::splits::same_in_any_split;
use super::strict::{self, Framing};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

const CLIENT: &[u8] = b"192.0.2.7";
const AUTHORITY: &str = "backend:81";

/// What tells this run from others.
const RUN: u64 = 0xfeed;

/// Some that heads of a few lines exceed.
const NARROW: RequestLimits =
    RequestLimits { head_bytes: 120, fields: 3, target_bytes: 12, body_bytes: 9, target: TargetRule::Strict };

/// Whether a head within narrow limits is accepted: in any split, and then it is one that is accepted without.
fn check_limits(bytes: &[u8]) {
    let within = |bytes: &[u8]| -> Option<Option<usize>> {
        let mut space = field_space();
        let parsed = RequestHead::parse_within(&NARROW, bytes, &mut space);
        parsed.map(|head| head.map(|head| Some(head.len))).unwrap_or(Some(None))
    };
    let Some(Some(len)) = same_in_any_split(bytes, within) else { return };
    assert_eq!(verdict(bytes, TargetRule::Strict), Some(Ok(len)));
    let mut space = field_space();
    let Ok(Some(head)) = RequestHead::parse(bytes, &mut space) else { unreachable!("just parsed") };
    let body = if let BodyLength::Exact(n) = head.body { n } else { 0 };
    assert!(len <= NARROW.head_bytes && head.fields.len() <= NARROW.fields && body <= NARROW.body_bytes);
}

fn limits(target: TargetRule) -> RequestLimits {
    RequestLimits { target, ..RequestLimits::default() }
}

fn verdict(bytes: &[u8], target: TargetRule) -> Option<Result<usize, Violation>> {
    let parsed = RequestHead::parse_within(&limits(target), bytes, &mut field_space())
        .map(|head| head.map(|head| head.len));
    parsed.transpose()
}

/// Checks a request head; says what became of it.
pub(crate) fn check(bytes: &[u8]) -> String {
    check_limits(bytes);
    let strict = check_with(bytes, TargetRule::Strict);
    let passing = check_with(bytes, TargetRule::Pass);
    if strict != passing {
        assert!(strict.starts_with("400 ") && !bytes.is_ascii(), "{strict} but {passing}");
        return format!("{strict}, else {passing}");
    }
    strict
}

fn check_with(bytes: &[u8], rule: TargetRule) -> String {
    match same_in_any_split(bytes, |bytes| verdict(bytes, rule)) {
        None => return "partial".to_owned(),
        Some(Err(error)) => {
            assert!(!is_plain(bytes), "{error}");
            return format!("{} {error}", error.status());
        }
        Some(Ok(_)) => {}
    }
    let (limits, mut space) = (limits(rule), field_space());
    let Ok(Some(head)) = RequestHead::parse_within(&limits, bytes, &mut space) else {
        unreachable!("just parsed")
    };
    let minor = well_formed(bytes, &head, rule);
    if let Err(error) = head.max_forwards() {
        assert!(!is_plain(bytes), "{error}");
        return format!("{} {error}", error.status());
    }
    for (close, named) in [(false, false), (true, false), (false, true)] {
        let id = IdField::received(b"made-here").expect("a sane name");
        let request_id = named.then(|| (head.request_id().0, id.line()));
        let via = &Via::new(RUN);
        let context = RequestContext { client: CLIENT, authority: AUTHORITY, close, via, request_id };
        let mut out = Vec::new();
        rewrite::request(&head, &context, &mut out);
        forwarded(&head, minor, &context, &out, &limits);
    }
    let mut form = match head.target {
        Target::Origin(_) => "origin",
        Target::Absolute { .. } => "absolute",
        Target::Raw { .. } => "raw",
    };
    if head.asks_for_websocket() {
        form = "websocket";
    }
    let (body, expects) = (framing(head.body), head.expects_continue());
    let keep = head.persistence == Persistence::KeepAlive;
    let body = if let Framing::Length(_) = body { Framing::Length(1) } else { body };
    format!("{:?} {form} {body:?} expects {expects} keep {keep} {}", head.version, head.fields.len().min(9))
}

/// Whether these bytes begin with a request that nobody has a reason to refuse.
fn is_plain(bytes: &[u8]) -> bool {
    let Ok(Some(head)) = strict::head(bytes) else { return false };
    let parts: Vec<_> = head.first.split(|&b| b == b' ').collect();
    let [method, target, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor]] = parts[..] else { return false };
    let hosts = head.values("host");
    let is_coded = !head.values("transfer-encoding").is_empty();
    let is_host = |host: &&[u8]| !host.is_empty() && host.iter().all(u8::is_ascii_alphanumeric);
    strict::is_token(method)
        && method != b"CONNECT"
        && target.starts_with(b"/")
        && target.iter().all(|b| b.is_ascii_graphic() && *b != b'#')
        && minor.is_ascii_digit()
        && hosts.len() == 1
        && hosts.iter().all(is_host)
        && !(is_coded && *minor == b'0')
        && head.framing_of_request().is_ok()
        && head.fields.len() <= MAX_FIELDS
        && (!matches!(method, b"OPTIONS" | b"TRACE") || head.values("max-forwards").is_empty())
}

fn framing(body: BodyLength) -> Framing {
    match body {
        BodyLength::None => Framing::Nothing,
        BodyLength::Exact(n) => Framing::Length(n),
        BodyLength::Chunked => Framing::Chunked,
        BodyLength::UntilClose => Framing::UntilClose,
    }
}

/// What is accepted has no other reading. Returns its minor version.
fn well_formed(bytes: &[u8], head: &RequestHead<'_, '_>, rule: TargetRule) -> char {
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let model = strict::head(&bytes[start..]).expect("a well-formed head").expect("a whole head");
    assert_eq!(start + model.len, head.len);
    assert_eq!(model.fields, pairs(head.fields));
    let parts: Vec<_> = model.first.split(|&b| b == b' ').collect();
    assert_eq!(parts.len(), 3, "{}", model.first.escape_ascii());
    assert_eq!(parts[0], head.method.as_bytes());
    let is_part = |b: &u8| b.is_ascii_graphic() || (rule == TargetRule::Pass && !b.is_ascii());
    assert!(strict::is_token(parts[0]) && parts[1].iter().all(is_part) && !parts[1].contains(&b'#'));
    assert_eq!(model.framing_of_request(), Ok(framing(head.body)));
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] = parts[2] else {
        panic!("the version {}", parts[2].escape_ascii())
    };
    assert_eq!(head.version == Version::Http10, *minor == b'0');
    char::from(*minor)
}

fn pairs<'b>(fields: &[Header<'b>]) -> Vec<(&'b [u8], &'b [u8])> {
    fields.iter().map(|field| (field.name.as_bytes(), field.value)).collect()
}

/// What goes to the backend is one request, and the one that it should be.
fn forwarded(
    head: &RequestHead<'_, '_>,
    minor: char,
    context: &RequestContext<'_>,
    out: &[u8],
    limits: &RequestLimits,
) {
    let sent = strict::head(out).expect("a well-formed head").expect("a whole head");
    assert_eq!(sent.len, out.len(), "more than one head");
    let (method, target) = sent.request_line(limits.target == TargetRule::Pass).expect("a request line");
    assert_eq!((method, target), (head.method.as_bytes(), &origin_form(head)[..]));
    sent.is_plainly_framed().expect("one reading");
    let fields: Fields = sent.fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
    assert_eq!(fields, expected_fields(head, minor, context));
    assert_eq!(sent.framing_of_request(), Ok(framing(head.body)));
    assert_eq!(sent.values("host").len(), 1);

    // One that is as full as may be has no room for ours.
    if sent.fields.len() > MAX_FIELDS {
        return;
    }
    let mut space = field_space();
    let again = RequestHead::parse_within(limits, out, &mut space).expect("accepted again").expect("whole");
    let of = |head: &RequestHead<'_, '_>| (head.body, head.expects_continue(), head.asks_for_websocket());
    assert_eq!((again.len, of(&again)), (out.len(), of(head)));
    assert_eq!(again.persistence == Persistence::Close, context.close);
}

/// The fields that go to the backend, put together one by one (RFC 9110 §7.6).
fn expected_fields(head: &RequestHead<'_, '_>, minor: char, context: &RequestContext<'_>) -> Fields {
    let lower: Vec<String> = head.fields.iter().map(|f| f.name.to_ascii_lowercase()).collect();
    let values = |name: &str| {
        let named = head.fields.iter().zip(&lower).filter(move |(_, n)| *n == name);
        named.map(|(field, _)| field.value.to_vec()).collect::<Vec<_>>()
    };
    let listed = |name: &str| -> Vec<String> {
        let items = values(name).join(&b","[..]);
        items.split(|&b| b == b',').map(|item| item.trim_ascii().escape_ascii().to_string()).collect()
    };
    let options: Vec<_> = listed("connection").iter().map(|o| o.to_ascii_lowercase()).collect();
    let allowed = head.max_forwards().expect("not refused");
    let allowed = allowed.map(|allowed| allowed.saturating_sub(1).to_string());
    let kept = |name: &str| match name {
        "max-forwards" if allowed.is_some() => false,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" => false,
        "x-forwarded-host" | "x-forwarded-proto" => false,
        "host" | "content-length" | "transfer-encoding" => true,
        "expect" if head.version == Version::Http10 => false,
        "x-request-id" if context.request_id.is_some() => false,
        _ => !options.iter().any(|option| option == name),
    };
    let own = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let mut fields = Fields::new();
    let host_replaced = head.target.authority().is_some();
    let host = match head.target.authority() {
        Some(authority) => Some(authority.as_bytes().to_vec()),
        None => values("host").pop(),
    };
    if host_replaced || host.is_none() {
        fields.push(own("Host", host.as_deref().unwrap_or(AUTHORITY.as_bytes())));
    }
    // The last `Via` gets our element, and all `X-Forwarded-For` become one list.
    let via = lower.iter().rposition(|n| n == "via").filter(|_| kept("via"));
    for (i, field) in head.fields.iter().enumerate() {
        let name = &lower[i];
        let anew = Some(i) == via || name == "x-forwarded-for" || (name == "host" && host_replaced);
        if kept(name) && !anew {
            fields.push((field.name.as_bytes().to_vec(), plain_value(name, field.value)));
        }
    }
    let appended = |before: Vec<Vec<u8>>, element: &[u8]| {
        let before = before.into_iter().filter(|value| !value.is_empty());
        before.chain([element.to_vec()]).collect::<Vec<_>>().join(&b", "[..])
    };
    fields.extend(allowed.iter().map(|allowed| own("Max-Forwards", allowed.as_bytes())));
    let version = format!("1.{minor} tidegate-{RUN:016x}");
    let via = via.map(|i| head.fields[i].value.to_vec());
    fields.push(own("Via", &appended(via.into_iter().collect(), version.as_bytes())));
    let forwarded_for = if kept("x-forwarded-for") { values("x-forwarded-for") } else { Vec::new() };
    fields.push(own("X-Forwarded-For", &appended(forwarded_for, CLIENT)));
    fields.push(own("X-Forwarded-Proto", b"http"));
    fields.extend(host.map(|host| own("X-Forwarded-Host", &host)));
    fields.extend(context.request_id.map(|_| own("X-Request-Id", b"made-here")));
    let upgrade = head.method == "GET"
        && head.version == Version::Http11
        && head.body == BodyLength::None
        && options.iter().any(|option| option == "upgrade")
        && listed("upgrade").iter().any(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    match (context.close, upgrade) {
        (false, false) => {}
        (true, false) => fields.push(own("Connection", b"close")),
        (false, true) => fields.push(own("Connection", b"Upgrade")),
        (true, true) => fields.push(own("Connection", b"close, Upgrade")),
    }
    if upgrade {
        fields.push(own("Upgrade", b"websocket"));
    }
    fields
}

/// A value as it goes on: framing is written so that all read it alike.
fn plain_value(name: &str, value: &[u8]) -> Vec<u8> {
    match name {
        "transfer-encoding" => value.to_ascii_lowercase(),
        "content-length" => {
            let zeros = value.iter().take_while(|&&b| b == b'0').count();
            value[zeros.min(value.len() - 1)..].to_vec()
        }
        _ => value.to_vec(),
    }
}
