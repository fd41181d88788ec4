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
        self.write_as(["\r\nContent-Length: ", decimal(&mut length, self.body.len() as u64)], date, out);
    }

    /// The same of a body that goes on until the connection ends, so that `persistence` must be `Close`.
    pub fn write_open(&self, date: &str, out: &mut Vec<u8>) {
        self.write_as(["", ""], date, out);
    }

    fn write_as(&self, [field, length]: [&str; 2], date: &str, out: &mut Vec<u8>) {
        let mut status = [0; 20];
        let parts = [
            "HTTP/1.1 ",
            decimal(&mut status, u64::from(self.status)),
            " ",
            phrase(self.status),
            "\r\nContent-Type: ",
            self.content_type,
            field,
            length,
            "\r\nDate: ",
            date,
            "\r\n",
            self.fields,
            match (self.persistence, self.version) {
                (Persistence::Close, _) => "Connection: close\r\n\r\n",
                (Persistence::KeepAlive, Version::Http10) => "Connection: keep-alive\r\n\r\n",
                (Persistence::KeepAlive, Version::Http11) => "\r\n",
            },
        ];
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        if !self.to_head && self.status != 304 {
            out.extend_from_slice(self.body);
        }
    }
}

/// A number's digits.
pub(super) fn decimal(digits: &mut [u8; 20], mut number: u64) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&digits[start..]).unwrap_or_default();
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
