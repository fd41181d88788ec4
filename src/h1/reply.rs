//! Responses that we ourselves originate.
//!
//! Here: [`Content`] (a status, a body, a few fields) and [`Reply`] (a sentence for people). Not here: when they are
//! sent (`proxy/`, `server/`). Floor 1.

use super::Version;
use super::persistence::Persistence;

/// A response with a body of ours.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// The body, whole. With 304 it is only described (RFC 9110 §15.4.5).
    pub body: &'a [u8],
    /// Further lines of the head, each with its CR LF.
    pub fields: &'a str,
    /// Whether the request was HEAD: the body is only described.
    pub to_head: bool,
    /// The client's version.
    pub version: Version,
    /// Whether the client's connection is kept.
    pub persistence: Persistence,
}

impl Content<'_> {
    /// Appends head and body to `out`.
    pub fn write(&self, date: &str, out: &mut Vec<u8>) {
        let mut length = [0; 20];
        self.write_as(Some(decimal(&mut length, self.body.len() as u64)), date, out);
    }

    /// The same of a body that goes on until the connection ends, so that `persistence` must be `Close`.
    pub fn write_open(&self, date: &str, out: &mut Vec<u8>) {
        self.write_as(None, date, out);
    }

    fn write_as(&self, length: Option<&[u8]>, date: &str, out: &mut Vec<u8>) {
        // One by one: what is constant is copied by a few instructions then.
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(decimal(&mut [0; 20], u64::from(self.status)));
        out.push(b' ');
        out.extend_from_slice(phrase(self.status).as_bytes());
        out.extend_from_slice(b"\r\nContent-Type: ");
        out.extend_from_slice(self.content_type.as_bytes());
        if let Some(length) = length {
            out.extend_from_slice(b"\r\nContent-Length: ");
            out.extend_from_slice(length);
        }
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.fields.as_bytes());
        match (self.persistence, self.version) {
            (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n\r\n"),
            (Persistence::KeepAlive, Version::Http10) => {
                out.extend_from_slice(b"Connection: keep-alive\r\n\r\n");
            }
            (Persistence::KeepAlive, Version::Http11) => out.extend_from_slice(b"\r\n"),
        }
        if !self.to_head && self.status != 304 {
            out.extend_from_slice(self.body);
        }
    }
}

/// A number's digits.
pub(super) fn decimal(digits: &mut [u8; 20], mut number: u64) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

/// A response of our own, in a sentence.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// A word for programs, sent as `X-Tidegate-Reason`.
    pub reason: Option<&'a str>,
    /// Further lines of the head, each with its CR LF.
    pub fields: &'a str,
    /// A sentence for people; the body is `status phrase: detail`.
    pub detail: &'a str,
    /// Whether the request was HEAD: the body is only described.
    pub to_head: bool,
    /// The client's version.
    pub version: Version,
    /// Whether the client's connection is kept.
    pub persistence: Persistence,
}

impl Reply<'_> {
    /// Appends head and body to `out`.
    pub fn write(&self, date: &str, out: &mut Vec<u8>) {
        let Reply { status, detail, to_head, version, persistence, .. } = *self;
        let body = sentence(status, detail);
        let fields = match self.reason {
            Some(reason) => format!("X-Tidegate-Reason: {reason}\r\n{}", self.fields),
            None => self.fields.to_owned(),
        };
        let content_type = "text/plain; charset=utf-8";
        let (body, fields) = (body.as_bytes(), fields.as_str());
        Content { status, content_type, body, fields, to_head, version, persistence }.write(date, out);
    }
}

/// The body of a response for people.
pub fn sentence(status: u16, detail: &str) -> String {
    format!("{status} {}: {detail}\n", phrase(status))
}

/// The reason phrase of a status that we send (RFC 9110 §15, RFC 6585).
pub const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}

/// The interim response that lets a client send its body (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::BodyLength;
    use crate::h1::request::field_space;
    use crate::h1::response::ResponseHead;

    #[test]
    fn a_reply_is_a_response_of_the_length_it_says() {
        let mut reply = Reply {
            status: 504,
            reason: Some("upstream-timeout"),
            fields: "X-Further: yes\r\n",
            detail: "no answer within 10s",
            to_head: false,
            version: Version::Http11,
            persistence: Persistence::KeepAlive,
        };
        let mut out = Vec::new();
        reply.write("Sun, 06 Nov 1994 08:49:37 GMT", &mut out);
        let mut space = field_space();
        let head = ResponseHead::parse(&out, false, &mut space).unwrap().unwrap();
        let body = &out[head.len..];
        assert_eq!(body, b"504 Gateway Timeout: no answer within 10s\n");
        assert_eq!((head.status, head.body), (504, BodyLength::Exact(body.len() as u64)));
        assert_eq!(head.persistence, Persistence::KeepAlive);
        assert!(head.fields.iter().any(|f| f.name == "X-Tidegate-Reason" && f.value == b"upstream-timeout"));
        assert!(head.fields.iter().any(|f| f.name == "X-Further" && f.value == b"yes"));

        (reply.to_head, reply.persistence) = (true, Persistence::Close);
        out.clear();
        reply.write("Sun, 06 Nov 1994 08:49:37 GMT", &mut out);
        let mut space = field_space();
        let head = ResponseHead::parse(&out, true, &mut space).unwrap().unwrap();
        assert_eq!((head.len, head.persistence), (out.len(), Persistence::Close));
    }
}
