//! HTTP/1.1 read the naive way: whole messages, lines split at CR LF, nothing but what RFC 9112 allows a sender.
//!
//! Here: heads, framing, the chunked coding and the messages of a stream, as the models that the proxy's own readers and
//! writers are held to. Nothing is shared with them. Not here: what is compared (the targets beside this file).

/// A whole head.
pub(crate) struct Head<'a> {
    /// The request line or the status line, without its end.
    pub(crate) first: &'a [u8],
    /// Names and values in order, without white space around the values.
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
    /// With the empty line.
    pub(crate) len: usize,
}

/// What delimits a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A body as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) data: Vec<u8>,
    /// How many bytes of the stream are the body and its coding.
    pub(crate) consumed: usize,
    pub(crate) done: bool,
}

pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Neither the end of a line nor anything that another reader could take for one.
fn is_text(line: &[u8]) -> bool {
    line.iter().all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

/// The head at the start of `bytes`; none if its end has not come.
///
/// # Errors
/// What RFC 9112 does not allow in it.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head<'_>>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let (mut lines, mut left) = (Vec::new(), &bytes[..end]);
    while let Some(at) = find(left, b"\r\n") {
        lines.push(&left[..at]);
        left = &left[at + 2..];
    }
    lines.push(left);
    if let Some(line) = lines.iter().find(|line| !is_text(line)) {
        return Err(format!("a control character in the line \"{}\"", line.escape_ascii()));
    }
    let first = lines.remove(0);
    let fields = lines.into_iter().map(|line| {
        let colon = line.iter().position(|&b| b == b':').unwrap_or(0);
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let blank = |b: &u8| *b == b' ' || *b == b'\t';
        let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
        let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
        match is_token(name) {
            true => Ok((name, &value[start..end])),
            false => Err(format!("not a field: \"{}\"", line.escape_ascii())),
        }
    });
    Ok(Some(Head { first, fields: fields.collect::<Result<_, _>>()?, len: end + 4 }))
}

impl<'a> Head<'a> {
    /// All values of the fields of that name, which is lower-case.
    pub(crate) fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|&(_, value)| value).collect()
    }

    /// Method and target of a request in HTTP/1.1; the target may be `raw`, with bytes that are not ASCII.
    pub(crate) fn request_line(&self, raw: bool) -> Result<(&'a [u8], &'a [u8]), String> {
        let parts: Vec<_> = self.first.split(|&b| b == b' ').collect();
        match parts[..] {
            [method, target, b"HTTP/1.1"] if is_token(method) && is_target(target, raw) => {
                Ok((method, target))
            }
            _ => Err(format!("not a request line: \"{}\"", self.first.escape_ascii())),
        }
    }

    /// Whether the framing fields have one reading even to those who take leading zeros for octal, or who know a coding by
    /// its letters alone.
    ///
    /// # Errors
    /// Which of them has two.
    pub(crate) fn is_plainly_framed(&self) -> Result<(), String> {
        let padded = |value: &&[u8]| value.len() > 1 && value.starts_with(b"0");
        let lengths = self.values("content-length").into_iter().filter(padded);
        let codings = self.values("transfer-encoding").into_iter().filter(|value| *value != b"chunked");
        match lengths.chain(codings).next() {
            None => Ok(()),
            Some(value) => Err(format!("framing that some read otherwise: \"{}\"", value.escape_ascii())),
        }
    }

    /// Status of a response in HTTP/1.1.
    pub(crate) fn status(&self) -> Result<u16, String> {
        let text = self.first.strip_prefix(b"HTTP/1.1 ").filter(|rest| rest.get(3) == Some(&b' '));
        let digits = text.map(|rest| &rest[..3]).filter(|d| d.iter().all(u8::is_ascii_digit));
        let status = digits.map(|d| d.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')));
        status
            .filter(|s| *s >= 100)
            .ok_or_else(|| format!("not a status line: \"{}\"", self.first.escape_ascii()))
    }

    /// What the framing fields say, each of which may stand there once, and one of which.
    fn framing(&self) -> Result<Option<Framing>, String> {
        match (&self.values("content-length")[..], &self.values("transfer-encoding")[..]) {
            ([], []) => Ok(None),
            ([digits], []) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                let text = String::from_utf8_lossy(digits);
                text.parse().map(|n| Some(Framing::Length(n))).map_err(|e| format!("{text}: {e}"))
            }
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
            (lengths, codings) => {
                Err(format!("{} Content-Length, {} Transfer-Encoding", lengths.len(), codings.len()))
            }
        }
    }

    /// What delimits the body of the request (RFC 9112 §6.3).
    pub(crate) fn framing_of_request(&self) -> Result<Framing, String> {
        Ok(match self.framing()? {
            None | Some(Framing::Length(0)) => Framing::Nothing,
            Some(framing) => framing,
        })
    }

    /// What delimits the body of the response to a request that was HEAD or not (RFC 9112 §6.3).
    pub(crate) fn framing_of_response(&self, to_head: bool) -> Result<Framing, String> {
        let (status, framing) = (self.status()?, self.framing()?);
        if (status < 200 || status == 204) && framing.is_some() {
            return Err(format!("a response {status} with a framing field"));
        }
        Ok(match framing {
            _ if to_head || status < 200 || status == 204 || status == 304 => Framing::Nothing,
            None => Framing::UntilClose,
            Some(Framing::Length(0)) => Framing::Nothing,
            Some(framing) => framing,
        })
    }
}

/// Visible ASCII, and more if it is `raw`, of a form that an origin server is sent.
fn is_target(target: &[u8], raw: bool) -> bool {
    target.iter().all(|b| b.is_ascii_graphic() || (raw && !b.is_ascii()))
        && !target.contains(&b'#')
        && (target.starts_with(b"/") || target == b"*")
}

/// The body at the start of `bytes`.
pub(crate) fn body(framing: Framing, bytes: &[u8]) -> Result<Body, String> {
    let plain = |n: usize, done| Body { data: bytes[..n].to_vec(), consumed: n, done };
    match framing {
        Framing::Nothing => Ok(plain(0, true)),
        Framing::UntilClose => Ok(plain(bytes.len(), false)),
        Framing::Length(n) => {
            let here = usize::try_from(n).map_or(bytes.len(), |n| n.min(bytes.len()));
            Ok(plain(here, here as u64 == n))
        }
        Framing::Chunked => chunked(bytes),
    }
}

/// A line of the chunked coding, as far as it has come.
enum Line<'a> {
    /// Its end may have begun.
    Partial {
        text: &'a [u8],
        ends: bool,
    },
    Whole {
        text: &'a [u8],
        len: usize,
    },
}

fn line(bytes: &[u8]) -> Result<Line<'_>, String> {
    let end = bytes.iter().position(|&b| b == b'\r' || b == b'\n').unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    match rest {
        _ if !is_text(text) => Err("a control character".to_owned()),
        [] | [b'\r'] => Ok(Line::Partial { text, ends: !rest.is_empty() }),
        [b'\r', b'\n', ..] => Ok(Line::Whole { text, len: end + 2 }),
        _ => Err("a line that does not end in CR LF".to_owned()),
    }
}

/// The chunked coding at the start of `bytes` (RFC 9112 §7.1).
///
/// # Errors
/// What is wrong, even where more of it is still to come.
pub(crate) fn chunked(bytes: &[u8]) -> Result<Body, String> {
    let mut body = Body { data: Vec::new(), consumed: bytes.len(), done: false };
    let mut left = bytes;
    loop {
        let (size, len) = match line(left)? {
            Line::Partial { .. } if left.is_empty() => return Ok(body),
            Line::Partial { text, ends } => return size(text, !ends).map(|_| body),
            Line::Whole { text, len } => (size(text, false)?, len),
        };
        left = &left[len..];
        if size == 0 {
            break;
        }
        let here = usize::try_from(size).map_or(left.len(), |size| size.min(left.len()));
        body.data.extend_from_slice(&left[..here]);
        left = &left[here..];
        match left {
            [b'\r', b'\n', rest @ ..] if here as u64 == size => left = rest,
            [] => return Ok(body),
            [b'\r'] if here as u64 == size => return Ok(body),
            _ => return Err("no CR LF behind a chunk".to_owned()),
        }
    }
    loop {
        match line(left)? {
            Line::Partial { text, ends } => return trailer(text, !ends).map(|()| body),
            Line::Whole { text, len } => {
                left = &left[len..];
                if text.is_empty() {
                    return Ok(Body { consumed: bytes.len() - left.len(), done: true, ..body });
                }
                trailer(text, false)?;
            }
        }
    }
}

/// A line of the trailer section, whole but for its end, or the beginning of one.
fn trailer(text: &[u8], partial: bool) -> Result<(), String> {
    let colon = text.iter().position(|&b| b == b':');
    match text.is_empty() || (is_token(&text[..colon.unwrap_or(text.len())]) && (partial || colon.is_some()))
    {
        true => Ok(()),
        false => Err(format!("not a trailer field: \"{}\"", text.escape_ascii())),
    }
}

/// The size of a chunk, of a line whole but for its end, or of the beginning of one.
fn size(text: &[u8], partial: bool) -> Result<u64, String> {
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    if !(1..=16).contains(&digits) || !extensions(&text[digits..], partial) {
        return Err(format!("not a chunk's size: \"{}\"", text.escape_ascii()));
    }
    let value = |b: u8| char::from(b).to_digit(16).map_or(0, u64::from);
    Ok(text[..digits].iter().fold(0, |n, &b| n << 4 | value(b)))
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| b" \t".contains(b)).count();
    &text[blanks..]
}

/// What a token leaves of `text`; none if there is no token.
fn behind_token(text: &[u8]) -> Option<&[u8]> {
    let len = (0..=text.len()).rev().find(|&len| is_token(&text[..len]))?;
    Some(&text[len..])
}

/// What a quoted string leaves of what follows its first quote; none if it has no end.
fn behind_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [] | [b'\\'] => return None,
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
        };
    }
}

/// Whether this is what may stand behind a chunk's size, `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, or begins so.
fn extensions(mut text: &[u8], partial: bool) -> bool {
    while !text.is_empty() {
        text = match without_blanks(text) {
            [] => return partial,
            [b';', rest @ ..] => without_blanks(rest),
            _ => return false,
        };
        let Some(rest) = behind_token(text) else { return partial && text.is_empty() };
        text = match without_blanks(rest) {
            [] if !rest.is_empty() => return partial,
            [b'=', value @ ..] => match without_blanks(value) {
                [] => return partial,
                [b'"', quoted @ ..] => match behind_quoted(quoted) {
                    None => return partial,
                    Some(rest) => rest,
                },
                value => match behind_token(value) {
                    None => return false,
                    Some(rest) => rest,
                },
            },
            _ => rest,
        };
    }
    true
}

/// A message in a stream.
pub(crate) struct Message<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) body: Body,
}

/// The requests that a proxy has sent on a connection; of the last, part of its body may be missing. What comes behind
/// one that asks for an upgrade is left out if `switched`.
pub(crate) fn requests(mut bytes: &[u8], switched: bool) -> Result<Vec<Message<'_>>, String> {
    let mut all = Vec::new();
    while let Some(head) = head(bytes)? {
        head.request_line(false)?;
        head.is_plainly_framed()?;
        if head.values("host").len() != 1 {
            return Err(format!("{} Host fields", head.values("host").len()));
        }
        let body = body(head.framing_of_request()?, &bytes[head.len..])?;
        bytes = &bytes[head.len + body.consumed..];
        let ends = !body.done || (switched && !head.values("upgrade").is_empty());
        all.push(Message { head, body });
        if ends {
            break;
        }
    }
    Ok(all)
}

/// What a client has got on its connection.
#[derive(Default)]
pub(crate) struct Responses {
    /// The statuses of the final responses, 101 among them.
    pub(crate) statuses: Vec<u16>,
    /// The last said that it was the last, or its end was the connection's, or it is not whole.
    pub(crate) closing: bool,
}

/// The responses in a stream to as many requests, each of which was HEAD or not.
///
/// # Errors
/// What is malformed, or a response to no request.
pub(crate) fn responses(mut bytes: &[u8], to_head: &[bool]) -> Result<Responses, String> {
    let mut all = Responses::default();
    while !bytes.is_empty() {
        let Some(&to_head) = to_head.get(all.statuses.len()) else {
            return Err(format!("a response to no request: \"{}\"", bytes.escape_ascii()));
        };
        let Some(head) = head(bytes)? else {
            all.closing = true;
            break;
        };
        let (status, framing) = (head.status()?, head.framing_of_response(to_head)?);
        head.is_plainly_framed()?;
        if (100..200).contains(&status) && status != 101 {
            bytes = &bytes[head.len..];
            continue;
        }
        all.statuses.push(status);
        let body = body(framing, &bytes[head.len..])?;
        let options = head.values("connection").join(&b","[..]);
        let close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
        all.closing = !body.done || status == 101 || options.split(|&b| b == b',').any(close);
        if status == 101 {
            break;
        }
        bytes = &bytes[head.len + body.consumed..];
    }
    Ok(all)
}
